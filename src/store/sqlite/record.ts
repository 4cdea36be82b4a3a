import type { AuditEntry } from '../../audit/entry.ts'
import { AppError } from '../../base/error.ts'
import type { EventDraft } from '../../events/event.ts'
import type { Change, Held } from '../../files/port.ts'
import type { BirthRoom, Births } from '../../webhooks/port.ts'
import type { ClaimedDelivery, PlannedDelivery } from '../../webhooks/webhook.ts'
import { claimantIn } from '../births.ts'
import { foldersAbove, locksOf, type PathLock, rangeBelow } from '../path.ts'
import { quotaExceeded } from '../quota.ts'
import { fromAudit, textOf, toPlanned } from '../rows.ts'
import type { Fact } from '../store.ts'
import type { DeliveryTable } from '../tables.ts'
import { takePlace } from './order.ts'
import type { Writing } from './writing.ts'

/** Records events that are true already: said, their deliveries waiting and due, some of them claimed already. Repeating does nothing. */
export function recordFacts(writing: Writing, facts: readonly Fact[], room: BirthRoom | null): Births {
  const claimantOf = claimantIn(room)
  const deliveries: ClaimedDelivery[] = []
  let isComplete = true
  for (const { event, audit } of facts) {
    if (insertEvent(writing, event, 'said')) {
      deliveries.push(...insertDue(writing, event, claimantOf))
      if (audit !== null) insertAudit(writing, audit)
    } else isComplete = false
  }
  return { deliveries, isComplete }
}

export function recordEvents(writing: Writing, events: readonly EventDraft[]): void {
  recordFacts(writing, events.map((event) => ({ event, audit: null })), null) // biome-ignore format: one line
}

export function recordFact(writing: Writing, event: EventDraft, audit: AuditEntry): void {
  recordFacts(writing, [{ event, audit }], null)
}

/** Records a change before it is carried out: everything about it is held by its intent. */
export function recordChange(writing: Writing, change: Change): Held {
  const { intent, event } = change
  if (!insertEvent(writing, event, 'held')) return recordedAlready(writing, event.id)
  for (const lock of locksOf(intent.deed)) lockPath(writing, intent.id, lock)
  insertIntent(writing, intent)
  const deliveries = writing.plan(event)
  for (const delivery of deliveries)
    insertDelivery(writing, delivery, { state: 'held', dueAt: null, claimedBy: null, createdAt: event.occurredAt })
  addUsage(writing, intent)
  insertAudit(writing, change.audit)
  if (change.endsUpload !== null) writing.prepare('delete from partial where id = ?').run(change.endsUpload)
  return { eventId: event.id, deliveries }
}

/** Returns those that were claimed. */
function insertDue(
  writing: Writing,
  event: EventDraft,
  claimantOf: (delivery: PlannedDelivery) => string | null,
): ClaimedDelivery[] {
  const createdAt = event.occurredAt
  const claimed: ClaimedDelivery[] = []
  for (const delivery of writing.plan(event)) {
    const claimant = claimantOf(delivery)
    insertDelivery(writing, delivery, { state: 'waiting', dueAt: createdAt, claimedBy: claimant, createdAt })
    takePlace(writing, { ...delivery, createdAt })
    if (claimant === null) writing.nudge(delivery.webhookId)
    else claimed.push({ ...delivery, attempts: 0, createdAt })
  }
  return claimed
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

function insertDelivery(writing: Writing, delivery: PlannedDelivery, birth: Birth): void {
  const { id, eventId, eventType, webhookId, cause, dialect, body, headers, orderKey, collapseKey, replayId } = delivery
  writing
    .prepare(
      `insert into delivery (id, event_id, event_type, webhook_id, cause, dialect, body, headers, order_key, collapse_key,
         replay_id, state, due_at, claimed_by, attempts, created_at)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)`,
    )
    .run(
      ...[id, eventId, eventType, webhookId, cause, dialect, body, textOf(headers), orderKey, collapseKey, replayId],
      ...[birth.state, birth.dueAt, birth.claimedBy, birth.createdAt],
    )
}

interface Birth {
  readonly state: 'held' | 'waiting'
  readonly dueAt: number | null
  readonly claimedBy: string | null
  readonly createdAt: number
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
  if (usage.bytes <= 0) return
  const over = writing.prepare(
    `select a.quota_bytes as quota, u.bytes from account a join account_usage u on u.account_id = a.id where a.id = ? and u.bytes > a.quota_bytes`,
  )
  const row = over.get(accountId) as { quota: number; bytes: number } | undefined
  // What this unit has written is undone with it.
  if (row !== undefined) throw quotaExceeded(row.quota, row.bytes)
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
