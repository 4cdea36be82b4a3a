import type { Static } from 'typebox'
import type { Caller } from '../../audit/caller.ts'
import { AppError, codeOf } from '../../base/error.ts'
import { Type } from '../../base/type.ts'
import { DIALECT_NAMES } from '../../dialects/index.ts'
import type { Placement, SavedWebhook } from '../../webhooks/admin/administer.ts'
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
import { MftplusMissed, missedBy } from '../missed.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { body, idOf, iso, nullable, params, query, refTo, TEXT_CHARS_MAX, text, time, URL_CHARS_MAX } from '../schema.ts'
import { camelCase, choicesIn } from '../webhook-options.ts'
import { HealthShape, healthShape } from './monitoring.ts'
import { adminRoute, Deleted, envelope, PageQuery, Pagination, paging, said } from './shapes.ts'

const CHOICES = choicesIn(camelCase)

export const WebhookShape = Type.Object(
  {
    id: idOf('webhook'),
    accountId: nullable(text('The account whose events it gets; null: all accounts and server-wide events.')),
    name: text('For people.'),
    url: text('Receives the POSTs.'),
    events: Type.Array(Type.String(), { description: 'Event types, groups such as `transfer.*`, or `*`.' }),
    active: Type.Boolean({ description: 'Whether events are delivered now.' }),
    state: Type.Enum(['active', 'inactive', 'failed'], {
      description: 'Failed: a delivery used up its attempts; set active to true to go on.',
    }),
    failedReason: nullable(text('Why it failed.')),
    health: refTo(HealthShape),
    inactiveReason: nullable(text('Why it is inactive, where not its owner turned it off.')),
    dialect: Type.Enum([...DIALECT_NAMES]),
    hasSecret: Type.Boolean({ description: 'Whether deliveries are signed. The secret itself is never returned.' }),
    publicKey: nullable(
      text('Of the key pair that signs, as Standard Webhooks writes it (`whpk_`); null: a shared secret, or none.'),
    ),
    secretRotation: nullable(
      Type.Object({ cutOverAt: time('From then on only the new secret counts.') }, { description: 'Null: no overlap runs.' }),
    ),
    retry: nullable(
      Type.Object(
        { delaysSeconds: Type.Array(Type.Number()) },
        { description: 'Its own retry schedule; null: that of the dialect.' },
      ),
    ),
    ...CHOICES.told,
    createdAt: time('When it was made.'),
    updatedAt: time('When it was last changed.'),
  },
  { $id: 'Webhook' },
)

/** What the shape of a webhook tells that its row does not. */
type Showing = Pick<ApiNeeds, 'secrets' | 'monitor'>

/** A page of webhooks; their health is one question to the store. */
export async function webhookShapes(webhooks: readonly Webhook[], { secrets, monitor }: Showing) {
  const health = await monitor.health(webhooks)
  return webhooks.map((webhook) => shapeOf(webhook, secrets, health.get(webhook.id)!))
}

export async function webhookShape(webhook: Webhook, showing: Showing): Promise<Static<typeof WebhookShape>> {
  return (await webhookShapes([webhook], showing))[0]!
}

function shapeOf(webhook: Webhook, secrets: Pick<SecretAdmin, 'factsOf'>, health: Health): Static<typeof WebhookShape> {
  const {
    id,
    accountId,
    name,
    url,
    events,
    state,
    failedReason,
    inactiveReason,
    dialect,
    sealedSecret,
    retryDelaysSeconds,
    createdAt,
    updatedAt,
  } = webhook
  const { publicKey, rotation } = secrets.factsOf(webhook)
  return {
    id,
    accountId,
    name,
    url,
    events: [...events],
    active: state === 'active',
    state,
    failedReason,
    health: healthShape(health),
    inactiveReason,
    dialect,
    hasSecret: sealedSecret !== null,
    publicKey,
    secretRotation: rotation && { cutOverAt: iso(rotation.cutOverAt) },
    retry: retryDelaysSeconds === null ? null : { delaysSeconds: [...retryDelaysSeconds] },
    ...CHOICES.shown(webhook),
    createdAt: iso(createdAt),
    updatedAt: iso(updatedAt),
  }
}

const Events = Type.Array(text('An event type, a group such as `transfer.*`, or `*`.', { minLength: 1, maxLength: 64 }), {
  minItems: 1,
  maxItems: SUBSCRIPTIONS_MAX,
})
const Delay = Type.Number({ minimum: 0, maximum: RETRY_DELAY_SECONDS_MAX })
const Retry = nullable(
  body({ delaysSeconds: Type.Array(Delay, { description: 'Seconds before the 2nd, 3rd, … attempt.', maxItems: RETRIES_MAX }) }),
)
const Changeable = {
  name: Type.Optional(text('For people; defaults to the host of the url.', { minLength: 1, maxLength: NAME_CHARACTERS_MAX })),
  secret: Type.Optional(
    nullable(
      text(`Key of the signature; null: unsigned, where the dialect allows it; \`${MASKED}\`: the stored one stays.`, {
        minLength: SECRET_CHARACTERS_MIN,
        maxLength: SECRET_CHARACTERS_MAX,
      }),
    ),
  ),
  active: Type.Optional(Type.Boolean({ description: 'Whether events are delivered. True brings a failed webhook back.' })),
  enabled: Type.Optional(Type.Boolean({ description: 'Another name of `active`; given both, they say the same.' })),
  dialect: Type.Optional(text(`One of ${DIALECT_NAMES.join(', ')}; defaults to mftplus.`, { maxLength: TEXT_CHARS_MAX })),
  retry: Type.Optional(Retry),
  ...CHOICES.asked,
}
const Url = text('https, or http to loopback where the server allows it.', { minLength: 1, maxLength: URL_CHARS_MAX })
const CreateBody = body({
  url: Url,
  events: Events,
  ...Changeable,
  accountId: Type.Optional(text('Id or slug; absent: all accounts and server-wide events.', { minLength: 1, maxLength: 64 })),
})
const PatchBody = body({ url: Type.Optional(Url), events: Type.Optional(Events), ...Changeable })
const Saved = envelope({
  webhook: refTo(WebhookShape),
  secret: Type.Optional(text('The secret that was made; it is in no other answer.')),
  warning: Type.Optional(text('What should be known although it was accepted.')),
  missed: Type.Optional(MftplusMissed),
})

export function addWebhookRoutes(api: Api, needs: ApiNeeds): void {
  const { webhooks, accounts } = needs
  const byId = params({ id: idOf('webhook') })

  api.post(
    '/webhooks',
    {
      schema: { ...adminRoute('createWebhook', 'Webhooks', 'Make a webhook', { 201: Saved }, [403, 409]), body: CreateBody },
    },
    async ({ body: { accountId, ...input }, caller }, reply) => {
      const saved = await webhooks.create(inputOf(input) as WebhookInput, await placement(accountId, caller), caller)
      reply.code(201)
      return savedShape(saved, needs)
    },
  )

  /** Where a new webhook belongs. An account that does not exist is a wrong field here, not a wrong path. */
  async function placement(account: string | undefined, caller: Caller): Promise<Placement> {
    if (account === undefined) return { accountId: null, dialect: 'mftplus' }
    const found = await accounts.getAccount(caller, account).catch((cause) => {
      if (codeOf(cause) !== 'not_found') throw cause
      throw new AppError('invalid', `accountId is ${JSON.stringify(account)}, which is no account`, { field: 'accountId', cause })
    })
    return { accountId: found.id, dialect: 'mftplus' }
  }

  api.get(
    '/webhooks',
    {
      schema: {
        ...adminRoute('listWebhooks', 'Webhooks', 'List the webhooks', {
          200: envelope({ webhooks: Type.Array(refTo(WebhookShape)), pagination: refTo(Pagination) }),
        }),
        querystring: query({ ...PageQuery, accountId: Type.Optional(idOf('account')) }),
      },
    },
    async ({ query: { accountId, ...asked }, caller }) => {
      const { request, pagination } = paging(asked)
      const { rows, total } = await webhooks.list(accountId === undefined ? {} : { accountId }, request, caller)
      return said({ webhooks: await webhookShapes(rows, needs), pagination: pagination(total) })
    },
  )

  api.get(
    '/webhooks/:id',
    {
      schema: {
        ...adminRoute('getWebhook', 'Webhooks', 'Get a webhook', { 200: envelope({ webhook: refTo(WebhookShape) }) }, [404]),
        params: byId,
      },
    },
    async ({ params: { id }, caller }) => said({ webhook: await webhookShape(await webhooks.get(id, caller), needs) }),
  )

  api.patch(
    '/webhooks/:id',
    {
      schema: {
        ...adminRoute(
          'updateWebhook',
          'Webhooks',
          'Change a webhook, pause it or bring it back',
          { 200: Saved },
          [403, 404, 409],
        ),
        params: byId,
        body: PatchBody,
      },
    },
    async ({ params: { id }, body: changes, caller }) => {
      const before = await webhooks.get(id, caller)
      const saved = await webhooks.update(id, inputOf(changes), caller)
      const { success, data } = await savedShape(saved, needs)
      const found = await missedBy(needs, before, saved.webhook, api.prefix)
      return { success, data: found === null ? data : { ...data, missed: { ...found.missed, isCounted: found.isCounted } } }
    },
  )

  api.delete(
    '/webhooks/:id',
    {
      schema: {
        ...adminRoute('deleteWebhook', 'Webhooks', 'Remove a webhook; what waits for it is cancelled', { 200: Deleted }, [404]),
        params: byId,
      },
    },
    async ({ params: { id }, caller }) => {
      await webhooks.remove(id, caller)
      return said({ deleted: true as const })
    },
  )
}

/** `enabled` is another name of `active`: both may be given, where they say the same. */
function inputOf(given: Static<typeof PatchBody>): Partial<WebhookInput> {
  const { choices, rest } = CHOICES.read(given)
  const { enabled, ...input } = rest
  const active = input.active ?? enabled
  if (enabled !== undefined && enabled !== active)
    throw new AppError('invalid', `enabled is ${enabled} and active ${active}, but they are two names of one member: give one`, {
      field: 'enabled',
    })
  return { ...input, ...choices, ...(active === undefined ? {} : { active }) }
}

async function savedShape({ webhook, madeSecret, warnings }: SavedWebhook, showing: Showing) {
  return said({
    webhook: await webhookShape(webhook, showing),
    ...(madeSecret === null ? {} : { secret: madeSecret }),
    ...(warnings.length === 0 ? {} : { warning: warnings.join('; ') }),
  })
}
