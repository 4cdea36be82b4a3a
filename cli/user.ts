import { readFile } from 'node:fs/promises'
import { type Client, connect } from './client.ts'
import { type Call, type Command, CommandError, listOf, optional, SERVER_OPTIONS } from './command.ts'
import { readPassword } from './stdin.ts'
import { table } from './terminal.ts'

interface UserRow {
  id: string
  name: string
  login: string
  home: string
  permissions: string[]
  disabled: boolean
}

const ACCOUNT = { account: { type: 'string', meaning: 'slug of the account (default: default)' } } as const

const add: Command = {
  name: 'user add',
  summary: 'make a transfer user',
  usage: 'user add NAME [--account SLUG] [--permissions LIST] (--password-stdin | --public-key-file FILE)',
  options: {
    ...ACCOUNT,
    permissions: { type: 'string', meaning: 'of list, read, write, delete, separated by commas (default: all)' },
    'password-stdin': {
      type: 'boolean',
      member: 'password',
      meaning: 'read the password from standard input; one line end is dropped',
    },
    'public-key-file': { type: 'string', member: 'publicKeys', meaning: 'file with SSH public keys, one a line' },
    home: { type: 'string', meaning: 'folder in the storage that the user sees as / (default /ACCOUNT/NAME)' },
    ...SERVER_OPTIONS,
  },
  words: { min: 1, max: 1 },
  async run(call) {
    const body = {
      name: call.words[0],
      permissions: listOf(optional(call, 'permissions')),
      home: optional(call, 'home'),
      password: call.flags['password-stdin'] === true ? await readPassword() : undefined,
      publicKeys: await publicKeys(call),
    }
    const client = await connect(call)
    const { user: made } = await client.call<{ user: UserRow }>('POST', usersPath(call), body)
    call.terminal.out(
      call.json ? JSON.stringify(made) : `user ${made.login} made (${made.permissions.join(', ')}; home ${made.home})`,
    )
    return 0
  },
}

const list: Command = {
  name: 'user list',
  summary: 'list the users of an account',
  usage: 'user list [--account SLUG]',
  options: { ...ACCOUNT, ...SERVER_OPTIONS },
  async run(call) {
    const users = await listUsers(await connect(call), call)
    const rows = users.map((row) => [
      row.login,
      row.permissions.join(','),
      row.home,
      row.disabled ? 'disabled' : 'enabled',
      row.id,
    ])
    call.terminal.out(call.json ? JSON.stringify(users) : table(['LOGIN', 'PERMISSIONS', 'HOME', 'STATE', 'ID'], rows))
    return 0
  },
}

const disable = switching('user disable', 'refuse a user from now on, live sessions too', true)
const enable = switching('user enable', 'let a disabled user in again', false)

const remove: Command = {
  name: 'user remove',
  summary: 'remove a user; its files stay',
  usage: 'user remove NAME [--account SLUG]',
  options: { ...ACCOUNT, ...SERVER_OPTIONS },
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const { id } = await findUser(client, call)
    await client.call('DELETE', `${usersPath(call)}/${id}`)
    call.terminal.out(call.json ? JSON.stringify({ id, removed: true }) : `user ${call.words[0]} removed; its files stay`)
    return 0
  },
}

function switching(name: string, summary: string, disabled: boolean): Command {
  return {
    name,
    summary,
    usage: `${name} NAME [--account SLUG]`,
    options: { ...ACCOUNT, ...SERVER_OPTIONS },
    words: { min: 1, max: 1 },
    async run(call) {
      const client = await connect(call)
      const { id } = await findUser(client, call)
      const { user: changed } = await client.call<{ user: UserRow }>('PATCH', `${usersPath(call)}/${id}`, { disabled })
      call.terminal.out(
        call.json ? JSON.stringify(changed) : `user ${changed.login} is ${changed.disabled ? 'disabled' : 'enabled'}`,
      )
      return 0
    },
  }
}

function usersPath(call: Call): string {
  return `/api/accounts/${encodeURIComponent(optional(call, 'account') ?? 'default')}/users`
}

async function listUsers(client: Client, call: Call): Promise<UserRow[]> {
  const users: UserRow[] = []
  for (let page = 1, pages = 1; page <= pages; page++) {
    const answer = await client.call<{ users: UserRow[]; pagination: { pages: number } }>(
      'GET',
      `${usersPath(call)}?limit=100&page=${page}`,
    )
    users.push(...answer.users)
    pages = answer.pagination.pages
  }
  return users
}

async function findUser(client: Client, call: Call): Promise<UserRow> {
  const found = (await listUsers(client, call)).find((row) => row.name === call.words[0])
  if (found === undefined) throw new CommandError(`no user ${call.words[0]} in account ${optional(call, 'account') ?? 'default'}`)
  return found
}

async function publicKeys(call: Call): Promise<string[] | undefined> {
  const file = optional(call, 'public-key-file')
  if (file === undefined) return undefined
  const text = await readFile(file, 'utf8').catch((cause) => {
    throw new CommandError(`--public-key-file ${file} cannot be read: ${cause.message}`)
  })
  return text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'))
}

export const user = [add, list, disable, enable, remove]
