import { FTPError, type FTPResponse } from 'basic-ftp'
import { TransferFailure, type TransferFailureCode } from '../../src/wire/agent/failure.ts'
import { failureOf, isCertificateError } from './fault.ts'

/** What a reply or an error of the connection means. `doing` begins the message: `Reading “/a”`. */
export function ftpFailure(error: unknown, doing: string): TransferFailure {
  if (error instanceof TransferFailure) return error
  if (error instanceof FTPError) return replyFailure(error, doing)
  if (!(error instanceof Error)) return failureOf(new Error(String(error)), doing, 'PROTOCOL_ERROR')
  if (isCertificateError(error)) {
    return new TransferFailure('CERTIFICATE_INVALID', `${doing} failed: the certificate is not trusted (${error.message}).`, {
      cause: error,
    })
  }
  // basic-ftp tells these apart in words only.
  if (/timeout/i.test(error.message))
    return new TransferFailure('TIMEOUT', `${doing} failed: the server did not answer in time.`, { cause: error })
  if (/closed|\bFIN\b|hang up|transmission error|disconnected/i.test(error.message)) {
    return new TransferFailure('CONNECTION_LOST', `${doing} failed: the connection broke.`, { cause: error })
  }
  return failureOf(error, doing, 'PROTOCOL_ERROR')
}

/** Codes by RFC 959 §4.2, read with what servers really say: the same number stands for different things. */
function replyFailure({ code, message }: FTPResponse, doing: string): TransferFailure {
  const text = message.replace(/^\d{3}[ -]?/, '').slice(0, MESSAGE_CHARS_MAX)
  return new TransferFailure(codeOf(code, text), `${doing} failed: ${code} ${text}`)
}

function codeOf(code: number, text: string): TransferFailureCode {
  const inWords = WORDS.find(({ codes, says }) => codes.includes(code) && says.test(text))
  return inWords?.means ?? CODES[code] ?? (code < 500 ? 'PROTOCOL_ERROR' : 'UNSUPPORTED')
}

const CODES: Readonly<Record<number, TransferFailureCode>> = {
  421: 'CONNECTION_LOST',
  425: 'CONNECTION_LOST',
  426: 'CONNECTION_LOST',
  430: 'AUTH_FAILED',
  // Busy, or a fault of the server: another time it may go.
  450: 'PROTOCOL_ERROR',
  451: 'PROTOCOL_ERROR',
  452: 'DISK_FULL',
  530: 'AUTH_FAILED',
  // An account beside user and password, which nobody gave.
  332: 'AUTH_FAILED',
  532: 'AUTH_FAILED',
  550: 'NOT_FOUND',
  552: 'QUOTA_EXCEEDED',
  553: 'PERMISSION_DENIED',
}

const WORDS: readonly { readonly codes: readonly number[]; readonly says: RegExp; readonly means: TransferFailureCode }[] = [
  { codes: [421], says: /time-?out|timed out|idle/i, means: 'TIMEOUT' },
  { codes: [530], says: /too many|maximum|limit/i, means: 'CONNECTION_REFUSED' },
  { codes: [450, 451, 550, 552, 553], says: /quota/i, means: 'QUOTA_EXCEEDED' },
  {
    codes: [450, 451, 452, 550, 552, 553],
    // vsftpd has the second sentence for every failed write: nothing but a full disk makes one likely.
    says: /no (space|room)|disk full|(disk|device) is full|not enough space|insufficient|failure writing to local file/i,
    means: 'DISK_FULL',
  },
  {
    codes: [450, 550, 553],
    says: /permission|denied|not allowed|not permitted|forbidden|prohibited|read.?only/i,
    means: 'PERMISSION_DENIED',
  },
  { codes: [550], says: /not a (plain|regular) file|is a directory/i, means: 'NOT_A_FILE' },
  { codes: [450, 553], says: /no such|not found|not exist/i, means: 'NOT_FOUND' },
  { codes: [552], says: /too large|too big/i, means: 'TOO_LARGE' },
]

/** As much of the server's own words as is passed on. */
const MESSAGE_CHARS_MAX = 200
