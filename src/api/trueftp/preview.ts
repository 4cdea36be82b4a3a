import type { Static } from 'typebox'
import { Type } from '../../base/type.ts'
import type { PreviewedEvent } from '../../webhooks/admin/preview.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { PREVIEW_DESCRIPTION, PreviewBody, previewed } from '../preview.ts'
import { count, idOf, iso, params, refTo, text, time } from '../schema.ts'
import { keyRoute } from './shapes.ts'

export const TrueftpPreviewedShape = Type.Object(
  {
    event_id: idOf('event'),
    event: text('The event type.'),
    timestamp: time('When it happened.'),
    would_send: Type.Boolean(),
    ...previewed,
  },
  { $id: 'TrueFtpPreviewedEvent' },
)

function previewedShape({ event, unmet, request }: PreviewedEvent): Static<typeof TrueftpPreviewedShape> {
  return {
    ...{ event_id: event.id, event: event.type, timestamp: iso(event.occurredAt), would_send: unmet === null },
    ...{ reason: unmet?.reason ?? null, unmet: unmet && { member: unmet.member, condition: unmet.condition }, request },
  }
}

export function addPreviewRoutes(api: Api, { webhooks }: ApiNeeds): void {
  api.post(
    '/webhooks/:id/preview',
    {
      config: { scope: 'read' },
      schema: {
        ...keyRoute(
          'previewAccountWebhook',
          'Account webhooks',
          'Show what a webhook would send of the events recorded last',
          'read',
          {
            200: Type.Object({
              considered: count('Events that its event types cover, the newest.'),
              would_send: count('Those of them that its filter takes.'),
              data: Type.Array(refTo(TrueftpPreviewedShape), { description: 'Newest first.' }),
            }),
          },
          [404],
        ),
        description: `${PREVIEW_DESCRIPTION} Needs a key with the scope \`read\`.`,
        params: params({ id: idOf('webhook') }),
        body: PreviewBody,
      },
    },
    async ({ params: { id }, body: asked, caller }) => {
      const { events, wouldSend } = await webhooks.preview(id, asked, caller)
      return { considered: events.length, would_send: wouldSend, data: events.map(previewedShape) }
    },
  )
}
