/**
 * The one table of what a user, a peer or the ground below can cause. Each edge (SFTP, HTTP, command line)
 * translates it once; nothing below an edge knows status codes. docs/errors.md is tested against it.
 */
export const ERROR_CODES = {
  invalid: 'A field is missing, malformed, out of its bounds or unknown.',
  unauthenticated: 'No valid credentials were given.',
  forbidden: 'The credentials are valid but do not permit this.',
  not_found: 'No such thing, or none that the caller may see.',
  already_exists: 'A thing of this name exists.',
  rate_limited: 'The hourly limit of the key, or the limit of tries, is used up.',
  limit_reached: 'A limit of connections, handles or stored things is reached.',
  plan_refused: 'The plan of the account does not include this.',
  url_refused: 'The url of a webhook is one that Landfall does not send to.',
  conflict: 'The thing is in a state that does not allow this.',
  path_invalid: 'The path has a part that no file system here can hold.',
  path_outside_space: 'The path, or a link in it, leads outside the space of the user.',
  path_busy: 'Another change of this path is being carried out.',
  permission_denied: 'The user lacks the permission, or the ground refuses it.',
  file_not_found: 'No file or folder at this path.',
  file_exists: 'A file or folder is at this path already.',
  not_a_directory: 'A part of the path, or its end, is not a folder.',
  is_a_directory: 'The path is a folder where a file is needed.',
  directory_not_empty: 'The folder still holds something.',
  upload_incomplete: 'The upload was closed with a hole between its written ranges; it is kept as a partial.',
  checksum_mismatch: 'What arrived is not what was sent: its SHA-256 is another one. Nothing of it is kept.',
  storage_full: 'The storage has no room left.',
  quota_exceeded: 'The files of the account would take more than its quota.',
  storage_failed: 'The storage answered with an error.',
  storage_undecided: 'The storage did not say whether the change happened; it is held and tried again.',
  unsupported: 'This operation is not offered.',
  store_failed: 'The database did not take the change; nothing was changed.',
  store_newer: 'The database was written by a newer Landfall.',
  data_folder_locked: 'Another Landfall process uses this data folder.',
  setting_invalid: 'A setting or flag is unknown or has a value out of its bounds.',
  stopping: 'The server is stopping; try again in a moment.',
  internal: 'A fault of Landfall itself; the log has the details.',
} as const
export type ErrorCode = keyof typeof ERROR_CODES

/**
 * Something that a user or peer can cause. The message is public: it names field, bound and value, and never a
 * secret or a path of the host; what is for the log goes into `cause`.
 */
export class AppError extends Error {
  readonly code: ErrorCode
  /** The member of the request that is wrong, where there is one. */
  readonly field: string | undefined
  /** Seconds after which trying again makes sense, where that is known. */
  readonly retryAfterSeconds: number | undefined

  constructor(code: ErrorCode, message: string, options: { field?: string; retryAfterSeconds?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.field = options.field
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}

/** The error's code, or `internal` for anything that is not an AppError: a bug, never the caller's doing. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof AppError ? error.code : 'internal'
}
