import { SECOND_MS } from '../base/units.ts'
import type { Data } from '../events/payloads.ts'
import { withoutCredentials } from './credentials.ts'
import type { Transfer } from './transfer.ts'

export type TransferEventType = 'transfer.created' | 'transfer.progress' | EndEventType
type EndEventType = 'transfer.completed' | 'transfer.failed' | 'transfer.cancelled'

/** The `data` of an event about a transfer as it is then, with the members that the contract names, in its order. */
export function dataOf<T extends TransferEventType>(type: T, transfer: Transfer, agentName: string): Data<T> {
  return SAYINGS[type](transfer, agentName)
}

const SAYINGS: { readonly [T in TransferEventType]: (transfer: Transfer, agentName: string) => Data<T> } = {
  'transfer.created': (transfer, agentName) => ({
    ...subject(transfer, agentName),
    ...route(transfer),
    ...sizeIfKnown(transfer),
    status: 'queued',
  }),
  'transfer.progress': (transfer, agentName) => ({
    ...subject(transfer, agentName),
    ...route(transfer),
    ...sizeIfKnown(transfer),
    bytesTransferred: transfer.bytesTransferred,
    progress: transfer.progress,
    speed: transfer.speed ?? 0,
    status: 'running',
  }),
  'transfer.completed': (transfer, agentName) => ({
    ...subject(transfer, agentName),
    ...route(transfer),
    size: transfer.size ?? transfer.bytesTransferred,
    bytesTransferred: transfer.bytesTransferred,
    duration: secondsOf(transfer),
    speed: transfer.speed ?? 0,
    status: 'completed',
  }),
  'transfer.failed': (transfer, agentName) => ({
    ...subject(transfer, agentName),
    error: transfer.error ?? '',
    errorCode: transfer.errorCode ?? 'INTERNAL',
    retryCount: retriesOf(transfer),
    status: 'failed',
  }),
  'transfer.cancelled': (transfer, agentName) => ({
    ...subject(transfer, agentName),
    ...route(transfer),
    ...sizeIfKnown(transfer),
    bytesTransferred: transfer.bytesTransferred,
    status: 'cancelled',
  }),
}

/** How often it was begun again, whatever the reason. */
export function retriesOf({ retryCount, losses }: Pick<Transfer, 'retryCount' | 'losses'>): number {
  return retryCount + losses
}

function subject({ id, agentId, sourceUrl }: Transfer, agentName: string) {
  return { transferId: id, agentId, agentName, sourceUrl: withoutCredentials(sourceUrl) }
}

function route({ destinationPath, direction, protocol }: Transfer) {
  return { destinationPath: withoutCredentials(destinationPath), direction, protocol }
}

function sizeIfKnown({ size }: Transfer) {
  return size === null ? {} : { size }
}

/** From the first attempt to the end. */
function secondsOf({ createdAt, startedAt, completedAt }: Transfer): number {
  const endedAt = completedAt ?? createdAt
  return Math.max(0, Math.round((endedAt - (startedAt ?? endedAt)) / SECOND_MS))
}
