import { AsyncLocalStorage } from 'node:async_hooks'
import { spawn, spawnSync } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { parseSample, type SampleKind, type SampleText } from './samples.ts'

/**
 * Real HTTP receivers that run the pages' own receiver samples, unchanged: a delivery that they accept is one that a
 * receiver written from the page accepts. The samples assume names that a page does not define (`app`, `Event`,
 * `enqueueProcessing`, ...) and bodies in a certain form; what is supplied for each is said where it is supplied.
 */
export interface SampleReceiver {
  /** Plain http on loopback, at the path that the sample listens on. */
  readonly url: string
  /** What arrived so far and what the sample made of it, in order of arrival. */
  readonly received: readonly Received[]
  /** Resolves once that many have been answered; rejects after `ARRIVAL_MS`. */
  arrived(count: number): Promise<readonly Received[]>
  stop(): Promise<void>
}

export interface Received {
  readonly headers: IncomingHttpHeaders
  /** Names as they stood on the wire, in order. */
  readonly headerNames: readonly string[]
  readonly body: string
  /** What the sample answered: 401 where it does not trust the signature. */
  readonly status: number
  readonly answer: string
  /** What the sample passed on to the names that do the work; empty for a duplicate. */
  readonly passedOn: readonly unknown[]
}

/** Longest wait for a delivery, ms: a whole retry of a dialect is shorter in tests, which set their own delays. */
const ARRIVAL_MS = 30_000

/** Where the pages are, relative to the project. */
const SEEDS = '../shared/seeds'
const PYTHON = 'python3'

/** Why this sample cannot be run here, as a sentence for the skipped test; undefined where it can. */
export function whySkipped(kind: SampleKind): string | undefined {
  if (!existsSync(pageOf(kind))) return `The pages with the receiver samples are not beside the project (${SEEDS}).`
  if (kind === 'mftplus-python' && spawnSync(PYTHON, ['--version']).status !== 0)
    return 'There is no python3 here to run the sample.'
  return undefined
}

export async function startSampleReceiver(kind: SampleKind, secret: string): Promise<SampleReceiver> {
  const sample = parseSample(kind, readFileSync(pageOf(kind), 'utf8'))
  const folder = await mkdtemp(join(tmpdir(), 'landfall-sample-'))
  const { path, handle } =
    kind === 'mftplus-python'
      ? { path: '/webhooks/mftplus', handle: pythonHandler(sample, secret) }
      : await nodeHandler(kind, sample, secret, folder)

  const received: Received[] = []
  const arrivals = new EventEmitter()
  const server = createServer(async (request, response) => {
    const body = await buffer(request)
    const { status, answer, passedOn } = await handle(request, body).catch((error: unknown) => ({
      status: 500,
      answer: String(error),
      passedOn: [],
    }))
    response.writeHead(status).end(answer)
    const headerNames = request.rawHeaders.filter((_, index) => index % 2 === 0)
    received.push({ headers: request.headers, headerNames, body: body.toString(), status, answer, passedOn })
    arrivals.emit('arrived')
  })
  return {
    url: `http://127.0.0.1:${await listen(server)}${path}`,
    received,
    async arrived(count) {
      const signal = AbortSignal.timeout(ARRIVAL_MS)
      while (received.length < count) await once(arrivals, 'arrived', { signal })
      return received
    },
    async stop() {
      server.close()
      server.closeAllConnections()
      await rm(folder, { recursive: true })
    },
  }
}

function pageOf(kind: SampleKind): string {
  return resolve(import.meta.dirname, '../..', SEEDS, kind === 'trueftp-node' ? 'trueftp-webhooks.txt' : 'mftplus-webhooks.txt')
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

interface Verdict {
  status: number
  answer: string
  passedOn: unknown[]
}
type Handle = (request: IncomingMessage, body: Buffer) => Promise<Verdict>

interface ExpressRequest {
  headers: IncomingHttpHeaders
  header(name: string): unknown
  rawBody: Buffer
  body: unknown
}
interface ExpressResponse {
  status(code: number): { send(answer: string): void }
  sendStatus(code: number): void
}
type Middleware = (request: ExpressRequest, response: ExpressResponse, next: () => void) => unknown

/** Loads the sample as a module whose free names are parameters, and answers as `app.post` would. */
async function nodeHandler(kind: SampleKind, { imports, code }: SampleText, secret: string, folder: string) {
  let route: { path: string; middlewares: Middleware[] } | undefined
  // What this request passes on, also where the sample does so after others came in.
  const passedOn = new AsyncLocalStorage<unknown[]>()
  const seen = new Set<string>()
  const names = {
    app: { post: (path: string, ...middlewares: Middleware[]) => (route = { path, middlewares }) },
    express: { raw: expressRaw },
    process: { env: { TRUEFTP_WEBHOOK_SECRET: secret } },
    WEBHOOK_SECRET: secret,
    enqueueProcessing: (path: string) => passedOn.getStore()?.push(path),
    processEvent: async (event: string, data: unknown) => passedOn.getStore()?.push({ event, data }),
    Event: {
      exists: async ({ id }: { id: string }) => seen.has(id),
      create: async ({ id }: { id: string }) => seen.add(id),
    },
  }
  const file = join(folder, `${kind}.mjs`)
  await writeFile(file, `${imports}\nexport default ({ ${Object.keys(names).join(', ')} }) => {\n${code}\n}\n`)
  const { default: sample } = await import(pathToFileURL(file).href)
  sample(names)
  if (route === undefined) throw new Error(`the sample ${kind} registered no route`)

  const { path, middlewares } = route
  const handle: Handle = async (incoming, raw) => {
    if (incoming.method !== 'POST' || incoming.url !== path) return { status: 404, answer: '', passedOn: [] }
    const passed: unknown[] = []
    const answered = await passedOn.run(passed, () => runMiddlewares(middlewares, expressRequest(incoming, raw)))
    return { ...answered, passedOn: passed }
  }
  return { path, handle }
}

/** As behind `express.json({ verify })`, which keeps the raw bytes; `express.raw` then puts them back as the body. */
function expressRequest(incoming: IncomingMessage, rawBody: Buffer): ExpressRequest {
  const isJson = incoming.headers['content-type'] === 'application/json'
  return {
    headers: incoming.headers,
    header: (name) => incoming.headers[name.toLowerCase()],
    rawBody,
    body: isJson ? parsedOrUndefined(rawBody) : undefined,
  }
}

function parsedOrUndefined(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

function expressRaw({ type }: { type: string }): Middleware {
  return (request, _response, next) => {
    request.body = request.headers['content-type'] === type ? request.rawBody : {}
    next()
  }
}

function runMiddlewares(
  middlewares: readonly Middleware[],
  request: ExpressRequest,
): Promise<{ status: number; answer: string }> {
  return new Promise((resolved, rejected) => {
    const response: ExpressResponse = {
      status: (status) => ({ send: (answer) => resolved({ status, answer }) }),
      sendStatus: (status) => resolved({ status, answer: '' }),
    }
    const step = async (index: number) => middlewares[index]?.(request, response, () => void step(index + 1).catch(rejected))
    step(0).catch(rejected)
  })
}

// Runs the sample with the `request` that it assumes: a body of text, so that its `.encode()` works, and headers that
// are found in any case. Then asks its function again with the receiver's secret; the sample itself holds 'your-secret'.
const PYTHON_RUNNER = `
import base64, email.message, json, sys, types
given = json.load(sys.stdin)
headers = email.message.Message()
for name, value in given['headers'].items():
    headers[name] = value
request = types.SimpleNamespace(body=base64.b64decode(given['body']).decode('utf-8'), headers=headers)
names = {'request': request}
exec(given['sample'], names)
trusted = names['verify_signature'](names['payload'], names['signature'], given['secret'])
json.dump({'trusted': trusted, 'payload': json.loads(names['payload'])}, sys.stdout)
`

function pythonHandler(sample: SampleText, secret: string): Handle {
  return async (incoming, body) => {
    const given = {
      sample: `${sample.imports}\n${sample.code}`,
      secret,
      headers: incoming.headers,
      body: body.toString('base64'),
    }
    const python = spawn(PYTHON, ['-c', PYTHON_RUNNER], { stdio: ['pipe', 'pipe', 'pipe'] })
    python.stdin.end(JSON.stringify(given))
    const [output, complaint] = await Promise.all([text(python.stdout), text(python.stderr)])
    if (output === '') throw new Error(`the sample failed: ${complaint}`)
    const { trusted, payload } = JSON.parse(output)
    return { status: trusted ? 200 : 401, answer: '', passedOn: trusted ? [payload] : [] }
  }
}
