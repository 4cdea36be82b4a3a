import { AppError } from '../base/error.ts'

/** Short sentences for what keeps a request from being answered, for the delivery log. */
const SENTENCES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ECONNABORTED: 'connection aborted',
  EPIPE: 'connection closed by the receiver',
  UND_ERR_SOCKET: 'connection closed before the answer was complete',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'connection closed before the answer was complete',
  ETIMEDOUT: 'connection timed out',
  EHOSTUNREACH: 'host unreachable',
  EHOSTDOWN: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ENOTFOUND: 'host name not found',
  ENODATA: 'host name has no address',
  EAI_AGAIN: 'host name could not be looked up at the moment',
  CERT_HAS_EXPIRED: 'certificate has expired',
  CERT_NOT_YET_VALID: 'certificate is not valid yet',
  CERT_REVOKED: 'certificate is revoked',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'certificate chain ends in an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'certificate issuer is unknown',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'certificate issuer is unknown',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'certificate issuer is unknown',
  CERT_SIGNATURE_FAILURE: 'certificate has a wrong signature',
  CERT_CHAIN_TOO_LONG: 'certificate chain is too long',
  PATH_LENGTH_EXCEEDED: 'certificate chain is too long',
  INVALID_CA: 'certificate issuer is no authority',
  INVALID_PURPOSE: 'certificate is not for servers',
  ERR_TLS_CERT_ALTNAME_INVALID: 'certificate is for another host name',
  EPROTO: 'TLS handshake failed',
  // Its code is often missing; the name then stands for it.
  HTTPParserError: 'answer is not valid HTTP',
  UND_ERR_HEADERS_OVERFLOW: 'answer headers are too large',
}

/** Code of our own limit on connecting. */
export const CONNECT_TIMEOUT = 'CONNECT_TIMEOUT'

/** What is wrong with an answer beyond the parser's own bounds, or with the way to it; the message is the sentence. */
export class AnswerFailure extends Error {
  readonly code: string = 'ANSWER_FAILED'
}
export class ProxyFailure extends Error {
  readonly code: string = 'PROXY_FAILED'
}

/** Families of codes; the first prefix that fits. */
const PREFIXES: readonly (readonly [prefix: string, sentence: string])[] = [
  ['ERR_SSL_', 'TLS handshake failed'],
  ['ERR_TLS_', 'TLS handshake failed'],
  ['HPE_', 'answer is not valid HTTP'],
  ['EAI_', 'host name could not be looked up'],
]

/** What a receiver says when it does not like who we are (RFC 8446 section 6.2); the codes of OpenSSL differ in their middles. */
const ALERTS: readonly (readonly [ending: string, sentence: string])[] = [
  ['ALERT_CERTIFICATE_REQUIRED', 'receiver asks for a client certificate'],
  ['ALERT_UNKNOWN_CA', 'receiver does not know the authority of the client certificate'],
  ['ALERT_CERTIFICATE_REVOKED', 'receiver says that the client certificate is revoked'],
  ['ALERT_CERTIFICATE_EXPIRED', 'receiver says that the client certificate has expired'],
  ['ALERT_BAD_CERTIFICATE', 'receiver does not take the client certificate'],
  ['ALERT_UNSUPPORTED_CERTIFICATE', 'receiver does not take the client certificate'],
  ['ALERT_CERTIFICATE_UNKNOWN', 'receiver does not take the client certificate'],
  ['ALERT_ACCESS_DENIED', 'receiver does not take the client certificate'],
]

/** Node's code for what OpenSSL says of a certificate in words only; these are fixed. */
const UNSPECIFIED = 'UNSPECIFIED'
const IN_WORDS: readonly (readonly [words: string, sentence: string])[] = [
  ['EE certificate key too weak', 'certificate has a key that is too weak (RSA needs 2048 bits)'],
  ['CA certificate key too weak', 'certificate issuer has a key that is too weak (RSA needs 2048 bits)'],
  ['CA signature digest algorithm too weak', 'certificate is signed with a hash that is too weak'],
]

/** Shortages of this machine and faults of the caller: they say nothing about the receiver. */
const OURS = new Set([
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
  'EADDRNOTAVAIL',
  'UND_ERR_INVALID_ARG',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
])
const STOPPED = new Set(['UND_ERR_DESTROYED', 'UND_ERR_CLOSED'])

export type Failure = { kind: 'refused'; reason: string } | { kind: 'unreachable'; code: string; message: string }

/**
 * What an error of the client says about the receiver. Throws where it says nothing: `stopping` when we closed the
 * connection ourselves, `internal` for a shortage here or a request that cannot be built.
 */
export function failureOf(error: Error): Failure {
  if (error instanceof AppError && error.code === 'url_refused') return { kind: 'refused', reason: error.message }
  if (error instanceof AppError && error.code === 'internal') throw error
  const code = codeOf(error)
  if (error instanceof ProxyFailure || error instanceof AnswerFailure)
    return { kind: 'unreachable', code, message: error.message }
  if (STOPPED.has(code)) throw new AppError('stopping', 'the request was cut because the sender is stopping', { cause: error })
  if (OURS.has(code)) throw new AppError('internal', `the request could not be made (${code})`, { cause: error })
  const sentence =
    SENTENCES[code] ??
    (code === UNSPECIFIED ? inWords(error.message) : undefined) ??
    ALERTS.find(([ending]) => code.startsWith('ERR_SSL_') && code.endsWith(ending))?.[1] ??
    PREFIXES.find(([prefix]) => code.startsWith(prefix))?.[1]
  return { kind: 'unreachable', code, message: sentence ?? `connection failed (${code})` }
}

function inWords(words: string): string {
  return IN_WORDS.find(([begin]) => words.startsWith(begin))?.[1] ?? `certificate is refused: ${words}`
}

/** Whether the other side let go of the connection, as it may at any time between two requests. */
export function isConnectionLoss(error: Error): boolean {
  return ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(codeOf(error))
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
