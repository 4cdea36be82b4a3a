import type { ExplainStore } from '../../webhooks/recovery/explain.ts'
import type { Units } from './units.ts'

export const explainUnits: Units<ExplainStore> = {
  async standingOf({ db }, webhookId, deliveryId) {
    const row = await db
      .selectFrom('delivery')
      .select(['claimed_by', 'order_key', 'is_blocked'])
      .where('id', '=', deliveryId)
      .where('webhook_id', '=', webhookId)
      .where('state', '=', 'waiting')
      .executeTakeFirst()
    if (row === undefined) return { isInHand: false, blockedBy: null }
    if (row.is_blocked === 0) return { isInHand: row.claimed_by !== null, blockedBy: null }
    const first = await db
      .selectFrom('delivery')
      .select('id')
      .where('webhook_id', '=', webhookId)
      .where('order_key', '=', row.order_key)
      .where('state', '=', 'waiting')
      .where('is_blocked', '=', 0)
      .orderBy('order_position')
      .limit(1)
      .executeTakeFirst()
    return { isInHand: false, blockedBy: first?.id ?? null }
  },
}
