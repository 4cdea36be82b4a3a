import type { Static } from 'typebox'
import { AppError } from '../../base/error.ts'
import { Type } from '../../base/type.ts'
import { ALERT_KINDS, type Alert } from '../../watch/alert.ts'
import { HEALTH_STATES, type Health } from '../../webhooks/monitoring/health.ts'
import { RECENT_FAILURES, WORST_WEBHOOKS } from '../../webhooks/monitoring/monitor.ts'
import type { Figures, StatsWindow } from '../../webhooks/monitoring/stats.ts'
import type { FailedDelivery } from '../../webhooks/monitoring/stats-port.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { count, idOf, iso, isoOrNull, nullable, params, query, refTo, text, time } from '../schema.ts'
import { adminRoute, envelope, PageQuery, Pagination, paging, said } from './shapes.ts'

export const HealthShape = Type.Object(
  {
    state: Type.Enum([...HEALTH_STATES], {
      description:
        'Degraded: more than 5 % of the attempts of the last hour fail, answers are slow, or deliveries wait. Failing: half fail. Failed: turned off.',
    }),
    reasons: Type.Array(Type.String(), { description: 'Sentences; of a healthy webhook what is worth knowing.' }),
  },
  { $id: 'WebhookHealth' },
)

export function healthShape({ state, reasons }: Health): Static<typeof HealthShape> {
  return { state, reasons: [...reasons] }
}

const share = (description: string) => nullable(Type.Number({ description, minimum: 0, maximum: 1 }))
const ms = (description: string) => nullable(Type.Number({ description, minimum: 0 }))
export const FiguresShape = Type.Object(
  {
    attempts: count('Attempts that ended in the window.'),
    failures: count('Attempts that did not count as delivered.'),
    successRate: share('From 0 to 1; null without attempts.'),
    failureRate: share('From 0 to 1; null without attempts.'),
    averageMs: ms('Average time of an answer; null without any.'),
    p50Ms: ms('Half of the answers took no longer. Known to a class of durations; 10000 means at least that.'),
    p95Ms: ms('95 % of the answers took no longer.'),
    p99Ms: ms('99 % of the answers took no longer.'),
    slow: count('Answers that took longer than 5 s.'),
    unauthorized: count('Answers with the status 401.'),
    delivered: count('Deliveries that ended as delivered.'),
    failed: count('Deliveries that ended as failed.'),
  },
  { $id: 'Figures' },
)

export const FailureShape = Type.Object(
  {
    id: idOf('delivery'),
    eventId: idOf('event'),
    event: text('The event type.'),
    cause: Type.Enum(['event', 'resend', 'test']),
    attempts: count('Attempts that were made.'),
    lastStatusCode: nullable(Type.Integer({ description: 'Null where no answer came.' })),
    lastError: nullable(text('What the last attempt met.')),
    failedAt: time('When it ended.'),
  },
  { $id: 'FailedDelivery' },
)

const WindowShape = Type.Object(
  {
    from: time('Begin of the first minute or hour that is counted.'),
    until: time('Now.'),
    grain: Type.Enum(['minute', 'hour'], { description: 'What the figures are counted by: hours beyond 2 h.' }),
  },
  { description: 'What the figures are really of: a whole number of minutes or hours.' },
)

export const AlertShape = Type.Object(
  {
    id: idOf('alert'),
    kind: Type.Enum([...ALERT_KINDS]),
    status: Type.Enum(['open', 'cleared']),
    webhookId: idOf('webhook'),
    accountId: nullable(text('The account of the webhook; null: one of all accounts.')),
    message: text('What is wrong, for people.'),
    raisedAt: time('When it began.'),
    clearedAt: nullable(time('When it ended; null while it is open.')),
  },
  { $id: 'Alert' },
)

function alertShape({ id, kind, subjectId, accountId, message, raisedAt, clearedAt }: Alert): Static<typeof AlertShape> {
  const status = clearedAt === null ? 'open' : 'cleared'
  const times = { raisedAt: iso(raisedAt), clearedAt: isoOrNull(clearedAt) }
  return { id, kind, status, webhookId: subjectId, accountId, message, ...times }
}

function windowShape({ from, until, grain }: StatsWindow): Static<typeof WindowShape> {
  return { from: iso(from), until: iso(until), grain }
}

function failureShape({ eventType, failedAt, ...same }: FailedDelivery): Static<typeof FailureShape> {
  const { id, eventId, cause, attempts, lastStatusCode, lastError } = same
  return { id, eventId, event: eventType, cause, attempts, lastStatusCode, lastError, failedAt: iso(failedAt) }
}

const figuresShape = (figures: Figures): Static<typeof FiguresShape> => ({ ...figures })

const WindowQuery = {
  window: Type.Optional(text('How far to look back, from 5m to 30d, such as 5m, 1h (default) or 7d.', { maxLength: 20 })),
}

export function addMonitoringRoutes(api: Api, { monitor, alerts }: ApiNeeds): void {
  const tag = 'Monitoring'

  api.get(
    '/webhooks/:id/stats',
    {
      schema: {
        ...adminRoute(
          'getWebhookStats',
          tag,
          `Rates, times and the last ${RECENT_FAILURES} failures of a webhook`,
          {
            200: envelope({
              webhookId: idOf('webhook'),
              window: WindowShape,
              figures: refTo(FiguresShape),
              health: refTo(HealthShape),
              recentFailures: Type.Array(refTo(FailureShape), { description: 'Newest first, whatever the window.' }),
            }),
          },
          [404],
        ),
        params: params({ id: idOf('webhook') }),
        querystring: query(WindowQuery),
      },
    },
    async ({ params: { id }, query: asked, caller }) => {
      const { window, figures, health, recentFailures } = await monitor.stats(id, asked.window, caller)
      return said({
        webhookId: id,
        window: windowShape(window),
        figures: figuresShape(figures),
        health: healthShape(health),
        recentFailures: recentFailures.map(failureShape),
      })
    },
  )

  api.get(
    '/stats',
    {
      schema: {
        ...adminRoute('getStats', tag, `All webhooks together, and the ${WORST_WEBHOOKS} with the most failures`, {
          200: envelope({
            window: WindowShape,
            figures: refTo(FiguresShape),
            worst: Type.Array(
              Type.Object({
                webhookId: idOf('webhook'),
                webhookName: text('For people.'),
                accountId: nullable(text('Its account; null: one of all accounts.')),
                figures: refTo(FiguresShape),
              }),
              { description: 'By failures; those without any are left out.' },
            ),
          }),
        }),
        querystring: query(WindowQuery),
      },
    },
    async ({ query: asked }) => {
      const { window, figures, worst } = await monitor.serverStats(asked.window)
      return said({
        window: windowShape(window),
        figures: figuresShape(figures),
        worst: worst.map((each) => ({ ...each, figures: figuresShape(each.figures) })),
      })
    },
  )

  api.get(
    '/alerts',
    {
      schema: {
        ...adminRoute('listAlerts', tag, 'Alerts, newest first', {
          200: envelope({ alerts: Type.Array(refTo(AlertShape)), pagination: refTo(Pagination) }),
        }),
        querystring: query({
          ...PageQuery,
          status: Type.Optional(Type.Enum(['open', 'cleared'])),
          kind: Type.Optional(Type.Enum([...ALERT_KINDS])),
          webhook: Type.Optional(idOf('webhook')),
          accountId: Type.Optional(idOf('account')),
        }),
      },
    },
    async ({ query: { status, kind, webhook, accountId, ...asked } }) => {
      const { request, pagination } = paging(asked)
      const filter = {
        ...(status === undefined ? {} : { status }),
        ...(kind === undefined ? {} : { kind }),
        ...(webhook === undefined ? {} : { subjectId: webhook }),
        ...(accountId === undefined ? {} : { accountId }),
      }
      const { rows, total } = await alerts.listAlerts(filter, request)
      return said({ alerts: rows.map(alertShape), pagination: pagination(total) })
    },
  )

  api.get(
    '/alerts/:id',
    {
      schema: {
        ...adminRoute('getAlert', tag, 'Get an alert', { 200: envelope({ alert: refTo(AlertShape) }) }, [404]),
        params: params({ id: idOf('alert') }),
      },
    },
    async ({ params: { id } }) => {
      const alert = await alerts.findAlert(id)
      if (alert === undefined) throw new AppError('not_found', `no alert ${id}`)
      return said({ alert: alertShape(alert) })
    },
  )
}
