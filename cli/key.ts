import { connect } from './client.ts'
import { type Call, type Command, CommandError, listOf, optional, SERVER_OPTIONS } from './command.ts'
import { table } from './terminal.ts'

interface KeyRow {
  id: string
  name: string
  scopes: string[]
  hourlyLimit: number
  revoked: boolean
}

const ACCOUNT = { account: { type: 'string', meaning: 'slug of the account (default: default)' } } as const

const create: Command = {
  name: 'key create',
  summary: 'make an account key for the TrueFTP face; it is shown once',
  usage: 'key create [--account SLUG] [--scopes read,write] [--name NAME] [--hourly-limit N]',
  options: {
    ...ACCOUNT,
    name: { type: 'string', meaning: 'name for people' },
    scopes: { type: 'string', meaning: 'of read, write, separated by commas (default read)' },
    'hourly-limit': { type: 'string', meaning: 'requests per hour (default 1000)' },
    ...SERVER_OPTIONS,
  },
  async run(call) {
    const limit = optional(call, 'hourly-limit')
    const body = {
      name: optional(call, 'name'),
      scopes: listOf(optional(call, 'scopes')) ?? ['read'],
      hourlyLimit: limit === undefined ? undefined : wholeNumber('hourly-limit', limit),
    }
    const client = await connect(call)
    const { key: made, token } = await client.call<{ key: KeyRow; token: string }>('POST', keysPath(call), body)
    if (call.json) call.terminal.out(JSON.stringify({ ...made, token }))
    else
      call.terminal.out(
        `${token}\nkey ${made.id} (${made.scopes.join(', ')}; ${made.hourlyLimit} requests an hour); it is not shown again`,
      )
    return 0
  },
}

const list: Command = {
  name: 'key list',
  summary: 'list the keys of an account',
  usage: 'key list [--account SLUG]',
  options: { ...ACCOUNT, ...SERVER_OPTIONS },
  async run(call) {
    const client = await connect(call)
    const { keys } = await client.call<{ keys: KeyRow[] }>('GET', `${keysPath(call)}?limit=100`)
    const rows = keys.map((row) => [
      row.id,
      row.name,
      row.scopes.join(','),
      String(row.hourlyLimit),
      row.revoked ? 'revoked' : 'valid',
    ])
    call.terminal.out(call.json ? JSON.stringify(keys) : table(['ID', 'NAME', 'SCOPES', 'PER HOUR', 'STATE'], rows))
    return 0
  },
}

const revoke: Command = {
  name: 'key revoke',
  summary: 'end a key at once',
  usage: 'key revoke ID [--account SLUG]',
  options: { ...ACCOUNT, ...SERVER_OPTIONS },
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    await client.call('DELETE', `${keysPath(call)}/${encodeURIComponent(call.words[0]!)}`)
    call.terminal.out(call.json ? JSON.stringify({ id: call.words[0], revoked: true }) : `key ${call.words[0]} revoked`)
    return 0
  },
}

function keysPath(call: Call): string {
  return `/api/accounts/${encodeURIComponent(optional(call, 'account') ?? 'default')}/keys`
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new CommandError(`--${name} is a whole number, not ${JSON.stringify(text)}`)
  return Number(text)
}

export const key = [create, list, revoke]
