import type { Static } from 'typebox'
import { DEFAULT_ACCOUNT_SLUG } from '../../accounts/account.ts'
import { HOME_BYTES_MAX, USER_KEYS_MAX, USER_NAME_CHARS_MAX } from '../../accounts/check.ts'
import { PASSWORD_BYTES_MAX, PASSWORD_BYTES_MIN } from '../../accounts/password.ts'
import { PERMISSIONS } from '../../accounts/permission.ts'
import type { User } from '../../accounts/user.ts'
import { Type } from '../../base/type.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { body, idOf, iso, nullable, params, query, refTo, text, time } from '../schema.ts'
import { accountReference } from './accounts.ts'
import { adminRoute, Deleted, envelope, PageQuery, Pagination, paging, said } from './shapes.ts'

export const UserShape = Type.Object(
  {
    id: idOf('user'),
    accountId: idOf('account'),
    name: text('Unique in its account.'),
    login: text('What the user logs in as: `account:name`, or `name` in the account `default`.'),
    home: text('Folder in the storage that the user sees as `/`.'),
    permissions: Type.Array(Type.Enum([...PERMISSIONS])),
    hasPassword: Type.Boolean(),
    publicKeys: Type.Array(
      Type.Object({
        id: idOf('key'),
        type: text('Such as `ssh-ed25519`.'),
        fingerprint: text('As `ssh-keygen -l` shows it.'),
        comment: text('From its line.'),
      }),
    ),
    disabled: Type.Boolean({ description: 'Whether logins are refused; live sessions ended with it.' }),
    createdAt: time('When it was made.'),
    updatedAt: time('When it was last changed.'),
  },
  { $id: 'User' },
)

function userShape(user: User): Static<typeof UserShape> {
  const { id, accountId, name, home, permissions, passwordHash, publicKeys, disabled, createdAt, updatedAt } = user
  return {
    id,
    accountId,
    name,
    login: loginOf(user),
    home,
    permissions: [...permissions],
    hasPassword: passwordHash !== null,
    publicKeys: publicKeys.map(({ id, type, fingerprint, comment }) => ({ id, type, fingerprint, comment })),
    disabled,
    createdAt: iso(createdAt),
    updatedAt: iso(updatedAt),
  }
}

export function loginOf({ accountSlug, name }: Pick<User, 'accountSlug' | 'name'>): string {
  return accountSlug === DEFAULT_ACCOUNT_SLUG ? name : `${accountSlug}:${name}`
}

/** What both faces let be said of a user, by our names; the exact bounds in bytes are checked below. */
export const userMembers = {
  name: text('Letters, digits, ".", "_" and "-".', { minLength: 1, maxLength: USER_NAME_CHARS_MAX }),
  password: nullable(
    text(`${PASSWORD_BYTES_MIN} to ${PASSWORD_BYTES_MAX} bytes; null: no login by password.`, {
      minLength: 1,
      maxLength: PASSWORD_BYTES_MAX,
    }),
  ),
  publicKeys: Type.Array(text('A line such as `ssh-ed25519 AAAA… comment`.', { minLength: 1, maxLength: 8_192 }), {
    maxItems: USER_KEYS_MAX,
  }),
  home: text('Folder in the storage that the user sees as `/`; defaults to `/<account>/<user>`.', {
    minLength: 1,
    maxLength: HOME_BYTES_MAX,
  }),
  permissions: Type.Array(Type.Enum([...PERMISSIONS]), { minItems: 1, maxItems: 20 }),
  disabled: Type.Boolean(),
}
const { name, ...others } = userMembers
const Changeable = Type.Partial(Type.Object(others)).properties

export function addUserRoutes(api: Api, { accounts }: ApiNeeds): void {
  const byAccount = params({ account: accountReference })
  const byIds = params({ account: accountReference, id: idOf('user') })
  const Saved = envelope({ user: refTo(UserShape) })

  api.post(
    '/accounts/:account/users',
    {
      schema: {
        ...adminRoute('createUser', 'Users', 'Make a transfer user', { 201: Saved }, [404, 409]),
        params: byAccount,
        body: body({ name, ...Changeable }),
      },
    },
    async ({ params: { account }, body: input, caller }, reply) => {
      reply.code(201)
      return said({ user: userShape(await accounts.createUser(caller, account, input)) })
    },
  )

  api.get(
    '/accounts/:account/users',
    {
      schema: {
        ...adminRoute(
          'listUsers',
          'Users',
          'List the transfer users of an account',
          { 200: envelope({ users: Type.Array(refTo(UserShape)), pagination: refTo(Pagination) }) },
          [404],
        ),
        params: byAccount,
        querystring: query(PageQuery),
      },
    },
    async ({ params: { account }, query: asked, caller }) => {
      const { request, pagination } = paging(asked)
      const { rows, total } = await accounts.listUsers(caller, account, request)
      return said({ users: rows.map(userShape), pagination: pagination(total) })
    },
  )

  api.get(
    '/accounts/:account/users/:id',
    { schema: { ...adminRoute('getUser', 'Users', 'Get a transfer user', { 200: Saved }, [404]), params: byIds } },
    async ({ params: { account, id }, caller }) => said({ user: userShape(await accounts.getUser(caller, account, id)) }),
  )

  api.patch(
    '/accounts/:account/users/:id',
    {
      schema: {
        ...adminRoute('updateUser', 'Users', 'Change a transfer user; its live sessions end', { 200: Saved }, [404, 409]),
        params: byIds,
        body: body({ name: Type.Optional(name), ...Changeable }),
      },
    },
    async ({ params: { account, id }, body: changes, caller }) =>
      said({ user: userShape(await accounts.updateUser(caller, account, id, changes)) }),
  )

  api.delete(
    '/accounts/:account/users/:id',
    {
      schema: {
        ...adminRoute('deleteUser', 'Users', 'Remove a transfer user; its files stay', { 200: Deleted }, [404]),
        params: byIds,
      },
    },
    async ({ params: { account, id }, caller }) => {
      await accounts.removeUser(caller, account, id)
      return said({ deleted: true as const })
    },
  )
}
