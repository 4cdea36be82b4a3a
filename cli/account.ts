import { connect } from './client.ts'
import { type Call, type Command, listOf, optional, SERVER_OPTIONS } from './command.ts'
import { table } from './terminal.ts'

export interface AccountRow {
  id: string
  slug: string
  name: string
  plan: string
  egressAllow: string[] | null
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

const update: Command = {
  name: 'account update',
  summary: 'change the name, the plan or the networks of an account',
  usage: 'account update SLUG [--name NAME] [--plan PLAN] [--egress-allow NETWORKS]',
  options: {
    name: { type: 'string', meaning: 'name for people' },
    plan: { type: 'string', meaning: 'starter, team or business' },
    'egress-allow': {
      type: 'string',
      meaning:
        'private networks that its webhooks may reach, separated by commas; none, or server: as LANDFALL_EGRESS_ALLOW says',
    },
    ...SERVER_OPTIONS,
  },
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const body = { name: optional(call, 'name'), plan: optional(call, 'plan'), egressAllow: networksOf(call) }
    const path = `/api/accounts/${encodeURIComponent(call.words[0]!)}`
    const { account: changed } = await client.call<{ account: AccountRow }>('PATCH', path, body)
    call.terminal.out(
      call.json ? JSON.stringify(changed) : `account ${changed.slug} changed (plan ${changed.plan}; ${reachOf(changed)})`,
    )
    return 0
  },
}

function networksOf(call: Call): string[] | null | undefined {
  const given = optional(call, 'egress-allow')
  if (given === 'server') return null
  return given === 'none' ? [] : listOf(given)
}

function reachOf({ egressAllow }: AccountRow): string {
  if (egressAllow === null) return 'networks as the server says'
  return egressAllow.length === 0 ? 'no private networks' : `networks ${egressAllow.join(', ')}`
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

export const account = [create, update, list]
