import { Type } from '../../base/type.ts'
import { OVERLAP_SECONDS_DEFAULT, OVERLAP_SECONDS_MAX, ROTATION_RULES } from '../../webhooks/secrets/rotate.ts'
import type { Guards } from '../auth.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { body, idOf, iso, nullable, params, refTo, responses, TEXT_CHARS_MAX, text, time } from '../schema.ts'
import { adminRoute, envelope, MftplusError, said } from './shapes.ts'
import { WebhookShape, webhookShape } from './webhooks.ts'

const Rotated = envelope({
  webhook: refTo(WebhookShape),
  secret: Type.Optional(text('The secret that was made; it is in no other answer.')),
  cutOverAt: time('From then on only the new secret counts.'),
  note: text('Which signatures are sent until then.'),
})

/** Null: no body at all. */
const RotateBody = nullable(
  body({
    secret: Type.Optional(text('The new secret; absent: one is made.', { minLength: 1, maxLength: TEXT_CHARS_MAX })),
    overlapSeconds: Type.Optional(
      Type.Integer({
        description: 'How long the secret before still counts.',
        minimum: 0,
        maximum: OVERLAP_SECONDS_MAX,
        default: OVERLAP_SECONDS_DEFAULT,
      }),
    ),
  }),
)

export function addSecretRoutes(api: Api, needs: ApiNeeds): void {
  const { secrets } = needs
  api.post(
    '/webhooks/:id/rotate-secret',
    {
      schema: {
        ...adminRoute('rotateWebhookSecret', 'Webhooks', 'Replace the secret, with an overlap', { 200: Rotated }, [404, 409]),
        description: ROTATION_RULES,
        params: params({ id: idOf('webhook') }),
        body: RotateBody,
      },
    },
    async ({ params: { id }, body: input, caller }) => {
      const { webhook, madeSecret, cutOverAt, note } = await secrets.rotate(id, input ?? {}, caller)
      return said({
        webhook: await webhookShape(webhook, needs),
        ...(madeSecret === null ? {} : { secret: madeSecret }),
        cutOverAt: iso(cutOverAt),
        note,
      })
    },
  )
}

const Jwk = Type.Object({
  kty: Type.Literal('OKP'),
  crv: Type.Literal('Ed25519'),
  x: text('The public key, base64url.'),
  kid: text('Its thumbprint (RFC 7638).'),
  use: Type.Literal('sig'),
  alg: Type.Literal('EdDSA'),
})

/** A receiver may keep the keys this long, s: below the shortest overlap that makes sense. */
const KEYS_MAX_AGE_SECONDS = 60

/** For everybody: it tells public keys only, and nothing of a webhook that has none. */
export function addPublicKeyRoutes(face: Api, { secrets }: ApiNeeds, { anybody }: Pick<Guards, 'anybody'>): void {
  face.get(
    '/webhooks/:id/jwks.json',
    {
      onRequest: anybody,
      schema: {
        operationId: 'getWebhookPublicKeys',
        tags: ['Webhooks'],
        summary: 'Public keys of the signatures v1a, newest first; during a rotation both',
        security: [],
        params: params({ id: idOf('webhook') }),
        response: responses({ 200: Type.Object({ keys: Type.Array(Jwk) }) }, refTo(MftplusError), {
          400: 'Invalid input',
          404: 'No such webhook, or it signs with a shared secret',
          429: 'Rate limit exceeded; see Retry-After',
        }),
      },
    },
    async ({ params: { id } }, reply) => {
      const keys = await secrets.publicKeys(id)
      reply.header('cache-control', `public, max-age=${KEYS_MAX_AGE_SECONDS}`)
      return { keys: keys.map(({ jwk }) => jwk) }
    },
  )
}
