import { createHash } from 'node:crypto'
import type { RecordedEvent } from '../events/event.ts'
import type { DeliveryCause, Webhook } from './webhook.ts'

/** What is in order with what. A null key: in no order. */
export interface OrderKeys {
  readonly orderKey: string | null
  readonly collapseKey: string | null
}

/** Longer keys are hashed: a path may have 4,096 bytes, a row of a PostgreSQL index at most 2,704. */
export const KEY_LENGTH_MAX = 200

/** What the order keys begin with that progress has without an order of its webhook. */
export const PROGRESS_KEY = 'progress:'

/**
 * The members of `data` that say what an event is about; the first one present counts. A rename stands at the path it
 * moved from, so it follows the upload that it renames; later events at its new path may overtake it. Users are left
 * out: two of them may share a folder.
 */
const SUBJECTS: readonly (readonly [member: string, subject: string])[] = [
  ['transferId', 'transfer'],
  ['jobId', 'job'],
  ['previous_path', 'path'],
  ['path', 'path'],
  ['expectation_id', 'expectation'],
  ['webhookId', 'webhook'],
  ['subjectId', 'alert'],
  ['agentId', 'agent'],
  ['username', 'user'],
]

/**
 * The keys of a delivery, fixed when it is planned. Deliveries with one order key are sent one after the other; one with a
 * collapse key replaces what waits with the same. Progress of a transfer has both whatever the webhook's order: at most one is
 * in flight, and what follows is the newest. A test is in no order; what somebody asked to send again replaces nothing.
 */
export function keysOf(event: RecordedEvent, webhook: Pick<Webhook, 'order'>, cause: DeliveryCause): OrderKeys {
  if (cause === 'test') return { orderKey: null, collapseKey: null }
  return { orderKey: orderKeyOf(event, webhook), collapseKey: cause === 'event' ? collapseKeyOf(event) : null }
}

/** What this event is sent in turn with. */
export function orderKeyOf(event: RecordedEvent, { order }: Pick<Webhook, 'order'>): string | null {
  if (order === 'webhook') return 'webhook'
  if (order === 'key') return subjectOf(event) ?? bounded(`type:${event.accountId ?? ''}:${event.type}`)
  const transfer = progressOf(event)
  return transfer === null ? null : bounded(`${PROGRESS_KEY}${transfer}`)
}

/** What this event makes stale: the progress of its transfer so far. */
export function collapseKeyOf(event: RecordedEvent): string | null {
  const transfer = progressOf(event)
  return transfer === null ? null : bounded(transfer)
}

function progressOf(event: RecordedEvent): string | null {
  const transferId = event.type === 'transfer.progress' ? textOf(event, 'transferId') : null
  return transferId === null ? null : `${event.accountId ?? ''}:${transferId}`
}

function subjectOf(event: RecordedEvent): string | null {
  for (const [member, subject] of SUBJECTS) {
    const value = textOf(event, member)
    if (value !== null) return bounded(`${subject}:${event.accountId ?? ''}:${value}`)
  }
  return null
}

function textOf({ data }: RecordedEvent, member: string): string | null {
  const value = data[member]
  return typeof value === 'string' ? value : null
}

function bounded(key: string): string {
  return key.length <= KEY_LENGTH_MAX ? key : `sha256:${createHash('sha256').update(key).digest('hex')}`
}
