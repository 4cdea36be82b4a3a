import type { ClaimedDelivery } from '../../webhooks/webhook.ts'
import { earliest, toClaimed } from '../rows.ts'
import type { DeliveryTable } from '../tables.ts'
import type { Queryable } from './connection.ts'

/** What may be claimed once it is due; the words of the index `delivery_due`. */
const FREE = `d.state = 'waiting' and d.claimed_by is null and d.is_blocked = 0`

/** Gives this node what is due, oldest first; rows that another node is taking are passed over, not waited for. */
export async function claim(
  db: Queryable,
  node: string,
  wants: readonly { webhookId: string; room: number }[],
  now: number,
): Promise<ClaimedDelivery[]> {
  const { rows } = await db.query<DeliveryTable>({
    name: 'claim',
    text: `with pick as materialized (
        select d.id from unnest($2::text[], $3::int[]) as want (webhook_id, room)
        join webhook on webhook.id = want.webhook_id and webhook.state = 'active' and webhook.removed_at is null
        cross join lateral (
          select d.id from delivery as d
          where d.webhook_id = want.webhook_id and ${FREE} and d.due_at <= $4
          order by d.due_at limit want.room for update skip locked) as d)
      update delivery set claimed_by = $1 from pick where delivery.id = pick.id returning delivery.*`,
    values: [node, wants.map((want) => want.webhookId), wants.map((want) => want.room), now],
  })
  // `returning` promises no order: webhooks as they were named, each oldest first.
  const rank = new Map(wants.map((want, index) => [want.webhookId, index]))
  return rows
    .sort((a, b) => rank.get(a.webhook_id)! - rank.get(b.webhook_id)! || a.due_at! - b.due_at! || (a.id < b.id ? -1 : 1))
    .map(toClaimed)
}

/**
 * Hops over the index from webhook to webhook: one seek for each that has anything waiting, and one more where something is overdue,
 * whatever the number of rows. Webhooks longest overdue come first, so that a full answer starves nobody.
 */
export async function dueWebhooks(
  db: Queryable,
  now: number,
  limit: number,
): Promise<{ webhookIds: string[]; nextDueAt: number | null }> {
  const { rows } = await db.query<{ webhook_id: string; due_at: number; next_due_at: number | null }>({
    name: 'due_webhooks',
    text: `with recursive hop (webhook_id) as (
        (select d.webhook_id from delivery as d where ${FREE} order by d.webhook_id limit 1)
        union all
        select (select d.webhook_id from delivery as d where ${FREE} and d.webhook_id > hop.webhook_id order by d.webhook_id limit 1)
        from hop where hop.webhook_id is not null
      )
      select hop.webhook_id, first.due_at, case when first.due_at > $1 then first.due_at else (
        select d.due_at from delivery as d
        where d.webhook_id = hop.webhook_id and ${FREE} and d.due_at > $1 order by d.due_at limit 1) end as next_due_at
      from hop
      join webhook on webhook.id = hop.webhook_id and webhook.state = 'active' and webhook.removed_at is null
      cross join lateral (
        select d.due_at from delivery as d where d.webhook_id = hop.webhook_id and ${FREE} order by d.due_at limit 1) as first
      order by first.due_at`,
    values: [now],
  })
  const due = rows.filter((row) => row.due_at <= now).slice(0, limit)
  return { webhookIds: due.map((row) => row.webhook_id), nextDueAt: earliest(rows.map((row) => row.next_due_at)) }
}
