/** The only module that reads a clock: everything else is handed one, so that tests and the simulation can move time. */
export interface Clock {
  /** Wall time, ms since 1970 UTC. It may jump; use it for what is stored and shown. */
  now(): number
  /** Time that never jumps, ms from an arbitrary origin; use it for durations. */
  monotonic(): number
  /** Calls once after `ms`; the returned function cancels. A pending call never keeps the process alive by itself. */
  after(ms: number, call: () => void): () => void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** Resolves after `ms` of this clock. */
export function delay(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve)
  })
}

/** ISO 8601 UTC with second precision and `Z`, as both webhook contracts write times. */
export function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
