import { TOOK_BOUNDS_MS } from '../base/histogram.ts'
import { HOUR_MS, MINUTE_MS } from '../base/units.ts'

// Roll-ups, in the words of both databases: what settling adds to them, in its own transaction.

/** Both are written, so that a week is read as 168 rows and an hour as 60. */
export const GRAINS = [
  { grain: 'hour', spanMs: HOUR_MS },
  { grain: 'minute', spanMs: MINUTE_MS },
] as const

/** Classes of how long answers took. */
export const TOOK_COUNT = TOOK_BOUNDS_MS.length + 1
const TOOK = Array.from({ length: TOOK_COUNT }, (_, index) => `took_${index}`)

/** The columns of `tally` that count. */
export const TALLY_COUNTS = [
  ...['attempts', 'failures', 'unauthorized', 'answered', 'slow', 'duration_ms'],
  ...TOOK,
  ...['delivered', 'failed'],
]
export const TALLY_COLUMNS = ['webhook_id', 'grain', 'at', 'part', ...TALLY_COUNTS]

/** The columns of `delivery_total` that count. */
export const TOTAL_COUNTS = ['delivered', 'failed', 'cancelled'] as const

/** `a = target.a + excluded.a, …`: what an upsert does with a row that is there. */
export function added(table: string, columns: readonly string[]): string {
  return columns.map((column) => `${column} = ${table}.${column} + excluded.${column}`).join(', ')
}
