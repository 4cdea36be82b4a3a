import type { Static } from 'typebox'
import { AppError } from '../../base/error.ts'
import { Type } from '../../base/type.ts'
import { ALERT_KINDS, type Alert } from '../../watch/alert.ts'
import { HEALTH_STATES, type Health } from '../../webhooks/monitoring/health.ts'
import { RECENT_FAILURES } from '../../webhooks/monitoring/monitor.ts'
import type { Figures } from '../../webhooks/monitoring/stats.ts'
import type { FailedDelivery } from '../../webhooks/monitoring/stats-port.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { count, idOf, iso, isoOrNull, nullable, params, query, refTo, text, time } from '../schema.ts'
import { accountOf, keyRoute, listOf, OffsetQuery, pageOf } from './shapes.ts'

export const TrueftpHealthShape = Type.Object(
  {
    state: Type.Enum([...HEALTH_STATES]),
    reasons: Type.Array(Type.String(), { description: 'Sentences; of a healthy webhook what is worth knowing.' }),
  },
  { $id: 'TrueFtpWebhookHealth' },
)

export function healthShape({ state, reasons }: Health): Static<typeof TrueftpHealthShape> {
  return { state, reasons: [...reasons] }
}

const number = (description: string) => nullable(Type.Number({ description, minimum: 0 }))
const FailureShape = Type.Object({
  id: idOf('delivery'),
  event_id: idOf('event'),
  event: text('The event type.'),
  cause: Type.Enum(['event', 'resend', 'test']),
  attempts: count('Attempts that were made.'),
  last_status_code: nullable(Type.Integer({ description: 'Null where no answer came.' })),
  last_error: nullable(text('What the last attempt met.')),
  failed_at: time('When it ended.'),
})

export const TrueftpStatsShape = Type.Object(
  {
    webhook_id: idOf('webhook'),
    from: time('Begin of the first minute or hour that is counted.'),
    until: time('Now.'),
    grain: Type.Enum(['minute', 'hour'], { description: 'What the figures are counted by: hours beyond 2 h.' }),
    attempts: count('Attempts that ended in this time.'),
    failures: count('Attempts that did not count as delivered.'),
    success_rate: number('From 0 to 1; null without attempts.'),
    failure_rate: number('From 0 to 1; null without attempts.'),
    average_ms: number('Average time of an answer; null without any.'),
    p50_ms: number('Half of the answers took no longer. Known to a class of durations; 10000 means at least that.'),
    p95_ms: number('95 % of the answers took no longer.'),
    p99_ms: number('99 % of the answers took no longer.'),
    slow: count('Answers that took longer than 5 s.'),
    unauthorized: count('Answers with the status 401.'),
    delivered: count('Deliveries that ended as delivered.'),
    failed: count('Deliveries that ended as failed.'),
    health: refTo(TrueftpHealthShape),
    recent_failures: Type.Array(FailureShape, { description: 'Newest first, whatever the window.' }),
  },
  { $id: 'TrueFtpWebhookStats' },
)

export const TrueftpAlertShape = Type.Object(
  {
    id: idOf('alert'),
    kind: Type.Enum([...ALERT_KINDS]),
    status: Type.Enum(['open', 'cleared']),
    webhook_id: idOf('webhook'),
    message: text('What is wrong, for people.'),
    raised_at: time('When it began.'),
    cleared_at: nullable(time('When it ended; null while it is open.')),
  },
  { $id: 'TrueFtpAlert' },
)

function alertShape({ id, kind, subjectId, message, raisedAt, clearedAt }: Alert): Static<typeof TrueftpAlertShape> {
  const status = clearedAt === null ? 'open' : 'cleared'
  const times = { raised_at: iso(raisedAt), cleared_at: isoOrNull(clearedAt) }
  return { id, kind, status, webhook_id: subjectId, message, ...times }
}

function figuresShape(figures: Figures) {
  const { attempts, failures, slow, unauthorized, delivered, failed } = figures
  return {
    ...{ attempts, failures, success_rate: figures.successRate, failure_rate: figures.failureRate },
    ...{ average_ms: figures.averageMs, p50_ms: figures.p50Ms, p95_ms: figures.p95Ms, p99_ms: figures.p99Ms },
    ...{ slow, unauthorized, delivered, failed },
  }
}

function failureShape(failure: FailedDelivery): Static<typeof FailureShape> {
  const { id, eventId, eventType, cause, attempts, lastStatusCode, lastError, failedAt } = failure
  return {
    ...{ id, event_id: eventId, event: eventType, cause, attempts },
    ...{ last_status_code: lastStatusCode, last_error: lastError, failed_at: iso(failedAt) },
  }
}

export function addMonitoringRoutes(api: Api, { monitor, alerts }: ApiNeeds): void {
  const tag = 'Monitoring of an account'

  api.get(
    '/webhooks/:id/stats',
    {
      config: { scope: 'read' },
      schema: {
        ...keyRoute(
          'getAccountWebhookStats',
          tag,
          `Rates, times and the last ${RECENT_FAILURES} failures of a webhook`,
          'read',
          { 200: refTo(TrueftpStatsShape) },
          [404],
        ),
        params: params({ id: idOf('webhook') }),
        querystring: query({
          window: Type.Optional(text('How far to look back, from 5m to 30d, such as 5m, 1h (default) or 7d.', { maxLength: 20 })),
        }),
      },
    },
    async ({ params: { id }, query: asked, caller }) => {
      const { window, figures, health, recentFailures } = await monitor.stats(id, asked.window, caller)
      return {
        ...{ webhook_id: id, from: iso(window.from), until: iso(window.until), grain: window.grain },
        ...figuresShape(figures),
        health: healthShape(health),
        recent_failures: recentFailures.map(failureShape),
      }
    },
  )

  api.get(
    '/alerts',
    {
      config: { scope: 'read' },
      schema: {
        ...keyRoute('listAccountAlerts', tag, 'Alerts about the webhooks of the account, newest first', 'read', {
          200: listOf(refTo(TrueftpAlertShape)),
        }),
        querystring: query({
          ...OffsetQuery,
          status: Type.Optional(Type.Enum(['open', 'cleared'])),
          kind: Type.Optional(Type.Enum([...ALERT_KINDS])),
          webhook: Type.Optional(idOf('webhook')),
        }),
      },
    },
    async ({ query: { status, kind, webhook, ...asked }, caller }) => {
      const filter = {
        accountId: accountOf(caller),
        ...(status === undefined ? {} : { status }),
        ...(kind === undefined ? {} : { kind }),
        ...(webhook === undefined ? {} : { subjectId: webhook }),
      }
      const { rows, total } = await alerts.listAlerts(filter, pageOf(asked))
      return { data: rows.map(alertShape), total }
    },
  )

  api.get(
    '/alerts/:id',
    {
      config: { scope: 'read' },
      schema: {
        ...keyRoute('getAccountAlert', tag, 'Get an alert', 'read', { 200: refTo(TrueftpAlertShape) }, [404]),
        params: params({ id: idOf('alert') }),
      },
    },
    async ({ params: { id }, caller }) => {
      const alert = await alerts.findAlert(id)
      if (alert === undefined || alert.accountId !== accountOf(caller)) throw new AppError('not_found', `no alert ${id}`)
      return alertShape(alert)
    },
  )
}
