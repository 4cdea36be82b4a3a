import { SECOND_MS } from './units.ts'

/** Upper bounds of the classes in which durations of answers are counted, ms, each included; one more class holds what took longer. */
export const TOOK_BOUNDS_MS = [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000] as const

/** An answer that took longer is slow (MFTPlus, "Monitoring": response time above 5 seconds). */
export const SLOW_ANSWER_MS = 5 * SECOND_MS

/** The class of a duration, from 0. */
export function classOf(durationMs: number): number {
  const index = TOOK_BOUNDS_MS.findIndex((bound) => durationMs <= bound)
  return index < 0 ? TOOK_BOUNDS_MS.length : index
}
