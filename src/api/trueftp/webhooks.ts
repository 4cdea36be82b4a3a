import type { Static } from 'typebox'
import { Type } from '../../base/type.ts'
import { DIALECT_NAMES } from '../../dialects/index.ts'
import type { SavedWebhook } from '../../webhooks/admin/administer.ts'
import {
  NAME_CHARACTERS_MAX,
  RETRIES_MAX,
  RETRY_DELAY_SECONDS_MAX,
  SECRET_CHARACTERS_MAX,
  SECRET_CHARACTERS_MIN,
  SUBSCRIPTIONS_MAX,
  type WebhookInput,
} from '../../webhooks/admin/input.ts'
import type { Health } from '../../webhooks/monitoring/health.ts'
import { MASKED } from '../../webhooks/redact.ts'
import type { SecretAdmin } from '../../webhooks/secrets/rotate.ts'
import type { Webhook } from '../../webhooks/webhook.ts'
import { missedBy, TrueftpMissed } from '../missed.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { body, idOf, iso, nullable, params, query, refTo, TEXT_CHARS_MAX, text, time, URL_CHARS_MAX } from '../schema.ts'
import { choicesIn, snakeCase } from '../webhook-options.ts'
import { healthShape, TrueftpHealthShape } from './monitoring.ts'
import { accountOf, keyRoute, listOf, Nothing, OffsetQuery, pageOf } from './shapes.ts'

const CHOICES = choicesIn(snakeCase)

const webhook = {
  id: idOf('webhook'),
  url: text('Receives the POSTs.'),
  name: text('For people.'),
  events: Type.Array(Type.String(), { description: 'Event types, groups such as `file.*`, or `*`.' }),
  active: Type.Boolean({ description: 'Whether events are delivered now.' }),
  status: Type.Enum(['active', 'inactive', 'failed'], {
    description: 'Failed: a delivery used up its attempts; set active to true to go on.',
  }),
  failed_reason: nullable(text('Why it failed.')),
  health: refTo(TrueftpHealthShape),
  inactive_reason: nullable(text('Why it is inactive, where not its owner turned it off.')),
  dialect: Type.Enum([...DIALECT_NAMES]),
  has_secret: Type.Boolean({ description: 'Whether deliveries are signed.' }),
  public_key: nullable(text('Of the key pair that signs, as Standard Webhooks writes it (`whpk_`); null: a shared secret.')),
  secret_rotation: nullable(
    Type.Object({ cut_over_at: time('From then on only the new secret counts.') }, { description: 'Null: no overlap runs.' }),
  ),
  retry: nullable(
    Type.Object(
      { delays_seconds: Type.Array(Type.Number()) },
      { description: 'Its own retry schedule; null: that of the dialect.' },
    ),
  ),
  ...CHOICES.told,
  created_at: time('When it was made.'),
  updated_at: time('When it was last changed.'),
}
export const TrueftpWebhookShape = Type.Object(webhook, { $id: 'TrueFtpWebhook' })
export const TrueftpSavedWebhookShape = Type.Object(
  {
    ...webhook,
    secret: Type.Optional(text('The secret that was made; it is in no other answer.')),
    warning: Type.Optional(text('What should be known although it was accepted.')),
    missed: Type.Optional(TrueftpMissed),
  },
  { $id: 'TrueFtpSavedWebhook' },
)

/** What the shape of a webhook tells that its row does not. */
type Showing = Pick<ApiNeeds, 'secrets' | 'monitor'>

/** A page of webhooks; their health is one question to the store. */
async function webhookShapes(webhooks: readonly Webhook[], { secrets, monitor }: Showing) {
  const health = await monitor.health(webhooks)
  return webhooks.map((webhook) => shapeOf(webhook, secrets, health.get(webhook.id)!))
}

export async function webhookShape(webhook: Webhook, showing: Showing): Promise<Static<typeof TrueftpWebhookShape>> {
  return (await webhookShapes([webhook], showing))[0]!
}

function shapeOf(webhook: Webhook, secrets: Pick<SecretAdmin, 'factsOf'>, health: Health): Static<typeof TrueftpWebhookShape> {
  const { id, url, name, events, state, dialect, sealedSecret, retryDelaysSeconds, createdAt, updatedAt } = webhook
  const { publicKey, rotation } = secrets.factsOf(webhook)
  return {
    id,
    url,
    name,
    events: [...events],
    active: state === 'active',
    status: state,
    failed_reason: webhook.failedReason,
    health: healthShape(health),
    inactive_reason: webhook.inactiveReason,
    dialect,
    has_secret: sealedSecret !== null,
    public_key: publicKey,
    secret_rotation: rotation && { cut_over_at: iso(rotation.cutOverAt) },
    retry: retryDelaysSeconds === null ? null : { delays_seconds: [...retryDelaysSeconds] },
    ...CHOICES.shown(webhook),
    created_at: iso(createdAt),
    updated_at: iso(updatedAt),
  }
}

async function savedShape(
  { webhook: saved, madeSecret, warnings }: SavedWebhook,
  showing: Showing,
): Promise<Static<typeof TrueftpSavedWebhookShape>> {
  return {
    ...(await webhookShape(saved, showing)),
    ...(madeSecret === null ? {} : { secret: madeSecret }),
    ...(warnings.length === 0 ? {} : { warning: warnings.join('; ') }),
  }
}

const Url = text('https, or http to loopback where the server allows it.', { minLength: 1, maxLength: URL_CHARS_MAX })
const Events = Type.Array(text('An event type, a group such as `file.*`, or `*`.', { minLength: 1, maxLength: 64 }), {
  minItems: 1,
  maxItems: SUBSCRIPTIONS_MAX,
})
const Delay = Type.Number({ minimum: 0, maximum: RETRY_DELAY_SECONDS_MAX })
const changeable = {
  name: Type.Optional(text('For people; defaults to the host of the url.', { minLength: 1, maxLength: NAME_CHARACTERS_MAX })),
  secret: Type.Optional(
    nullable(
      text(`Key of the signature; one is made where none is given; \`${MASKED}\`: the stored one stays.`, {
        minLength: SECRET_CHARACTERS_MIN,
        maxLength: SECRET_CHARACTERS_MAX,
      }),
    ),
  ),
  active: Type.Optional(Type.Boolean({ description: 'Whether events are delivered. True brings a failed webhook back.' })),
  dialect: Type.Optional(text(`One of ${DIALECT_NAMES.join(', ')}; defaults to trueftp.`, { maxLength: TEXT_CHARS_MAX })),
  retry: Type.Optional(
    nullable(
      body({
        delays_seconds: Type.Array(Delay, { description: 'Seconds before the 2nd, 3rd, … attempt.', maxItems: RETRIES_MAX }),
      }),
    ),
  ),
  ...CHOICES.asked,
}
const CreateBody = body({ url: Url, events: Events, ...changeable })
const UpdateBody = body({ url: Type.Optional(Url), events: Type.Optional(Events), ...changeable })

/** From the names of this face to ours; what is absent stays absent. */
function inputOf(given: Static<typeof UpdateBody>): Partial<WebhookInput> {
  const { choices, rest } = CHOICES.read(given)
  const { retry, ...same } = rest
  if (retry === undefined) return { ...same, ...choices }
  return { ...same, ...choices, retry: retry === null ? null : { delaysSeconds: retry.delays_seconds } }
}

export function addWebhookRoutes(api: Api, needs: ApiNeeds): void {
  const { webhooks } = needs
  const byId = params({ id: idOf('webhook') })
  const One = refTo(TrueftpWebhookShape)
  const Saved = refTo(TrueftpSavedWebhookShape)

  api.get(
    '/webhooks',
    {
      config: { scope: 'read' },
      schema: {
        ...keyRoute('listAccountWebhooks', 'Account webhooks', 'List the webhooks', 'read', { 200: listOf(One) }),
        querystring: query(OffsetQuery),
      },
    },
    async ({ query: asked, caller }) => {
      const { rows, total } = await webhooks.list({ accountId: accountOf(caller) }, pageOf(asked), caller)
      return { data: await webhookShapes(rows, needs), total }
    },
  )

  api.post(
    '/webhooks',
    {
      config: { scope: 'write' },
      schema: {
        ...keyRoute('createAccountWebhook', 'Account webhooks', 'Make a webhook', 'write', { 201: Saved }, [409]),
        body: CreateBody,
      },
    },
    async ({ body: input, caller }, reply) => {
      const placement = { accountId: accountOf(caller), dialect: 'trueftp' } as const
      const saved = await webhooks.create(inputOf(input) as WebhookInput, placement, caller)
      reply.code(201)
      return savedShape(saved, needs)
    },
  )

  api.get(
    '/webhooks/:id',
    {
      config: { scope: 'read' },
      schema: {
        ...keyRoute('getAccountWebhook', 'Account webhooks', 'Get a webhook', 'read', { 200: One }, [404]),
        params: byId,
      },
    },
    async ({ params: { id }, caller }) => webhookShape(await webhooks.get(id, caller), needs),
  )

  api.put(
    '/webhooks/:id',
    {
      config: { scope: 'write' },
      schema: {
        ...keyRoute(
          'updateAccountWebhook',
          'Account webhooks',
          'Change a webhook; what is absent stays',
          'write',
          { 200: Saved },
          [404, 409],
        ),
        params: byId,
        body: UpdateBody,
      },
    },
    async ({ params: { id }, body: changes, caller }) => {
      const before = await webhooks.get(id, caller)
      const saved = await webhooks.update(id, inputOf(changes), caller)
      const shape = await savedShape(saved, needs)
      const found = await missedBy(needs, before, saved.webhook, api.prefix)
      return found === null ? shape : { ...shape, missed: { ...found.missed, is_counted: found.isCounted } }
    },
  )

  api.delete(
    '/webhooks/:id',
    {
      config: { scope: 'write' },
      schema: {
        ...keyRoute(
          'deleteAccountWebhook',
          'Account webhooks',
          'Remove a webhook; what waits for it is cancelled',
          'write',
          { 204: Nothing },
          [404],
        ),
        params: byId,
      },
    },
    async ({ params: { id }, caller }, reply) => {
      await webhooks.remove(id, caller)
      return reply.code(204).send(null)
    },
  )
}
