import { type ExpressionBuilder, sql } from 'kysely'
import { AppError } from '../../base/error.ts'
import type { OpenReplay, Replay, ReplayProgress, ReplayStore } from '../../webhooks/recovery/replay-port.ts'
import { toEvent } from '../rows.ts'
import type { ReplayTable, Tables } from '../tables.ts'
import { countOf, found, isUniqueViolation, ONE, pageOf, TOTAL_COUNTED_MAX, type Work } from '../work.ts'
import { note } from './accounts.ts'
import { cancelDeliveries } from './ends.ts'
import { isLost, silentSince } from './lost.ts'
import type { Units } from './units.ts'
import { insertDue } from './webhooks.ts'

/** Deliveries of a cancelled replay that are cancelled in one step; a replay has fewer waiting, but for what came back. */
const LEFTOVERS_STEP = 500

export const replayUnits: Units<ReplayStore> = {
  async createReplay(work, replay, audit) {
    const { db } = work
    const webhook = await db
      .selectFrom('webhook')
      .select('id')
      .where('id', '=', replay.webhookId)
      .where('removed_at', 'is', null)
      .executeTakeFirst()
    found(webhook, 'webhook')
    const running = await db
      .selectFrom('replay')
      .select('id')
      .where((e) => e.and([e('webhook_id', '=', replay.webhookId), e('state', '=', sql.lit<string>('running'))]))
      .executeTakeFirst()
    if (running !== undefined) throw isRunning(running.id)
    try {
      await db.insertInto('replay').values(fromReplay(replay)).execute()
    } catch (error) {
      // Two that began at the same time; only the other one has been committed.
      throw isUniqueViolation(error) ? isRunning('that has just begun') : error
    }
    await note(work, audit)
  },

  async findReplay(work, webhookId, id) {
    const row = await work.db
      .selectFrom('replay')
      .selectAll()
      .where('id', '=', id)
      .where('webhook_id', '=', webhookId)
      .executeTakeFirst()
    return row && toProgress(work, row)
  },

  async listReplays(work, webhookId, page) {
    const query = work.db.selectFrom('replay').where('webhook_id', '=', webhookId)
    const { rows, total } = await pageOf(
      {
        count: () => countOf(work.db, query.select(ONE).limit(TOTAL_COUNTED_MAX)),
        list: ({ limit, offset }) => query.selectAll().orderBy('id', 'desc').limit(limit).offset(offset).execute(),
      },
      page,
      (row) => row,
    )
    const progress: ReplayProgress[] = []
    for (const row of rows) progress.push(await toProgress(work, row))
    return { rows: progress, total }
  },

  async cancelReplay(work, webhookId, id, audit) {
    const { db } = work
    // One that has planned everything can be cancelled as long as something of it waits: for its webhook to be turned on, for instance.
    const row = await db
      .updateTable('replay')
      .set({ state: 'cancelled', is_open: 1, updated_at: audit.at, ended_at: audit.at })
      .where('id', '=', id)
      .where('webhook_id', '=', webhookId)
      .where((e) => e.or([e('state', '=', 'running'), e.and([e('state', '=', 'done'), e.exists(waitingOf(db, id).select(ONE))])]))
      .returning('id')
      .executeTakeFirst()
    if (row === undefined) {
      const now = await db
        .selectFrom('replay')
        .select('state')
        .where('id', '=', id)
        .where('webhook_id', '=', webhookId)
        .executeTakeFirst()
      const { state } = found(now, 'replay')
      throw new AppError('conflict', `the replay is ${state} already${state === 'done' ? ', and nothing of it waits' : ''}`)
    }
    await cancelWaiting(work, id, audit.at)
    await note(work, audit)
  },

  async eventsInRange({ db }, { accountId, from, after, before }, limit) {
    // Literals, not parameters: SQLite uses a partial index only where it can see the values.
    let query = db
      .selectFrom('event')
      .selectAll()
      .where((e) => e.and([e('state', '=', sql.lit<string>('said')), e('is_test', '=', sql.lit<number>(0))]))
      .where('id', after === null ? '>=' : '>', after ?? from)
      .where('id', '<', before)
    if (accountId !== null) query = query.where('account_id', '=', accountId)
    return (await query.orderBy('id').limit(limit).execute()).map(toEvent)
  },

  async eventsByIds({ db }, ids) {
    if (ids.length === 0) return []
    const rows = await db
      .selectFrom('event')
      .selectAll()
      .where('id', 'in', ids)
      .where('state', '=', 'said')
      .where('is_test', '=', 0)
      .orderBy('id')
      .execute()
    return rows.map(toEvent)
  },

  async sendingsOf({ db }, webhookId, eventIds) {
    if (eventIds.length === 0) return []
    // One question for each of the two indexes; a delivery is in one of them, or a test.
    const of = (cause: 'event' | 'resend') =>
      db
        .selectFrom('delivery')
        .select(['id', 'event_id', 'state', 'last_error', 'cause'])
        .where('event_id', 'in', eventIds)
        .where((e) => e.and([e('webhook_id', '=', webhookId), e('cause', '=', sql.lit<string>(cause))]))
        .execute()
    const rows = [...(await of('event')), ...(await of('resend'))].filter(({ state }) => state !== 'held')
    return rows
      .sort((one, other) => (one.id < other.id ? -1 : 1))
      .map((row) => ({
        id: row.id,
        eventId: row.event_id,
        state: row.state as 'waiting',
        lastError: row.last_error,
        isResend: row.cause === 'resend',
      }))
  },

  async takeReplays(work, node, limit) {
    const { db } = work
    const free = await db
      .selectFrom('replay')
      .select('id')
      .where('is_open', '=', sql.lit<number>(1))
      .where((e) => e.or([e('node', 'is', null), isLost(work, 'replay.node', node, silentSince(node))]))
      .where(hasWork)
      .orderBy('id')
      .limit(limit)
      .$if(work.others === 'nodes', (query) => query.forUpdate('replay').skipLocked())
      .execute()
    if (free.length > 0) {
      const ids = free.map(({ id }) => id)
      await db.updateTable('replay').set({ node }).where(work.isAmong('id', ids)).execute()
    }
    const rows = await db
      .selectFrom('replay')
      .selectAll()
      .where('is_open', '=', sql.lit<number>(1))
      .where('node', '=', node)
      .where(hasWork)
      .orderBy('id')
      .limit(limit)
      .execute()
    return rows.map((row): OpenReplay => ({ ...toReplay(row), cursor: row.cursor }))
  },

  async releaseReplays({ db }, node) {
    await db
      .updateTable('replay')
      .set({ node: null })
      .where('is_open', '=', sql.lit<number>(1))
      .where('node', '=', node)
      .execute()
  },

  countWaiting({ db }, replayId, limit) {
    return countOf(db, waitingOf(db, replayId).select(ONE).limit(limit))
  },

  async advanceReplay(work, { id, node, cursorBefore, cursor, deliveries, at, isLast }) {
    const row = await work.db
      .updateTable('replay')
      .set((e) => ({ cursor, planned: e('planned', '+', deliveries.length), updated_at: at }))
      .where('id', '=', id)
      .where('state', '=', 'running')
      .where('node', '=', node)
      .where('cursor', cursorBefore === null ? 'is' : '=', cursorBefore)
      .returning('planned')
      .executeTakeFirst()
    if (row === undefined) return false
    await insertDue(work, deliveries, at)
    if (isLast) {
      const ended = { state: 'done', is_open: 0, matched: row.planned, is_counted: 1, ended_at: at }
      await work.db.updateTable('replay').set(ended).where('id', '=', id).execute()
    }
    return true
  },

  async cancelLeftovers(work, replayId, at) {
    await cancelWaiting(work, replayId, at)
    const left = await waitingOf(work.db, replayId).select('id').limit(1).executeTakeFirst()
    if (left !== undefined) return
    await work.db.updateTable('replay').set({ is_open: 0 }).where('id', '=', replayId).where('state', '=', 'cancelled').execute()
  },
}

function isRunning(which: string): AppError {
  return new AppError('conflict', `the webhook has a replay that is running: ${which}; cancel it, or wait for its end`)
}

/** Not one that runs for a webhook which is off: nothing can be done for it, and many such would keep the others from being taken. */
function hasWork(e: ExpressionBuilder<Tables, 'replay'>) {
  const isOff = e
    .selectFrom('webhook')
    .select(ONE)
    .whereRef('webhook.id', '=', 'replay.webhook_id')
    .where('removed_at', 'is', null)
    .where('webhook.state', '<>', 'active')
  return e.or([e('replay.state', '=', 'cancelled'), e.not(e.exists(isOff))])
}

function waitingOf(db: Work['db'], replayId: string) {
  return db.selectFrom('delivery').where('replay_id', '=', replayId).where('state', '=', 'waiting')
}

/** Those that nobody has in hand. */
async function cancelWaiting(work: Work, replayId: string, at: number): Promise<void> {
  const rows = await waitingOf(work.db, replayId).where('claimed_by', 'is', null).select('id').limit(LEFTOVERS_STEP).execute()
  const ids = rows.map(({ id }) => id)
  await cancelDeliveries(work, ids, { at, reason: 'the replay was cancelled' })
}

async function toProgress({ db }: Work, row: ReplayTable): Promise<ReplayProgress> {
  const some = db.selectFrom('delivery').select('state').where('replay_id', '=', row.id).limit(TOTAL_COUNTED_MAX)
  const counted = await db
    .selectFrom(some.as('some'))
    .select((e) => ['state', e.fn.countAll<number>().as('total')])
    .groupBy('state')
    .execute()
  const total = new Map(counted.map((one) => [one.state, Number(one.total)]))
  const of = (state: string) => total.get(state) ?? 0
  return {
    ...toReplay(row),
    ...{ waiting: of('waiting'), delivered: of('delivered'), failed: of('failed'), cancelled: of('cancelled') },
  }
}

function toReplay(row: ReplayTable): Replay {
  return {
    id: row.id,
    webhookId: row.webhook_id,
    accountId: row.account_id,
    request: JSON.parse(row.request),
    state: row.state as Replay['state'],
    matched: row.matched,
    isCounted: row.is_counted === 1,
    planned: row.planned,
    createdAt: row.created_at,
    endedAt: row.ended_at,
  }
}

function fromReplay(replay: Replay): ReplayTable {
  return {
    id: replay.id,
    webhook_id: replay.webhookId,
    account_id: replay.accountId,
    request: JSON.stringify(replay.request),
    state: replay.state,
    is_open: replay.state === 'running' ? 1 : 0,
    cursor: null,
    matched: replay.matched,
    is_counted: replay.isCounted ? 1 : 0,
    planned: replay.planned,
    node: null,
    created_at: replay.createdAt,
    updated_at: replay.createdAt,
    ended_at: replay.endedAt,
  }
}
