import { sql } from 'kysely'
import type { DeliveryStore } from '../../webhooks/port.ts'
import { toWebhook } from '../rows.ts'
import type { Store } from '../store.ts'
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
      .where('id', 'in', work.listed(deliveryIds))
      .where('claimed_by', '=', node)
      .execute()
  },

  async unclaimAllBut(work, node, kept) {
    const { numUpdatedRows } = await work.db
      .updateTable('delivery')
      .set({ claimed_by: null })
      .where('claimed_by', '=', node)
      .where('id', 'not in', work.listed(kept))
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

  async cancelOrphans({ db }, limit) {
    const orphans = db
      .selectFrom('delivery')
      .innerJoin('webhook', 'webhook.id', 'delivery.webhook_id')
      .select('delivery.id')
      .where((e) =>
        e.and([
          e('removed_at', 'is not', null),
          e('delivery.state', '=', sql.lit<string>('waiting')),
          e('claimed_by', 'is', null),
        ]),
      )
      .limit(limit)
    const { numUpdatedRows } = await db
      .updateTable('delivery')
      .from('webhook')
      // The removal was their end: a row needs no time of its own for that.
      .set((e) => ({ state: 'cancelled', due_at: null, settled_at: e.ref('webhook.removed_at') }))
      .whereRef('webhook.id', '=', 'delivery.webhook_id')
      .where('delivery.id', 'in', orphans)
      .where((e) => e.and([e('delivery.state', '=', sql.lit<string>('waiting')), e('claimed_by', 'is', null)]))
      .executeTakeFirstOrThrow()
    return Number(numUpdatedRows)
  },
}
