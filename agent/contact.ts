import type { Clock } from '../src/base/clock.ts'
import { STOP_AFTER_MS } from '../src/wire/agent/work.ts'

/** A moment by both clocks. */
export interface Moment {
  readonly wall: number
  readonly monotonic: number
}

/**
 * How long ago the server has certainly heard of this agent: since the agent SENT the last request that was answered. What the server does to a
 * silent agent counts from when that request came in, which is later: an agent that keeps to this rule has stopped before.
 *
 * The longer of two clocks counts: wall time may be set back, and monotonic time stands still while a machine sleeps.
 */
export class Contact {
  readonly #clock: Clock
  #last: Moment

  constructor(clock: Clock) {
    this.#clock = clock
    this.#last = this.moment()
  }

  /** To be taken before a request is sent. */
  moment(): Moment {
    return { wall: this.#clock.now(), monotonic: this.#clock.monotonic() }
  }

  /** A request that was sent at this moment was answered. Answers may come in another order than the requests went. */
  proved(sent: Moment): void {
    if (sent.monotonic > this.#last.monotonic) this.#last = sent
  }

  get isLost(): boolean {
    const { wall, monotonic } = this.moment()
    return Math.max(wall - this.#last.wall, monotonic - this.#last.monotonic) >= STOP_AFTER_MS
  }
}
