/**
 * Why a transfer failed, for machines: the `errorCode` of `transfer.failed`. The page shows only `AUTH_FAILED`; the others are
 * this project's. docs/agents.md lists them from this table and is tested against it.
 */
export const TRANSFER_FAILURES = {
  AUTH_FAILED: failure('The other side refused the credentials.'),
  HOST_KEY_MISMATCH: failure('The other side showed a host key that is not the pinned one.'),
  CERTIFICATE_INVALID: failure('The certificate of the other side is not one that is trusted.'),
  ADDRESS_NOT_FOUND: failure('The name of the other side does not resolve.', { isWorthRetrying: true }),
  CONNECTION_REFUSED: failure('Nobody listens at the address of the other side.', { isWorthRetrying: true }),
  CONNECTION_LOST: failure('The connection broke on the way.', { isWorthRetrying: true }),
  TIMEOUT: failure('The other side did not answer in time.', { isWorthRetrying: true }),
  NOT_FOUND: failure(
    'There is no file at the source, or no place for one at the destination: a folder above it is a file, or HTTP has none.',
  ),
  PERMISSION_DENIED: failure('Reading the source or writing the destination is not permitted.'),
  NOT_A_FILE: failure('The source, or what is at the destination, is no file but a folder, a device or the like.'),
  DISK_FULL: failure('The destination has no room left, or the agent’s own folder, as the message says then.', {
    isWorthRetrying: true,
  }),
  QUOTA_EXCEEDED: failure('The destination does not take more of this user.'),
  CHECKSUM_MISMATCH: failure('What arrived is not what was sent.', { isWorthRetrying: true }),
  SOURCE_CHANGED: failure('The source changed while it was read.', { isWorthRetrying: true }),
  TOO_LARGE: failure('The file is larger than the destination takes.'),
  PROTOCOL_ERROR: failure('The other side answered what the protocol does not allow.', { isWorthRetrying: true }),
  UNSUPPORTED: failure('The other side does not offer what this transfer needs.'),
  DEADLINE_EXCEEDED: failure('The transfer took longer than its job allows.'),
  REMOTE_UNAVAILABLE: failure('The remote is gone, or its secrets do not open any more.'),
  AGENT_LOST: failure('The agent was not heard of for too long.', { isWorthRetrying: true }),
  AGENT_REVOKED: failure('The agent may not work for this server any more.'),
  CANCELLED: failure('The transfer was stopped.'),
  INTERNAL: failure('A fault of the agent itself; its log has the details.', { isWorthRetrying: true }),
} as const satisfies Record<string, FailureEntry>

export type TransferFailureCode = keyof typeof TRANSFER_FAILURES

export interface FailureEntry {
  /** What it means, for people. */
  readonly meaning: string
  /** Whether the same transfer may succeed later without anybody's doing. */
  readonly isWorthRetrying: boolean
}

/** A transfer cannot go on. The message is public: never with credentials. */
export class TransferFailure extends Error {
  override name = 'TransferFailure'
  readonly code: TransferFailureCode

  constructor(code: TransferFailureCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
  }
}

export function isTransferFailureCode(text: string): text is TransferFailureCode {
  return Object.hasOwn(TRANSFER_FAILURES, text)
}

function failure(meaning: string, { isWorthRetrying = false } = {}): FailureEntry {
  return { meaning, isWorthRetrying }
}
