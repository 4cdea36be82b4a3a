import type { Clock } from '../src/base/clock.ts'

/** Resolves after `ms` of this clock, or as soon as the signal ends it. */
export function rest(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted || ms <= 0) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.after(ms, done)
    signal.addEventListener('abort', done)
  })
}

/** A signal that ends with another one, or by this clock; `clear` gives its timer back. */
export function deadline(clock: Clock, ms: number, signal: AbortSignal, why: string): { signal: AbortSignal; clear: () => void } {
  const late = new AbortController()
  const clear = clock.after(ms, () => late.abort(new Error(why)))
  return { signal: AbortSignal.any([signal, late.signal]), clear }
}
