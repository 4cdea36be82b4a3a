import type { Clock } from './clock.ts'

/** Time that moves when told, from timer to timer; wall time and monotonic time are the same. */
export function movingClock(startsAt = 0) {
  let now = startsAt
  const timers = new Set<{ readonly at: number; readonly call: () => void }>()
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    after(ms, call) {
      const timer = { at: now + ms, call }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
  }
  async function moveTo(at: number): Promise<void> {
    for (;;) {
      // Everything that follows from the last call happens before the next one.
      await new Promise(setImmediate)
      const next = [...timers].sort((one, other) => one.at - other.at)[0]
      if (next === undefined || next.at > at) break
      timers.delete(next)
      now = next.at
      next.call()
    }
    now = at
  }
  /** Time goes by until that has ended: for what sets its timers only after something real, such as a connection. */
  async function passUntil(ended: Promise<unknown>, stepMs: number): Promise<void> {
    let isOver = false
    const over = () => {
      isOver = true
    }
    ended.then(over, over)
    for (await new Promise(setImmediate); !isOver; ) await moveTo(now + stepMs)
  }
  return { clock, timers, moveTo, passUntil, pass: (ms: number) => moveTo(now + ms) }
}
