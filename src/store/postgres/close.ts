import type { Pool } from 'pg'
import type { DeliveryTable } from '../tables.ts'
import { type Queryable, transaction } from './connection.ts'
import { hasKey, type Keyed, lockArrivals, takePlaces } from './order.ts'
import { POSITION } from './position.ts'

export interface Closing {
  readonly intent: { readonly id: string; readonly node: string }
  readonly claim: { readonly node: string; readonly deliveryIds: readonly string[] }
}

/**
 * Ends intents whose deeds are done: events said, deliveries let go, those of `claim` into the hands of their node. Returns the webhooks
 * that got deliveries which are nobody's. Intents with a delivery that has a key are left out by the first statement, and follow in a
 * transaction that holds the locks of those keys.
 */
export async function closeIntent(pool: Pool, closings: readonly Closing[]): Promise<string[]> {
  const { webhookIds, keyed } = await close(pool, closings, { withKeys: false })
  if (keyed.length === 0) return webhookIds
  const left = new Set(keyed.map(({ intentId }) => intentId))
  const more = await transaction(pool, 'begin', async (db) => {
    await lockArrivals(db, keyed)
    const late = closings.filter(({ intent }) => left.has(intent.id))
    const closed = await close(db, late, { withKeys: true })
    return [...closed.webhookIds, ...(await takePlaces(db, inOrder(late, closed.keyed)))]
  })
  return [...new Set([...webhookIds, ...more])]
}

type Letting = Keyed & { intentId: string }

/** `keyed`: deliveries with keys, let go or, without `withKeys`, left as they are with all of their intent. */
async function close(db: Queryable, closings: readonly Closing[], { withKeys }: { withKeys: boolean }) {
  const { rows } = await db.query<DeliveryTable & { intent_id: string; is_left: boolean }>({
    name: 'close_intent',
    // Written so that the planner of the queue, which knows no hash joins, has no choice: from the intents to their deliveries, and
    // `coalesce(x in (…), false)` looks into a hash table where `x in (…)` would compare each with all.
    text: `with held as materialized (
        select intent.id as intent_id, d.*, case when d.id in (select unnest($4::text[])) then k.claimed_by end as node
        from unnest($1::text[], $2::text[], $3::text[]) as k (id, node, claimed_by)
        join intent on intent.id = k.id and intent.node = k.node
        cross join lateral (
          select d.id, d.webhook_id, d.order_key, d.collapse_key from delivery as d
          where d.event_id = intent.event_id and d.cause = 'event' and d.state = 'held' offset 0) as d),
      keyed as materialized (select intent_id from held where not $5 and (order_key is not null or collapse_key is not null)),
      closed as (
        delete from intent using unnest($1::text[], $2::text[]) as k (id, node)
        where intent.id = k.id and intent.node = k.node and k.id not in (select intent_id from keyed)
        returning intent.id, intent.event_id),
      freed as (delete from intent_path where intent_id in (select id from closed)),
      said as (
        update event set state = 'said', position = ${POSITION} where id in (select event_id from closed) and state = 'held'),
      let_go as (
        update delivery set state = 'waiting', due_at = delivery.created_at, claimed_by = held.node
        from held where delivery.id = held.id and delivery.state = 'held' and coalesce(held.intent_id in (select id from closed), false)
        returning delivery.id, delivery.webhook_id, delivery.order_key, delivery.collapse_key, delivery.claimed_by, held.intent_id)
      select id, webhook_id, order_key, collapse_key, intent_id, false as is_left from let_go
      where claimed_by is null or order_key is not null or collapse_key is not null
      union all
      select id, webhook_id, order_key, collapse_key, intent_id, true from held
      where coalesce(intent_id in (select intent_id from keyed), false)`,
    values: [
      closings.map(({ intent }) => intent.id),
      closings.map(({ intent }) => intent.node),
      closings.map(({ claim }) => claim.node),
      closings.flatMap(({ claim }) => claim.deliveryIds),
      withKeys,
    ],
  })
  const letGo = rows.filter((row) => !row.is_left)
  return { webhookIds: [...new Set(letGo.map((row) => row.webhook_id))], keyed: rows.map(toLetting).filter(hasKey) }
}

function toLetting(row: DeliveryTable & { intent_id: string }): Letting {
  const { id, webhook_id: webhookId, order_key: orderKey, collapse_key: collapseKey, intent_id: intentId } = row
  return { id, webhookId, orderKey, collapseKey, intentId }
}

/** `returning` promises no order: places are given in that of the calls. */
function inOrder(closings: readonly Closing[], keyed: readonly Letting[]): Letting[] {
  const rank = new Map(closings.map(({ intent }, index) => [intent.id, index]))
  return keyed.toSorted((a, b) => rank.get(a.intentId)! - rank.get(b.intentId)!)
}
