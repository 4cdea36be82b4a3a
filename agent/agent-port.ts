import type { KeyObject, X509Certificate } from 'node:crypto'
import { buildConnector, Client, Dispatcher, Pool } from 'undici'
import type { Clock } from '../src/base/clock.ts'
import { KIB, SECOND_MS } from '../src/base/units.ts'
import { type Hello, LINE_BYTES_MAX, SERVER_NAME, type ServerMessage } from '../src/wire/agent/work.ts'
import type { ServerAccess } from './clients/open.ts'
import { readLines } from './lines.ts'
import { deadline } from './rest.ts'

/** Time for TCP and TLS. */
const DIAL_MS = 10 * SECOND_MS
/** Time for the answer of a request, its body and ours included. */
const ANSWER_MS = 20 * SECOND_MS
const ANSWER_BYTES_MAX = 64 * KIB
/** Heartbeats and reports at the same time; files of spaces have connections of their own, so that they keep no heartbeat back. */
const CALLS_MAX = 8

export interface AgentPortParts {
  /** `host:port`. */
  readonly address: string
  /** PEM of the pinned authority: the only one that the server's certificate may be of. */
  readonly ca: string
  readonly key: KeyObject
  readonly certificate: X509Certificate
  readonly clock: Clock
}

/** The server answered, and would not. */
export class PortRefused extends Error {
  override name = 'PortRefused'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** The agent port of the server, over TLS 1.3 with certificates on both sides. */
export class AgentPort {
  /** For files of spaces. */
  readonly access: ServerAccess
  readonly #parts: AgentPortParts
  readonly #origin: string
  readonly #closed = new AbortController()
  #connect: buildConnector.connector
  #calls: Pool
  #files: Pool

  constructor(parts: AgentPortParts) {
    this.#parts = parts
    this.#origin = `https://${parts.address}`
    this.#connect = this.#connector(parts.certificate)
    this.#calls = this.#pool(CALLS_MAX)
    this.#files = this.#pool(null)
    this.access = { origin: this.#origin, dispatcher: new Current(() => this.#files) }
  }

  /** New connections show this certificate; what is under way on others ends in peace. */
  use(certificate: X509Certificate): void {
    const before = [this.#calls, this.#files]
    this.#connect = this.#connector(certificate)
    this.#calls = this.#pool(CALLS_MAX)
    this.#files = this.#pool(null)
    for (const pool of before) void pool.close()
  }

  /**
   * The messages of one stream on a connection of its own, until it ends or breaks. `opened` is called when the server has answered.
   * @throws PortRefused, and whatever the network says.
   */
  async *stream(hello: Hello, signal: AbortSignal, opened: () => void): AsyncGenerator<ServerMessage> {
    const client = new Client(this.#origin, { connect: this.#connect, allowH2: false, headersTimeout: 0, bodyTimeout: 0 })
    try {
      const { signal: patience, clear } = deadline(this.#parts.clock, ANSWER_MS, signal, 'no answer in time')
      const { statusCode, body } = await client.request({ ...post('/agent/v1/stream', hello), signal: patience }).finally(clear)
      if (statusCode !== 200) throw new PortRefused(statusCode, reasonIn(await textOf(body)))
      opened()
      for await (const line of readLines(body, LINE_BYTES_MAX)) yield JSON.parse(line) as ServerMessage
    } finally {
      await client.destroy().catch(() => undefined)
    }
  }

  /**
   * One request and its answer.
   * @throws PortRefused where the answer is no success, and whatever the network says.
   */
  async call<Answer>(path: string, body: object, answerMs = ANSWER_MS): Promise<Answer> {
    const { signal: patience, clear } = deadline(this.#parts.clock, answerMs, this.#closed.signal, 'no answer in time')
    try {
      const answer = await this.#calls.request({ ...post(path, body), signal: patience })
      const text = await textOf(answer.body)
      if (answer.statusCode < 200 || answer.statusCode > 299) throw new PortRefused(answer.statusCode, reasonIn(text))
      return JSON.parse(text) as Answer
    } finally {
      clear()
    }
  }

  async close(): Promise<void> {
    this.#closed.abort()
    await Promise.all([this.#calls.destroy(), this.#files.destroy()])
  }

  #connector(certificate: X509Certificate): buildConnector.connector {
    const { ca, key } = this.#parts
    const connect = buildConnector({
      ca,
      key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
      cert: certificate.toString(),
      minVersion: 'TLSv1.3',
      rejectUnauthorized: true,
      allowH2: false,
      timeout: DIAL_MS,
      // A session that is taken up again would show the certificate that it began with.
      maxCachedSessions: 0,
    })
    return (options, answer) => connect({ ...options, servername: SERVER_NAME }, answer)
  }

  #pool(connections: number | null): Pool {
    return new Pool(this.#origin, { connect: this.#connect, allowH2: false, connections })
  }
}

/** Whatever is the newest when a request is made: whoever keeps it outlives a renewal. */
class Current extends Dispatcher {
  readonly #newest: () => Dispatcher

  constructor(newest: () => Dispatcher) {
    super()
    this.#newest = newest
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return this.#newest().dispatch(options, handler)
  }
}

function post(path: string, body: object): Dispatcher.RequestOptions {
  return { method: 'POST', path, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`an answer of more than ${ANSWER_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function reasonIn(text: string): string {
  try {
    return (JSON.parse(text) as { error?: string }).error ?? 'no reason given'
  } catch {
    return 'no reason given'
  }
}
