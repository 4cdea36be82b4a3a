import { sql } from 'kysely'
import { TOTAL_COUNTS } from '../tally.ts'
import type { Work } from '../work.ts'

/**
 * Cancels those of these deliveries that wait and are in nobody's hands: counted, and whatever waited behind them may go. Returns how
 * many. `reason` null: none is shown.
 */
export async function cancelDeliveries(
  work: Work,
  ids: readonly string[],
  end: { at: number; reason: string | null },
): Promise<number> {
  if (ids.length === 0) return 0
  const unblock = await work.endingOf(ids)
  const rows = await work.db
    .updateTable('delivery')
    .set({
      ...{ state: 'cancelled', due_at: null, is_blocked: 0, settled_at: end.at },
      ...(end.reason === null ? {} : { last_error: end.reason }),
    })
    .where(work.isAmong('id', ids))
    // Not as parameters or bare columns: they would tempt the planner to an index of all that waits.
    .where(sql<boolean>`state || '' = 'waiting' and coalesce(claimed_by, '') = ''`)
    .returning('webhook_id')
    .execute()
  await countTotals(
    work,
    rows.map((row) => ({ webhookId: row.webhook_id, state: 'cancelled' })),
    1,
  )
  await unblock()
  return rows.length
}

/** Deliveries that ended and are stored now (1), or are not stored any more (-1). */
export async function countTotals(
  { db, part }: Work,
  ended: readonly { webhookId: string; state: string }[],
  sign: 1 | -1,
): Promise<void> {
  if (ended.length === 0) return
  const byWebhook = Map.groupBy(ended, ({ webhookId }) => webhookId)
  const rows = Array.from(byWebhook, ([webhookId, group]) => {
    const count = (state: string) => sign * group.filter((each) => each.state === state).length
    return { webhook_id: webhookId, delivered: count('delivered'), failed: count('failed'), cancelled: count('cancelled') }
  })
  // In one order, so that two who count wait and do not deadlock.
  rows.sort((a, b) => (a.webhook_id < b.webhook_id ? -1 : 1))
  await db
    .insertInto('delivery_total')
    .values(rows.map((row) => ({ ...row, part })))
    .onConflict((conflict) =>
      conflict
        .columns(['webhook_id', 'part'])
        .doUpdateSet((e) =>
          Object.fromEntries(TOTAL_COUNTS.map((name) => [name, e(`delivery_total.${name}`, '+', e.ref(`excluded.${name}`))])),
        ),
    )
    .execute()
}
