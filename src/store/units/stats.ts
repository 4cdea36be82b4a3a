import { type ExpressionBuilder, sql } from 'kysely'
import { TOOK_BOUNDS_MS } from '../../base/histogram.ts'
import type { Tally } from '../../webhooks/monitoring/stats.ts'
import type { FailedDelivery, StatsStore } from '../../webhooks/monitoring/stats-port.ts'
import type { DeliveryTable, Tables, TallyTable } from '../tables.ts'
import type { Units } from './units.ts'

/** Reads roll-ups. A row of the last hour or minute may be of any writer: whoever asks sums them all. */
export const statsUnits: Units<StatsStore> = {
  async tallyOf({ db }, webhookId, { grain, from, until }) {
    const row = await db
      .selectFrom('tally')
      .select(sums)
      .where('webhook_id', '=', webhookId)
      .where('grain', '=', grain)
      .where('at', '>=', from)
      .where('at', '<=', until)
      .executeTakeFirstOrThrow()
    return toTally(row)
  },

  async tallyOfAll({ db }, { grain, from, until }, worstMax) {
    const rows = db.selectFrom('tally').where('grain', '=', grain).where('at', '>=', from).where('at', '<=', until)
    const all = await rows.select(sums).executeTakeFirstOrThrow()
    const worst = await rows
      .select(sums)
      .innerJoin('webhook', 'webhook.id', 'tally.webhook_id')
      .select(['webhook.id', 'webhook.name', 'webhook.account_id'])
      .where('webhook.removed_at', 'is', null)
      .groupBy(['webhook.id', 'webhook.name', 'webhook.account_id'])
      .having((e) => e.fn.sum('failures'), '>', 0)
      .orderBy((e) => e.fn.sum('failures'), 'desc')
      .orderBy('webhook.id')
      .limit(worstMax)
      .execute()
    return {
      all: toTally(all),
      worst: worst.map((row) => ({
        webhookId: row.id,
        webhookName: row.name,
        accountId: row.account_id,
        tally: toTally(row),
      })),
    }
  },

  async recentFailures({ db }, webhookId, limit) {
    const rows = await db
      .selectFrom('delivery')
      .select(FAILURE)
      .where('webhook_id', '=', webhookId)
      // A literal, not a parameter: SQLite uses a partial index only where it can see the value.
      .where((e) => e('state', '=', sql.lit<string>('failed')))
      .orderBy('id', 'desc')
      .limit(limit)
      .execute()
    return rows.map(toFailedDelivery)
  },

  async vitals({ db }, webhookIds, hourFrom, recentFrom) {
    if (webhookIds.length === 0) return []
    const counts = await db
      .selectFrom('tally')
      .select((e) => [
        'webhook_id',
        ...(['attempts', 'failures', 'slow'] as const).flatMap((column) => [
          e.fn.sum<number>(column).as(`hour_${column}`),
          sql<number>`sum(case when at >= ${recentFrom} then ${sql.ref(column)} else 0 end)`.as(`recent_${column}`),
        ]),
      ])
      .where('webhook_id', 'in', webhookIds)
      .where('grain', '=', 'minute')
      .where('at', '>=', hourFrom)
      .groupBy('webhook_id')
      .execute()
    const oldest = await db
      .selectFrom('webhook')
      .select(['webhook.id', (e) => oldestDue(e).as('oldest_due_at')])
      .where('id', 'in', webhookIds)
      .where('removed_at', 'is', null)
      .execute()
    const byId = new Map(counts.map((row) => [row.webhook_id, row as unknown as Record<string, number>]))
    return oldest.map(({ id, oldest_due_at }) => {
      const row = byId.get(id)
      const countsOf = (since: 'hour' | 'recent') => ({
        attempts: row?.[`${since}_attempts`] ?? 0,
        failures: row?.[`${since}_failures`] ?? 0,
        slow: row?.[`${since}_slow`] ?? 0,
      })
      return { webhookId: id, hour: countsOf('hour'), recent: countsOf('recent'), oldestDueAt: oldest_due_at }
    })
  },
}

/** The start of `delivery_due`: one look into an index, however much waits. */
function oldestDue(e: ExpressionBuilder<Tables, 'webhook'>) {
  return e
    .selectFrom('delivery')
    .select((d) => d.fn.min('due_at').as('due_at'))
    .whereRef('delivery.webhook_id', '=', 'webhook.id')
    .where((d) => d('state', '=', sql.lit<string>('waiting')))
    .where('claimed_by', 'is', null)
    .where((d) => d('is_blocked', '=', sql.lit<number>(0)))
}

const COLUMNS = ['attempts', 'failures', 'unauthorized', 'answered', 'slow', 'duration_ms', 'delivered', 'failed'] as const
const TOOK = Array.from({ length: TOOK_BOUNDS_MS.length + 1 }, (_, index) => `took_${index}` as 'took_0')

type Sums = { [Column in (typeof COLUMNS)[number] | `took_${number}`]: number }

/** The sum of each column, 0 where there is no row. Named with their table: a webhook may stand beside them. */
function sums(e: ExpressionBuilder<Tables, 'tally'>) {
  return [...COLUMNS, ...TOOK].map((column) =>
    e.fn.coalesce(e.fn.sum<number>(`tally.${column as keyof TallyTable & string}` as 'tally.failed'), sql.lit(0)).as(column),
  )
}

function toTally(row: object): Tally {
  const { attempts, failures, unauthorized, answered, slow, duration_ms, delivered, failed, ...took } = row as Sums
  return {
    ...{ attempts, failures, unauthorized, answered, slow, durationMs: duration_ms },
    took: TOOK.map((column) => took[column] ?? 0),
    ...{ delivered, failed },
  }
}

const FAILURE = ['id', 'event_id', 'event_type', 'cause', 'attempts', 'last_status_code', 'last_error', 'settled_at'] as const

function toFailedDelivery(row: Pick<DeliveryTable, (typeof FAILURE)[number]>): FailedDelivery {
  return {
    id: row.id,
    eventId: row.event_id,
    eventType: row.event_type,
    cause: row.cause as FailedDelivery['cause'],
    attempts: row.attempts,
    lastStatusCode: row.last_status_code,
    lastError: row.last_error,
    // What failed is settled; the schema vouches for it.
    failedAt: row.settled_at!,
  }
}
