import { Type } from '../../base/type.ts'
import { FEED_ITEMS_DEFAULT, FEED_ITEMS_MAX, FEED_NOW } from '../../webhooks/recovery/feed.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { idOf, iso, isoOrNull, nullable, params, query, refTo, text, time } from '../schema.ts'
import { adminRoute, envelope, said } from './shapes.ts'

export const ExplanationShape = Type.Object(
  {
    state: Type.Enum(['waiting', 'delivered', 'failed', 'cancelled']),
    reason: text('Why, for machines: `first_attempt`, `retry`, `in_order`, `webhook_failed`, …'),
    sentence: text('Why it is in its state and what happens next.'),
    nextAttemptAt: nullable(time('Null where none will be, or nobody can say when.')),
    remedies: Type.Array(Type.Object({ action: text('For machines.'), hint: text('For people.') }), {
      description: 'What would change that.',
    }),
  },
  { $id: 'Explanation' },
)

const FeedItems = Type.Array(
  Type.Object({
    deliveryId: text('Of its delivery; where none was planned, one that is always the same for this event.'),
    eventId: idOf('event'),
    event: text('The event type.'),
    timestamp: time('When it happened.'),
    body: text('As a delivery in the dialect of the webhook carries it.'),
    cursor: text('For `after`: what follows this event.'),
  }),
)

export const FeedQuery = {
  after: Type.Optional(
    text(`A cursor; \`${FEED_NOW}\`: what is said from now on; absent: from the oldest event.`, { minLength: 1, maxLength: 100 }),
  ),
  limit: Type.Optional(
    Type.Integer({ description: 'Events at most.', minimum: 1, maximum: FEED_ITEMS_MAX, default: FEED_ITEMS_DEFAULT }),
  ),
}

export function addRecoveryRoutes(api: Api, { recovery }: ApiNeeds): void {
  api.get(
    '/webhooks/:id/feed',
    {
      schema: {
        ...adminRoute(
          'readWebhookFeed',
          'Recovery',
          'Fetch what a webhook is for, from a cursor on, in the order in which it happened',
          {
            200: envelope({
              items: FeedItems,
              nextCursor: text('For the next call; a page may be empty before the end.'),
              isEnd: Type.Boolean({ description: 'Nothing more was said by now.' }),
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
      return said({
        items: items.map(({ occurredAt, ...item }) => ({ ...item, timestamp: iso(occurredAt) })),
        nextCursor,
        isEnd,
      })
    },
  )

  api.get(
    '/webhooks/:id/deliveries/:deliveryId/explain',
    {
      schema: {
        ...adminRoute(
          'explainDelivery',
          'Recovery',
          'Why a delivery is in its state, when the next attempt is, and what would change that',
          { 200: envelope({ explanation: refTo(ExplanationShape) }) },
          [404],
        ),
        params: params({ id: idOf('webhook'), deliveryId: idOf('delivery') }),
      },
    },
    async ({ params: { id, deliveryId }, caller }) => {
      const { remedies, nextAttemptAt, ...same } = await recovery.explain(id, deliveryId, caller)
      return said({ explanation: { ...same, nextAttemptAt: isoOrNull(nextAttemptAt), remedies: [...remedies] } })
    },
  )
}
