import type { Clock } from '../base/clock.ts'

/** What is left of a window after one more request. */
export interface Rate {
  readonly limit: number
  /** Requests left; 0 when this one was the last or one too many. */
  readonly remaining: number
  readonly allowed: boolean
  /** When a new window begins, ms since 1970 UTC. */
  readonly resetAt: number
}

/**
 * Counts requests of callers in windows of fixed length that begin with a caller's first request. Counts live in this
 * process: a restart forgets them, and each node has its own.
 */
export class RateWindows {
  readonly #clock: Clock
  readonly #windowMs: number
  readonly #callersMax: number
  /** In order of beginning, so that the first is the oldest. */
  readonly #windows = new Map<string, { used: number; resetAt: number }>()

  constructor(clock: Clock, windowMs: number, callersMax: number) {
    this.#clock = clock
    this.#windowMs = windowMs
    this.#callersMax = callersMax
  }

  /** Counts one request. */
  take(caller: string, limit: number): Rate {
    const window = this.#window(caller)
    const allowed = window.used < limit
    if (allowed) window.used += 1
    return { limit, remaining: Math.max(0, limit - window.used), allowed, resetAt: window.resetAt }
  }

  /** The same without counting. */
  look(caller: string, limit: number): Rate {
    const now = this.#clock.now()
    const window = this.#windows.get(caller)
    const { used, resetAt } = window === undefined || window.resetAt <= now ? { used: 0, resetAt: now + this.#windowMs } : window
    return { limit, remaining: Math.max(0, limit - used), allowed: used < limit, resetAt }
  }

  #window(caller: string) {
    const now = this.#clock.now()
    const current = this.#windows.get(caller)
    if (current !== undefined && current.resetAt > now) return current
    const begun = { used: 0, resetAt: now + this.#windowMs }
    this.#windows.delete(caller)
    this.#forget(now)
    this.#windows.set(caller, begun)
    return begun
  }

  /** Drops windows that ended, and the oldest ones where too many callers are known. */
  #forget(now: number): void {
    for (const [caller, { resetAt }] of this.#windows) {
      if (resetAt > now && this.#windows.size < this.#callersMax) return
      this.#windows.delete(caller)
    }
  }
}
