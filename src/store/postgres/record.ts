import type { Pool } from 'pg'
import type { AuditEntry } from '../../audit/entry.ts'
import { AppError } from '../../base/error.ts'
import type { EventDraft } from '../../events/event.ts'
import type { Change, Held } from '../../files/port.ts'
import type { BirthRoom, Births, Plan } from '../../webhooks/port.ts'
import type { PlannedDelivery } from '../../webhooks/webhook.ts'
import { claimantIn } from '../births.ts'
import { foldersAbove, locksOf, type PathLock, rangeBelow } from '../path.ts'
import { quotaExceeded } from '../quota.ts'
import { fromAudit, textOf, toPlanned } from '../rows.ts'
import type { Fact } from '../store.ts'
import type { DeliveryTable } from '../tables.ts'
import { ADVISORY_LOCK, type Queryable, transaction } from './connection.ts'
import type { Outcome } from './group.ts'
import { hasKey, lockArrivals, takePlaces } from './order.ts'
import { POSITION } from './position.ts'
import type { WebhookSet, WebhookSets } from './webhook-set.ts'

/** Columns of a delivery that are handed in when it is planned. */
const DELIVERY_COLUMNS = 12

/** Times that the set of webhooks may change under a planning before it gives up. */
const PLANNINGS_MAX = 20

export interface Recording {
  readonly sets: WebhookSets
  readonly plan: Plan
  nudge(webhookId: string): void
  /** Runs in one transaction: a new one, or that of the unit. */
  within<T>(run: (db: Queryable) => Promise<T>): Promise<T>
}

/** Facts that are recorded together, and the room of the node for which deliveries may be claimed. */
export interface Facts {
  readonly facts: readonly Fact[]
  readonly room: BirthRoom | null
}

/** Events that are true already, with the audit entry of a fact. One statement, which plans nothing when the webhooks have changed. */
export async function recordFacts(recording: Recording, db: Queryable, units: readonly Facts[]): Promise<Births[]> {
  const unitOf = new Map(units.flatMap((unit) => unit.facts.map(({ event }) => [event.id, unit])))
  const distinct = [...new Map(units.flatMap(({ facts }) => facts.map((fact) => [fact.event.id, fact]))).values()]
  const events = distinct.map(({ event }) => event)
  const audits = distinct.flatMap(({ event, audit }) => (audit === null ? [] : [{ eventId: event.id, audit }]))
  let claimants: ReadonlyMap<string, string> = new Map()
  let recorded: ReadonlySet<string> = new Set()
  async function insert(db: Queryable, set: WebhookSet, deliveries: readonly PlannedDelivery[]) {
    const claimantOf = new Map(units.map((unit) => [unit, claimantIn(unit.room)]))
    const nodes = deliveries.map((delivery) => claimantOf.get(unitOf.get(delivery.eventId)!)!(delivery))
    claimants = new Map(deliveries.flatMap(({ id }, index) => (nodes[index] === null ? [] : [[id, nodes[index]!]])))
    const { rows } = await db.query({
      name: 'record_events',
      text: `with hooks as materialized (select version from webhook_set for share),
        e as (${insertEvents('said', 1, 'where (select version from hooks) = $6')} on conflict (id) do nothing returning id),
        d as (${insertDeliveries('waiting', 7, '$30::text[]')} where p.event_id in (select id from e)),
        a as (${insertAudits(19)} where p.event_id in (select id from e))
        select (select version from hooks) as version, array(select id from e) as ids`,
      values: [...[...eventColumns(events), set.version, ...deliveryColumns(deliveries, events), ...auditColumns(audits)], nodes],
    })
    recorded = new Set<string>(rows[0].ids)
    return { version: rows[0].version as number, recorded }
  }
  const deliveries = await planned(recording, db, events, (set, deliveries) => {
    const keyed = deliveries.filter(hasKey)
    if (keyed.length === 0) return insert(db, set, deliveries)
    return recording.within(async (db) => {
      await lockArrivals(db, keyed)
      const inserted = await insert(db, set, deliveries)
      const arrived = keyed.filter(({ eventId }) => inserted.recorded.has(eventId))
      for (const webhookId of await takePlaces(db, arrived)) recording.nudge(webhookId)
      return inserted
    })
  })
  for (const { id, webhookId } of deliveries) if (!claimants.has(id)) recording.nudge(webhookId)
  const times = timesOf(events)
  const claimed = deliveries.filter(({ id }) => claimants.has(id))
  const births = Map.groupBy(claimed, ({ eventId }) => unitOf.get(eventId)!)
  return units.map((unit) => ({
    deliveries: (births.get(unit) ?? []).map((each) => ({ ...each, attempts: 0, createdAt: times.get(each.eventId)! })),
    isComplete: unit.facts.every(({ event }) => recorded.has(event.id)),
  }))
}

/**
 * Changes before they are carried out. Plain ones share the lock of the paths and meet each other in the unique index; one that
 * holds a subtree waits for all others, because no index knows what lies below a folder.
 */
export async function recordChange(recording: Recording, pool: Pool, changes: readonly Change[]): Promise<Outcome<Held>[]> {
  const isExclusive = changes.some(({ intent }) => locksOf(intent.deed).some((lock) => lock.isSubtree))
  const lock = isExclusive ? 'pg_advisory_xact_lock' : 'pg_advisory_xact_lock_shared'
  return transaction(pool, `begin; select ${lock}(${ADVISORY_LOCK.paths})`, async (db) => {
    const known = await readKnown(db, changes)
    const { within, refused } = await withinQuota(db, freeOf(changes, known), known)
    const deliveries = await insertChanges(recording, db, within)
    return Promise.all(
      changes.map(async (change): Promise<Outcome<Held>> => {
        const eventId = change.event.id
        if (known.events.has(eventId)) return { value: await recordedAlready(db, eventId) }
        const excess = refused.get(eventId)
        if (excess !== undefined) return { error: excess }
        const own = deliveries.get(eventId)
        return own === undefined ? { error: pathBusy() } : { value: { eventId, deliveries: own } }
      }),
    )
  })
}

interface Known {
  events: ReadonlySet<string>
  /** Hashes of paths that open intents hold; true: with all below. */
  held: Map<string, boolean>
  /** Subtrees, by hash, that have a held path below. */
  busyBelow: ReadonlySet<string>
  /** Accounts of these changes that have a quota. */
  limited: readonly string[]
}

async function readKnown(db: Queryable, changes: readonly Change[]): Promise<Known> {
  const locks = changes.flatMap(({ intent }) => locksOf(intent.deed))
  const hashes = [...new Set(locks.flatMap((lock) => [lock.hash, ...foldersAbove(lock)]))]
  const { rows } = await db.query({
    name: 'known_paths',
    text: `select 'event' as kind, id, 0 as is_subtree from event where id = any ($1)
           union all select 'path', path_hash, is_subtree from intent_path where path_hash = any ($2)
           union all select 'limited', id, 0 from account where id = any ($3) and quota_bytes is not null`,
    values: [changes.map(({ event }) => event.id), hashes, [...new Set(changes.map(({ intent }) => intent.accountId))]],
  })
  const subtrees = locks.filter((lock) => lock.isSubtree)
  const below = subtrees.length === 0 ? [] : await readBelow(db, subtrees)
  return {
    events: new Set(rows.filter((row) => row.kind === 'event').map((row) => row.id)),
    held: new Map(rows.filter((row) => row.kind === 'path').map((row) => [row.id, row.is_subtree === 1])),
    busyBelow: new Set(below),
    limited: rows.filter((row) => row.kind === 'limited').map((row) => row.id),
  }
}

/** Those for which there is room, in their order; whoever else records for these accounts waits for the end of this transaction. */
async function withinQuota(
  db: Queryable,
  changes: readonly Change[],
  { limited }: Known,
): Promise<{ within: readonly Change[]; refused: ReadonlyMap<string, AppError> }> {
  const refused = new Map<string, AppError>()
  if (limited.length === 0) return { within: changes, refused }
  await db.query('select id from account where id = any ($1) order by id for update', [limited])
  const { rows } = await db.query<{ id: string; quota: number; bytes: number }>(
    `select a.id, a.quota_bytes as quota, coalesce(u.bytes, 0)::bigint as bytes
     from account a left join account_usage u on u.account_id = a.id where a.id = any ($1) and a.quota_bytes is not null`,
    [limited],
  )
  const accounts = new Map(rows.map((row) => [row.id, row]))
  const within = changes.filter(({ event, intent: { accountId, usage } }) => {
    const account = accounts.get(accountId)
    if (account === undefined) return true
    const bytes = account.bytes + usage.bytes
    if (usage.bytes > 0 && bytes > account.quota) {
      refused.set(event.id, quotaExceeded(account.quota, bytes))
      return false
    }
    account.bytes = bytes
    return true
  })
  return { within, refused }
}

async function readBelow(db: Queryable, subtrees: readonly PathLock[]): Promise<string[]> {
  const ranges = subtrees.map(rangeBelow)
  const { rows } = await db.query<{ hash: string }>(
    `select r.hash from unnest($1::text[], $2::text[], $3::text[]) as r (hash, low, high)
     where exists (select 1 from intent_path where path_hex >= r.low and path_hex < r.high)`,
    [subtrees.map((lock) => lock.hash), ranges.map((range) => range.from), ranges.map((range) => range.to)],
  )
  return rows.map((row) => row.hash)
}

/** The changes of this group that may be recorded: no path held by others or by one before it in the group. */
function freeOf(changes: readonly Change[], { events, held, busyBelow }: Known): Change[] {
  const heldHere: PathLock[] = []
  return changes.filter((change) => {
    const locks = locksOf(change.intent.deed)
    const isBusy = locks.some(
      (lock) =>
        held.has(lock.hash) ||
        foldersAbove(lock).some((hash) => held.get(hash) === true) ||
        (lock.isSubtree && (busyBelow.has(lock.hash) || heldHere.some((other) => isBelow(other, lock)))),
    )
    if (isBusy || events.has(change.event.id)) return false
    for (const lock of locks) held.set(lock.hash, lock.isSubtree)
    heldHere.push(...locks)
    return true
  })
}

function isBelow(other: PathLock, folder: PathLock): boolean {
  const { from, to } = rangeBelow(folder)
  return other.hex >= from && other.hex < to
}

/** Returns the deliveries of what was recorded, by event. What is missing met another node's intent in the unique index. */
async function insertChanges(
  recording: Recording,
  db: Queryable,
  changes: readonly Change[],
): Promise<Map<string, PlannedDelivery[]>> {
  if (changes.length === 0) return new Map()
  const events = changes.map(({ event }) => event)
  const audits = changes.map(({ event, audit }) => ({ eventId: event.id, audit }))
  const intents = changes.map(({ intent }) => intent)
  const paths = intents.flatMap((intent) => locksOf(intent.deed).map((lock) => ({ ...lock, intentId: intent.id })))
  // In one order, so that two groups that meet wait and do not deadlock.
  paths.sort((a, b) => (a.hash < b.hash ? -1 : 1))
  let recorded: ReadonlySet<string> = new Set()
  const deliveries = await planned(recording, db, events, async (set, deliveries) => {
    const { rows } = await db.query({
      name: 'record_changes',
      text: `with hooks as materialized (select version from webhook_set for share),
        path as (
          insert into intent_path (path_hash, intent_id, path_hex, is_subtree)
          select * from unnest($30::text[], $31::text[], $32::text[], $33::int[]) where (select version from hooks) = $6
          on conflict (path_hash) do nothing returning intent_id),
        ok as materialized (
          select i.* from unnest($34::text[], $35::text[], $36::text[], $37::text[], $38::text[], $39::bigint[], $40::bigint[], $41::bigint[])
            as i (id, node, event_id, account_id, deed, usage_bytes, usage_files, created_at)
          where i.id in (select intent_id from path)),
        intents as (
          insert into intent (id, node, event_id, account_id, deed, usage_bytes, usage_files, created_at) select * from ok),
        e as (${insertEvents('held', 1, 'where id in (select event_id from ok)')}),
        d as (${insertDeliveries('held', 7)} where p.event_id in (select event_id from ok)),
        a as (${insertAudits(19)} where p.event_id in (select event_id from ok)),
        used as (
          insert into account_usage as u (account_id, bytes, files)
          select account_id, sum(usage_bytes), sum(usage_files) from ok group by account_id order by account_id
          on conflict (account_id) do update set bytes = u.bytes + excluded.bytes, files = u.files + excluded.files),
        ended as (delete from partial where id in (
          select x.upload from unnest($42::text[], $43::text[]) as x (upload, event_id) where x.event_id in (select event_id from ok)))
        select (select version from hooks) as version, array(select event_id from ok) as ids`,
      values: [
        ...eventColumns(events),
        set.version,
        ...deliveryColumns(deliveries, events),
        ...auditColumns(audits),
        ...pathColumns(paths),
        ...intentColumns(intents),
        changes.map((change) => change.endsUpload),
        changes.map((change) => change.event.id),
      ],
    })
    recorded = new Set(rows[0].ids)
    return { version: rows[0].version, recorded }
  })
  const byEvent = new Map<string, PlannedDelivery[]>([...recorded].map((id) => [id, []]))
  for (const delivery of deliveries) byEvent.get(delivery.eventId)!.push(delivery)
  return byEvent
}

/** Plans with the known set of webhooks, and anew while the statement finds that it has changed. Returns the deliveries of what was recorded. */
async function planned(
  { sets, plan }: Recording,
  db: Queryable,
  events: readonly EventDraft[],
  insert: (set: WebhookSet, deliveries: PlannedDelivery[]) => Promise<{ version: number; recorded: ReadonlySet<string> }>,
): Promise<PlannedDelivery[]> {
  let set = await sets.current(db)
  for (let planning = 0; planning < PLANNINGS_MAX; planning += 1) {
    const known = set
    const deliveries = events.flatMap((event) => plan(event, known.active))
    const { version, recorded } = await insert(known, deliveries)
    if (version === known.version) return deliveries.filter((delivery) => recorded.has(delivery.eventId))
    set = await sets.read(db)
  }
  throw new AppError(
    'store_failed',
    `The webhooks changed ${PLANNINGS_MAX} times while an event was planned; nothing was changed.`,
  )
}

async function recordedAlready(db: Queryable, eventId: string): Promise<Held> {
  const { rows } = await db.query<DeliveryTable>(`select * from delivery where event_id = $1 and cause = 'event' order by id`, [
    eventId,
  ])
  return { eventId, deliveries: rows.map(toPlanned) }
}

function pathBusy(): AppError {
  return new AppError('path_busy', 'Another change of this path is being carried out; try again.')
}

function insertEvents(state: 'held' | 'said', first: number, where: string): string {
  const [id, type, account, at, data] = placeholders(first, ['text', 'text', 'text', 'bigint', 'text'])
  return `insert into event (id, type, account_id, occurred_at, data, state, is_test, position)
    select id, type, account_id, occurred_at, data, '${state}', 0, ${state === 'said' ? POSITION : 'null'}
    from unnest(${id}, ${type}, ${account}, ${at}, ${data}) as p (id, type, account_id, occurred_at, data) ${where}`
}

function eventColumns(events: readonly EventDraft[]): unknown[] {
  return [
    events.map((event) => event.id),
    events.map((event) => event.type),
    events.map((event) => event.accountId),
    events.map((event) => event.occurredAt),
    events.map((event) => JSON.stringify(event.data)),
  ]
}

/** `claimants`: an array of nodes, null where nobody claims the delivery. */
function insertDeliveries(state: 'held' | 'waiting', first: number, claimants = 'null::text[]'): string {
  const columns =
    'id, event_id, event_type, webhook_id, cause, dialect, body, headers, order_key, collapse_key, replay_id, created_at'
  const list = placeholders(first, [...new Array(DELIVERY_COLUMNS - 1).fill('text'), 'bigint'])
  return `insert into delivery (${columns}, state, due_at, claimed_by, attempts)
    select ${columns.replaceAll(/\w+/g, 'p.$&')}, '${state}', ${state === 'held' ? 'null' : 'p.created_at'}, p.claimed_by, 0
    from unnest(${list.join(', ')}, ${claimants}) as p (${columns}, claimed_by)`
}

/** The time of a delivery is that of its event. */
function deliveryColumns(deliveries: readonly PlannedDelivery[], events: readonly EventDraft[]): unknown[] {
  const times = timesOf(events)
  return [
    deliveries.map((delivery) => delivery.id),
    deliveries.map((delivery) => delivery.eventId),
    deliveries.map((delivery) => delivery.eventType),
    deliveries.map((delivery) => delivery.webhookId),
    deliveries.map((delivery) => delivery.cause),
    deliveries.map((delivery) => delivery.dialect),
    deliveries.map((delivery) => delivery.body),
    deliveries.map((delivery) => textOf(delivery.headers)),
    deliveries.map((delivery) => delivery.orderKey),
    deliveries.map((delivery) => delivery.collapseKey),
    deliveries.map((delivery) => delivery.replayId),
    deliveries.map((delivery) => times.get(delivery.eventId)),
  ]
}

function timesOf(events: readonly EventDraft[]): ReadonlyMap<string, number> {
  return new Map(events.map((event) => [event.id, event.occurredAt]))
}

function insertAudits(first: number): string {
  const types = ['text', 'text', 'bigint', 'text', 'text', 'text', 'text', 'text', 'text', 'text', 'text']
  return `insert into audit (id, at, account_id, actor, address, door, action, target, result, detail)
    select p.id, p.at, p.account_id, p.actor, p.address, p.door, p.action, p.target, p.result, p.detail
    from unnest(${placeholders(first, types).join(', ')})
      as p (event_id, id, at, account_id, actor, address, door, action, target, result, detail)`
}

function auditColumns(audits: readonly { eventId: string; audit: AuditEntry }[]): unknown[] {
  const rows = audits.map(({ audit }) => fromAudit(audit))
  return [
    audits.map(({ eventId }) => eventId),
    rows.map((row) => row.id),
    rows.map((row) => row.at),
    rows.map((row) => row.account_id),
    rows.map((row) => row.actor),
    rows.map((row) => row.address),
    rows.map((row) => row.door),
    rows.map((row) => row.action),
    rows.map((row) => row.target),
    rows.map((row) => row.result),
    rows.map((row) => row.detail),
  ]
}

function pathColumns(paths: readonly (PathLock & { intentId: string })[]): unknown[] {
  return [
    paths.map((path) => path.hash),
    paths.map((path) => path.intentId),
    paths.map((path) => path.hex),
    paths.map((path) => (path.isSubtree ? 1 : 0)),
  ]
}

function intentColumns(intents: readonly Change['intent'][]): unknown[] {
  return [
    intents.map((intent) => intent.id),
    intents.map((intent) => intent.node),
    intents.map((intent) => intent.eventId),
    intents.map((intent) => intent.accountId),
    intents.map((intent) => JSON.stringify(intent.deed)),
    intents.map((intent) => intent.usage.bytes),
    intents.map((intent) => intent.usage.files),
    intents.map((intent) => intent.createdAt),
  ]
}

function placeholders(first: number, types: readonly string[]): string[] {
  return types.map((type, index) => `$${first + index}::${type}[]`)
}
