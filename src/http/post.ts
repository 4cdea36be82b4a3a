import { Client, type Dispatcher, Pool } from 'undici'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { KIB, SECOND_MS } from '../base/units.ts'
import { createConnector } from './connect.ts'
import { failureOf, isConnectionLoss } from './failure.ts'
import type { EgressGuard } from './guard.ts'

/**
 * Sends one POST and says what became of it. Whatever the world does (refuses, hangs, drips, floods, lies about its
 * certificate) is a value of `PostResult`, never an exception, and known within the deadline. Redirects are answers
 * like any other. The body is sent byte for byte, and the answer is taken as it comes: nothing is inflated.
 *
 * `post` rejects only where nothing can be said about the receiver: AppError `stopping` after `close`, `internal` when
 * this machine is out of sockets or the request cannot be built. Such a call must not count as an attempt.
 */
export interface Poster {
  post(request: PostRequest): Promise<PostResult>
  /** Takes no new requests; those under way have `withinMs` to end, then they are cut and their promises reject. */
  close(withinMs?: number): Promise<void>
}

export interface PostRequest {
  url: string
  headers: Record<string, string>
  body: Buffer | string
  /** From the call to the end of the answer, ms: waiting for a connection, connecting, headers and body. */
  deadlineMs: number
}

export type PostPhase = 'connect' | 'headers' | 'body'
export type PostResult =
  /** The answer's body ended, or its first 16 KiB were read, within the deadline. `retryAfter` is the header as sent. */
  | {
      kind: 'answered'
      status: number
      headers: Record<string, string>
      bodyExcerpt: Buffer
      durationMs: number
      retryAfter?: string
    }
  /** `phase` is what was being waited for. */
  | { kind: 'timed_out'; afterMs: number; phase: PostPhase }
  | { kind: 'unreachable'; code: string; message: string; durationMs: number }
  /** The guard refused the url or an address of its host; `reason` names the setting that would allow it. */
  | { kind: 'refused'; reason: string }

export interface PosterOptions {
  guard: EgressGuard
  clock: Pick<Clock, 'monotonic' | 'after'>
  /** A certificate authority (PEM) trusted beside the usual ones. */
  ca?: string
  /** How many connections one origin may have at a time; further requests wait, inside their deadline. */
  connectionsPerOriginMax?: number
  /** How many origins keep open connections; beyond it the one used longest ago lets go of its own. */
  originsMax?: number
}

/** How much of an answer's body is kept, bytes. */
export const BODY_EXCERPT_BYTES_MAX = 16 * KIB
/** A body that arrives byte by byte is put together whenever this many pieces have come: each costs far more than its byte. */
const CHUNKS_MAX = 64
/** Bounds of an answer's headers: all together in bytes (more is a failure), and how many of them are kept. */
export const RESPONSE_HEADER_BYTES_MAX = 16 * KIB
export const RESPONSE_HEADERS_KEPT_MAX = 100
export const CONNECTIONS_PER_ORIGIN_MAX = 256
export const ORIGINS_MAX = 1024
/** An unused connection is closed after this time, ms, or sooner where the receiver announces less. */
const IDLE_MS_MAX = 4 * SECOND_MS
const CLOSE_WITHIN_MS = 5 * SECOND_MS

export function createPoster(options: PosterOptions): Poster {
  const { guard, clock, connectionsPerOriginMax = CONNECTIONS_PER_ORIGIN_MAX, originsMax = ORIGINS_MAX } = options
  const connect = createConnector(guard, options.ca)
  /** By origin; the one used longest ago comes first. */
  const pools = new Map<string, Pool>()
  /** Taken out of use, each with the end of what it still has to finish. */
  const retiring = new Map<Pool, Promise<unknown>>()
  let isClosed = false

  function poolOf(origin: string): Pool {
    const pool = pools.get(origin) ?? openPool(origin)
    pools.delete(origin)
    pools.set(origin, pool)
    if (pools.size > originsMax) retire(pools.keys().next().value!)
    return pool
  }

  function openPool(origin: string): Pool {
    const pool = new Pool(origin, {
      connect,
      connections: connectionsPerOriginMax,
      factory: (url, settings) => new Line(url, settings),
      allowH2: false,
      pipelining: 1,
      maxHeaderSize: RESPONSE_HEADER_BYTES_MAX,
      keepAliveTimeout: IDLE_MS_MAX,
      keepAliveMaxTimeout: IDLE_MS_MAX,
      // Our own deadline covers both.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    const retireUnused = () => {
      if (pools.get(origin) === pool && pool.stats.connected === 0 && pool.stats.size === 0) retire(origin)
    }
    return pool.on('disconnect', retireUnused).on('connectionError', retireUnused)
  }

  function retire(origin: string): void {
    const pool = pools.get(origin)!
    pools.delete(origin)
    retiring.set(
      pool,
      pool.close().then(() => retiring.delete(pool)),
    )
  }

  async function post(request: PostRequest): Promise<PostResult> {
    if (isClosed) throw new AppError('stopping', 'the sender is stopping')
    const verdict = guard.checkUrl(request.url)
    if (!verdict.allowed) return { kind: 'refused', reason: verdict.reason }
    const { origin, pathname, search } = verdict.url
    const { headers, body, deadlineMs } = request
    const message: Dispatcher.DispatchOptions = { method: 'POST', path: pathname + search, headers, body }
    return new Promise((resolve, reject) => {
      const send = (exchange: Exchange) => poolOf(origin).dispatch(message, exchange)
      new Exchange({ clock, deadlineMs, send, resolve, reject }).start()
    })
  }

  async function close(withinMs = CLOSE_WITHIN_MS): Promise<void> {
    isClosed = true
    for (const origin of [...pools.keys()]) retire(origin)
    const cut = Promise.withResolvers<unknown>()
    const cancel = clock.after(withinMs, () => cut.resolve(Promise.all([...retiring.keys()].map((pool) => pool.destroy()))))
    await Promise.race([Promise.all(retiring.values()), cut.promise])
    cancel()
  }

  return { post, close }
}

/** One connection of a pool. It lets each exchange know whether its socket has carried another one before. */
class Line extends Client {
  /** Exchanges begun on the present socket. */
  exchanges = 0

  constructor(origin: URL, options: Client.Options) {
    super(origin, options)
    this.on('connect', () => {
      this.exchanges = 0
    })
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (handler instanceof Exchange) handler.line = this
    return super.dispatch(options, handler)
  }
}

interface Task {
  clock: Pick<Clock, 'monotonic' | 'after'>
  deadlineMs: number
  send: (exchange: Exchange) => void
  resolve: (result: PostResult) => void
  reject: (error: unknown) => void
}

/**
 * One POST under way. It waits for a connection ('connect'), for the answer's status and headers ('headers'), for its
 * body ('body'), and is settled once, by the first of: end of the body, 16 KiB of it, deadline, failure.
 *
 * A connection that the receiver closes just when it is used again fails without a byte of answer. That says nothing
 * about the receiver, so such a request is sent once more at once, inside the same deadline. The receiver may have
 * seen the first one; webhooks are delivered at least once, and it knows the second by the same id.
 */
class Exchange implements Dispatcher.DispatchHandler {
  /** Set by the line that takes this exchange. */
  line: Line | undefined
  readonly #task: Task
  readonly #startedAt: number
  #cancelDeadline: () => void = () => {}
  #isSettled = false
  #isSecondTry = false
  #isSocketReused = false
  #hasAnswerBegun = false
  #phase: PostPhase = 'connect'
  #controller: Dispatcher.DispatchController | undefined
  #status = 0
  #headers: Dispatcher.ResponseData['headers'] = {}
  #chunks: Buffer[] = []
  #bytes = 0

  constructor(task: Task) {
    this.#task = task
    this.#startedAt = task.clock.monotonic()
  }

  start(): void {
    this.#cancelDeadline = this.#task.clock.after(this.#task.deadlineMs, () => this.#timeOut())
    this.#task.send(this)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#isSettled) {
      // The deadline passed while this request waited for its connection: nothing of it may be sent any more.
      controller.abort(new Error('settled before it was sent'))
      return
    }
    this.#controller = controller
    this.#phase = 'headers'
    this.#isSocketReused = this.line !== undefined && this.line.exchanges++ > 0
  }

  onResponseStarted(): void {
    this.#hasAnswerBegun = true
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Dispatcher.ResponseData['headers']): void {
    if (status < 200) return
    this.#phase = 'body'
    this.#status = status
    this.#headers = headers
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isSettled) return
    const kept = chunk.subarray(0, BODY_EXCERPT_BYTES_MAX - this.#bytes)
    this.#chunks.push(kept)
    this.#bytes += kept.length
    if (this.#chunks.length === CHUNKS_MAX) this.#chunks = [Buffer.concat(this.#chunks)]
    if (this.#bytes < BODY_EXCERPT_BYTES_MAX) return
    this.#answer()
    // The rest is not wanted. Reading it to keep the connection could take for ever.
    controller.abort(new Error('enough of the body was read'))
  }

  onResponseEnd(): void {
    this.#answer()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#isSettled) return
    if (this.#maySendAgain(error)) this.#sendAgain()
    else this.#fail(error)
  }

  #maySendAgain(error: Error): boolean {
    return this.#isSocketReused && !this.#hasAnswerBegun && !this.#isSecondTry && isConnectionLoss(error)
  }

  #sendAgain(): void {
    this.#isSecondTry = true
    this.#phase = 'connect'
    this.#controller = undefined
    // Not from inside the client's own handling of the lost socket.
    queueMicrotask(() => this.#task.send(this))
  }

  #fail(error: Error): void {
    const durationMs = this.#elapsedMs()
    if ('code' in error && error.code === 'UND_ERR_CONNECT_TIMEOUT') {
      // Our own limit on connecting ran out; to the caller it is one deadline.
      this.#settle({ kind: 'timed_out', afterMs: durationMs, phase: 'connect' })
      return
    }
    try {
      const failure = failureOf(error)
      this.#settle(failure.kind === 'refused' ? failure : { ...failure, durationMs })
    } catch (ours) {
      this.#isSettled = true
      this.#cancelDeadline()
      this.#task.reject(ours)
    }
  }

  #timeOut(): void {
    this.#settle({ kind: 'timed_out', afterMs: this.#elapsedMs(), phase: this.#phase })
    this.#controller?.abort(new Error('deadline passed'))
  }

  #answer(): void {
    const retryAfter = this.#headers['retry-after']
    this.#settle({
      kind: 'answered',
      status: this.#status,
      headers: keptHeaders(this.#headers),
      bodyExcerpt: Buffer.concat(this.#chunks, this.#bytes),
      durationMs: this.#elapsedMs(),
      ...(typeof retryAfter === 'string' ? { retryAfter } : {}),
    })
  }

  #settle(result: PostResult): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#cancelDeadline()
    this.#task.resolve(result)
  }

  #elapsedMs(): number {
    return this.#task.clock.monotonic() - this.#startedAt
  }
}

function keptHeaders(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const name of Object.keys(headers).slice(0, RESPONSE_HEADERS_KEPT_MAX)) {
    const value = headers[name]
    if (value !== undefined) kept[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return kept
}
