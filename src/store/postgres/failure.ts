import { AppError } from '../../base/error.ts'

/** Classes of SQLSTATE after which another try makes sense: connection lost, rolled back for others' sake, server going or coming. */
const PASSING = /^(08|40|53|55P03|57P0)/

/** Whether the database, not the statement, was the trouble. Anything without a SQLSTATE happened on the way there or back. */
export function isPassing(error: unknown): boolean {
  if (error instanceof AppError || !(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return !('severity' in error) || PASSING.test(code)
}

/** `character_not_in_repertoire`: PostgreSQL holds no text with NUL, and looks for none. */
const NUL_IN_TEXT = '22021'

export function toStoreError(error: unknown): AppError {
  if (error instanceof AppError) return error
  if (error instanceof Error && 'code' in error && error.code === NUL_IN_TEXT)
    return new AppError('invalid', 'a text holds the character NUL, which cannot be stored; nothing was changed', {
      cause: error,
    })
  const message = isPassing(error)
    ? 'The database did not answer; the change is to be taken as not made.'
    : 'The database did not take the change; nothing was changed.'
  return new AppError('store_failed', message, { cause: error })
}
