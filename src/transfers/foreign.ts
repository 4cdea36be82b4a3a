import { AppError } from '../base/error.ts'
import { SECOND_MS } from '../base/units.ts'
import { percentOf, progressed } from './progress.ts'
import { CODE, cancelled, completed, type Decision, failed, told, whole } from './settle.ts'
import { isOpen, type Transfer, type TransferStatus } from './transfer.ts'

/** What a foreign agent says of a transfer of its own; what is absent stays as it is. */
export interface ForeignReport {
  readonly status?: TransferStatus
  /** 0 to 100. */
  readonly progress?: number
  readonly bytesTransferred?: number
  /** Bytes per second. */
  readonly speed?: number
  readonly error?: string
  /** Upper-case words, as of our own agents. */
  readonly errorCode?: string
}

/**
 * Pure: what becomes of a transfer that its agent makes by itself. An end is final: `conflict`. Bytes and progress never go back: a report
 * that was overtaken by a later one changes nothing of them.
 */
export function judgeForeign(transfer: Transfer, report: ForeignReport, now: number): Decision {
  if (!isOpen(transfer)) {
    throw new AppError('conflict', `the transfer is ${transfer.status} already, and stays so`)
  }
  checkCode(report.errorCode)
  const status = report.status ?? transfer.status
  const begun = status === 'queued' ? transfer : { ...transfer, startedAt: transfer.startedAt ?? now }
  const { after, isNews } = progressed(begun, movedBy(begun, report, now))
  switch (status) {
    case 'completed':
      return completed({ ...after, ...wholeFile(after, report) }, now)
    case 'failed':
      return failed(after, report.errorCode ?? 'INTERNAL', told(report.error ?? 'The agent said no reason.'), now)
    case 'cancelled':
      return cancelled(after, now)
    case 'running':
    case 'queued': {
      // It has failed and is tried again, as our own agents would.
      const retries = status === 'queued' && transfer.status === 'running' ? 1 : 0
      const why = report.error === undefined ? {} : { error: told(report.error), errorCode: report.errorCode ?? null }
      const next: Transfer = { ...after, ...why, status, retryCount: after.retryCount + retries }
      return { after: next, says: isNews ? ['transfer.progress'] : [] }
    }
  }
}

function checkCode(code: string | undefined): void {
  if (code === undefined || CODE.test(code)) return
  const shown = JSON.stringify(code)
  throw new AppError('invalid', `errorCode is ${shown}, not upper-case words such as DISK_FULL`, { field: 'errorCode' })
}

function movedBy(transfer: Transfer, report: ForeignReport, now: number) {
  const bytesTransferred = Math.max(transfer.bytesTransferred, report.bytesTransferred ?? 0)
  const told = report.progress ?? percentOf(bytesTransferred, transfer.size)
  const progress = Math.max(transfer.progress, Math.floor(told))
  return { size: transfer.size, bytesTransferred, progress, speed: speedOf(transfer, report, bytesTransferred, now) }
}

function speedOf(transfer: Transfer, { speed }: ForeignReport, bytes: number, now: number): number | null {
  if (speed !== undefined) return whole(speed)
  if (transfer.startedAt === null || now <= transfer.startedAt) return transfer.speed
  return whole((bytes * SECOND_MS) / (now - transfer.startedAt))
}

/** A completed transfer has moved all of it, whether the agent counted or not. */
function wholeFile({ size, bytesTransferred }: Transfer, report: ForeignReport): Pick<Transfer, 'size' | 'bytesTransferred'> {
  const bytes = report.bytesTransferred ?? Math.max(bytesTransferred, size ?? 0)
  return { size: size ?? bytes, bytesTransferred: bytes }
}
