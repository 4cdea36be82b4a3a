import type { AuditEntry } from '../../audit/entry.ts'
import { AppError } from '../../base/error.ts'
import type { EventDraft } from '../../events/event.ts'
import type { Change, Held } from '../../files/port.ts'
import type { PlannedDelivery } from '../../webhooks/webhook.ts'
import { foldersAbove, locksOf, type PathLock, rangeBelow } from '../path.ts'
import { fromAudit, textOf, toPlanned } from '../rows.ts'
import type { DeliveryTable } from '../tables.ts'
import { takePlace } from './order.ts'
import type { Writing } from './writing.ts'

/** Records events that are true already: said, their deliveries waiting, due and nobody's. */
export function recordEvents(writing: Writing, events: readonly EventDraft[]): void {
  for (const event of events) recordSaid(writing, event)
}

export function recordFact(writing: Writing, event: EventDraft, audit: AuditEntry): void {
  if (recordSaid(writing, event)) insertAudit(writing, audit)
}

/** Records a change before it is carried out: everything about it is held by its intent. */
export function recordChange(writing: Writing, change: Change): Held {
  const { intent, event } = change
  if (!insertEvent(writing, event, 'held')) return recordedAlready(writing, event.id)
  for (const lock of locksOf(intent.deed)) lockPath(writing, intent.id, lock)
  insertIntent(writing, intent)
  const deliveries = writing.plan(event)
  for (const delivery of deliveries) insertDelivery(writing, delivery, 'held', event.occurredAt)
  addUsage(writing, intent)
  insertAudit(writing, change.audit)
  if (change.endsUpload !== null) writing.prepare('delete from partial where id = ?').run(change.endsUpload)
  return { eventId: event.id, deliveries }
}

/** False when the event is there already: repeating a record does nothing. */
function recordSaid(writing: Writing, event: EventDraft): boolean {
  if (!insertEvent(writing, event, 'said')) return false
  for (const delivery of writing.plan(event)) {
    insertDelivery(writing, delivery, 'waiting', event.occurredAt)
    takePlace(writing, { ...delivery, createdAt: event.occurredAt })
    writing.nudge(delivery.webhookId)
  }
  return true
}

function recordedAlready(writing: Writing, eventId: string): Held {
  const rows = writing.prepare(`select * from delivery where event_id = ? and cause = 'event' order by id`).all(eventId)
  return { eventId, deliveries: (rows as unknown as DeliveryTable[]).map(toPlanned) }
}

function insertEvent(writing: Writing, event: EventDraft, state: 'held' | 'said'): boolean {
  // Raised for nothing when the event is there already: positions may have gaps.
  const position = state === 'said' ? writing.nextPosition() : null
  const { changes } = writing
    .prepare(
      `insert into event (id, type, account_id, occurred_at, data, state, is_test, position) values (?, ?, ?, ?, ?, ?, 0, ?)
       on conflict (id) do nothing`,
    )
    .run(event.id, event.type, event.accountId, event.occurredAt, JSON.stringify(event.data), state, position)
  return changes === 1
}

function insertDelivery(writing: Writing, delivery: PlannedDelivery, state: 'held' | 'waiting', createdAt: number): void {
  const { id, eventId, eventType, webhookId, cause, dialect, body, headers, orderKey, collapseKey, replayId } = delivery
  writing
    .prepare(
      `insert into delivery (id, event_id, event_type, webhook_id, cause, dialect, body, headers, order_key, collapse_key,
         replay_id, state, due_at, attempts, created_at)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)`,
    )
    .run(
      ...[id, eventId, eventType, webhookId, cause, dialect, body, textOf(headers), orderKey, collapseKey, replayId],
      ...[state, state === 'held' ? null : createdAt, createdAt],
    )
}

function lockPath(writing: Writing, intentId: string, lock: PathLock): void {
  const held = writing.prepare('select 1 from intent_path where path_hash = ? and is_subtree = 1')
  const isHeldAbove = foldersAbove(lock).some((hash) => held.get(hash) !== undefined)
  if (isHeldAbove || (lock.isSubtree && holdsBelow(writing, intentId, lock))) throw pathBusy()
  const { changes } = writing
    .prepare(
      `insert into intent_path (path_hash, intent_id, path_hex, is_subtree) values (?, ?, ?, ?)
       on conflict (path_hash) do nothing`,
    )
    .run(lock.hash, intentId, lock.hex, lock.isSubtree ? 1 : 0)
  if (changes === 0) throw pathBusy()
}

function holdsBelow(writing: Writing, intentId: string, lock: PathLock): boolean {
  const { from, to } = rangeBelow(lock)
  const below = writing.prepare('select 1 from intent_path where path_hex >= ? and path_hex < ? and intent_id <> ? limit 1')
  return below.get(from, to, intentId) !== undefined
}

function pathBusy(): AppError {
  return new AppError('path_busy', 'Another change of this path is being carried out; try again.')
}

function insertIntent(writing: Writing, intent: Change['intent']): void {
  const { id, node, eventId, accountId, deed, usage, createdAt } = intent
  writing
    .prepare(
      `insert into intent (id, node, event_id, account_id, deed, usage_bytes, usage_files, created_at)
       values (?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(id, node, eventId, accountId, JSON.stringify(deed), usage.bytes, usage.files, createdAt)
}

function addUsage(writing: Writing, { accountId, usage }: Change['intent']): void {
  if (usage.bytes === 0 && usage.files === 0) return
  writing
    .prepare(
      `insert into account_usage (account_id, bytes, files) values (?, ?, ?)
       on conflict (account_id) do update set bytes = bytes + excluded.bytes, files = files + excluded.files`,
    )
    .run(accountId, usage.bytes, usage.files)
}

function insertAudit(writing: Writing, entry: AuditEntry): void {
  const { id, at, account_id: accountId, actor, address, door, action, target, result, detail } = fromAudit(entry)
  writing
    .prepare(
      `insert into audit (id, at, account_id, actor, address, door, action, target, result, detail)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(id, at, accountId, actor, address, door, action, target, result, detail)
}
