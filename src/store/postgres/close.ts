import type { Queryable } from './connection.ts'

export interface Closing {
  readonly intent: { readonly id: string; readonly node: string }
  readonly claim: { readonly node: string; readonly deliveryIds: readonly string[] }
}

/**
 * Ends intents whose deeds are done: events said, deliveries let go, those of `claim` into the hands of their node. Returns the webhooks
 * that got deliveries which are nobody's.
 */
export async function closeIntent(db: Queryable, closings: readonly Closing[]): Promise<string[]> {
  const claims = closings.flatMap(({ claim }) => claim.deliveryIds.map((id) => ({ id, node: claim.node })))
  const { rows } = await db.query<{ webhook_id: string }>({
    name: 'close_intent',
    text: `with closed as (
        delete from intent using unnest($1::text[], $2::text[]) as k (id, node)
        where intent.id = k.id and intent.node = k.node returning intent.id, intent.event_id),
      freed as (delete from intent_path where intent_id in (select id from closed)),
      said as (update event set state = 'said' where id in (select event_id from closed) and state = 'held'),
      held as materialized (
        select delivery.id, claim.node from closed
        join delivery on delivery.event_id = closed.event_id and delivery.cause = 'event' and delivery.state = 'held'
        left join unnest($3::text[], $4::text[]) as claim (id, node) on claim.id = delivery.id),
      let_go as (
        update delivery set state = 'waiting', due_at = delivery.created_at, claimed_by = held.node
        from held where delivery.id = held.id and delivery.state = 'held'
        returning delivery.webhook_id, delivery.claimed_by)
      select distinct webhook_id from let_go where claimed_by is null`,
    values: [
      closings.map(({ intent }) => intent.id),
      closings.map(({ intent }) => intent.node),
      claims.map(({ id }) => id),
      claims.map(({ node }) => node),
    ],
  })
  return rows.map((row) => row.webhook_id)
}
