import { AppError } from '../base/error.ts'
import { parseInstant } from '../base/instant.ts'

/** ISO 8601 with a zone, as ms since 1970 UTC; refused with the name of its field. */
export function instantOf(field: string, written: string): number {
  const at = parseInstant(written)
  if (at === undefined)
    throw new AppError('invalid', `${field} is ${JSON.stringify(written)}, not a time like 2026-06-08T12:00:00Z`, { field })
  return at
}
