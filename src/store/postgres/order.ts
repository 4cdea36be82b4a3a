import type { Arrival } from '../work.ts'
import { ADVISORY_LOCK, type Queryable } from './connection.ts'
import { insertTotals } from './tally.ts'

// Deliveries with an order key or a collapse key. Whoever lets one wait or ends one first takes the locks of its keys, in a statement
// of its own, so that the next statement sees what the holder before has committed: otherwise one that arrives while the one before it
// ends would stay blocked for ever. Deliveries without keys take no lock and no extra statement.

/**
 * Locks that all keys share. A database has room for some ten thousand locks in all, and one group of events to many webhooks may
 * have more keys than that. Two keys with one lock wait for each other a little, and nothing else.
 */
const LOCKS = 1_024
const LOCK_OF_NAME = lockOf('name')

/** Named in the order in which they came. */
export type Keyed = Omit<Arrival, 'createdAt'>

export interface OrderKey {
  readonly webhookId: string
  readonly orderKey: string
}

export function hasKey({ orderKey, collapseKey }: Pick<Arrival, 'orderKey' | 'collapseKey'>): boolean {
  return orderKey !== null || collapseKey !== null
}

/** Locks the keys of what is about to wait, and the order keys of what it will replace; all in one order, so that two that meet wait. */
export async function lockArrivals(db: Queryable, arrivals: readonly Keyed[]): Promise<void> {
  const ordered = arrivals.flatMap(({ webhookId, orderKey }) => (orderKey === null ? [] : [{ webhookId, orderKey }]))
  const collapsing = arrivals.filter(({ collapseKey }) => collapseKey !== null)
  await db.query({
    name: 'lock_arrivals',
    text: `select pg_advisory_xact_lock(${ADVISORY_LOCK.orders}, lock) from (
        select ${LOCK_OF_NAME} as lock from unnest($1::text[]) as name
        union
        select ${lockOf("'order ' || d.webhook_id || ' ' || d.order_key")}
        from unnest($2::text[], $3::text[]) as c (webhook_id, collapse_key)
        join delivery as d on d.webhook_id = c.webhook_id and d.collapse_key = c.collapse_key and d.collapse_key is not null
          and d.state = 'waiting' and d.order_key is not null
        order by 1) as locks`,
    values: [
      [...ordered.map(nameOf), ...collapsing.map(({ webhookId, collapseKey }) => `collapse ${webhookId} ${collapseKey}`)],
      collapsing.map(({ webhookId }) => webhookId),
      collapsing.map(({ collapseKey }) => collapseKey),
    ],
  })
}

/** Locks the order keys of these deliveries, which are about to end, and returns them. */
export async function lockOrders(db: Queryable, deliveryIds: readonly string[]): Promise<OrderKey[]> {
  const { rows } = await db.query<{ webhook_id: string; order_key: string }>(
    'select distinct webhook_id, order_key from delivery where id = any ($1) and order_key is not null',
    [deliveryIds],
  )
  const keys = rows.map((row) => ({ webhookId: row.webhook_id, orderKey: row.order_key }))
  if (keys.length > 0) await lockKeys(db, keys)
  return keys
}

/** Locks the orders in which something is about to end. */
export async function lockKeys(db: Queryable, keys: readonly OrderKey[]): Promise<void> {
  await db.query(
    `select pg_advisory_xact_lock(${ADVISORY_LOCK.orders}, lock)
     from (select distinct ${LOCK_OF_NAME} as lock from unnest($1::text[]) as name order by 1) as locks`,
    [keys.map(nameOf)],
  )
}

/**
 * What has just become waiting finds its place: it replaces what waits with its collapse key, and stands behind all that wait with its
 * order key, blocked unless it is the first. Needs the locks; returns the webhooks that have something due because of it.
 */
export async function takePlaces(db: Queryable, arrivals: readonly Keyed[]): Promise<string[]> {
  const replaced = arrivals.some(({ collapseKey }) => collapseKey !== null) ? await supersede(db, arrivals) : []
  const unblocked = await unblockFirst(db, replaced)
  const ordered = arrivals.filter(({ orderKey }) => orderKey !== null)
  if (ordered.length === 0) return unblocked
  await db.query({
    name: 'take_places',
    // What stands last is looked up for each: to join the keys, the planner of the queue would compare each with all others.
    text: `with mine as materialized (
        select d.id, row_number() over (partition by d.webhook_id, d.order_key order by m.number) as number, (
          select other.order_position from delivery as other
          where other.webhook_id = d.webhook_id and other.order_key = d.order_key and other.order_key is not null
            and other.state = 'waiting' and other.order_position is not null
          order by other.order_position desc limit 1) as last
        from unnest($1::text[]) with ordinality as m (id, number) join delivery as d on d.id = m.id and d.state || '' = 'waiting')
      update delivery set order_position = coalesce(mine.last, 0) + mine.number,
        is_blocked = case when mine.last is null and mine.number = 1 then 0 else 1 end,
        claimed_by = case when mine.last is null and mine.number = 1 then delivery.claimed_by end
      from mine where delivery.id = mine.id`,
    values: [ordered.map(({ id }) => id)],
  })
  return unblocked
}

/** The first of those that wait with each key may go: call it whenever one of them has ended. Needs the locks; returns their webhooks. */
export async function unblockFirst(db: Queryable, keys: readonly OrderKey[]): Promise<string[]> {
  if (keys.length === 0) return []
  const { rows } = await db.query<{ webhook_id: string }>({
    name: 'unblock_first',
    text: `with first as materialized (
        select f.id from unnest($1::text[], $2::text[]) as k (webhook_id, order_key)
        cross join lateral (
          select d.id, d.is_blocked from delivery as d
          where d.webhook_id = k.webhook_id and d.order_key = k.order_key and d.order_key is not null and d.state = 'waiting'
            and d.order_position is not null
          order by d.order_position limit 1) as f
        where f.is_blocked = 1)
      update delivery set is_blocked = 0 from first where delivery.id = first.id returning delivery.webhook_id`,
    values: [keys.map(({ webhookId }) => webhookId), keys.map(({ orderKey }) => orderKey)],
  })
  return [...new Set(rows.map((row) => row.webhook_id))]
}

/**
 * Those that would be tried again although a newer one has come while they were in hand: only the newer is worth sending. Takes the locks;
 * returns the webhooks that have something due because of it.
 */
export async function replaceStale(db: Queryable, deliveryIds: readonly string[]): Promise<string[]> {
  type Found = { id: string; webhook_id: string; order_key: string; collapse_key: string }
  const toKeyed = ({ id, webhook_id, order_key, collapse_key }: Found): Keyed => {
    return { id, webhookId: webhook_id, orderKey: order_key, collapseKey: collapse_key }
  }
  const keyed = await db.query<Found>(
    'select id, webhook_id, order_key, collapse_key from delivery where id = any ($1) and collapse_key is not null',
    [deliveryIds],
  )
  await lockArrivals(db, keyed.rows.map(toKeyed))
  const newest = await db.query<Found>(
    `select distinct on (newer.webhook_id, newer.collapse_key) newer.id, newer.webhook_id, newer.order_key, newer.collapse_key
     from delivery as stale join delivery as newer on newer.webhook_id = stale.webhook_id and newer.collapse_key = stale.collapse_key
       and newer.collapse_key is not null and newer.state = 'waiting'
       and newer.order_key = stale.order_key and newer.order_position > stale.order_position
     where stale.id = any ($1) and stale.collapse_key || '' is not null and stale.state || '' = 'waiting'
     order by newer.webhook_id, newer.collapse_key, newer.order_position desc`,
    [deliveryIds],
  )
  return newest.rows.length === 0 ? [] : unblockFirst(db, await supersede(db, newest.rows.map(toKeyed)))
}

/** What a lane has in hand already is not called back. Returns the orders in which something ended. */
async function supersede(db: Queryable, arrivals: readonly Keyed[]): Promise<OrderKey[]> {
  const { rows } = await db.query<{ webhook_id: string; order_key: string | null }>({
    name: 'supersede',
    text: `with newest as materialized (
        select distinct on (d.webhook_id, d.collapse_key) d.id, d.webhook_id, d.collapse_key, d.created_at
        from unnest($1::text[]) with ordinality as m (id, number)
        join delivery as d on d.id = m.id and d.state || '' = 'waiting' and d.collapse_key || '' is not null
        order by d.webhook_id, d.collapse_key, m.number desc),
      old as materialized (
        select d.id, newest.id as newest_id, newest.created_at from newest
        join delivery as d on d.webhook_id = newest.webhook_id and d.collapse_key = newest.collapse_key
          and d.collapse_key is not null and d.state = 'waiting' and d.claimed_by is null and d.id <> newest.id
        for update of d),
      replaced as (
        update delivery set state = 'cancelled', due_at = null, is_blocked = 0, settled_at = old.created_at,
          last_error = 'superseded by ' || old.newest_id
        from old where delivery.id = old.id returning delivery.webhook_id, delivery.order_key, delivery.state),
      totals as (${insertTotals('replaced')})
      select distinct webhook_id, order_key from replaced`,
    values: [arrivals.map(({ id }) => id)],
  })
  return rows.flatMap(({ webhook_id, order_key }) => (order_key === null ? [] : [{ webhookId: webhook_id, orderKey: order_key }]))
}

function nameOf({ webhookId, orderKey }: OrderKey): string {
  return `order ${webhookId} ${orderKey}`
}

function lockOf(name: string): string {
  return `(hashtext(${name}) & ${LOCKS - 1})`
}
