import { STATUS_CODES } from 'node:http'
import { TransferFailure, type TransferFailureCode } from '../../src/wire/agent/failure.ts'
import { failureOf } from './fault.ts'

/** Statuses by RFC 9110 §15, RFC 4918 §11 (423, 507) and RFC 6585 (429). Others: `codeOfStatus`. */
const STATUSES: Readonly<Record<number, TransferFailureCode>> = {
  401: 'AUTH_FAILED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  407: 'AUTH_FAILED',
  408: 'TIMEOUT',
  // WebDAV says so of a folder that is missing.
  409: 'NOT_FOUND',
  410: 'NOT_FOUND',
  412: 'SOURCE_CHANGED',
  413: 'TOO_LARGE',
  // Locked, too early, too often: another time it may go.
  423: 'PROTOCOL_ERROR',
  425: 'PROTOCOL_ERROR',
  429: 'PROTOCOL_ERROR',
  501: 'UNSUPPORTED',
  502: 'CONNECTION_LOST',
  503: 'CONNECTION_LOST',
  504: 'TIMEOUT',
  507: 'DISK_FULL',
}

/** What a status means that ends a request. The server's own words are left out: they may repeat what it was sent. */
export function statusFailure(status: number, doing: string): TransferFailure {
  const name = STATUS_CODES[status]
  return new TransferFailure(codeOfStatus(status), `${doing} failed: status ${status}${name === undefined ? '' : ` (${name})`}.`)
}

export function codeOfStatus(status: number): TransferFailureCode {
  return STATUSES[status] ?? (status >= 400 && status < 500 ? 'UNSUPPORTED' : 'PROTOCOL_ERROR')
}

/** Codes of undici for what befalls a connection. */
const CODES: Readonly<Record<string, TransferFailureCode>> = {
  UND_ERR_CONNECT_TIMEOUT: 'TIMEOUT',
  UND_ERR_HEADERS_TIMEOUT: 'TIMEOUT',
  UND_ERR_BODY_TIMEOUT: 'TIMEOUT',
  UND_ERR_SOCKET: 'CONNECTION_LOST',
  UND_ERR_CLOSED: 'CONNECTION_LOST',
  UND_ERR_DESTROYED: 'CONNECTION_LOST',
  // The body was shorter than its length.
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'CONNECTION_LOST',
}

/** What an error of a connection means. */
export function httpFailure(error: unknown, doing: string, signal: AbortSignal): TransferFailure {
  if (error instanceof TransferFailure) return error
  if (signal.aborted) return new TransferFailure('CANCELLED', 'The transfer was stopped.', { cause: error })
  const { code } = error as { code?: unknown }
  const meaning = typeof code === 'string' ? CODES[code] : undefined
  if (meaning === undefined) return failureOf(error, doing, 'PROTOCOL_ERROR')
  const told = meaning === 'TIMEOUT' ? 'the server did not answer in time' : 'the connection broke'
  return new TransferFailure(meaning, `${doing} failed: ${told}.`, { cause: error })
}
