import type { Pool } from 'pg'
import { classOf } from '../../base/histogram.ts'
import type { Settlement, SettleResult } from '../../webhooks/port.ts'
import { lastErrorOf, storable } from '../rows.ts'
import { type Queryable, transaction } from './connection.ts'
import { lockKeys, replaceStale, unblockFirst } from './order.ts'
import { insertTallies, insertTotals } from './tally.ts'

/**
 * Writes outcomes, each only while its claim holds: delivery, attempt and roll-ups together, or nothing. No delivery may be named twice.
 * Ends of ordered deliveries are written apart, in a transaction that holds the locks of their orders. Whoever dies before a retry was looked
 * at for newer ones leaves one that is sent once more than it need be.
 */
export async function settle(
  pool: Pool,
  settlements: readonly Settlement[],
  nudge: (webhookId: string) => void,
): Promise<SettleResult[]> {
  const { true: ending = [], false: others = [] } = Object.groupBy(settlements, (each) => String(endsInOrder(each)))
  const results = new Map<Settlement, SettleResult>()
  const take = (settled: SettleResult[], of: readonly Settlement[]) => {
    for (const [index, each] of of.entries()) results.set(each, settled[index]!)
  }
  if (others.some(failsWebhook)) take(await transaction(pool, 'begin', (db) => settleAndFail(db, others)), others)
  else if (others.length > 0) take(await settleAll(pool, others), others)
  const again = others.filter((each) => isCollapsible(each) && results.get(each)!.written)
  if (again.length > 0) {
    const stale = again.map(({ deliveryId }) => deliveryId)
    for (const webhookId of await transaction(pool, 'begin', (db) => replaceStale(db, stale))) nudge(webhookId)
  }
  if (ending.length > 0) {
    const keys = ending.map(({ webhookId, orderKey }) => ({ webhookId, orderKey: orderKey! }))
    const settled = await transaction(pool, 'begin', async (db) => {
      await lockKeys(db, keys)
      const settled = await settleAndFail(db, ending)
      for (const webhookId of await unblockFirst(db, keys)) nudge(webhookId)
      return settled
    })
    take(settled, ending)
  }
  return settlements.map((each) => results.get(each)!)
}

function endsInOrder({ outcome, orderKey }: Settlement): boolean {
  return outcome.state !== 'waiting' && orderKey !== null
}

/** It will be tried again, unless a newer one has come meanwhile. */
function isCollapsible({ outcome, collapseKey }: Settlement): boolean {
  return outcome.state === 'waiting' && collapseKey !== null
}

async function settleAndFail(db: Queryable, settlements: readonly Settlement[]): Promise<SettleResult[]> {
  const results = await settleAll(db, settlements)
  const fatal = settlements.filter((settlement, index) => failsWebhook(settlement) && results[index]!.written)
  const failed = await failWebhooks(db, fatal)
  return results.map((result, index) =>
    failed.has(settlements[index]!.webhookId) ? { ...result, webhookState: 'failed' } : result,
  )
}

/**
 * `|| ''` leaves the planner only the primary key: from statistics of an emptier table it concludes that a partial index is tiny, and reads
 * all of it for every row.
 */
async function settleAll(db: Queryable, settlements: readonly Settlement[]): Promise<SettleResult[]> {
  const attempts = settlements.map(({ attempt }) => attempt)
  type Answer = { written: boolean; webhook_state: SettleResult['webhookState'] | null }
  const { rows } = await db.query<Answer>({
    name: 'settle',
    text: `with s as materialized (
        select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[],
                             $8::int[], $9::bigint[], $10::float8[], $11::int[], $12::text[], $13::text[], $14::text[], $15::int[])
          with ordinality as s (delivery_id, webhook_id, node, state, due_at, ended_at, last_error, number, started_at, duration_ms,
                                status_code, error, response_headers, response_body, took, position)),
      written as (
        update delivery set state = s.state, due_at = s.due_at, claimed_by = null,
          settled_at = case when s.state = 'waiting' then null else s.ended_at end,
          attempts = coalesce(s.number, delivery.attempts),
          last_status_code = case when s.number is null then delivery.last_status_code else s.status_code end,
          last_error = case when s.number is null then coalesce(s.last_error, delivery.last_error) else s.last_error end
        from s
        where delivery.id = s.delivery_id and delivery.webhook_id || '' = s.webhook_id and delivery.claimed_by || '' = s.node
          and delivery.state || '' = 'waiting' and (s.number is null or delivery.attempts = s.number - 1)
        returning s.*),
      logged as (
        insert into attempt
          (delivery_id, number, webhook_id, started_at, duration_ms, status_code, error, response_headers, response_body)
        select delivery_id, number, webhook_id, started_at, duration_ms, status_code, error, response_headers, response_body
        from written where number is not null),
      tallied as (${insertTallies('written')}),
      totals as (${insertTotals('written')})
      select s.position in (select position from written) as written,
        (select webhook.state from webhook where webhook.id = s.webhook_id and webhook.removed_at is null) as webhook_state
      from s order by s.position`,
    values: [
      settlements.map(({ deliveryId }) => deliveryId),
      settlements.map(({ webhookId }) => webhookId),
      settlements.map(({ node }) => node),
      settlements.map(({ outcome }) => outcome.state),
      settlements.map(({ outcome }) => (outcome.state === 'waiting' ? outcome.dueAt : null)),
      settlements.map(({ endedAt }) => endedAt),
      settlements.map(lastErrorOf),
      attempts.map((attempt) => attempt?.number ?? null),
      attempts.map((attempt) => attempt?.startedAt ?? null),
      attempts.map((attempt) => attempt?.durationMs ?? null),
      attempts.map((attempt) => attempt?.statusCode ?? null),
      attempts.map((attempt) => storable(attempt?.error ?? null)),
      attempts.map((attempt) => (attempt?.responseHeaders ? JSON.stringify(attempt.responseHeaders) : null)),
      attempts.map((attempt) => storable(attempt?.responseBody ?? null)),
      attempts.map((attempt) => (attempt === null || attempt.statusCode === null ? null : classOf(attempt.durationMs))),
    ],
  })
  return rows.map((row) => ({ written: row.written, webhookState: row.webhook_state ?? 'removed' }))
}

function failsWebhook({ outcome }: Settlement): boolean {
  return outcome.state === 'failed' && outcome.webhookFails
}

/** Turns webhooks off that are still on, each with the first reason. Returns which. */
async function failWebhooks(db: Queryable, fatal: readonly Settlement[]): Promise<ReadonlySet<string>> {
  if (fatal.length === 0) return new Set()
  await db.query('update webhook_set set version = version + 1')
  const first = [...new Map(fatal.toReversed().map((settlement) => [settlement.webhookId, settlement])).values()]
  const { rows } = await db.query<{ id: string }>(
    `update webhook set state = 'failed', failed_reason = f.reason, failed_delivery_id = f.delivery_id, off_since = f.at, updated_at = f.at
     from unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) as f (id, reason, at, delivery_id)
     where webhook.id = f.id and webhook.state = 'active' and webhook.removed_at is null returning webhook.id`,
    [
      first.map(({ webhookId }) => webhookId),
      first.map(({ outcome }) => (outcome.state === 'failed' ? storable(outcome.reason) : null)),
      first.map(({ endedAt }) => endedAt),
      first.map(({ deliveryId }) => deliveryId),
    ],
  )
  return new Set(rows.map((row) => row.id))
}
