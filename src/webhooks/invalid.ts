import { AppError } from '../base/error.ts'

/** A refusal of a caller's input. The message begins with the field and says bound and value. */
export function invalid(field: string, message: string): AppError {
  return new AppError('invalid', message, { field })
}

/** As much of a caller's text as a message repeats. */
export function shortened(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`
}
