import { sql } from 'kysely'
import type { Alert, Facts } from '../../watch/alert.ts'
import type { AlertStore, Basis, Notice } from '../../watch/port.ts'
import { storable } from '../rows.ts'
import type { AlertTable, WebhookTable } from '../tables.ts'
import { countOf, ONE, pageOf, TOTAL_COUNTED_MAX, type Work } from '../work.ts'
import type { Units } from './units.ts'

/** Attempts looked at, latest first, for the one that was accepted first since a webhook is active again. */
const RECOVERY_ATTEMPTS_MAX = 1_000

export const alertUnits: Units<AlertStore> = {
  async troubledWebhooks({ db }, since, limit) {
    const troubled = await db
      .selectFrom('tally')
      .select('webhook_id as id')
      .distinct()
      .where('grain', '=', 'minute')
      .where('at', '>=', since)
      .where((e) => e.or([e('failures', '>', 0), e('slow', '>', 0), e('failed', '>', 0)]))
      .limit(limit)
      .execute()
    const failed = await db
      .selectFrom('webhook')
      .select('id')
      .where('state', '=', 'failed')
      .where('removed_at', 'is', null)
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom('alert')
              .select(ONE)
              .whereRef('subject_id', '=', 'webhook.id')
              .where('kind', '=', 'webhook_failed')
              .where('cleared_at', 'is', null),
          ),
        ),
      )
      .limit(limit)
      .execute()
    return [...new Set([...troubled, ...failed].map(({ id }) => id))]
  },

  async openAlerts({ db }, after, limit) {
    const rows = await db
      .selectFrom('alert')
      .selectAll()
      .where('cleared_at', 'is', null)
      .where('id', '>', after)
      .orderBy('id')
      .limit(limit)
      .execute()
    return rows.map(toAlert)
  },

  async watchFacts(work, webhookIds, since) {
    if (webhookIds.length === 0) return []
    const { db } = work
    const webhooks = await db
      .selectFrom('webhook')
      .select(WATCHED)
      .where('id', 'in', webhookIds)
      .where('removed_at', 'is', null)
      .execute()
    const open = await db
      .selectFrom('alert')
      .selectAll()
      .where('subject_id', 'in', webhookIds)
      .where('cleared_at', 'is', null)
      .execute()
    const evidence = await evidenceOf(work, webhookIds, since)
    const facts: Facts[] = []
    for (const row of webhooks) {
      const alerts = open.filter((alert) => alert.subject_id === row.id).map(toAlert)
      const isRecovering = row.state === 'active' && alerts.some((alert) => alert.kind === 'webhook_failed')
      facts.push({
        webhook: toWatched(row),
        open: alerts,
        ...(evidence.get(row.id) ?? NO_EVIDENCE),
        failure: row.state === 'failed' ? await failureOf(work, row) : null,
        recovery: isRecovering ? await recoveryOf(work, row) : null,
      })
    }
    return facts
  },

  async raiseAlert(work, alert, basis, events, mailDueAt) {
    if (!(await holds(work, alert.subjectId, basis))) return false
    const row = await work.db
      .insertInto('alert')
      .values(fromAlert(alert, mailDueAt))
      .onConflict((open) => open.columns(['subject_id', 'kind']).where('cleared_at', 'is', null).doNothing())
      .returning('id')
      .executeTakeFirst()
    if (row === undefined) return false
    for (const event of events) await work.recordEvent(event)
    return true
  },

  async clearAlert(work, { id, subjectId, clearedAt }, basis, events, mailDueAt) {
    if (!(await holds(work, subjectId, basis))) return false
    const row = await work.db
      .updateTable('alert')
      .set((e) => ({
        cleared_at: clearedAt,
        // A mail about the begin that is still to be sent, or just being sent, keeps its time: this one follows it.
        mail_due_at: e.fn.coalesce('mail_due_at', e.val(mailDueAt)),
        mail_tries: e.case().when('mail_due_at', 'is', null).then(0).else(e.ref('mail_tries')).end(),
      }))
      .where('id', '=', id)
      .where('cleared_at', 'is', null)
      .returning('id')
      .executeTakeFirst()
    if (row === undefined) return false
    for (const event of events) await work.recordEvent(event)
    return true
  },

  listAlerts({ db }, { status, kind, subjectId, accountId }, page) {
    let query = db.selectFrom('alert')
    if (status !== undefined) query = query.where('cleared_at', status === 'open' ? 'is' : 'is not', null)
    if (kind !== undefined) query = query.where('kind', '=', kind)
    if (subjectId !== undefined) query = query.where('subject_id', '=', subjectId)
    if (accountId !== undefined) query = query.where('account_id', '=', accountId)
    return pageOf(
      {
        count: () => countOf(db, query.select(ONE).limit(TOTAL_COUNTED_MAX)),
        list: ({ limit, offset }) => query.selectAll().orderBy('id', 'desc').limit(limit).offset(offset).execute(),
      },
      page,
      toAlert,
    )
  },

  async findAlert({ db }, id) {
    const row = await db.selectFrom('alert').selectAll().where('id', '=', id).executeTakeFirst()
    return row && toAlert(row)
  },

  async takeMails({ db }, now, leaseUntil, limit) {
    const due = await db
      .selectFrom('alert')
      .selectAll()
      .where('mail_due_at', '<=', now)
      .orderBy('mail_due_at')
      .orderBy('id')
      .limit(limit)
      .execute()
    const taken = []
    for (const row of due) {
      // Names what was read: of several nodes that read the same row, one takes it.
      const own = await db
        .updateTable('alert')
        .set({ mail_due_at: leaseUntil, mail_tries: row.mail_tries + 1 })
        .where('id', '=', row.id)
        .where('mail_due_at', '=', row.mail_due_at)
        .where('mail_tries', '=', row.mail_tries)
        .returningAll()
        .executeTakeFirst()
      if (own !== undefined) taken.push({ alert: toAlert(own), notice: noticeOf(own), tries: own.mail_tries })
    }
    return taken
  },

  async mailSent({ db }, id, notice, at) {
    await db
      .updateTable('alert')
      .set((e) => ({
        [SENT_AT[notice]]: at,
        mail_tries: 0,
        mail_due_at: notice === 'raised' ? e.case().when('cleared_at', 'is', null).then(sql<null>`null`).else(at).end() : null,
      }))
      .where('id', '=', id)
      .where(SENT_AT[notice], 'is', null)
      .execute()
  },

  async mailFailed({ db }, id, notice, dueAt) {
    await db.updateTable('alert').set({ mail_due_at: dueAt }).where('id', '=', id).where(SENT_AT[notice], 'is', null).execute()
  },
}

const SENT_AT = { raised: 'mail_raised_at', cleared: 'mail_cleared_at' } as const satisfies Record<Notice, keyof AlertTable>

function noticeOf(row: AlertTable): Notice {
  return row.mail_raised_at === null ? 'raised' : 'cleared'
}

/** Whether the webhook is still as it was judged; null: still gone. */
async function holds({ db }: Work, webhookId: string, basis: Basis | null): Promise<boolean> {
  const row = await db
    .selectFrom('webhook')
    .select(['state', 'updated_at'])
    .where('id', '=', webhookId)
    .where('removed_at', 'is', null)
    .executeTakeFirst()
  if (row === undefined || basis === null) return row === undefined && basis === null
  return row.state === basis.state && row.updated_at === basis.updatedAt
}

const WATCHED = [
  ...([
    'id',
    'account_id',
    'name',
    'dialect',
    'state',
    'failed_reason',
    'failed_delivery_id',
    'off_since',
    'updated_at',
  ] as const),
] as const
type WatchedRow = Pick<WebhookTable, (typeof WATCHED)[number]>

function toWatched(row: WatchedRow): Facts['webhook'] {
  return {
    id: row.id,
    accountId: row.account_id,
    name: row.name,
    dialect: row.dialect as Facts['webhook']['dialect'],
    state: row.state as Facts['webhook']['state'],
    failedReason: row.failed_reason,
    offSince: row.off_since,
    updatedAt: row.updated_at,
  }
}

const NO_EVIDENCE = {
  hour: { attempts: 0, failures: 0 },
  ...{ acceptedAt: null, unauthorizedAt: null, slowAt: null, promptAt: null, failedAt: null },
}

async function evidenceOf({ db }: Work, webhookIds: readonly string[], since: number) {
  const latest = (condition: string) => sql<number | null>`max(case when ${sql.raw(condition)} then at end)`
  const rows = await db
    .selectFrom('tally')
    .select((e) => [
      'webhook_id',
      e.fn.sum<number>('attempts').as('attempts'),
      e.fn.sum<number>('failures').as('failures'),
      latest('attempts > failures').as('accepted_at'),
      latest('unauthorized > 0').as('unauthorized_at'),
      latest('slow > 0').as('slow_at'),
      latest('answered > slow').as('prompt_at'),
      latest('failed > 0').as('failed_at'),
    ])
    .where('webhook_id', 'in', webhookIds)
    .where('grain', '=', 'minute')
    .where('at', '>=', since)
    .groupBy('webhook_id')
    .execute()
  return new Map(
    rows.map((row) => [
      row.webhook_id,
      {
        hour: { attempts: row.attempts, failures: row.failures },
        acceptedAt: row.accepted_at,
        unauthorizedAt: row.unauthorized_at,
        slowAt: row.slow_at,
        promptAt: row.prompt_at,
        failedAt: row.failed_at,
      },
    ]),
  )
}

async function failureOf({ db }: Work, webhook: WatchedRow): Promise<Facts['failure']> {
  if (webhook.failed_delivery_id === null) return null
  const row = await db
    .selectFrom('delivery')
    .select(['id', 'attempts', 'last_error'])
    .where('id', '=', webhook.failed_delivery_id)
    .executeTakeFirst()
  return row === undefined ? null : { deliveryId: row.id, attempts: row.attempts, error: row.last_error ?? '' }
}

/** Reactivation changed the webhook: what was attempted since its last change was attempted since then. */
async function recoveryOf({ db }: Work, webhook: WatchedRow): Promise<Facts['recovery']> {
  const latest = db
    .selectFrom('attempt')
    .select(['delivery_id', 'started_at', 'error'])
    .where('webhook_id', '=', webhook.id)
    .where('started_at', '>=', webhook.updated_at)
    .orderBy('started_at', 'desc')
    .limit(RECOVERY_ATTEMPTS_MAX)
  const row = await db
    .selectFrom(latest.as('latest'))
    .select('delivery_id')
    .where('error', 'is', null)
    .orderBy('started_at')
    .limit(1)
    .executeTakeFirst()
  return row === undefined ? null : { deliveryId: row.delivery_id }
}

function toAlert(row: AlertTable): Alert {
  return {
    id: row.id,
    kind: row.kind as Alert['kind'],
    subjectId: row.subject_id,
    accountId: row.account_id,
    message: row.message,
    raisedAt: row.raised_at,
    clearedAt: row.cleared_at,
  }
}

function fromAlert(alert: Alert, mailDueAt: number | null): AlertTable {
  const { id, kind, subjectId, accountId, message, raisedAt, clearedAt } = alert
  return {
    ...{ id, kind, subject_id: subjectId, account_id: accountId, message: storable(message) },
    ...{ raised_at: raisedAt, cleared_at: clearedAt },
    ...{ mail_raised_at: null, mail_cleared_at: null, mail_tries: 0, mail_due_at: mailDueAt },
  }
}
