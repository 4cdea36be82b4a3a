import { TransferFailure, type TransferFailureCode } from '../../src/wire/agent/failure.ts'

/** Codes of the operating system and of Node, for the failures that they mean whatever the protocol. */
const MEANING: Readonly<Record<string, TransferFailureCode>> = {
  ENOENT: 'NOT_FOUND',
  ENOTDIR: 'NOT_FOUND',
  EACCES: 'PERMISSION_DENIED',
  EPERM: 'PERMISSION_DENIED',
  EROFS: 'PERMISSION_DENIED',
  // A symbolic link where none is followed, or a loop of them.
  ELOOP: 'PERMISSION_DENIED',
  EISDIR: 'NOT_A_FILE',
  ENOSPC: 'DISK_FULL',
  EDQUOT: 'QUOTA_EXCEEDED',
  EFBIG: 'TOO_LARGE',
  ENAMETOOLONG: 'UNSUPPORTED',
  EXDEV: 'UNSUPPORTED',
  ENOTFOUND: 'ADDRESS_NOT_FOUND',
  EAI_AGAIN: 'ADDRESS_NOT_FOUND',
  ECONNREFUSED: 'CONNECTION_REFUSED',
  EHOSTUNREACH: 'CONNECTION_REFUSED',
  ENETUNREACH: 'CONNECTION_REFUSED',
  ECONNRESET: 'CONNECTION_LOST',
  ECONNABORTED: 'CONNECTION_LOST',
  EPIPE: 'CONNECTION_LOST',
  ETIMEDOUT: 'TIMEOUT',
}

/** What an error means for a transfer. `doing` begins the message: `Writing “/in/a.csv”`. What has no meaning here is `otherwise`. */
export function failureOf(error: unknown, doing: string, otherwise: TransferFailureCode = 'INTERNAL'): TransferFailure {
  if (error instanceof TransferFailure) return error
  const { code, message } = error as NodeJS.ErrnoException
  const meaning = code === undefined ? undefined : MEANING[code]
  if (meaning !== undefined) return new TransferFailure(meaning, `${doing} failed: ${code}.`, { cause: error })
  if (isCertificateError(error)) {
    const told = `${doing} failed: the certificate is not trusted (${code}).`
    return new TransferFailure('CERTIFICATE_INVALID', told, { cause: error })
  }
  // A message of a library may hold anything, credentials too: it stays in the cause, for the log of the agent.
  const told = otherwise === 'INTERNAL' ? 'by a fault of the agent; its log has the details' : (code ?? message)
  return new TransferFailure(otherwise, `${doing} failed: ${told}.`, { cause: error })
}

/** What Node says of certificates: the codes of OpenSSL's verification, and its own of the name. */
const CERTIFICATE_CODES = /CERT|^UNABLE_TO_(GET|VERIFY|DECODE)|^INVALID_(CA|PURPOSE)|^HOSTNAME_MISMATCH$/

export function isCertificateError(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && CERTIFICATE_CODES.test(code) && !code.startsWith('ERR_SSL')
}

/** Carries out one call of a client; what it throws is a `TransferFailure`. */
export async function attempt<Result>(doing: string, call: () => Promise<Result>): Promise<Result> {
  try {
    return await call()
  } catch (error) {
    throw failureOf(error, doing)
  }
}
