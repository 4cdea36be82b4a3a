import { isTransferFailureCode, TRANSFER_FAILURES } from '../wire/agent/failure.ts'
import type { WorkReport } from '../wire/agent/work.ts'
import { withoutCredentials } from './credentials.ts'
import { percentOf, progressed } from './progress.ts'
import { retriesOf, type TransferEventType } from './say.ts'
import { LOSSES_MAX, type Transfer } from './transfer.ts'

/** What becomes of a transfer, and what is said of it then. */
export interface Decision {
  readonly after: Transfer
  readonly says: readonly TransferEventType[]
  /** It has ended, and what its attempts have left at the destination is still to be discarded. */
  readonly leavesPart?: boolean
}

/** What an agent reports of a transfer that it holds; the rest of what it may say is not about a transfer's state. */
export type TransferReport = Extract<WorkReport, { state: 'running' | 'arrived' | 'completed' | 'failed' | 'cancelled' }>

/** Pure: what becomes of a running transfer by a report of the agent that holds it. */
export function decide(transfer: Transfer, report: TransferReport, now: number): Decision {
  switch (report.state) {
    case 'running':
      return moved(transfer, report)
    case 'arrived':
      return { after: arrived(transfer, report, now), says: [] }
    case 'completed':
      return completed(arrived(transfer, report, now), now)
    case 'failed': {
      const after = leftOff(transfer, report)
      return attemptFailed(after, codeIn(report.errorCode), told(report.error), now, mayLeavePart(transfer, report))
    }
    case 'cancelled': {
      const after = leftOff(transfer, report)
      // Nobody asked for it: the agent had to let go, and somebody may go on.
      return transfer.cancelAskedAt === null ? lost(after, now) : cancelled(after, now, mayLeavePart(transfer, report))
    }
  }
}

/** As far as the attempt came; what has arrived is all there, whatever became of its source. */
function leftOff(transfer: Transfer, report: { readonly bytesTransferred: number }): Transfer {
  if (transfer.arrivedAt !== null) return transfer
  const bytesTransferred = whole(report.bytesTransferred)
  return { ...transfer, bytesTransferred, progress: percentOf(bytesTransferred, transfer.size) }
}

/** An agent knows what it left, unless one of the attempts ended without a word. */
function mayLeavePart({ losses }: Transfer, { leavesPart = false }: { readonly leavesPart?: boolean }): boolean {
  return leavesPart || losses > 0
}

/** Pure: the agent certainly does not do it any more, and did not say how it went. */
export function lost(transfer: Transfer, now: number): Decision {
  if (transfer.cancelAskedAt !== null) return cancelled(transfer, now, true)
  const losses = transfer.losses + 1
  if (transfer.policy.onAgentLost === 'fail')
    return failed(transfer, 'AGENT_LOST', 'The agent was lost while it had this transfer.', now, true)
  if (losses > LOSSES_MAX)
    return failed(transfer, 'AGENT_LOST', `The agent was lost ${losses} times while it had this transfer.`, now, true)
  return { after: { ...transfer, status: 'queued', lease: null, dueAt: now, losses }, says: [] }
}

/** Whether a failure of the attempt that is made next, or under way, is the failure of the transfer. */
export function isLastAttempt({ policy, retryCount }: Pick<Transfer, 'policy' | 'retryCount'>): boolean {
  return retryCount >= policy.retryDelaysMs.length
}

/** Pure: an attempt has failed; tried again by the transfer's own policy where that may help. */
export function attemptFailed(transfer: Transfer, errorCode: string, error: string, now: number, leavesPart = false): Decision {
  if (transfer.cancelAskedAt !== null) return cancelled(transfer, now, leavesPart)
  const delayMs = transfer.policy.retryDelaysMs[transfer.retryCount]
  const isWorthRetrying = isTransferFailureCode(errorCode) && TRANSFER_FAILURES[errorCode].isWorthRetrying
  if (delayMs === undefined || !isWorthRetrying) return failed(transfer, errorCode, error, now, leavesPart)
  const retryCount = transfer.retryCount + 1
  return { after: { ...transfer, status: 'queued', lease: null, dueAt: now + delayMs, retryCount, error, errorCode }, says: [] }
}

export function completed(transfer: Transfer, now: number): Decision {
  const whole = { progress: 100, saidTenth: 10, error: null, errorCode: null, arrivedAt: transfer.arrivedAt ?? now }
  return ended({ ...transfer, ...whole, status: 'completed' }, 'transfer.completed', now)
}

export function failed(transfer: Transfer, errorCode: string, error: string, now: number, leavesPart = false): Decision {
  return ended({ ...transfer, status: 'failed', error, errorCode }, 'transfer.failed', now, leavesPart)
}

export function cancelled(transfer: Transfer, now: number, leavesPart = false): Decision {
  const why = { error: 'The transfer was stopped.', errorCode: 'CANCELLED', cancelAskedAt: transfer.cancelAskedAt ?? now }
  return ended({ ...transfer, ...why, status: 'cancelled' }, 'transfer.cancelled', now, leavesPart)
}

/** Of one that waits: what earlier attempts have left goes too. */
export function cancelledWaiting(transfer: Transfer, now: number): Decision {
  return cancelled(transfer, now, retriesOf(transfer) > 0)
}

function ended(transfer: Transfer, says: TransferEventType, now: number, leavesPart = false): Decision {
  const decision = { after: { ...transfer, lease: null, completedAt: now }, says: [says] }
  return leavesPart && transfer.arrivedAt === null && !transfer.isForeign ? { ...decision, leavesPart } : decision
}

/** What is only done with the source after arrival moves no bytes. */
function moved(transfer: Transfer, report: Extract<WorkReport, { state: 'running' }>): Decision {
  if (transfer.arrivedAt !== null) return { after: transfer, says: [] }
  const size = report.size === null ? transfer.size : whole(report.size)
  const bytesTransferred = whole(report.bytesTransferred)
  const progress = percentOf(bytesTransferred, size)
  const { after, isNews } = progressed(transfer, { size, bytesTransferred, progress, speed: whole(report.speed) })
  return { after, says: isNews ? ['transfer.progress'] : [] }
}

/**
 * All of the file is there, whichever attempts moved it. What was found first counts: an attempt that only had to see to the source has not
 * looked at the file again.
 */
function arrived(
  transfer: Transfer,
  { size, speed, sha256 }: TransferReport & { state: 'arrived' | 'completed' },
  now: number,
): Transfer {
  if (transfer.arrivedAt !== null) return transfer
  const found = { size: whole(size), bytesTransferred: whole(size), speed: whole(speed), sha256: sha256 ?? null }
  return { ...transfer, ...found, arrivedAt: now }
}

/** As it is stored: a whole number that can be read again. */
export function whole(amount: number): number {
  return Math.min(Math.max(0, Math.round(amount)), Number.MAX_SAFE_INTEGER)
}

/** Of a failure. */
export const CODE = /^[A-Z][A-Z0-9_]{0,63}$/

/** What a newer agent says stays what it is; anything else is no code. */
function codeIn(text: string): string {
  return CODE.test(text) ? text : 'INTERNAL'
}

/** Characters of an error that are kept. */
export const ERROR_CHARACTERS_MAX = 1_024

/** What went wrong, as it is kept and told to everybody. */
export function told(error: string): string {
  const characters = [...withoutCredentials(error)]
  return characters.length <= ERROR_CHARACTERS_MAX
    ? characters.join('')
    : `${characters.slice(0, ERROR_CHARACTERS_MAX - 1).join('')}…`
}
