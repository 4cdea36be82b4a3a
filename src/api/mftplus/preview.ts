import type { Static } from 'typebox'
import { Type } from '../../base/type.ts'
import type { PreviewedEvent } from '../../webhooks/admin/preview.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { PREVIEW_DESCRIPTION, PreviewBody, previewed } from '../preview.ts'
import { count, idOf, iso, params, refTo, text, time } from '../schema.ts'
import { adminRoute, envelope, said } from './shapes.ts'

export const PreviewedEventShape = Type.Object(
  {
    eventId: idOf('event'),
    event: text('The event type.'),
    timestamp: time('When it happened.'),
    wouldSend: Type.Boolean(),
    ...previewed,
  },
  { $id: 'PreviewedEvent' },
)

function previewedShape({ event, unmet, request }: PreviewedEvent): Static<typeof PreviewedEventShape> {
  return {
    ...{ eventId: event.id, event: event.type, timestamp: iso(event.occurredAt), wouldSend: unmet === null },
    ...{ reason: unmet?.reason ?? null, unmet: unmet && { member: unmet.member, condition: unmet.condition }, request },
  }
}

export function addPreviewRoutes(api: Api, { webhooks }: ApiNeeds): void {
  api.post(
    '/webhooks/:id/preview',
    {
      schema: {
        ...adminRoute(
          'previewWebhook',
          'Webhooks',
          'Show what a webhook would send of the events recorded last',
          {
            200: envelope({
              considered: count('Events that its scope and its event types cover, the newest.'),
              wouldSend: count('Those of them that its filter takes.'),
              events: Type.Array(refTo(PreviewedEventShape), { description: 'Newest first.' }),
            }),
          },
          [403, 404],
        ),
        description: PREVIEW_DESCRIPTION,
        params: params({ id: idOf('webhook') }),
        body: PreviewBody,
      },
    },
    async ({ params: { id }, body: asked, caller }) => {
      const { events, wouldSend } = await webhooks.preview(id, asked, caller)
      return said({ considered: events.length, wouldSend, events: events.map(previewedShape) })
    },
  )
}
