import type { DeliveryTable } from '../tables.ts'
import { takePlace } from './order.ts'
import type { Writing } from './writing.ts'

/** Ends an intent whose deed is done: event said, deliveries let go, those of `claim` into the hands of its node. */
export function closeIntent(
  writing: Writing,
  intent: { id: string; node: string },
  claim: { node: string; deliveryIds: readonly string[] },
): void {
  const closed = writing.prepare('delete from intent where id = ? and node = ? returning event_id').get(intent.id, intent.node)
  if (closed === undefined) return
  const eventId = closed.event_id as string
  writing.prepare('delete from intent_path where intent_id = ?').run(intent.id)
  writing
    .prepare(`update event set state = 'said', position = ? where id = ? and state = 'held'`)
    .run(writing.nextPosition(), eventId)
  const letGo = writing.prepare(
    `update delivery set state = 'waiting', due_at = created_at, claimed_by = ? where id = ? and event_id = ? and state = 'held'`,
  )
  for (const id of claim.deliveryIds) letGo.run(claim.node, id, eventId)
  const rest = writing
    .prepare(
      `update delivery set state = 'waiting', due_at = created_at
       where event_id = ? and cause = 'event' and state = 'held' returning webhook_id`,
    )
    .all(eventId)
  for (const row of rest) writing.nudge(row.webhook_id as string)
  const keyed = writing
    .prepare(
      `select id, webhook_id, order_key, collapse_key, created_at from delivery
       where event_id = ? and cause = 'event' and coalesce(order_key, collapse_key) is not null`,
    )
    .all(eventId) as unknown as DeliveryTable[]
  for (const { id, webhook_id: webhookId, order_key: orderKey, collapse_key: collapseKey, created_at: createdAt } of keyed) {
    takePlace(writing, { id, webhookId, orderKey, collapseKey, createdAt })
  }
}
