import { connect } from './client.ts'
import { type Command, optional, SERVER_OPTIONS } from './command.ts'
import { table } from './terminal.ts'

export interface AccountRow {
  id: string
  slug: string
  name: string
  plan: string
}

const create: Command = {
  name: 'account create',
  summary: 'make an account (a tenant)',
  usage: 'account create SLUG [--name NAME] [--plan PLAN]',
  options: {
    name: { type: 'string', meaning: 'name for people (default: the slug)' },
    plan: { type: 'string', meaning: 'starter, team or business (default business)' },
    ...SERVER_OPTIONS,
  },
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const body = { slug: call.words[0], name: optional(call, 'name'), plan: optional(call, 'plan') }
    const { account: made } = await client.call<{ account: AccountRow }>('POST', '/api/accounts', body)
    call.terminal.out(call.json ? JSON.stringify(made) : `account ${made.slug} made (${made.id}, plan ${made.plan})`)
    return 0
  },
}

const list: Command = {
  name: 'account list',
  summary: 'list the accounts',
  usage: 'account list',
  options: SERVER_OPTIONS,
  async run(call) {
    const client = await connect(call)
    const { accounts } = await client.call<{ accounts: AccountRow[] }>('GET', '/api/accounts?limit=100')
    if (call.json) call.terminal.out(JSON.stringify(accounts))
    else
      call.terminal.out(
        table(
          ['SLUG', 'NAME', 'PLAN', 'ID'],
          accounts.map((row) => [row.slug, row.name, row.plan, row.id]),
        ),
      )
    return 0
  },
}

export const account = [create, list]
