import { sql } from 'kysely'
import type { DeliveryStore } from '../../webhooks/port.ts'
import { toWebhook } from '../rows.ts'
import type { Store } from '../store.ts'
import { cancelDeliveries } from './ends.ts'
import { isLost } from './lost.ts'
import type { Units } from './units.ts'

/** What the engine asks for now and then; its hot path (`claim`, `dueWebhooks`, `settle`) is written by hand. */
export const claimUnits: Units<Omit<DeliveryStore, 'claim' | 'dueWebhooks' | 'settle'> & Pick<Store, 'forgetNode'>> = {
  async beat({ db }, node, at) {
    await db
      .insertInto('node')
      .values({ id: node.id, started_at: node.startedAt, beat_at: at })
      .onConflict((conflict) => conflict.column('id').doUpdateSet({ started_at: node.startedAt, beat_at: at }))
      .execute()
  },

  async forgetNode({ db }, node) {
    await db.deleteFrom('node').where('id', '=', node).execute()
  },

  async freeClaims(work, node, now, silentMs) {
    const { numUpdatedRows } = await work.db
      .updateTable('delivery')
      .set({ claimed_by: null })
      .where('claimed_by', 'is not', null)
      .where(isLost(work, 'delivery.claimed_by', node, sql<number>`${now - silentMs}`))
      .executeTakeFirstOrThrow()
    return Number(numUpdatedRows)
  },

  async unclaim(work, node, deliveryIds) {
    await work.db
      .updateTable('delivery')
      .set({ claimed_by: null })
      .where(work.isAmong('id', deliveryIds))
      .where('claimed_by', '=', node)
      .execute()
  },

  async unclaimAllBut(work, node, kept) {
    const { numUpdatedRows } = await work.db
      .updateTable('delivery')
      .set({ claimed_by: null })
      .where('claimed_by', '=', node)
      .where(sql<boolean>`not (${work.isAmong('id', kept)})`)
      .executeTakeFirstOrThrow()
    return Number(numUpdatedRows)
  },

  async targets({ db }, webhookIds) {
    if (webhookIds.length === 0) return []
    const rows = await db
      .selectFrom('webhook')
      .selectAll()
      .where('id', 'in', webhookIds)
      .where('removed_at', 'is', null)
      .execute()
    return rows.map(toWebhook)
  },

  async cancelOrphans(work, limit) {
    const orphans = await work.db
      .selectFrom('webhook')
      .innerJoin('delivery', 'delivery.webhook_id', 'webhook.id')
      .select(['delivery.id', 'webhook.removed_at'])
      .where((e) =>
        e.and([
          e('removed_at', 'is not', null),
          e('delivery.state', '=', sql.lit<string>('waiting')),
          e('claimed_by', 'is', null),
        ]),
      )
      .limit(limit)
      .execute()
    let cancelled = 0
    // The removal was their end, so it is also its time.
    for (const [removedAt, rows] of Map.groupBy(orphans, (row) => row.removed_at)) {
      const ids = rows.map((row) => row.id)
      cancelled += await cancelDeliveries(work, ids, { at: removedAt!, reason: null })
    }
    return cancelled
  },
}
