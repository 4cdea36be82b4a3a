import type { Static } from 'typebox'
import { Type } from '../../base/type.ts'
import type { Attempt, DeliveryRecord, DeliveryState } from '../../webhooks/webhook.ts'
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
import { keyRoute, LongQuery, longListOf, pageOf } from './shapes.ts'

const DELIVERY_STATES = ['waiting', 'delivered', 'failed', 'cancelled'] as const

/** One row is one attempt: the page promises a log with status, attempt and error. */
export const TrueftpAttemptShape = Type.Object(
  {
    id: text('Of the delivery, a point, the number of the attempt.'),
    delivery_id: idOf('delivery'),
    event: text('The event type.'),
    status: Type.Enum(['delivered', 'failed'], { description: 'How this attempt ended.' }),
    delivery_status: Type.Enum([...DELIVERY_STATES], {
      description: 'Where its delivery stands: a failed attempt may be tried again.',
    }),
    attempt: count('From 1.'),
    status_code: nullable(Type.Integer({ description: 'Null where no answer came.' })),
    error: nullable(text('Why it did not count as delivered.')),
    duration_ms: Type.Number(),
    created_at: time('When it began.'),
  },
  { $id: 'TrueFtpDelivery' },
)

const delivery = {
  id: idOf('delivery'),
  event_id: idOf('event'),
  event: text('The event type.'),
  status: Type.Enum([...DELIVERY_STATES]),
  cause: Type.Enum(['event', 'resend', 'test']),
  attempts: count('Attempts that have ended.'),
  next_attempt_at: nullable(time('Null once settled, and while the webhook is not active.')),
  created_at: time('When it was planned.'),
  settled_at: nullable(time('When it was delivered, failed or cancelled.')),
  last_status_code: nullable(Type.Integer()),
  last_error: nullable(text('Why the last attempt did not count as delivered.')),
}
export const TrueftpPlannedShape = Type.Object(delivery, { $id: 'TrueFtpPlannedDelivery' })
export const TrueftpDetailShape = Type.Object(
  {
    ...delivery,
    request: Type.Object({
      url: text('Where it goes.'),
      headers: textMap('The signature is masked.'),
      body: text('The exact body.'),
    }),
    attempt_log: Type.Array(
      Type.Object({
        number: count('From 1.'),
        started_at: time('When it began.'),
        duration_ms: Type.Number(),
        status_code: nullable(Type.Integer()),
        error: nullable(text('Why it did not count as delivered.')),
        response_headers: nullable(textMap('Of the answer.')),
        response_body: nullable(text('The first 16 KiB of the answer.')),
      }),
      { description: 'Oldest first.' },
    ),
  },
  { $id: 'TrueFtpDeliveryDetail' },
)

type AttemptRow = Attempt & { deliveryId: string; eventType: string; deliveryState: DeliveryState }

function attemptShape({
  deliveryId,
  eventType,
  deliveryState,
  number,
  statusCode,
  error,
  durationMs,
  startedAt,
}: AttemptRow): Static<typeof TrueftpAttemptShape> {
  return {
    id: `${deliveryId}.${number}`,
    delivery_id: deliveryId,
    event: eventType,
    status: error === null ? 'delivered' : 'failed',
    // Held deliveries have no attempts.
    delivery_status: deliveryState === 'held' ? 'waiting' : deliveryState,
    attempt: number,
    status_code: statusCode,
    error,
    duration_ms: durationMs,
    created_at: iso(startedAt),
  }
}

function deliveryShape(record: DeliveryRecord): Static<typeof TrueftpPlannedShape> {
  const { id, eventId, eventType, state, cause, attempts, nextAttemptAt, createdAt, settledAt, lastStatusCode, lastError } =
    record
  return {
    id,
    event_id: eventId,
    event: eventType,
    status: state,
    cause,
    attempts,
    next_attempt_at: isoOrNull(nextAttemptAt),
    created_at: iso(createdAt),
    settled_at: isoOrNull(settledAt),
    last_status_code: lastStatusCode,
    last_error: lastError,
  }
}

function logShape({ number, startedAt, durationMs, statusCode, error, responseHeaders, responseBody }: Attempt) {
  return {
    number,
    started_at: iso(startedAt),
    duration_ms: durationMs,
    status_code: statusCode,
    error,
    response_headers: responseHeaders,
    response_body: responseBody,
  }
}

export function addDeliveryRoutes(api: Api, { webhooks }: ApiNeeds): void {
  const byId = params({ id: idOf('webhook') })
  const byIds = params({ id: idOf('webhook'), delivery_id: idOf('delivery') })
  const Planned = refTo(TrueftpPlannedShape)
  const tag = 'Account webhooks'

  api.get(
    '/webhooks/:id/deliveries',
    {
      config: { scope: 'read' },
      schema: {
        ...keyRoute(
          'listAccountDeliveries',
          tag,
          'Attempts of a webhook, newest first',
          'read',
          { 200: longListOf(refTo(TrueftpAttemptShape)) },
          [404],
        ),
        params: byId,
        querystring: query(LongQuery),
      },
    },
    async ({ params: { id }, query: asked, caller }) => {
      const { rows, total, next = null } = await webhooks.attempts(id, pageOf(asked), caller)
      return { data: rows.map(attemptShape), total, next_cursor: next }
    },
  )

  api.get(
    '/webhooks/:id/deliveries/:delivery_id',
    {
      config: { scope: 'read' },
      schema: {
        ...keyRoute(
          'getAccountDelivery',
          tag,
          'Get a delivery with its request and its attempts',
          'read',
          { 200: refTo(TrueftpDetailShape) },
          [404],
        ),
        params: byIds,
      },
    },
    async ({ params: { id, delivery_id }, caller }) => {
      const { delivery: record, request, attemptLog } = await webhooks.delivery(id, delivery_id, caller)
      return { ...deliveryShape(record), request, attempt_log: attemptLog.map(logShape) }
    },
  )

  api.post(
    '/webhooks/:id/deliveries/:delivery_id/redeliver',
    {
      config: { scope: 'write' },
      schema: {
        ...keyRoute('redeliverOfAccount', tag, 'Deliver the same event once more', 'write', { 202: Planned }, [404]),
        params: byIds,
      },
    },
    async ({ params: { id, delivery_id }, caller }, reply) => {
      reply.code(202)
      return deliveryShape(await webhooks.redeliver(id, delivery_id, caller))
    },
  )

  api.post(
    '/webhooks/:id/test',
    {
      config: { scope: 'write' },
      schema: {
        ...keyRoute(
          'testAccountWebhook',
          tag,
          'Send a sample event through the real path',
          'write',
          { 202: Planned },
          [404, 409],
        ),
        params: byId,
        body: body({ event: text('The event type to simulate.', { minLength: 1, maxLength: TEXT_CHARS_MAX }) }),
      },
    },
    async ({ params: { id }, body: { event }, caller }, reply) => {
      reply.code(202)
      return deliveryShape(await webhooks.test(id, event, caller))
    },
  )
}
