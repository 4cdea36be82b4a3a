import type { Static } from 'typebox'
import type { UserInput } from '../../accounts/administer.ts'
import { PERMISSIONS } from '../../accounts/permission.ts'
import type { User } from '../../accounts/user.ts'
import { Type } from '../../base/type.ts'
import { loginOf, userMembers } from '../mftplus/users.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { body, idOf, iso, params, query, refTo, text, time } from '../schema.ts'
import { accountOf, keyRoute, listOf, Nothing, OffsetQuery, pageOf } from './shapes.ts'

export const FtpUserShape = Type.Object(
  {
    id: idOf('user'),
    username: text('Unique in the account.'),
    login: text('What the user logs in as: `account:username`, or `username` in the account `default`.'),
    home_directory: text('Folder in the storage that the user sees as `/`.'),
    permissions: Type.Array(Type.Enum([...PERMISSIONS])),
    has_password: Type.Boolean(),
    public_keys: Type.Array(
      Type.Object({
        id: idOf('key'),
        type: text('Such as `ssh-ed25519`.'),
        fingerprint: text('As `ssh-keygen -l` shows it.'),
        comment: text('From its line.'),
      }),
    ),
    disabled: Type.Boolean({ description: 'Whether logins are refused; live sessions ended with it.' }),
    created_at: time('When it was made.'),
    updated_at: time('When it was last changed.'),
  },
  { $id: 'FtpUser' },
)

function ftpUserShape(user: User): Static<typeof FtpUserShape> {
  const { id, name, home, permissions, passwordHash, publicKeys, disabled, createdAt, updatedAt } = user
  return {
    id,
    username: name,
    login: loginOf(user),
    home_directory: home,
    permissions: [...permissions],
    has_password: passwordHash !== null,
    public_keys: publicKeys.map(({ id, type, fingerprint, comment }) => ({ id, type, fingerprint, comment })),
    disabled,
    created_at: iso(createdAt),
    updated_at: iso(updatedAt),
  }
}

const { name, password, publicKeys, home, permissions, disabled } = userMembers
const changeable = {
  password: Type.Optional(password),
  public_keys: Type.Optional(publicKeys),
  home_directory: Type.Optional(home),
  permissions: Type.Optional(permissions),
  disabled: Type.Optional(disabled),
}
const CreateBody = body({ username: name, ...changeable })
const UpdateBody = body({ username: Type.Optional(name), ...changeable })

/** From the names of this face to ours; what is absent stays absent. */
function inputOf({ username, public_keys, home_directory, ...same }: Static<typeof UpdateBody>): Partial<UserInput> {
  return {
    ...same,
    ...(username === undefined ? {} : { name: username }),
    ...(public_keys === undefined ? {} : { publicKeys: public_keys }),
    ...(home_directory === undefined ? {} : { home: home_directory }),
  }
}

const fieldNames = { name: 'username', home: 'home_directory' }

export function addFtpUserRoutes(api: Api, { accounts }: ApiNeeds): void {
  const byId = params({ id: idOf('user') })
  const One = refTo(FtpUserShape)
  const reads = { scope: 'read', fieldNames } as const
  const writes = { scope: 'write', fieldNames } as const

  api.get(
    '/ftp-users',
    {
      config: reads,
      schema: {
        ...keyRoute('listFtpUsers', 'FTP users', 'List the users', 'read', { 200: listOf(One) }),
        querystring: query(OffsetQuery),
      },
    },
    async ({ query: asked, caller }) => {
      const { rows, total } = await accounts.listUsers(caller, accountOf(caller), pageOf(asked))
      return { data: rows.map(ftpUserShape), total }
    },
  )

  api.post(
    '/ftp-users',
    {
      config: writes,
      schema: { ...keyRoute('createFtpUser', 'FTP users', 'Make a user', 'write', { 201: One }, [409]), body: CreateBody },
    },
    async ({ body: input, caller }, reply) => {
      const user = await accounts.createUser(caller, accountOf(caller), inputOf(input) as UserInput)
      reply.code(201)
      return ftpUserShape(user)
    },
  )

  api.get(
    '/ftp-users/:id',
    {
      config: reads,
      schema: { ...keyRoute('getFtpUser', 'FTP users', 'Get a user', 'read', { 200: One }, [404]), params: byId },
    },
    async ({ params: { id }, caller }) => ftpUserShape(await accounts.getUser(caller, accountOf(caller), id)),
  )

  api.put(
    '/ftp-users/:id',
    {
      config: writes,
      schema: {
        ...keyRoute(
          'updateFtpUser',
          'FTP users',
          'Change a user; what is absent stays; live sessions end',
          'write',
          { 200: One },
          [404, 409],
        ),
        params: byId,
        body: UpdateBody,
      },
    },
    async ({ params: { id }, body: changes, caller }) =>
      ftpUserShape(await accounts.updateUser(caller, accountOf(caller), id, inputOf(changes))),
  )

  api.delete(
    '/ftp-users/:id',
    {
      config: writes,
      schema: {
        ...keyRoute('deleteFtpUser', 'FTP users', 'Remove a user; its files stay', 'write', { 204: Nothing }, [404]),
        params: byId,
      },
    },
    async ({ params: { id }, caller }, reply) => {
      await accounts.removeUser(caller, accountOf(caller), id)
      return reply.code(204).send(null)
    },
  )
}
