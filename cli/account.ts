import { connect } from './client.ts'
import { type Call, type Command, CommandError, listOf, optional, SERVER_OPTIONS } from './command.ts'
import { table } from './terminal.ts'

export interface AccountRow {
  id: string
  slug: string
  name: string
  plan: string
  egressAllow: string[] | null
  quotaBytes: number | null
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
  summary: 'change the name, the plan, the networks or the quota of an account',
  usage: 'account update SLUG [--name NAME] [--plan PLAN] [--egress-allow NETWORKS] [--quota BYTES]',
  options: {
    name: { type: 'string', meaning: 'name for people' },
    plan: { type: 'string', meaning: 'starter, team or business' },
    'egress-allow': {
      type: 'string',
      meaning:
        'private networks that its webhooks may reach, separated by commas; none, or server: as LANDFALL_EGRESS_ALLOW says',
    },
    quota: { type: 'string', member: 'quotaBytes', meaning: 'bytes that its files may take: 500000000, 10GiB, or none' },
    ...SERVER_OPTIONS,
  },
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const body = {
      name: optional(call, 'name'),
      plan: optional(call, 'plan'),
      quotaBytes: quotaOf(call),
      egressAllow: networksOf(call),
    }
    const path = `/api/accounts/${encodeURIComponent(call.words[0]!)}`
    const { account: changed } = await client.call<{ account: AccountRow }>('PATCH', path, body)
    call.terminal.out(
      call.json
        ? JSON.stringify(changed)
        : `account ${changed.slug} changed (plan ${changed.plan}; ${reachOf(changed)}; ${roomOf(changed)})`,
    )
    return 0
  },
}

const UNITS: Readonly<Record<string, number>> = { '': 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 }

function quotaOf(call: Call): number | null | undefined {
  const text = optional(call, 'quota')
  if (text === undefined) return undefined
  if (text === 'none') return null
  const [, number, unit] = /^(\d{1,15})([KMGT]iB)?$/.exec(text) ?? []
  if (number === undefined) throw new CommandError(`--quota '${text}': write it as 500000000, 10GiB or none`)
  return Number(number) * UNITS[unit ?? '']!
}

function networksOf(call: Call): string[] | null | undefined {
  const given = optional(call, 'egress-allow')
  if (given === 'server') return null
  return given === 'none' ? [] : listOf(given)
}

function roomOf({ quotaBytes }: AccountRow): string {
  return quotaBytes === null ? 'no quota' : `quota ${quotaBytes} bytes`
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
