import { type Clock, delay } from '../../src/base/clock.ts'

/** Share of a second that may go at once: a long pause is not made good by a flood. */
const BURST_MS = 100

/** Lets so many bytes a second through. */
export interface Throttle {
  /** Largest number that `take` is to be asked for at once, so that bytes flow evenly. */
  readonly bytesMax: number
  /** Answers when these may go. Asked one after the other. */
  take(bytes: number): Promise<void>
}

/** A token bucket, kept as the time when it is full again; null: nothing is held back. */
export function createThrottle(bytesPerSecond: number | null, clock: Clock): Throttle {
  if (bytesPerSecond === null) return { bytesMax: Number.POSITIVE_INFINITY, take: async () => {} }
  let freeAt = Number.NEGATIVE_INFINITY
  return {
    bytesMax: Math.max(1, Math.floor((bytesPerSecond * BURST_MS) / 1000)),
    async take(bytes) {
      const now = clock.monotonic()
      const startsAt = Math.max(freeAt, now - BURST_MS)
      freeAt = startsAt + (bytes / bytesPerSecond) * 1000
      if (startsAt > now) await delay(clock, startsAt - now)
    },
  }
}
