import type { Static } from 'typebox'
import { HOURLY_LIMIT_MAX, LABEL_CHARS_MAX } from '../../accounts/check.ts'
import { type AdminToken, type ApiKey, HOURLY_LIMIT_DEFAULT } from '../../accounts/key.ts'
import { SCOPES } from '../../accounts/permission.ts'
import { Type } from '../../base/type.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { body, count, idOf, iso, isoOrNull, nullable, params, query, refTo, text, time } from '../schema.ts'
import { accountReference } from './accounts.ts'
import { adminRoute, Deleted, envelope, PageQuery, Pagination, paging, said } from './shapes.ts'

const revocation = {
  revoked: Type.Boolean(),
  createdAt: time('When it was made.'),
  revokedAt: nullable(time('When it was revoked.')),
}
export const KeyShape = Type.Object(
  {
    id: idOf('key'),
    accountId: idOf('account'),
    name: text('For people.'),
    scopes: Type.Array(Type.Enum([...SCOPES])),
    hourlyLimit: count('Requests an hour.'),
    ...revocation,
  },
  { $id: 'Key' },
)
export const AdminTokenShape = Type.Object({ id: idOf('token'), name: text('For people.'), ...revocation }, { $id: 'AdminToken' })

function revocationShape({ createdAt, revokedAt }: { createdAt: number; revokedAt: number | null }) {
  return { revoked: revokedAt !== null, createdAt: iso(createdAt), revokedAt: isoOrNull(revokedAt) }
}
function keyShape(key: ApiKey): Static<typeof KeyShape> {
  const { id, accountId, name, scopes, hourlyLimit } = key
  return { id, accountId, name, scopes: [...scopes], hourlyLimit, ...revocationShape(key) }
}
function adminTokenShape(token: AdminToken): Static<typeof AdminTokenShape> {
  return { id: token.id, name: token.name, ...revocationShape(token) }
}

const Token = text('Shown once: it is in no other answer.')
const Name = Type.Optional(text('For people; defaults to the id.', { minLength: 1, maxLength: LABEL_CHARS_MAX }))

export function addKeyRoutes(api: Api, { accounts }: ApiNeeds): void {
  api.post(
    '/accounts/:account/keys',
    {
      schema: {
        ...adminRoute(
          'createKey',
          'Keys',
          'Make a key of an account',
          { 201: envelope({ key: refTo(KeyShape), token: Token }) },
          [404, 409],
        ),
        params: params({ account: accountReference }),
        body: body({
          name: Name,
          scopes: Type.Array(Type.Enum([...SCOPES]), {
            description: '`read` for every GET, `write` for the rest.',
            minItems: 1,
            maxItems: 10,
          }),
          hourlyLimit: Type.Optional(Type.Integer({ minimum: 1, maximum: HOURLY_LIMIT_MAX, default: HOURLY_LIMIT_DEFAULT })),
        }),
      },
    },
    async ({ params: { account }, body: input, caller }, reply) => {
      const { key, token } = await accounts.createApiKey(caller, account, input)
      reply.code(201)
      return said({ key: keyShape(key), token })
    },
  )

  api.get(
    '/accounts/:account/keys',
    {
      schema: {
        ...adminRoute(
          'listKeys',
          'Keys',
          'List the keys of an account',
          { 200: envelope({ keys: Type.Array(refTo(KeyShape)), pagination: refTo(Pagination) }) },
          [404],
        ),
        params: params({ account: accountReference }),
        querystring: query(PageQuery),
      },
    },
    async ({ params: { account }, query: asked, caller }) => {
      const { request, pagination } = paging(asked)
      const { rows, total } = await accounts.listApiKeys(caller, account, request)
      return said({ keys: rows.map(keyShape), pagination: pagination(total) })
    },
  )

  api.delete(
    '/accounts/:account/keys/:id',
    {
      schema: {
        ...adminRoute('revokeKey', 'Keys', 'Revoke a key at once', { 200: Deleted }, [404]),
        params: params({ account: accountReference, id: idOf('key') }),
      },
    },
    async ({ params: { account, id }, caller }) => {
      await accounts.revokeApiKey(caller, account, id)
      return said({ deleted: true as const })
    },
  )

  api.post(
    '/admin-tokens',
    {
      schema: {
        ...adminRoute('createAdminToken', 'Keys', 'Make an administrator token', {
          201: envelope({ adminToken: refTo(AdminTokenShape), token: Token }),
        }),
        body: body({ name: Name }),
      },
    },
    async ({ body: input, caller }, reply) => {
      const { adminToken, token } = await accounts.createAdminToken(caller, input)
      reply.code(201)
      return said({ adminToken: adminTokenShape(adminToken), token })
    },
  )

  api.get(
    '/admin-tokens',
    {
      schema: {
        ...adminRoute('listAdminTokens', 'Keys', 'List the administrator tokens', {
          200: envelope({ adminTokens: Type.Array(refTo(AdminTokenShape)), pagination: refTo(Pagination) }),
        }),
        querystring: query(PageQuery),
      },
    },
    async ({ query: asked, caller }) => {
      const { request, pagination } = paging(asked)
      const { rows, total } = await accounts.listAdminTokens(caller, request)
      return said({ adminTokens: rows.map(adminTokenShape), pagination: pagination(total) })
    },
  )

  api.delete(
    '/admin-tokens/:id',
    {
      schema: {
        ...adminRoute('revokeAdminToken', 'Keys', 'Revoke an administrator token at once', { 200: Deleted }, [404]),
        params: params({ id: idOf('token') }),
      },
    },
    async ({ params: { id }, caller }) => {
      await accounts.revokeAdminToken(caller, id)
      return said({ deleted: true as const })
    },
  )
}
