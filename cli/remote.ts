import { readFile } from 'node:fs/promises'
import { connect } from './client.ts'
import { type Call, type Command, CommandError, many, optional, required, SERVER_OPTIONS } from './command.ts'
import { allOf, oneOf } from './named.ts'
import { readPassword } from './stdin.ts'
import { table } from './terminal.ts'

interface RemoteRow {
  readonly id: string
  readonly name: string
  readonly protocol: string
  readonly host: string
  readonly port: number
  readonly username: string | null
  readonly bucket?: string
  readonly hostKeys?: readonly string[]
  readonly trustFirstHostKey?: boolean
  readonly [member: string]: unknown
}

/** What a remote may be told at its making and later. */
const FIELDS = {
  host: { type: 'string', meaning: 'name or address of the server' },
  port: { type: 'string', meaning: 'defaults to that of the protocol' },
  user: { type: 'string', member: 'username', meaning: 'who we are there' },
  'password-stdin': {
    type: 'boolean',
    member: ['password', 'secretAccessKey'],
    meaning: 'read the password (S3: the secret access key) from standard input',
  },
  'private-key-file': { type: 'string', member: 'privateKey', meaning: 'SFTP: file with a private key, of OpenSSH or PEM' },
  'passphrase-stdin': {
    type: 'boolean',
    member: 'passphrase',
    meaning: 'read the passphrase of the private key from standard input',
  },
  'bearer-stdin': { type: 'boolean', member: 'bearer', meaning: 'HTTP: read a bearer token from standard input' },
  'host-key': {
    type: 'string',
    member: 'hostKeys',
    multiple: true,
    meaning: 'SFTP: pinned key, SHA256:… as `ssh-keygen -l` prints; repeatable',
  },
  'trust-first-host-key': { type: 'boolean', meaning: 'SFTP: take and pin the first key that is shown' },
  tls: { type: 'string', meaning: 'FTPS: explicit (default) or implicit' },
  'ca-file': { type: 'string', member: 'ca', meaning: 'PEM of the authority of its certificate' },
  certificate: {
    type: 'string',
    member: 'certificates',
    multiple: true,
    meaning: 'FTPS: pinned certificate, SHA-256 in hex; repeatable',
  },
  bucket: { type: 'string', meaning: 'S3' },
  region: { type: 'string', meaning: 'S3 (default us-east-1)' },
  endpoint: { type: 'string', meaning: 'S3: url of the server (default: that of AWS)' },
  'access-key-id': { type: 'string', meaning: 'S3' },
  'path-style': { type: 'boolean', meaning: 'S3: the bucket in the path (default with --endpoint)' },
} as const

const add: Command = {
  name: 'remote add',
  summary: "store a connection to somebody else's server",
  usage:
    'remote add NAME --protocol sftp|ftp|ftps|http|https|s3 --host HOST [--user USER] [--password-stdin] [--host-key SHA256:…]',
  options: { protocol: { type: 'string', meaning: 'sftp, ftp, ftps, http, https or s3' }, ...FIELDS, ...SERVER_OPTIONS },
  words: { min: 1, max: 1 },
  async run(call) {
    const protocol = required(call, 'protocol')
    const body = { name: call.words[0]!, protocol, ...(await fieldsOf(call, protocol)) }
    const client = await connect(call)
    const { remote: made } = await client.call<{ remote: RemoteRow }>('POST', '/api/remotes', body)
    call.terminal.out(call.json ? JSON.stringify(made) : `remote ${made.name} made: ${placeOf(made)} (${made.id})`)
    return 0
  },
}

const list: Command = {
  name: 'remote list',
  summary: 'list the remotes',
  usage: 'remote list',
  options: SERVER_OPTIONS,
  async run(call) {
    const remotes = await allOf<RemoteRow>(await connect(call), '/api/remotes', 'remotes')
    const rows = remotes.map((row) => [row.name, placeOf(row), row.username ?? '', pinOf(row), row.id])
    call.terminal.out(call.json ? JSON.stringify(remotes) : table(['NAME', 'SERVER', 'USER', 'HOST KEY', 'ID'], rows))
    return 0
  },
}

const show: Command = {
  name: 'remote show',
  summary: 'what is stored of a remote; secrets are never shown',
  usage: 'remote show NAME|ID',
  options: SERVER_OPTIONS,
  words: { min: 1, max: 1 },
  async run(call) {
    const row = await oneOf<RemoteRow>(await connect(call), 'remote', call.words[0]!)
    const rows = Object.entries(row).map(([name, value]) => [name, Array.isArray(value) ? value.join(' ') : String(value ?? '')])
    call.terminal.out(call.json ? JSON.stringify(row) : table(['MEMBER', 'VALUE'], rows))
    return 0
  },
}

const update: Command = {
  name: 'remote update',
  summary: 'change a remote; what is not given stays',
  usage: 'remote update NAME|ID [--name NAME] [--host HOST] [--password-stdin] [--host-key SHA256:…]',
  options: { name: { type: 'string', meaning: 'another name' }, ...FIELDS, ...SERVER_OPTIONS },
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const { id, protocol } = await oneOf<RemoteRow>(client, 'remote', call.words[0]!)
    const changes = { name: optional(call, 'name'), ...(await fieldsOf(call, protocol)) }
    const { remote: changed } = await client.call<{ remote: RemoteRow }>('PATCH', `/api/remotes/${id}`, changes)
    call.terminal.out(call.json ? JSON.stringify(changed) : `remote ${changed.name} changed: ${placeOf(changed)}`)
    return 0
  },
}

const remove: Command = {
  name: 'remote remove',
  summary: 'remove a remote that nothing uses',
  usage: 'remote remove NAME|ID',
  options: SERVER_OPTIONS,
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const { id, name } = await oneOf<RemoteRow>(client, 'remote', call.words[0]!)
    await client.call('DELETE', `/api/remotes/${id}`)
    call.terminal.out(call.json ? JSON.stringify({ id, removed: true }) : `remote ${name} removed`)
    return 0
  },
}

export const remote = [add, list, show, update, remove]

/** Only what was given: JSON leaves out what is undefined. */
async function fieldsOf(call: Call, protocol: string): Promise<object> {
  const [hostKeys, certificates] = [many(call, 'host-key'), many(call, 'certificate')]
  return {
    host: optional(call, 'host'),
    port: portOf(call),
    username: optional(call, 'user'),
    ...(await secretFrom(call, protocol)),
    privateKey: await fileOf(call, 'private-key-file'),
    hostKeys: hostKeys.length === 0 ? undefined : hostKeys,
    trustFirstHostKey: flagOf(call, 'trust-first-host-key'),
    tls: optional(call, 'tls'),
    ca: await fileOf(call, 'ca-file'),
    certificates: certificates.length === 0 ? undefined : certificates,
    bucket: optional(call, 'bucket'),
    region: optional(call, 'region'),
    endpoint: optional(call, 'endpoint'),
    accessKeyId: optional(call, 'access-key-id'),
    pathStyle: flagOf(call, 'path-style'),
  }
}

/** Standard input holds one secret. */
async function secretFrom(call: Call, protocol: string): Promise<object> {
  const members = {
    'password-stdin': protocol === 's3' ? 'secretAccessKey' : 'password',
    'passphrase-stdin': 'passphrase',
    'bearer-stdin': 'bearer',
  }
  const asked = Object.entries(members).filter(([flag]) => call.flags[flag] === true)
  if (asked.length === 0) return {}
  if (asked.length > 1)
    throw new CommandError(
      `standard input holds one secret: ${asked.map(([flag]) => `--${flag}`).join(' and ')} do not go together`,
    )
  const [flag, member] = asked[0]!
  return { [member]: await readPassword(`--${flag}`) }
}

async function fileOf(call: Call, flag: string): Promise<string | undefined> {
  const path = optional(call, flag)
  if (path === undefined) return undefined
  return readFile(path, 'utf8').catch((cause) => {
    throw new CommandError(`--${flag} ${path} cannot be read: ${cause.message}`)
  })
}

function flagOf(call: Call, flag: string): true | undefined {
  return call.flags[flag] === true ? true : undefined
}

function portOf(call: Call): number | undefined {
  const text = optional(call, 'port')
  if (text === undefined) return undefined
  if (!/^\d{1,5}$/.test(text)) throw new CommandError(`--port is a number between 1 and 65535, not ${text}`)
  return Number(text)
}

function placeOf({ protocol, host, port, bucket }: RemoteRow): string {
  return protocol === 's3'
    ? `s3://${bucket} at ${host}:${port}`
    : `${protocol}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

function pinOf({ protocol, hostKeys = [] }: RemoteRow): string {
  if (protocol !== 'sftp') return ''
  return hostKeys.length > 0 ? 'pinned' : 'the first one'
}
