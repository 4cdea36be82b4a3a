import { Type } from '../../base/type.ts'
import { OVERLAP_SECONDS_DEFAULT, OVERLAP_SECONDS_MAX, ROTATION_RULES } from '../../webhooks/secrets/rotate.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { body, idOf, iso, nullable, params, refTo, TEXT_CHARS_MAX, text, time } from '../schema.ts'
import { keyRoute } from './shapes.ts'
import { TrueftpWebhookShape, webhookShape } from './webhooks.ts'

const Rotated = Type.Object({
  webhook: refTo(TrueftpWebhookShape),
  secret: Type.Optional(text('The secret that was made; it is in no other answer.')),
  cut_over_at: time('From then on only the new secret counts.'),
  note: text('Which signatures are sent until then.'),
})

/** Null: no body at all. */
const RotateBody = nullable(
  body({
    secret: Type.Optional(text('The new secret; absent: one is made.', { minLength: 1, maxLength: TEXT_CHARS_MAX })),
    overlap_seconds: Type.Optional(
      Type.Integer({
        description: 'How long the secret before still counts.',
        minimum: 0,
        maximum: OVERLAP_SECONDS_MAX,
        default: OVERLAP_SECONDS_DEFAULT,
      }),
    ),
  }),
)

export function addSecretRoute(api: Api, needs: ApiNeeds): void {
  const { secrets } = needs
  const docs = keyRoute(
    'rotateAccountWebhookSecret',
    'Account webhooks',
    'Replace the secret, with an overlap',
    'write',
    { 200: Rotated },
    [404, 409],
  )
  api.post(
    '/webhooks/:id/rotate-secret',
    {
      config: { scope: 'write' },
      schema: {
        ...docs,
        description: `${docs.description} ${ROTATION_RULES.replaceAll('overlapSeconds', 'overlap_seconds')}`,
        params: params({ id: idOf('webhook') }),
        body: RotateBody,
      },
    },
    async ({ params: { id }, body: given, caller }) => {
      const { overlap_seconds: overlapSeconds, ...input } = given ?? {}
      const asked = { ...input, ...(overlapSeconds === undefined ? {} : { overlapSeconds }) }
      const { webhook, madeSecret, cutOverAt, note } = await secrets.rotate(id, asked, caller)
      return {
        webhook: await webhookShape(webhook, needs),
        ...(madeSecret === null ? {} : { secret: madeSecret }),
        cut_over_at: iso(cutOverAt),
        note,
      }
    },
  )
}
