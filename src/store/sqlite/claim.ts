import type { ClaimedDelivery } from '../../webhooks/webhook.ts'
import { earliest, toClaimed } from '../rows.ts'
import type { DeliveryTable } from '../tables.ts'
import type { Writing } from './writing.ts'

/** What may be claimed once it is due; the words of the index `delivery_due`. */
const FREE = `state = 'waiting' and claimed_by is null and is_blocked = 0`

/** Gives this node what is due, oldest first; the cost grows with `room`, not with what waits. */
export function claim(
  writing: Writing,
  node: string,
  wants: readonly { webhookId: string; room: number }[],
  now: number,
): ClaimedDelivery[] {
  // Looked for and taken in two steps: nobody writes in between, and `returning` would cost each row twice as much.
  const find = writing.prepare(
    `select rowid as place, * from delivery where webhook_id = ? and ${FREE} and due_at <= ? order by due_at limit ?`,
  )
  const take = writing.prepare('update delivery set claimed_by = ? where rowid = ?')
  const active = wants.filter(({ webhookId }) => writing.webhooks.get(webhookId)?.state === 'active')
  return active.flatMap(({ webhookId, room }) => {
    const rows = find.all(webhookId, now, room) as unknown as (DeliveryTable & { place: number })[]
    for (const { place } of rows) take.run(node, place)
    return rows.sort((a, b) => a.due_at! - b.due_at! || (a.id < b.id ? -1 : 1)).map(toClaimed)
  })
}

/**
 * Hops over the index from webhook to webhook: one seek for each that has anything waiting, and one more where something is overdue,
 * whatever the number of rows. Webhooks longest overdue come first, so that a full answer starves nobody.
 */
export function dueWebhooks(writing: Writing, now: number, limit: number): { webhookIds: string[]; nextDueAt: number | null } {
  const rows = writing
    .prepare(
      `with recursive hop (webhook_id) as (
         select min(webhook_id) from delivery where ${FREE}
         union all
         select (select min(webhook_id) from delivery where ${FREE} and delivery.webhook_id > hop.webhook_id)
         from hop where hop.webhook_id is not null
       ),
       first as materialized (
         select webhook_id, (select min(due_at) from delivery where delivery.webhook_id = hop.webhook_id and ${FREE}) as due_at
         from hop where webhook_id is not null
       )
       select webhook_id, due_at, case when due_at > :now then due_at else (
         select min(due_at) from delivery where delivery.webhook_id = first.webhook_id and ${FREE} and due_at > :now) end as next_due_at
       from first`,
    )
    .all({ now }) as unknown as { webhook_id: string; due_at: number; next_due_at: number | null }[]
  const waiting = rows
    .filter((row) => writing.webhooks.get(row.webhook_id)?.state === 'active')
    .sort((a, b) => a.due_at - b.due_at)
  const due = waiting.filter((row) => row.due_at <= now).slice(0, limit)
  return { webhookIds: due.map((row) => row.webhook_id), nextDueAt: earliest(waiting.map((row) => row.next_due_at)) }
}
