import { AppError } from '../base/error.ts'

/** `bytes`: what the files of the account would take. */
export function quotaExceeded(quota: number, bytes: number): AppError {
  return new AppError('quota_exceeded', `The files of the account would take ${bytes} bytes; its quota is ${quota}.`)
}
