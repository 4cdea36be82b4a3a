import type { Static } from 'typebox'
import { AppError } from '../../base/error.ts'
import { Type } from '../../base/type.ts'
import { isEventType, nearestEventType } from '../../events/catalogue.ts'
import type { DeliveryFilter } from '../../webhooks/admin/administer.ts'
import type { Attempt, DeliveryRecord } from '../../webhooks/webhook.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import {
  body,
  count,
  idOf,
  iso,
  isoOrNull,
  nullable,
  params,
  query,
  refTo,
  TEXT_CHARS_MAX,
  text,
  textMap,
  time,
} from '../schema.ts'
import { AfterQuery, adminRoute, envelope, NextCursor, PageQuery, Pagination, paging, said } from './shapes.ts'

const STATES = ['waiting', 'delivered', 'failed', 'cancelled'] as const

const delivery = {
  id: idOf('delivery'),
  eventId: idOf('event'),
  event: text('The event type.'),
  status: Type.Enum([...STATES]),
  cause: Type.Enum(['event', 'resend', 'test'], { description: 'Planned with its event, asked for again, or a test.' }),
  attempts: count('Attempts that have ended.'),
  nextAttemptAt: nullable(time('Null once settled, and while the webhook is not active.')),
  createdAt: time('When it was planned.'),
  settledAt: nullable(time('When it was delivered, failed or cancelled.')),
  lastStatusCode: nullable(Type.Integer({ description: 'Null where no answer came.' })),
  lastError: nullable(text('Why the last attempt did not count as delivered.')),
}
export const DeliveryShape = Type.Object(delivery, { $id: 'Delivery' })
export const DeliveryDetailShape = Type.Object(
  {
    ...delivery,
    request: Type.Object({
      url: text('Where it goes.'),
      headers: textMap('The signature is masked.'),
      body: text('The exact body, the same on every attempt.'),
    }),
    attemptLog: Type.Array(
      Type.Object({
        number: count('From 1.'),
        startedAt: time('When it began.'),
        durationMs: Type.Number(),
        statusCode: nullable(Type.Integer()),
        error: nullable(text('Why it did not count as delivered.')),
        responseHeaders: nullable(textMap('Of the answer.')),
        responseBody: nullable(text('The first 16 KiB of the answer.')),
      }),
      { description: 'Oldest first.' },
    ),
  },
  { $id: 'DeliveryDetail' },
)

export function deliveryShape(record: DeliveryRecord): Static<typeof DeliveryShape> {
  const { id, eventId, eventType, state, cause, attempts, nextAttemptAt, createdAt, settledAt, lastStatusCode, lastError } =
    record
  return {
    id,
    eventId,
    event: eventType,
    status: state,
    cause,
    attempts,
    nextAttemptAt: isoOrNull(nextAttemptAt),
    createdAt: iso(createdAt),
    settledAt: isoOrNull(settledAt),
    lastStatusCode,
    lastError,
  }
}

function attemptShape({ startedAt, ...attempt }: Attempt) {
  return { ...attempt, startedAt: iso(startedAt) }
}

export function addDeliveryRoutes(api: Api, { webhooks }: ApiNeeds): void {
  const byId = params({ id: idOf('webhook') })
  const byIds = params({ id: idOf('webhook'), deliveryId: idOf('delivery') })
  const Planned = envelope({ delivery: refTo(DeliveryShape) })

  api.get(
    '/webhooks/:id/deliveries',
    {
      schema: {
        ...adminRoute(
          'listDeliveries',
          'Deliveries',
          'List the deliveries of a webhook, newest first',
          {
            200: envelope({
              deliveries: Type.Array(refTo(DeliveryShape)),
              pagination: refTo(Pagination),
              nextCursor: NextCursor,
            }),
          },
          [404],
        ),
        params: byId,
        querystring: query({
          ...PageQuery,
          ...AfterQuery,
          status: Type.Optional(Type.Enum([...STATES])),
          event: Type.Optional(text('Only of this event type.', { maxLength: TEXT_CHARS_MAX })),
        }),
      },
    },
    async ({ params: { id }, query: { status, event, ...asked }, caller }) => {
      const { request, pagination } = paging(asked)
      const filter: DeliveryFilter = {
        ...(status === undefined ? {} : { state: status }),
        ...(event === undefined ? {} : { eventType: eventTypeNamed(event) }),
      }
      const { rows, total, next = null } = await webhooks.deliveries(id, filter, request, caller)
      return said({ deliveries: rows.map(deliveryShape), pagination: pagination(total), nextCursor: next })
    },
  )

  api.get(
    '/webhooks/:id/deliveries/:deliveryId',
    {
      schema: {
        ...adminRoute(
          'getDelivery',
          'Deliveries',
          'Get a delivery with its request and its attempts',
          { 200: envelope({ delivery: refTo(DeliveryDetailShape) }) },
          [404],
        ),
        params: byIds,
      },
    },
    async ({ params: { id, deliveryId }, caller }) => {
      const { delivery: record, request, attemptLog } = await webhooks.delivery(id, deliveryId, caller)
      return said({ delivery: { ...deliveryShape(record), request, attemptLog: attemptLog.map(attemptShape) } })
    },
  )

  api.post(
    '/webhooks/:id/deliveries/:deliveryId/redeliver',
    {
      schema: {
        ...adminRoute('redeliver', 'Deliveries', 'Deliver the same event once more', { 202: Planned }, [403, 404]),
        params: byIds,
      },
    },
    async ({ params: { id, deliveryId }, caller }, reply) => {
      reply.code(202)
      return said({ delivery: deliveryShape(await webhooks.redeliver(id, deliveryId, caller)) })
    },
  )

  api.post(
    '/webhooks/:id/test',
    {
      schema: {
        ...adminRoute(
          'testWebhook',
          'Deliveries',
          'Send a sample event through the real path',
          { 202: Planned },
          [403, 404, 409],
        ),
        params: byId,
        body: body({ event: text('The event type to simulate.', { minLength: 1, maxLength: TEXT_CHARS_MAX }) }),
      },
    },
    async ({ params: { id }, body: { event }, caller }, reply) => {
      reply.code(202)
      return said({ delivery: deliveryShape(await webhooks.test(id, event, caller)) })
    },
  )
}

/** The event type of this name; refused with the nearest one. */
export function eventTypeNamed(name: string) {
  if (isEventType(name)) return name
  throw new AppError(
    'invalid',
    `event is ${JSON.stringify(name.slice(0, 80))}, which is no event type; did you mean "${nearestEventType(name)}"?`,
    { field: 'event' },
  )
}
