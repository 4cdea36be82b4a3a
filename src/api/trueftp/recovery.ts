import { Type } from '../../base/type.ts'
import { FEED_ITEMS_DEFAULT } from '../../webhooks/recovery/feed.ts'
import { FeedQuery } from '../mftplus/recovery.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { idOf, iso, isoOrNull, nullable, params, query, refTo, text, time } from '../schema.ts'
import { keyRoute } from './shapes.ts'

export const TrueftpExplanationShape = Type.Object(
  {
    state: Type.Enum(['waiting', 'delivered', 'failed', 'cancelled']),
    reason: text('Why, for machines: `first_attempt`, `retry`, `in_order`, `webhook_failed`, …'),
    sentence: text('Why it is in its state and what happens next.'),
    next_attempt_at: nullable(time('Null where none will be, or nobody can say when.')),
    remedies: Type.Array(Type.Object({ action: text('For machines.'), hint: text('For people.') }), {
      description: 'What would change that.',
    }),
  },
  { $id: 'TrueFtpExplanation' },
)

const FeedItems = Type.Array(
  Type.Object({
    delivery_id: text('Of its delivery; where none was planned, one that is always the same for this event.'),
    event_id: idOf('event'),
    event: text('The event type.'),
    timestamp: time('When it happened.'),
    body: text('As a delivery in the dialect of the webhook carries it.'),
    cursor: text('For `after`: what follows this event.'),
  }),
)

export function addRecoveryRoutes(api: Api, { recovery }: ApiNeeds): void {
  const tag = 'Account recovery'
  api.get(
    '/webhooks/:id/feed',
    {
      config: { scope: 'read' },
      schema: {
        ...keyRoute(
          'readAccountWebhookFeed',
          tag,
          'Fetch what a webhook is for, from a cursor on, in the order in which it happened',
          'read',
          {
            200: Type.Object({
              data: FeedItems,
              next_cursor: text('For the next call; a page may be empty before the end.'),
              is_end: Type.Boolean({ description: 'Nothing more was said by now.' }),
            }),
          },
          [404],
        ),
        params: params({ id: idOf('webhook') }),
        querystring: query(FeedQuery),
      },
    },
    async ({ params: { id }, query: { after = null, limit = FEED_ITEMS_DEFAULT }, caller }) => {
      const { items, nextCursor, isEnd } = await recovery.feed(id, after, limit, caller)
      const data = items.map(({ deliveryId, eventId, event, occurredAt, body, cursor }) => {
        return { delivery_id: deliveryId, event_id: eventId, event, timestamp: iso(occurredAt), body, cursor }
      })
      return { data, next_cursor: nextCursor, is_end: isEnd }
    },
  )

  api.get(
    '/webhooks/:id/deliveries/:delivery_id/explain',
    {
      config: { scope: 'read' },
      schema: {
        ...keyRoute(
          'explainAccountDelivery',
          tag,
          'Why a delivery is in its state, when the next attempt is, and what would change that',
          'read',
          { 200: refTo(TrueftpExplanationShape) },
          [404],
        ),
        params: params({ id: idOf('webhook'), delivery_id: idOf('delivery') }),
      },
    },
    async ({ params: { id, delivery_id }, caller }) => {
      const { nextAttemptAt, remedies, ...same } = await recovery.explain(id, delivery_id, caller)
      return { ...same, next_attempt_at: isoOrNull(nextAttemptAt), remedies: [...remedies] }
    },
  )
}
