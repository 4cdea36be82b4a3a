import type { Pool } from 'pg'
import { classOf } from '../../base/histogram.ts'
import type { Settlement, SettleResult } from '../../webhooks/port.ts'
import { storable } from '../rows.ts'
import { type Queryable, transaction } from './connection.ts'
import { lockOrders, replaceStale, unblockFirst } from './order.ts'
import { insertTallies, insertTotals } from './tally.ts'

/**
 * Writes outcomes, each only while its claim holds: delivery, attempt and roll-ups together, or nothing. No delivery may be named twice.
 * The end of an ordered delivery is left out by the first statement, and follows in a transaction that holds the lock of its order.
 */
export async function settle(
  pool: Pool,
  settlements: readonly Settlement[],
  nudge: (webhookId: string) => void,
): Promise<SettleResult[]> {
  const results = settlements.some(failsWebhook)
    ? await transaction(pool, 'begin', (db) => settleAndFail(db, settlements, { ordered: false }))
    : await settleAll(pool, settlements, { ordered: false })
  const again = settlements.filter((_, index) => results[index]!.isCollapsible)
  if (again.length > 0) {
    const stale = again.map(({ deliveryId }) => deliveryId)
    for (const webhookId of await transaction(pool, 'begin', (db) => replaceStale(db, stale))) nudge(webhookId)
  }
  const late = settlements.filter((_, index) => results[index]!.isLeft)
  if (late.length === 0) return results.map(toResult)
  const settled = await transaction(pool, 'begin', async (db) => {
    const keys = await lockOrders(db, late.map(({ deliveryId }) => deliveryId)) // biome-ignore format: one line
    const lateResults = await settleAndFail(db, late, { ordered: true })
    for (const webhookId of await unblockFirst(db, keys)) nudge(webhookId)
    return lateResults
  })
  return results.map((result) => toResult(result.isLeft ? settled.shift()! : result))
}

/**
 * `isLeft`: it ends an ordered delivery, and nothing was written yet. `isCollapsible`: it will be tried again, unless a newer one has come
 * meanwhile; whoever dies before that was looked at leaves one that is sent once more than it need be.
 */
type Settled = SettleResult & { isLeft: boolean; isCollapsible: boolean }

function toResult({ written, webhookState }: Settled): SettleResult {
  return { written, webhookState }
}

async function settleAndFail(db: Queryable, settlements: readonly Settlement[], which: { ordered: boolean }): Promise<Settled[]> {
  const results = await settleAll(db, settlements, which)
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
async function settleAll(
  db: Queryable,
  settlements: readonly Settlement[],
  { ordered }: { ordered: boolean },
): Promise<Settled[]> {
  const attempts = settlements.map(({ attempt }) => attempt)
  type Answer = {
    written: boolean
    is_left: boolean
    is_collapsible: boolean
    webhook_state: SettleResult['webhookState'] | null
  }
  const { rows } = await db.query<Answer>({
    name: 'settle',
    text: `with s as materialized (
        select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[],
                             $8::int[], $9::bigint[], $10::float8[], $11::int[], $12::text[], $13::text[], $14::text[], $15::int[])
          with ordinality as s (delivery_id, webhook_id, node, state, due_at, ended_at, reason, number, started_at, duration_ms,
                                status_code, error, response_headers, response_body, took, position)),
      written as (
        update delivery set state = s.state, due_at = s.due_at, claimed_by = null,
          settled_at = case when s.state = 'waiting' then null else s.ended_at end,
          attempts = coalesce(s.number, delivery.attempts),
          last_status_code = case when s.number is null then delivery.last_status_code else s.status_code end,
          last_error = case when s.number is null then coalesce(s.reason, delivery.last_error) else s.error end
        from s
        where delivery.id = s.delivery_id and delivery.webhook_id || '' = s.webhook_id and delivery.claimed_by || '' = s.node
          and delivery.state || '' = 'waiting' and (s.number is null or delivery.attempts = s.number - 1)
          and (delivery.order_key is null or s.state = 'waiting' or $16)
        returning s.position),
      done as materialized (select s.* from s where s.position in (select position from written)),
      logged as (
        insert into attempt
          (delivery_id, number, webhook_id, started_at, duration_ms, status_code, error, response_headers, response_body)
        select delivery_id, number, webhook_id, started_at, duration_ms, status_code, error, response_headers, response_body
        from done where number is not null),
      tallied as (${insertTallies('done')}),
      totals as (${insertTotals('done')})
      select s.position in (select position from written) as written, webhook.state as webhook_state,
        case when $16 or s.state = 'waiting' or s.position in (select position from written) then false
          else exists (select from delivery as d where d.id = s.delivery_id and d.order_key is not null) end as is_left,
        case when s.state = 'waiting' and s.position in (select position from written)
          then exists (select from delivery as d where d.id = s.delivery_id and d.collapse_key || '' is not null)
          else false end as is_collapsible
      from s left join webhook on webhook.id = s.webhook_id and webhook.removed_at is null order by s.position`,
    values: [
      settlements.map(({ deliveryId }) => deliveryId),
      settlements.map(({ webhookId }) => webhookId),
      settlements.map(({ node }) => node),
      settlements.map(({ outcome }) => outcome.state),
      settlements.map(({ outcome }) => (outcome.state === 'waiting' ? outcome.dueAt : null)),
      settlements.map(({ endedAt }) => endedAt),
      settlements.map(({ outcome }) => ('reason' in outcome ? storable(outcome.reason) : null)),
      attempts.map((attempt) => attempt?.number ?? null),
      attempts.map((attempt) => attempt?.startedAt ?? null),
      attempts.map((attempt) => attempt?.durationMs ?? null),
      attempts.map((attempt) => attempt?.statusCode ?? null),
      attempts.map((attempt) => storable(attempt?.error ?? null)),
      attempts.map((attempt) => (attempt?.responseHeaders ? JSON.stringify(attempt.responseHeaders) : null)),
      attempts.map((attempt) => storable(attempt?.responseBody ?? null)),
      attempts.map((attempt) => (attempt === null || attempt.statusCode === null ? null : classOf(attempt.durationMs))),
      ordered,
    ],
  })
  return rows.map((row) => ({
    ...{ written: row.written, webhookState: row.webhook_state ?? 'removed' },
    ...{ isLeft: row.is_left, isCollapsible: row.is_collapsible },
  }))
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
