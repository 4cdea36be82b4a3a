import { connect } from './client.ts'
import { type Command, optional, SERVER_OPTIONS } from './command.ts'
import { table } from './terminal.ts'

interface TokenRow {
  id: string
  name: string
  revoked: boolean
}

const create: Command = {
  name: 'token create',
  summary: 'make an administrator token; it is shown once',
  usage: 'token create [--name NAME]',
  options: { name: { type: 'string', meaning: 'name for people' }, ...SERVER_OPTIONS },
  async run(call) {
    const client = await connect(call)
    const made = await client.call<{ adminToken: TokenRow; token: string }>('POST', '/api/admin-tokens', {
      name: optional(call, 'name'),
    })
    if (call.json) call.terminal.out(JSON.stringify({ ...made.adminToken, token: made.token }))
    else call.terminal.out(`${made.token}\ntoken ${made.adminToken.id}; it is not shown again`)
    return 0
  },
}

const list: Command = {
  name: 'token list',
  summary: 'list the administrator tokens',
  usage: 'token list',
  options: SERVER_OPTIONS,
  async run(call) {
    const client = await connect(call)
    const { adminTokens } = await client.call<{ adminTokens: TokenRow[] }>('GET', '/api/admin-tokens?limit=100')
    const rows = adminTokens.map((row) => [row.id, row.name, row.revoked ? 'revoked' : 'valid'])
    call.terminal.out(call.json ? JSON.stringify(adminTokens) : table(['ID', 'NAME', 'STATE'], rows))
    return 0
  },
}

const revoke: Command = {
  name: 'token revoke',
  summary: 'end an administrator token at once',
  usage: 'token revoke ID',
  options: SERVER_OPTIONS,
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    await client.call('DELETE', `/api/admin-tokens/${encodeURIComponent(call.words[0]!)}`)
    call.terminal.out(call.json ? JSON.stringify({ id: call.words[0], revoked: true }) : `token ${call.words[0]} revoked`)
    return 0
  },
}

export const token = [create, list, revoke]
