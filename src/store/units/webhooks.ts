import { sql } from 'kysely'
import { AppError } from '../../base/error.ts'
import type { EventDraft } from '../../events/event.ts'
import type { WebhookStore } from '../../webhooks/port.ts'
import type { DeliveryState, PlannedDelivery } from '../../webhooks/webhook.ts'
import { fromWebhook, LISTED, textOf, toAttempt, toDeliveryRecord, toPlanned, toWebhook } from '../rows.ts'
import type { AttemptTable, DeliveryTable } from '../tables.ts'
import { TOTAL_COUNTS } from '../tally.ts'
import {
  checkOffset,
  countOf,
  found,
  LOOKED_THROUGH_MAX,
  nextOf,
  ONE,
  orTaken,
  pageOf,
  TOTAL_COUNTED_MAX,
  type Work,
} from '../work.ts'
import { note } from './accounts.ts'
import type { Units } from './units.ts'

/** Deliveries that a filter without an index looks through at once; each is a page of the database of its own, read at random. */
const STRETCH_MAX = 2_000

export const webhookUnits: Units<WebhookStore> = {
  async createWebhook(work, webhook, { webhooksMax, plan }, audit) {
    await work.changeWebhooks()
    await checkPlan(work, webhook.accountId, plan)
    const { total } = await work.db
      .selectFrom('webhook')
      .select((e) => e.fn.countAll().as('total'))
      .where('account_id', webhook.accountId === null ? 'is' : '=', webhook.accountId)
      .where('removed_at', 'is', null)
      .executeTakeFirstOrThrow()
    if (Number(total) >= webhooksMax) throw tooMany(Number(total), webhooksMax, webhook.accountId)
    const row = { ...fromWebhook(webhook), egress_allow: await egressOf(work, webhook.accountId) }
    await orTaken(work.db.insertInto('webhook').values(row).execute(), 'A webhook with this id exists already.')
    await note(work, audit)
  },

  async updateWebhook(work, webhook, before, audit) {
    await work.changeWebhooks()
    await checkPlan(work, webhook.accountId, before.plan)
    // Where it may go is the matter of its account.
    const {
      id,
      account_id: _account,
      egress_allow: _egress,
      created_at: _created,
      removed_at: _removed,
      ...columns
    } = fromWebhook(webhook)
    const row = await work.db
      .updateTable('webhook')
      .set(columns)
      .where('id', '=', id)
      .where('removed_at', 'is', null)
      .where('state', '=', before.state)
      .where('updated_at', '=', before.updatedAt)
      .returning('id')
      .executeTakeFirst()
    if (row === undefined) {
      const now = await work.db
        .selectFrom('webhook')
        .select('id')
        .where('id', '=', id)
        .where('removed_at', 'is', null)
        .executeTakeFirst()
      found(now, 'webhook')
      throw new AppError('conflict', 'the webhook was changed meanwhile; try again')
    }
    // Waiting deliveries kept their times while the webhook was off: those that are due are found by them.
    if (webhook.state === 'active') work.nudge(id)
    await note(work, audit)
  },

  async removeWebhook(work, id, audit) {
    await work.changeWebhooks()
    const row = await work.db
      .updateTable('webhook')
      .set({ removed_at: audit.at })
      .where('id', '=', id)
      .where('removed_at', 'is', null)
      .returning('id')
      .executeTakeFirst()
    found(row, 'webhook')
    await note(work, audit)
  },

  async makeDue(work, webhookId, at, limit) {
    const later = await work.db
      .selectFrom('delivery')
      .select('id')
      .where('webhook_id', '=', webhookId)
      .where('state', '=', sql.lit<string>('waiting'))
      .where('claimed_by', 'is', null)
      .where('is_blocked', '=', sql.lit<number>(0))
      .where('due_at', '>', at)
      .orderBy('due_at')
      .limit(limit)
      .execute()
    return changeAll(work, later, { due_at: at })
  },

  async leaveOrder(work, webhookId, kept, limit) {
    const blocked = await work.db
      .selectFrom('delivery')
      .select('id')
      .where('webhook_id', '=', webhookId)
      .where('order_key', 'is not', null)
      .where('order_key', 'not like', `${kept}%`)
      .where('state', '=', sql.lit<string>('waiting'))
      .where('is_blocked', '=', 1)
      .orderBy('order_key')
      .orderBy('order_position')
      .limit(limit)
      .execute()
    const left = await changeAll(work, blocked, { order_key: null, order_position: null, is_blocked: 0 })
    if (left > 0) work.nudge(webhookId)
    return left
  },

  async findWebhook(work, id) {
    const row = await findRow(work, id)
    return row && toWebhook(row)
  },

  listWebhooks({ db }, filter, page) {
    let query = db.selectFrom('webhook').where('removed_at', 'is', null)
    if (filter.accountId !== undefined) query = query.where('account_id', '=', filter.accountId)
    return pageOf(
      {
        count: () => countOf(db, query.select(ONE).limit(TOTAL_COUNTED_MAX)),
        list: ({ limit, offset }) => query.selectAll().orderBy('id').limit(limit).offset(offset).execute(),
      },
      page,
      toWebhook,
    )
  },

  async listDeliveries(work, filter, page) {
    checkOffset(page)
    const { db } = work
    const { webhookId, state, eventType } = filter
    const webhook = await findRow(work, webhookId)
    let all = db.selectFrom('delivery').where('webhook_id', '=', webhookId)
    if (page.after !== undefined) all = all.where('id', '<', page.after)
    // Most of what is stored is delivered, and no index begins with a type: those are looked for in a stretch of the list.
    const isIndexed = eventType === undefined && state !== 'delivered'
    const stretchMax = state === undefined ? LOOKED_THROUGH_MAX : STRETCH_MAX
    const end = isIndexed ? undefined : await all.select('id').orderBy('id', 'desc').limit(1).offset(stretchMax - 1).executeTakeFirst() // biome-ignore format: one line
    const stretch = end === undefined ? all : all.where('id', '>=', end.id)
    const ofType = eventType === undefined ? stretch : stretch.where('event_type', '=', eventType)
    // Literals, not parameters: SQLite uses a partial index only where it can see the values.
    const query = ofType.where((e) => e('state', state === undefined ? '<>' : '=', sql.lit<string>(state ?? 'held')))
    // Of a type alone the index is counted, with the few that are held at the moment.
    const counted = state === undefined ? ofType : query
    const rows = await query.select(LISTED).orderBy('id', 'desc').limit(page.limit).offset(page.offset).execute()
    return {
      rows: rows.map((row) => toDeliveryRecord(row, webhook?.state === 'active')),
      total: eventType === undefined ? await totalOf(db, webhookId, state) : await countOf(db, counted.select(ONE)),
      next: nextOf(rows, page, (row) => row.id, end?.id ?? null),
    }
  },

  async findDelivery(work, webhookId, id) {
    const { db } = work
    const row = await db
      .selectFrom('delivery')
      .selectAll()
      .where('id', '=', id)
      .where('webhook_id', '=', webhookId)
      .where('state', '<>', 'held')
      .executeTakeFirst()
    if (row === undefined) return undefined
    const webhook = await findRow(work, webhookId)
    const attempts = await db.selectFrom('attempt').selectAll().where('delivery_id', '=', id).orderBy('number').execute()
    return {
      delivery: toDeliveryRecord(row, webhook?.state === 'active'),
      planned: toPlanned(row),
      attempts: attempts.map(toAttempt),
    }
  },

  async listAttempts({ db }, webhookId, page) {
    checkOffset(page)
    const all = db.selectFrom('attempt').where('attempt.webhook_id', '=', webhookId)
    const before = page.after === undefined ? undefined : await findAttempt(db, webhookId, page.after)
    const found = page.after !== undefined && before === undefined ? all.where(sql<boolean>`false`) : all
    const rows = await db
      .selectFrom(
        found
          .selectAll()
          .$if(before !== undefined, (query) => query.where(isBefore(before!)))
          .orderBy('started_at', 'desc')
          .orderBy('delivery_id', 'desc')
          .orderBy('number', 'desc')
          .limit(page.limit)
          .offset(page.offset)
          .as('newest'),
      )
      .innerJoin('delivery', 'delivery.id', 'newest.delivery_id')
      .selectAll('newest')
      .select(['delivery.event_type', 'delivery.state as delivery_state'])
      .orderBy('started_at', 'desc')
      .orderBy('delivery_id', 'desc')
      .orderBy('number', 'desc')
      .execute()
    return {
      rows: rows.map((row) => ({
        ...toAttempt(row),
        deliveryId: row.delivery_id,
        eventType: row.event_type,
        deliveryState: row.delivery_state as 'waiting',
      })),
      total: await countOf(db, all.select(ONE).limit(TOTAL_COUNTED_MAX)),
      next: nextOf(rows, page, (row) => `${row.delivery_id}.${row.number}`, null),
    }
  },

  async addDelivery(work, delivery, createdAt, audit) {
    await insertDue(work, [delivery], createdAt)
    await note(work, audit)
  },

  async addTest(work, event, delivery, audit) {
    await insertTestEvent(work, event)
    await insertDue(work, [delivery], event.occurredAt)
    await note(work, audit)
  },
}

/** What another transaction has ended in between stays as it is. */
async function changeAll(
  work: Work,
  rows: readonly { id: string }[],
  columns: Partial<Pick<DeliveryTable, 'due_at' | 'order_key' | 'order_position' | 'is_blocked'>>,
): Promise<number> {
  if (rows.length === 0) return 0
  const ids = rows.map(({ id }) => id)
  const { numUpdatedRows } = await work.db
    .updateTable('delivery')
    .set(columns)
    .where(work.isAmong('id', ids))
    .where('state', '=', 'waiting')
    .executeTakeFirstOrThrow()
  return Number(numUpdatedRows)
}

function tooMany(total: number, webhooksMax: number, accountId: string | null): AppError {
  const whose = accountId === null ? 'without an account' : 'of this account'
  const remedy = accountId === null ? 'remove one' : 'remove one, or change the plan of the account'
  return new AppError('limit_reached', `there are ${total} webhooks ${whose} and ${webhooksMax} are allowed: ${remedy}`)
}

/** Kept with each webhook of an account, so that an attempt reads one row; whoever changes it there changes it here. */
async function egressOf({ db }: Work, accountId: string | null): Promise<string | null> {
  if (accountId === null) return null
  const row = await db.selectFrom('account').select('egress_allow').where('id', '=', accountId).executeTakeFirst()
  return row?.egress_allow ?? null
}

function findRow({ db }: Work, id: string) {
  return db.selectFrom('webhook').selectAll().where('id', '=', id).where('removed_at', 'is', null).executeTakeFirst()
}

/** Whoever changes a plan changes webhooks too, so that it stays as it is read here until this transaction ends. */
async function checkPlan({ db }: Work, accountId: string | null, plan: string | null | undefined): Promise<void> {
  if (accountId === null || plan === undefined) return
  const account = await db.selectFrom('account').select('plan').where('id', '=', accountId).executeTakeFirst()
  if (found(account, 'account').plan !== plan)
    throw new AppError('conflict', 'the plan of the account was changed meanwhile; try again')
}

/** From the totals of what has ended, and a count of what waits. */
async function totalOf(db: Work['db'], webhookId: string, state: DeliveryState | undefined): Promise<number> {
  const isOf = (which: DeliveryState) => state === undefined || state === which
  const ended = await db
    .selectFrom('delivery_total')
    .select((e) => TOTAL_COUNTS.map((name) => e.fn.coalesce(e.fn.sum<number>(name), sql.lit(0)).as(name)))
    .where('webhook_id', '=', webhookId)
    .executeTakeFirstOrThrow()
  const waiting = db
    .selectFrom('delivery')
    .select(ONE)
    .where('webhook_id', '=', webhookId)
    .where((e) => e('state', '=', sql.lit<string>('waiting')))
    .limit(TOTAL_COUNTED_MAX)
  const counts = TOTAL_COUNTS.filter(isOf).map((name) => Number(ended[name]))
  return counts.reduce((a, b) => a + b, isOf('waiting') ? await countOf(db, waiting) : 0)
}

/** The attempt of an id such as `dlv_….2`; undefined: it is not stored any more, and nothing before it is. */
async function findAttempt(db: Work['db'], webhookId: string, id: string) {
  const [deliveryId = '', number = ''] = id.split('.')
  if (!/^[1-9]\d{0,8}$/.test(number)) throw new AppError('invalid', `after is ${JSON.stringify(id.slice(0, 80))}, which names no attempt`, { field: 'after' }) // biome-ignore format: one line
  return (
    db
      .selectFrom('attempt')
      .select(['started_at', 'delivery_id', 'number'])
      .where('delivery_id', '=', deliveryId)
      .where('number', '=', Number(number))
      // That of another webhook says nothing here, not even when it was made.
      .where('webhook_id', '=', webhookId)
      .executeTakeFirst()
  )
}

/** The first condition is for the index, which knows the times only. */
function isBefore({ started_at, delivery_id, number }: Pick<AttemptTable, 'started_at' | 'delivery_id' | 'number'>) {
  return sql<boolean>`started_at <= ${started_at} and (started_at, delivery_id, number) < (${started_at}, ${delivery_id}, ${number})`
}

async function insertTestEvent({ db }: Work, event: EventDraft): Promise<void> {
  const row = {
    id: event.id,
    type: event.type,
    account_id: event.accountId,
    occurred_at: event.occurredAt,
    data: JSON.stringify(event.data),
    state: 'said',
    is_test: 1,
  }
  await orTaken(db.insertInto('event').values(row).execute(), 'An event with this id exists already.')
}

/** Deliveries of one webhook, waiting and due from `createdAt` on, in their order. */
export async function insertDue(work: Work, deliveries: readonly PlannedDelivery[], createdAt: number): Promise<void> {
  const webhookId = deliveries[0]?.webhookId
  if (webhookId === undefined) return
  found(await findRow(work, webhookId), 'webhook')
  const rows = deliveries.map((delivery) => ({
    id: delivery.id,
    event_id: delivery.eventId,
    event_type: delivery.eventType,
    webhook_id: delivery.webhookId,
    cause: delivery.cause,
    dialect: delivery.dialect,
    body: delivery.body,
    headers: textOf(delivery.headers),
    order_key: delivery.orderKey,
    collapse_key: delivery.collapseKey,
    replay_id: delivery.replayId,
    is_blocked: 0,
    state: 'waiting',
    due_at: createdAt,
    attempts: 0,
    created_at: createdAt,
  }))
  await orTaken(work.db.insertInto('delivery').values(rows).execute(), 'A delivery with this id exists already.')
  await work.takePlaces(deliveries.map((delivery) => ({ ...delivery, createdAt })))
  work.nudge(webhookId)
}
