import { MINUTE_MS, SECOND_MS } from '../base/units.ts'
import type { WebhookOptions } from './webhook.ts'

export type Rate = NonNullable<WebhookOptions['rate']>

/** Pause after an answer that asks for fewer requests, ms: doubled while the first answer after a pause asks again. */
export const PAUSE_MS = SECOND_MS
export const PAUSE_MS_MAX = MINUTE_MS
/** Deliveries are held for what may start in this time, ms: claimed in vain, others could have them meanwhile. */
const HELD_FOR_MS = 2 * SECOND_MS
/** What a lane may hold however low its rate: one that starts next, and the one behind it. */
const HELD_MIN = 2

/**
 * When the next post to one webhook may start on this node: its rate (never more than `count` starts in any span of
 * `perSeconds`, bursts included) and the pauses that its receiver asks for. It outlives the lane, which is dropped whenever it
 * is empty; it does not outlive the process: every node has the full rate, and a new one begins without a history.
 *
 * Times are monotonic, ms.
 */
export class Pace {
  #rate: Rate | undefined
  /** The last starts, oldest first: as many as the rate counts. */
  #starts: number[] = []
  #pausedUntil = Number.NEGATIVE_INFINITY
  /** The pause before; 0: the receiver takes what it gets. */
  #pauseMs = 0
  /** When the webhook was changed last, as far as is known here. */
  #changedAt: number | undefined

  /** The rate as read for the next attempts. What was started under another one counts for this one too. */
  limit(rate: Rate | undefined): void {
    if (rate?.count === this.#rate?.count && rate?.perSeconds === this.#rate?.perSeconds) return
    this.#rate = rate
    this.#starts = rate === undefined ? [] : this.#starts.slice(-rate.count)
  }

  /**
   * The webhook as read for the next attempts was changed then. A pause was asked for by the receiver as it was before: whoever has given it
   * another url, or has turned it off and on, is not to wait for its end. A receiver that still wants fewer says so in its next answer.
   */
  changed(at: number): void {
    if (this.#changedAt !== undefined && this.#changedAt !== at) {
      this.#pausedUntil = Number.NEGATIVE_INFINITY
      this.#pauseMs = 0
    }
    this.#changedAt = at
  }

  /** Until the end of the pause that the receiver asked for, ms; 0: there is none. */
  pauseLeftMs(now: number): number {
    return Math.max(this.#pausedUntil - now, 0)
  }

  /** Whether the last that was heard of the receiver is that it wants fewer requests. */
  get isThrottled(): boolean {
    return this.#pauseMs > 0
  }

  get heldMax(): number {
    if (this.#rate === undefined) return Number.POSITIVE_INFINITY
    return Math.max(HELD_MIN, Math.ceil((this.#rate.count * HELD_FOR_MS) / (this.#rate.perSeconds * SECOND_MS)))
  }

  /** Until the next start, ms; 0: now. */
  waitMs(now: number): number {
    return Math.max(this.pauseLeftMs(now), this.#rateFreeAt() - now)
  }

  started(now: number): void {
    if (this.#rate === undefined) return
    if (this.#starts.length >= this.#rate.count) this.#starts.shift()
    this.#starts.push(now)
  }

  /** An attempt that began then was answered with the wish for fewer, and perhaps for how long. */
  throttled(beganAt: number, now: number, askedMs: number): void {
    // Those that were under way when the pause began say the same thing once more.
    if (beganAt >= this.#pausedUntil) this.#pauseMs = Math.min(Math.max(PAUSE_MS, 2 * this.#pauseMs), PAUSE_MS_MAX)
    this.#pausedUntil = Math.max(this.#pausedUntil, now + Math.max(askedMs, this.#pauseMs))
  }

  /** An attempt that began then ended in any other way. False: it was under way when a pause began, and says nothing about afterwards. */
  unthrottled(beganAt: number): boolean {
    if (beganAt < this.#pausedUntil) return false
    this.#pauseMs = 0
    return true
  }

  /** Whether it allows whatever a new one would, but for a throttling that is long over. */
  isForgettable(now: number): boolean {
    const remembersStarts =
      this.#rate !== undefined && (this.#starts.at(-1) ?? -Infinity) + this.#rate.perSeconds * SECOND_MS > now
    return !remembersStarts && this.#pausedUntil + PAUSE_MS_MAX <= now
  }

  #rateFreeAt(): number {
    if (this.#rate === undefined || this.#starts.length < this.#rate.count) return Number.NEGATIVE_INFINITY
    return this.#starts[0]! + this.#rate.perSeconds * SECOND_MS
  }
}
