import { AppError } from '../base/error.ts'

/** ISO 8601 with a zone, as ms since 1970 UTC; refused with the name of its field. */
export function instantOf(field: string, written: string): number {
  const at = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})$/.test(written)
    ? Date.parse(written)
    : Number.NaN
  if (Number.isNaN(at))
    throw new AppError('invalid', `${field} is ${JSON.stringify(written)}, not a time like 2026-06-08T12:00:00Z`, { field })
  return at
}
