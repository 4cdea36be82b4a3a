import { AppError, type ErrorCode } from '../../base/error.ts'
import { STATUS, type StatusCode } from '../../wire/sftp/constants.ts'

/** The one translation to status codes of version 3. A new ErrorCode does not compile until it has one. */
export const STATUS_OF = {
  invalid: STATUS.FAILURE,
  unauthenticated: STATUS.PERMISSION_DENIED,
  forbidden: STATUS.PERMISSION_DENIED,
  not_found: STATUS.NO_SUCH_FILE,
  already_exists: STATUS.FAILURE,
  rate_limited: STATUS.FAILURE,
  limit_reached: STATUS.FAILURE,
  plan_refused: STATUS.PERMISSION_DENIED,
  url_refused: STATUS.FAILURE,
  conflict: STATUS.FAILURE,
  path_invalid: STATUS.FAILURE,
  path_outside_space: STATUS.PERMISSION_DENIED,
  path_busy: STATUS.FAILURE,
  permission_denied: STATUS.PERMISSION_DENIED,
  file_not_found: STATUS.NO_SUCH_FILE,
  file_exists: STATUS.FAILURE,
  // OpenSSH's server says the same for ENOTDIR.
  not_a_directory: STATUS.NO_SUCH_FILE,
  is_a_directory: STATUS.FAILURE,
  directory_not_empty: STATUS.FAILURE,
  upload_incomplete: STATUS.FAILURE,
  checksum_mismatch: STATUS.FAILURE,
  storage_full: STATUS.FAILURE,
  quota_exceeded: STATUS.FAILURE,
  storage_failed: STATUS.FAILURE,
  storage_undecided: STATUS.FAILURE,
  unsupported: STATUS.OP_UNSUPPORTED,
  store_failed: STATUS.FAILURE,
  store_newer: STATUS.FAILURE,
  data_folder_locked: STATUS.FAILURE,
  setting_invalid: STATUS.FAILURE,
  stopping: STATUS.FAILURE,
  internal: STATUS.FAILURE,
} as const satisfies Record<ErrorCode, StatusCode>

/** What a client is told of a failure. Anything that is not an AppError is a fault of ours, and its text stays in the log. */
export function statusOf(error: unknown): { code: StatusCode; message: string } {
  if (error instanceof AppError) return { code: STATUS_OF[error.code], message: error.message }
  return { code: STATUS.FAILURE, message: 'internal error' }
}
