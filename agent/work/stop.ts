import type { Clock } from '../../src/base/clock.ts'
import type { StopReason } from './context.ts'

/** Thrown where work goes no further because it was stopped. */
export class Stopped extends Error {
  override name = 'Stopped'
}

/** What may end work before its end: the agent, the server's answer to a report, its own deadline. The first reason counts. */
export class Stop {
  readonly #controller = new AbortController()
  readonly #waiting = new Set<(error: Stopped) => void>()
  readonly #letGo: (() => void)[] = []

  constructor(from: AbortSignal, clock: Clock, deadlineMs: number | null) {
    const follow = () => this.now(from.reason as StopReason)
    from.addEventListener('abort', follow, { once: true })
    this.#letGo.push(() => from.removeEventListener('abort', follow))
    if (deadlineMs !== null) this.#letGo.push(clock.after(deadlineMs, () => this.now('deadline')))
    if (from.aborted) follow()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Why it was stopped; undefined: it was not. */
  get reason(): StopReason | undefined {
    return this.signal.aborted ? (this.signal.reason as StopReason) : undefined
  }

  now(reason: StopReason): void {
    if (this.signal.aborted) return
    this.#controller.abort(reason)
    for (const reject of this.#waiting) reject(new Stopped(reason))
    this.#waiting.clear()
  }

  /** Goes no further where it was stopped. */
  check(): void {
    if (this.reason !== undefined) throw new Stopped(this.reason)
  }

  /**
   * What the call answers, or `Stopped` as soon as the work is stopped; what the call then still does is for the caller to end. (A race with one promise that lives as
   * long as the work would keep something of every call.)
   */
  or<Result>(call: Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.reason !== undefined) {
        call.catch(() => undefined)
        reject(new Stopped(this.reason))
        return
      }
      this.#waiting.add(reject)
      const done = () => this.#waiting.delete(reject)
      call.then(
        (result) => {
          done()
          resolve(result)
        },
        (error) => {
          done()
          reject(error)
        },
      )
    })
  }

  /** The work is over: nothing follows it any more. */
  close(): void {
    for (const letGo of this.#letGo) letGo()
  }
}

/** Waits for what cannot be left alone, but not for ever; whether it failed is for others to see. */
export async function within(clock: Clock, ms: number, call: Promise<unknown>): Promise<void> {
  await new Promise<void>((resolve) => {
    const cancel = clock.after(ms, resolve)
    call
      .catch(() => undefined)
      .then(() => {
        cancel()
        resolve()
      })
  })
}
