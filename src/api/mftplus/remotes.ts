import type { Static } from 'typebox'
import { Type } from '../../base/type.ts'
import {
  NAME_CHARACTERS_MAX,
  PEM_CHARACTERS_MAX,
  PINS_MAX,
  REMOTE_PROTOCOLS,
  SECRET_CHARACTERS_MAX,
  SECRET_FIELDS,
  USERNAME_CHARACTERS_MAX,
} from '../../transfers/remote.ts'
import type { Remote } from '../../transfers/transfer.ts'
import type { Api, ApiNeeds } from '../needs.ts'
import { body, idOf, iso, nullable, params, query, refTo, text, time, URL_CHARS_MAX } from '../schema.ts'
import { adminRoute, Deleted, envelope, PageQuery, Pagination, paging, said } from './shapes.ts'

const has = (what: string) => Type.Boolean({ description: `Whether it has ${what}; that itself is never returned.` })

export const RemoteShape = Type.Object(
  {
    id: idOf('remote'),
    name: text('For people; one of a kind.'),
    protocol: Type.Enum([...REMOTE_PROTOCOLS]),
    host: text('Name or address.'),
    port: Type.Integer(),
    username: nullable(text('Who we are there.')),
    hasPassword: has('a password'),
    hasPrivateKey: has('a private key'),
    hasPassphrase: has('a passphrase of its private key'),
    hasBearer: has('a bearer token'),
    hasAccessKeyId: has('an access key id'),
    hasSecretAccessKey: has('a secret access key'),
    hostKeys: Type.Optional(Type.Array(Type.String(), { description: 'SFTP: pinned keys, `SHA256:…`.' })),
    trustFirstHostKey: Type.Optional(
      Type.Boolean({ description: 'SFTP: with no pinned key, the first one that is shown is taken and pinned.' }),
    ),
    tls: Type.Optional(Type.Enum(['implicit', 'explicit'])),
    ca: Type.Optional(text('PEM of the authority that its certificate is checked against.')),
    certificates: Type.Optional(Type.Array(Type.String(), { description: 'FTPS: pinned certificates, SHA-256 in hex.' })),
    endpoint: Type.Optional(text('S3: url of the server; absent: that of AWS.')),
    region: Type.Optional(Type.String()),
    bucket: Type.Optional(Type.String()),
    pathStyle: Type.Optional(Type.Boolean({ description: 'S3: the bucket is in the path.' })),
    createdAt: time('When it was made.'),
    updatedAt: time('When it was last changed.'),
  },
  { $id: 'Remote' },
)

const HAS = {
  password: 'hasPassword',
  privateKey: 'hasPrivateKey',
  passphrase: 'hasPassphrase',
  bearer: 'hasBearer',
  accessKeyId: 'hasAccessKeyId',
  secretAccessKey: 'hasSecretAccessKey',
} as const satisfies Record<(typeof SECRET_FIELDS)[number], keyof Static<typeof RemoteShape>>

function remoteShape(remote: Remote, { secretsOf }: ApiNeeds['remotes']): Static<typeof RemoteShape> {
  const { id, name, protocol, host, port, username, options, createdAt, updatedAt } = remote
  const { hostKeys, certificates, ...more } = options
  const secrets = secretsOf(remote)
  const known = Object.fromEntries(SECRET_FIELDS.map((field) => [HAS[field], secrets.includes(field)]))
  return {
    ...{ id, name, protocol, host, port, username },
    ...(known as Record<(typeof HAS)[keyof typeof HAS], boolean>),
    ...(hostKeys === undefined ? {} : { hostKeys: [...hostKeys] }),
    ...(certificates === undefined ? {} : { certificates: [...certificates] }),
    ...more,
    ...{ createdAt: iso(createdAt), updatedAt: iso(updatedAt) },
  }
}

const maybe = (description: string, maxLength: number) => Type.Optional(nullable(text(description, { minLength: 1, maxLength })))
const Secret = (description: string) => maybe(`${description} Stored sealed, never returned.`, SECRET_CHARACTERS_MAX)
const Pins = (description: string) =>
  Type.Optional(nullable(Type.Array(Type.String({ maxLength: 128 }), { description, maxItems: PINS_MAX })))
const Flag = (description: string) => Type.Optional(nullable(Type.Boolean({ description })))

const FIELDS = {
  host: maybe('Name or address; every protocol but S3 needs it.', 253),
  port: Type.Optional(nullable(Type.Integer({ description: 'Defaults to that of the protocol.', minimum: 1, maximum: 65_535 }))),
  username: maybe('Who we are there.', USERNAME_CHARACTERS_MAX),
  password: Secret('Of the user.'),
  privateKey: maybe('SFTP: of OpenSSH or PEM. Stored sealed, never returned.', PEM_CHARACTERS_MAX),
  passphrase: Secret('Of the private key.'),
  bearer: Secret('HTTP: token.'),
  accessKeyId: Secret('S3.'),
  secretAccessKey: Secret('S3.'),
  hostKeys: Pins('SFTP: pinned keys, `SHA256:…` as `ssh-keygen -l` prints.'),
  trustFirstHostKey: Flag('SFTP: without a pinned key, take the first one that is shown, and pin it.'),
  tls: maybe('FTPS: `explicit` (the default) or `implicit`.', 16),
  ca: maybe(
    'PEM of the authority that its certificate is checked against; absent: those that the agent’s system trusts.',
    PEM_CHARACTERS_MAX,
  ),
  certificates: Pins('FTPS: pinned certificates, SHA-256 in lower-case hex.'),
  endpoint: maybe('S3: url of the server; absent: that of AWS.', URL_CHARS_MAX),
  region: maybe('S3: defaults to us-east-1.', 32),
  bucket: maybe('S3.', 63),
  pathStyle: Flag('S3: the bucket in the path; defaults to true with an endpoint.'),
}
const Name = text('For people; one of a kind.', { minLength: 1, maxLength: NAME_CHARACTERS_MAX })
const Protocol = text(`One of ${REMOTE_PROTOCOLS.join(', ')}.`, { minLength: 1, maxLength: 16 })
const CreateBody = body({ name: Name, protocol: Protocol, ...FIELDS })
const PatchBody = body({ name: Type.Optional(Name), protocol: Type.Optional(Protocol), ...FIELDS })

const One = envelope({ remote: refTo(RemoteShape) })
const byId = params({ id: idOf('remote') })

/** Connections to other people's servers. */
export function addRemoteRoutes(api: Api, { remotes }: Pick<ApiNeeds, 'remotes'>): void {
  const one = (remote: Remote) => said({ remote: remoteShape(remote, remotes) })

  api.post(
    '/remotes',
    {
      schema: {
        ...adminRoute('createRemote', 'Remotes', 'Store a connection to somebody else’s server', { 201: One }, [409]),
        body: CreateBody,
      },
    },
    async ({ body: input, caller }, reply) => {
      reply.code(201)
      return one(await remotes.create(caller, input))
    },
  )

  api.get(
    '/remotes',
    {
      schema: {
        ...adminRoute('listRemotes', 'Remotes', 'List the remotes', {
          200: envelope({ remotes: Type.Array(refTo(RemoteShape)), pagination: refTo(Pagination) }),
        }),
        querystring: query(PageQuery),
      },
    },
    async ({ query: asked }) => {
      const { request, pagination } = paging(asked)
      const { rows, total } = await remotes.list(request)
      return said({ remotes: rows.map((remote) => remoteShape(remote, remotes)), pagination: pagination(total) })
    },
  )

  api.get(
    '/remotes/:id',
    { schema: { ...adminRoute('getRemote', 'Remotes', 'Get a remote', { 200: One }, [404]), params: byId } },
    async ({ params: { id } }) => one(await remotes.find(id)),
  )

  api.patch(
    '/remotes/:id',
    {
      schema: {
        ...adminRoute('updateRemote', 'Remotes', 'Change a remote; null takes a member away', { 200: One }, [404, 409]),
        params: byId,
        body: PatchBody,
      },
    },
    async ({ params: { id }, body: changes, caller }) => one(await remotes.update(caller, id, changes)),
  )

  api.delete(
    '/remotes/:id',
    {
      schema: {
        ...adminRoute('removeRemote', 'Remotes', 'Remove a remote that nothing uses', { 200: Deleted }, [404, 409]),
        params: byId,
      },
    },
    async ({ params: { id }, caller }) => {
      await remotes.remove(caller, id)
      return said({ deleted: true as const })
    },
  )
}
