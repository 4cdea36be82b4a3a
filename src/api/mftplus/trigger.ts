import { Type } from '../../base/type.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { body, count, idOf, refTo, TEXT_CHARS_MAX, text } from '../schema.ts'
import { DeliveryShape, deliveryShape } from './deliveries.ts'
import { adminRoute, envelope, said } from './shapes.ts'

export function addTriggerRoutes(api: Api, { trigger }: ApiNeeds): void {
  api.post(
    '/trigger',
    {
      schema: {
        ...adminRoute(
          'triggerSample',
          'Events',
          'Send a sample of an event type to the webhooks that subscribe to it, and to live listeners',
          {
            202: envelope({
              deliveries: Type.Array(
                Type.Object({ webhookId: idOf('webhook'), webhookName: text('Its name.'), delivery: refTo(DeliveryShape) }),
              ),
              listeners: count('Live streams that were shown it.'),
            }),
          },
          [404, 409],
        ),
        body: body({
          event: text('The event type.', { minLength: 1, maxLength: TEXT_CHARS_MAX }),
          webhookId: Type.Optional(idOf('webhook')),
          accountId: Type.Optional(idOf('account')),
        }),
      },
    },
    async ({ body: { event, ...to }, caller }, reply) => {
      const { deliveries, listeners } = await trigger.trigger(event, to, caller)
      reply.code(202)
      const rows = deliveries.map(({ webhook, delivery }) => ({
        webhookId: webhook.id,
        webhookName: webhook.name,
        delivery: deliveryShape(delivery),
      }))
      return said({ deliveries: rows, listeners })
    },
  )
}
