import { TransferFailure, type TransferFailureCode } from '../../src/wire/agent/failure.ts'
import { failureOf } from './fault.ts'
import { codeOfStatus } from './http-status.ts'

/** Error codes of S3 and of servers like it, whatever the status that comes with them. */
const NAMES: Readonly<Record<string, TransferFailureCode>> = {
  InvalidAccessKeyId: 'AUTH_FAILED',
  SignatureDoesNotMatch: 'AUTH_FAILED',
  ExpiredToken: 'AUTH_FAILED',
  InvalidToken: 'AUTH_FAILED',
  // The clock of this machine is too far from the server's.
  RequestTimeTooSkewed: 'AUTH_FAILED',
  AccessDenied: 'PERMISSION_DENIED',
  AllAccessDisabled: 'PERMISSION_DENIED',
  AccountProblem: 'PERMISSION_DENIED',
  NoSuchBucket: 'NOT_FOUND',
  NoSuchKey: 'NOT_FOUND',
  NotFound: 'NOT_FOUND',
  // Somebody ended the upload: the next attempt begins anew.
  NoSuchUpload: 'PROTOCOL_ERROR',
  PreconditionFailed: 'SOURCE_CHANGED',
  EntityTooLarge: 'TOO_LARGE',
  // Of the region, which the endpoint does not serve or the bucket is not in.
  AuthorizationHeaderMalformed: 'UNSUPPORTED',
  PermanentRedirect: 'UNSUPPORTED',
  // In an archive, from where it must be fetched first.
  InvalidObjectState: 'UNSUPPORTED',
  RequestTimeout: 'TIMEOUT',
  SlowDown: 'PROTOCOL_ERROR',
  BadDigest: 'CHECKSUM_MISMATCH',
  InvalidDigest: 'CHECKSUM_MISMATCH',
  XAmzContentChecksumMismatch: 'CHECKSUM_MISMATCH',
  XAmzContentSHA256Mismatch: 'CHECKSUM_MISMATCH',
  QuotaExceeded: 'QUOTA_EXCEEDED',
  XMinioAdminBucketQuotaExceeded: 'QUOTA_EXCEEDED',
  XMinioStorageFull: 'DISK_FULL',
  // Of the SDK; a line that was reset has this name, too, and a code that says so.
  TimeoutError: 'TIMEOUT',
}

/** What an error of the SDK means. Nothing of the server's text is passed on: with a wrong signature it repeats the request. */
export function s3Failure(error: unknown, doing: string, signal?: AbortSignal): TransferFailure {
  if (error instanceof TransferFailure) return error
  if (signal?.aborted) return new TransferFailure('CANCELLED', 'The transfer was stopped.', { cause: error })
  const { name, code } = error as Error & { code?: unknown }
  const status = statusOf(error)
  if (status === undefined && typeof code === 'string') return failureOf(error, doing, 'PROTOCOL_ERROR')
  const meaning = NAMES[name] ?? (status === undefined || status < 300 ? undefined : codeOfStatus(status))
  if (meaning !== undefined) {
    const told = status === undefined ? name : `${name} (status ${status})`
    return new TransferFailure(meaning, `${doing} failed: ${told}.`, { cause: error })
  }
  return new TransferFailure('PROTOCOL_ERROR', `${doing} failed: the server's answer is none of S3 (${name}).`, { cause: error })
}

/** The status of an answer that was an error; undefined: there was no answer. */
export function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode
}
