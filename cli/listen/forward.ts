import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { type Route, routeOf } from './routes.ts'

/** A request as the server signed it. */
export interface Item {
  readonly deliveryId: string
  readonly eventId: string
  readonly event: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly cursor: string
}

/** What became of a forward; `answer` is the first line of the body. */
export type Forwarded =
  | { readonly status: number; readonly answer: string; readonly ms: number }
  | { readonly status: null; readonly reason: string; readonly ms: number }

export type Post = (url: URL, item: Pick<Item, 'headers' | 'body'>, signal: AbortSignal) => Promise<Forwarded>

/** As long as a real delivery waits, ms. */
const DEADLINE_MS = 10_000
/** Of an answer is read as much as of one to a real delivery. */
const ANSWER_BYTES_MAX = 16 * 1024
const ANSWER_CHARACTERS_SHOWN = 100
/** Posts under way at once, over all routes. */
const UNDER_WAY_MAX = 8
/** Items taken and not ended. What waits longer than a few minutes has a timestamp that receivers refuse. */
const UNFINISHED_MAX = 24

interface Lane {
  readonly waiting: Work[]
  isBusy: boolean
}
interface Work {
  readonly item: Item
  readonly route: Route
}

/** Forwards items: those of one url one after the other, in the order in which they were taken; different urls at the same time. */
export class Forwarder {
  readonly #routes: readonly Route[]
  readonly #post: Post
  readonly #ended: (item: Item, route: Route | undefined, result: Forwarded | undefined) => void
  readonly #lanes = new Map<string, Lane>()
  readonly #stop = new AbortController()
  #unfinished = 0
  #underWay = 0
  #isClosed = false
  #wake: (() => void)[] = []

  /** `ended` is told of each item once; without a route, nothing was sent. */
  constructor(parts: {
    routes: readonly Route[]
    post: Post
    ended: (item: Item, route: Route | undefined, result: Forwarded | undefined) => void
  }) {
    this.#routes = parts.routes
    this.#post = parts.post
    this.#ended = parts.ended
  }

  /** Takes one more; resolves when there is room for the next. */
  async take(item: Item): Promise<void> {
    if (this.#isClosed) return
    const route = routeOf(this.#routes, item.event)
    if (route === undefined) return this.#ended(item, undefined, undefined)
    const { href } = route.url
    const lane = this.#lanes.get(href) ?? { waiting: [], isBusy: false }
    this.#lanes.set(href, lane)
    lane.waiting.push({ item, route })
    this.#unfinished++
    this.#start()
    await this.#until(() => this.#isClosed || this.#unfinished < UNFINISHED_MAX)
  }

  /** Begins nothing more; what is under way may end for so long, then it is cut. */
  async close(graceMs: number): Promise<void> {
    this.#isClosed = true
    this.#notify()
    const timer = setTimeout(() => this.#stop.abort(), graceMs)
    await this.#until(() => this.#underWay === 0)
    clearTimeout(timer)
  }

  #start(): void {
    for (const lane of this.#lanes.values()) {
      if (this.#isClosed || this.#underWay >= UNDER_WAY_MAX) return
      if (lane.isBusy) continue
      const next = lane.waiting.shift()
      if (next !== undefined) void this.#send(lane, next)
    }
  }

  async #send(lane: Lane, { item, route }: Work): Promise<void> {
    lane.isBusy = true
    this.#underWay++
    const result = await this.#post(route.url, item, this.#stop.signal)
    this.#underWay--
    lane.isBusy = false
    // To the end of the line, so that no route waits for ever for its turn.
    this.#lanes.delete(route.url.href)
    this.#lanes.set(route.url.href, lane)
    this.#unfinished--
    // What was cut by us ended in nothing: it is offered the next time.
    if (!this.#stop.signal.aborted) this.#ended(item, route, result)
    this.#start()
    this.#notify()
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#wake.push(resolve))
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

/** One POST with exactly these headers and bytes over a connection of its own; redirects are not followed. Never rejects. */
export function post(
  url: URL,
  { headers, body }: Pick<Item, 'headers' | 'body'>,
  stop: AbortSignal,
  deadlineMs = DEADLINE_MS,
): Promise<Forwarded> {
  const begun = performance.now()
  const took = () => Math.round(performance.now() - begun)
  const deadline = AbortSignal.timeout(deadlineMs)
  const bytes = Buffer.from(body)
  const exchange = new Promise<Forwarded>((resolve, reject) => {
    const options = {
      method: 'POST',
      headers: { ...headers, 'content-length': bytes.length },
      signal: AbortSignal.any([deadline, stop]),
      // A kept connection may be one that the receiver closed when it was restarted.
      agent: false as const,
    }
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, options, (answer) => {
      startOf(answer).then((text) => resolve({ status: answer.statusCode!, answer: text, ms: took() }), reject)
    })
    request.on('error', reject)
    request.end(bytes)
  })
  return exchange.catch((error: NodeJS.ErrnoException) => {
    const reason = deadline.aborted ? `no answer within ${deadlineMs / 1000} s` : reasonOf(error, url)
    return { status: null, reason, ms: took() }
  })
}

/** The first line of a body, which is read to its end or its bound. */
async function startOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= ANSWER_BYTES_MAX) break
  }
  const [line = ''] = Buffer.concat(chunks)
    .toString('utf8')
    .trimStart()
    .split(/[\r\n]/, 1)
  return line.slice(0, ANSWER_CHARACTERS_SHOWN)
}

/** In words, with what to do about it. */
function reasonOf(error: NodeJS.ErrnoException, { protocol, host, hostname }: URL): string {
  const code = error.code ?? ''
  const said = REASONS[code]
  if (said !== undefined) return said(host, hostname)
  if (code.startsWith('HPE_')) return `${host} does not answer in HTTP: is it an https port?`
  if (protocol === 'https:' && /CERT|SELF_SIGNED|ISSUER|ALTNAME/.test(code))
    return `the certificate of ${host} is not trusted (${code}): use http on this machine, or name its authority in NODE_EXTRA_CA_CERTS`
  return code === '' ? error.message : `${error.message} (${code})`
}

const REASONS: Readonly<Record<string, (host: string, hostname: string) => string>> = {
  ECONNREFUSED: (host) => `nothing listens there: is your receiver running on ${host}?`,
  ECONNRESET: (host) => `${host} closed the connection without an answer: did your receiver crash?`,
  EPIPE: (host) => `${host} closed the connection without an answer: did your receiver crash?`,
  ENOTFOUND: (_, hostname) => `there is no host ${hostname}`,
  EAI_AGAIN: (_, hostname) => `the name ${hostname} cannot be resolved now`,
  EHOSTUNREACH: (host) => `${host} cannot be reached from here`,
  EPROTO: (host) => `${host} does not speak TLS: is it an http port?`,
  ERR_SSL_WRONG_VERSION_NUMBER: (host) => `${host} does not speak TLS: is it an http port?`,
}
