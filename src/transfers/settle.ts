import { isTransferFailureCode, TRANSFER_FAILURES } from '../wire/agent/failure.ts'
import type { WorkReport } from '../wire/agent/work.ts'
import { percentOf, progressed } from './progress.ts'
import type { TransferEventType } from './say.ts'
import { LOSSES_MAX, type Transfer } from './transfer.ts'

/** What becomes of a transfer, and what is said of it then. */
export interface Decision {
  readonly after: Transfer
  readonly says: readonly TransferEventType[]
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
      const after = { ...transfer, bytesTransferred: whole(report.bytesTransferred) }
      return attemptFailed(after, codeIn(report.errorCode), shortened(report.error), now)
    }
    case 'cancelled': {
      const after = { ...transfer, bytesTransferred: whole(report.bytesTransferred) }
      // Nobody asked for it: the agent had to let go, and somebody may go on.
      return transfer.cancelAskedAt === null ? lost(after, now) : cancelled(after, now)
    }
  }
}

/** Pure: the agent certainly does not do it any more, and did not say how it went. */
export function lost(transfer: Transfer, now: number): Decision {
  if (transfer.cancelAskedAt !== null) return cancelled(transfer, now)
  const losses = transfer.losses + 1
  if (transfer.policy.onAgentLost === 'fail')
    return failed(transfer, 'AGENT_LOST', 'The agent was lost while it had this transfer.', now)
  if (losses > LOSSES_MAX)
    return failed(transfer, 'AGENT_LOST', `The agent was lost ${losses} times while it had this transfer.`, now)
  return { after: { ...transfer, status: 'queued', lease: null, dueAt: now, losses }, says: [] }
}

/** Pure: an attempt has failed; tried again by the transfer's own policy where that may help. */
export function attemptFailed(transfer: Transfer, errorCode: string, error: string, now: number): Decision {
  if (transfer.cancelAskedAt !== null) return cancelled(transfer, now)
  const delayMs = transfer.policy.retryDelaysMs[transfer.retryCount]
  const isWorthRetrying = isTransferFailureCode(errorCode) && TRANSFER_FAILURES[errorCode].isWorthRetrying
  if (delayMs === undefined || !isWorthRetrying) return failed(transfer, errorCode, error, now)
  const retryCount = transfer.retryCount + 1
  return { after: { ...transfer, status: 'queued', lease: null, dueAt: now + delayMs, retryCount, error, errorCode }, says: [] }
}

export function completed(transfer: Transfer, now: number): Decision {
  const whole = { progress: 100, saidTenth: 10, error: null, errorCode: null, arrivedAt: transfer.arrivedAt ?? now }
  return ended({ ...transfer, ...whole, status: 'completed' }, 'transfer.completed', now)
}

export function failed(transfer: Transfer, errorCode: string, error: string, now: number): Decision {
  return ended({ ...transfer, status: 'failed', error, errorCode }, 'transfer.failed', now)
}

export function cancelled(transfer: Transfer, now: number): Decision {
  const why = { error: 'The transfer was stopped.', errorCode: 'CANCELLED', cancelAskedAt: transfer.cancelAskedAt ?? now }
  return ended({ ...transfer, ...why, status: 'cancelled' }, 'transfer.cancelled', now)
}

function ended(transfer: Transfer, says: TransferEventType, now: number): Decision {
  return { after: { ...transfer, lease: null, completedAt: now }, says: [says] }
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
  const found = { size: whole(size), bytesTransferred: whole(size), speed: whole(speed), sha256 }
  return { ...transfer, ...found, arrivedAt: now }
}

function whole(amount: number): number {
  return Math.max(0, Math.round(amount))
}

const CODE = /^[A-Z][A-Z0-9_]{0,63}$/

/** What a newer agent says stays what it is; anything else is no code. */
function codeIn(text: string): string {
  return CODE.test(text) ? text : 'INTERNAL'
}

/** Characters of an error that are kept. */
export const ERROR_CHARACTERS_MAX = 1_024

export function shortened(error: string): string {
  const characters = [...error]
  return characters.length <= ERROR_CHARACTERS_MAX ? error : `${characters.slice(0, ERROR_CHARACTERS_MAX - 1).join('')}…`
}
