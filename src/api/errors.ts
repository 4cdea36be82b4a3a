import { AppError, type ErrorCode } from '../base/error.ts'
import type { Fault } from './check.ts'
import { sentenceOf } from './validate.ts'

/** HTTP statuses (RFC 9110 section 15). A new ErrorCode does not compile until it has one. */
export const HTTP_STATUS = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  already_exists: 409,
  rate_limited: 429,
  limit_reached: 409,
  plan_refused: 403,
  url_refused: 400,
  conflict: 409,
  path_invalid: 400,
  path_outside_space: 403,
  path_busy: 409,
  permission_denied: 403,
  file_not_found: 404,
  file_exists: 409,
  not_a_directory: 409,
  is_a_directory: 409,
  directory_not_empty: 409,
  upload_incomplete: 409,
  checksum_mismatch: 409,
  storage_full: 507,
  quota_exceeded: 507,
  storage_failed: 500,
  storage_undecided: 503,
  unsupported: 501,
  store_failed: 503,
  store_newer: 500,
  data_folder_locked: 500,
  setting_invalid: 500,
  stopping: 503,
  internal: 500,
} as const satisfies Record<ErrorCode, number>

/** A refused request as both faces tell it, each in its own style. */
export interface Refusal {
  readonly status: number
  readonly code: ErrorCode
  readonly message: string
  readonly field: string | undefined
  /** Whether field and message use our own names; what the schema of a route refuses is said in the caller's already. */
  readonly ownNames: boolean
  readonly retryAfterSeconds: number | undefined
}

/** The one translation of whatever a handler, a hook or the framework threw. What is nobody's doing stays in the log. */
export function refusalOf(error: unknown, bodyBytesMax = BODY_BYTES_MAX): Refusal {
  if (error instanceof AppError) {
    const { code, message, field, retryAfterSeconds } = error
    return { status: HTTP_STATUS[code], code, message, field, ownNames: true, retryAfterSeconds }
  }
  const { code, statusCode, fault } = error as { code?: string; statusCode?: number; fault?: Fault }
  if (fault !== undefined) return invalid(400, sentenceOf(fault))
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return invalid(413, { message: `the body has more than ${bodyBytesMax} bytes`, field: undefined })
  const framework = code === undefined ? undefined : FRAMEWORK_REFUSALS[code]
  if (framework !== undefined) return invalid(framework.status, { message: framework.message, field: undefined })
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return invalid(statusCode, { message: 'the request is malformed or was cut', field: undefined })
  }
  return {
    status: 500,
    code: 'internal',
    message: 'the server failed; its log has the details',
    field: undefined,
    ownNames: true,
    retryAfterSeconds: undefined,
  }
}

/** Bytes that a request's body may have. */
export const BODY_BYTES_MAX = 1_048_576

/** What Fastify refuses before a handler runs, by its error code. Its own sentences may repeat parts of the body. */
const FRAMEWORK_REFUSALS: Record<string, { status: number; message: string }> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    status: 400,
    message: 'the body is not declared as JSON; send it with Content-Type: application/json',
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { status: 400, message: 'the body is not as long as Content-Length says' },
  FST_ERR_CTP_INVALID_JSON_BODY: { status: 400, message: 'the body is not JSON' },
  FST_ERR_CTP_EMPTY_JSON_BODY: { status: 400, message: 'the body is empty; it must be a JSON object' },
  FST_ERR_BAD_URL: { status: 400, message: 'the path of the url is malformed' },
  FST_ERR_MAX_PARAM_LENGTH: { status: 404, message: 'no such thing' },
}

function invalid(status: number, { message, field }: { message: string; field: string | undefined }): Refusal {
  return { status, code: status === 404 ? 'not_found' : 'invalid', message, field, ownNames: false, retryAfterSeconds: undefined }
}
