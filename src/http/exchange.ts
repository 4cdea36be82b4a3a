import type { Dispatcher } from 'undici'
import type { Clock } from '../base/clock.ts'
import { KIB } from '../base/units.ts'
import { AnswerFailure, CONNECT_TIMEOUT, failureOf, isConnectionLoss } from './failure.ts'
import { inflated } from './inflate.ts'

/** How much of an answer's body is kept, bytes, both as it came and after inflation. */
export const BODY_EXCERPT_BYTES_MAX = 16 * KIB
/** A body that arrives byte by byte is put together whenever this many pieces have come: each costs far more than its byte. */
const CHUNKS_MAX = 64
/** Bounds of an answer's headers: how many of them are kept, and beyond how many it is a failure (as it is beyond 16 KiB). */
export const RESPONSE_HEADERS_KEPT_MAX = 100
const RESPONSE_HEADERS_MAX = 1_000

export type PostPhase = 'connect' | 'headers' | 'body'
export type PostResult =
  /** The answer's body ended, or its first 16 KiB were read, within the deadline; the excerpt is at most that long. `retryAfter` is the header as sent. */
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

export interface Task {
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
export class Exchange implements Dispatcher.DispatchHandler {
  /** Set by the line that takes this exchange. */
  line: { exchanges: number } | undefined
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
  /** What was answered, while its body is being inflated. */
  #answered: (PostResult & { kind: 'answered' }) | undefined

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

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: Dispatcher.ResponseData['headers']): void {
    if (Object.keys(headers).length > RESPONSE_HEADERS_MAX) {
      this.#refuse(controller, 'answer has too many headers')
      return
    }
    this.#phase = 'body'
    this.#status = status
    this.#headers = headers
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return
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
    if (this.#isOver) return
    if (this.#maySendAgain(error)) this.#sendAgain()
    else this.#fail(error)
  }

  get #isOver(): boolean {
    return this.#isSettled || this.#answered !== undefined
  }

  #refuse(controller: Dispatcher.DispatchController, why: string): void {
    const failure = new AnswerFailure(why)
    this.#fail(failure)
    controller.abort(failure)
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
    if ('code' in error && error.code === CONNECT_TIMEOUT) {
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
    this.#settle(this.#answered ?? { kind: 'timed_out', afterMs: this.#elapsedMs(), phase: this.#phase })
    this.#controller?.abort(new Error('deadline passed'))
  }

  #answer(): void {
    if (this.#isOver) return
    const retryAfter = this.#headers['retry-after']
    const bodyExcerpt = Buffer.concat(this.#chunks, this.#bytes)
    const answered = {
      kind: 'answered' as const,
      status: this.#status,
      headers: keptHeaders(this.#headers),
      bodyExcerpt,
      durationMs: this.#elapsedMs(),
      ...(typeof retryAfter === 'string' ? { retryAfter } : {}),
    }
    this.#answered = answered
    const inflating = inflated(bodyExcerpt, this.#headers['content-encoding'], BODY_EXCERPT_BYTES_MAX)
    if (inflating === undefined) this.#settle(answered)
    else void inflating.then((plain) => this.#settle({ ...answered, bodyExcerpt: plain }))
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
