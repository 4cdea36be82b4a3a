import { AppError, type ErrorCode } from '../../base/error.ts'

// What the threads say to each other: arrays of calls one way, arrays of answers the other, each as one JSON text. Measured: for
// records this small, text crosses a thread in about half the time of structured clone, and no pooled buffer comes along.

/** Which of the two threads this is. Travels as `workerData`; the file of the database follows with the call that opens it. */
export interface ThreadRole {
  role: 'writer' | 'reader'
}

/** The first call of a thread: opens the database whose file it names. */
export const OPEN = 'open'
/** The message that ends a thread, after its last answer. */
export const STOP = 'stop'

export type Call = readonly [id: number, name: string, args: readonly unknown[]]

/** `ok` and a value, `done` for undefined (JSON has no word for it), or `failed` and the error. */
export type Answer =
  | readonly [id: number, kind: 'ok', value: unknown]
  | readonly [id: number, kind: 'done']
  | readonly [id: number, kind: 'failed', error: ErrorText]

export interface ErrorText {
  code: ErrorCode
  message: string
  field: string | undefined
  /** For the log: what the database or the bug said. */
  cause: string | undefined
}

export interface Answers {
  answers: Answer[]
  /** Webhooks that got deliveries which are due and nobody's. */
  nudged: string[]
  /** The journal has grown: the reader's thread shall write it back. */
  checkpoint: boolean
}

export function answer(id: number, value: unknown): Answer {
  return value === undefined ? [id, 'done'] : [id, 'ok', value]
}

export function failure(id: number, error: unknown): Answer {
  return [id, 'failed', toErrorText(error)]
}

function toErrorText(error: unknown): ErrorText {
  if (error instanceof AppError) {
    return {
      code: error.code,
      message: error.message,
      field: error.field,
      cause: error.cause === undefined ? undefined : String(error.cause),
    }
  }
  const isDatabase = error instanceof Error && 'code' in error && error.code === 'ERR_SQLITE_ERROR'
  const cause = error instanceof Error ? (error.stack ?? error.message) : String(error)
  if (isDatabase)
    return {
      code: 'store_failed',
      message: 'The database did not take the change; nothing was changed.',
      field: undefined,
      cause,
    }
  return { code: 'internal', message: 'A fault of Landfall itself; the log has the details.', field: undefined, cause }
}

export function toError({ code, message, field, cause }: ErrorText): AppError {
  return new AppError(code, message, {
    ...(field !== undefined && { field }),
    ...(cause !== undefined && { cause: new Error(cause) }),
  })
}
