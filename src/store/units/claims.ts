import { type Expression, type ExpressionBuilder, type SqlBool, sql } from 'kysely'
import type { DeliveryStore } from '../../webhooks/port.ts'
import { toWebhook } from '../rows.ts'
import type { Store } from '../store.ts'
import type { Tables } from '../tables.ts'
import type { Work } from '../work.ts'
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

  async cancelledReplays({ db }, ids) {
    const rows = await db.selectFrom('replay').select('id').where('id', 'in', ids).where('state', '=', 'cancelled').execute()
    return rows.map(({ id }) => id)
  },

  async cancelOrphans(work, limit) {
    // Each half has an index of its own; asked for together, they would be looked for among all deliveries there are.
    const free = await orphansWhere(work, (e) => e('is_blocked', '=', sql.lit<number>(0)), limit)
    const blocked = await orphansWhere(
      work,
      (e) => e.and([e('is_blocked', '=', sql.lit<number>(1)), e('order_key', 'is not', null)]),
      limit - free.length,
    )
    const orphans = [...free, ...blocked]
    let cancelled = 0
    // The removal was their end, so it is also its time.
    for (const [removedAt, rows] of Map.groupBy(orphans, (row) => row.removed_at)) {
      const ids = rows.map((row) => row.id)
      cancelled += await cancelDeliveries(work, ids, { at: removedAt!, reason: null })
    }
    return cancelled
  },
}

/** Waiting deliveries of removed webhooks that nobody holds. */
function orphansWhere(
  { db }: Work,
  half: (e: ExpressionBuilder<Pick<Tables, 'webhook' | 'delivery'>, 'webhook' | 'delivery'>) => Expression<SqlBool>,
  limit: number,
) {
  return (
    db
      .selectFrom('webhook')
      // In SQLite a cross join also says what to begin with: the few removed webhooks.
      .crossJoin('delivery')
      .select(['delivery.id', 'webhook.removed_at'])
      .whereRef('delivery.webhook_id', '=', 'webhook.id')
      .where('removed_at', 'is not', null)
      .where('delivery.state', '=', sql.lit<string>('waiting'))
      .where('claimed_by', 'is', null)
      .where(half)
      .limit(limit)
      .execute()
  )
}
