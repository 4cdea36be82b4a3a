import type { Arrival } from '../work.ts'
import { addTotals } from './tally.ts'
import type { Writing } from './writing.ts'

/**
 * What has just become waiting finds its place: it replaces what waits with its collapse key, and stands behind all that wait with its
 * order key, blocked unless it is the first. For a delivery with neither key this is two comparisons.
 */
export function takePlace(writing: Writing, arrival: Arrival): void {
  const { id, webhookId, orderKey, collapseKey } = arrival
  if (collapseKey !== null) supersede(writing, arrival)
  if (orderKey === null) return
  const last = writing
    .prepare(
      `select order_position from delivery where webhook_id = ? and order_key = ? and state = 'waiting'
       order by order_position desc limit 1`,
    )
    .get(webhookId, orderKey) as { order_position: number | null }
  // It is among them itself, without a position yet: nothing sorts below that.
  const isBlocked = last.order_position === null ? 0 : 1
  writing
    .prepare('update delivery set order_position = ?, is_blocked = ?, claimed_by = iif(?, null, claimed_by) where id = ?')
    .run((last.order_position ?? 0) + 1, isBlocked, isBlocked, id)
}

/** The first of those that wait with this key may go: call it whenever one of them has ended. One without a place yet is behind them. */
export function unblockFirst(writing: Writing, webhookId: string, orderKey: string): void {
  const { changes } = writing
    .prepare(
      `update delivery set is_blocked = 0 where is_blocked = 1 and rowid = (
         select rowid from delivery
         where webhook_id = ? and order_key = ? and state = 'waiting' and order_position is not null order by order_position limit 1)`,
    )
    .run(webhookId, orderKey)
  if (changes > 0) writing.nudge(webhookId)
}

/** One that would be tried again although a newer one has come while it was in hand: only the newer is worth sending. */
export function replaceStale(writing: Writing, deliveryId: string, at: number): void {
  const newest = writing
    .prepare(
      `select newer.id, newer.webhook_id, newer.order_key, newer.collapse_key
       from delivery as stale join delivery as newer on newer.webhook_id = stale.webhook_id and newer.collapse_key = stale.collapse_key
         and newer.collapse_key is not null and newer.state = 'waiting'
         and newer.order_key = stale.order_key and newer.order_position > stale.order_position
       where stale.id = ? and stale.collapse_key is not null order by newer.order_position desc limit 1`,
    )
    .get(deliveryId) as { id: string; webhook_id: string; order_key: string; collapse_key: string } | undefined
  if (newest === undefined) return
  const { id, webhook_id: webhookId, order_key: orderKey, collapse_key: collapseKey } = newest
  supersede(writing, { id, webhookId, orderKey, collapseKey, createdAt: at })
}

/** What a lane has in hand already is not called back. */
function supersede(writing: Writing, { id, webhookId, collapseKey, createdAt }: Arrival): void {
  const replaced = writing
    .prepare(
      `update delivery set state = 'cancelled', due_at = null, is_blocked = 0, settled_at = ?, last_error = ?
       where webhook_id = ? and collapse_key = ? and state = 'waiting' and claimed_by is null and id <> ? returning order_key`,
    )
    .all(createdAt, `superseded by ${id}`, webhookId, collapseKey, id) as { order_key: string | null }[]
  if (replaced.length === 0) return
  addTotals(writing, [{ webhookId, delivered: 0, failed: 0, cancelled: replaced.length }])
  for (const key of new Set(replaced.map((row) => row.order_key))) if (key !== null) unblockFirst(writing, webhookId, key)
}
