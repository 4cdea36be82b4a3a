import { type Client, connect } from './client.ts'
import { type Call, type Command, CommandError, optional, SERVER_OPTIONS } from './command.ts'
import { durationBetween } from './duration.ts'
import { allOf, oneOf } from './named.ts'
import { table } from './terminal.ts'

interface AgentRow {
  readonly id: string
  readonly name: string
  readonly hostname: string
  readonly os: string
  readonly version: string | null
  readonly status: string
  readonly lastHeartbeat: string
  readonly ipAddress: string | null
  readonly createdAt: string
  readonly isBuiltin: boolean
  readonly concurrency: number
  readonly revokedAt: string | null
}

interface CertificateRow {
  readonly id: string
  readonly serial: string
  readonly expiresAt: string
  readonly replacedAt: string | null
  readonly revokedAt: string | null
}

interface TokenRow {
  readonly id: string
  readonly name: string
  readonly usesMax: number
  readonly uses: number
  readonly expiresAt: string
  readonly revokedAt: string | null
}

// The bounds of the server, which would name them by the members of its API. A test compares them.
const CONCURRENCY_MAX = 64
const USES_MAX = 10_000

const list: Command = {
  name: 'agent list',
  summary: 'list the agents, and which of them are there',
  usage: 'agent list',
  options: SERVER_OPTIONS,
  async run(call) {
    const client = await connect(call)
    const agents = await allOf<AgentRow>(client, '/api/agents', 'agents')
    const rows = agents.map((agent) => [
      ...[
        agent.name,
        stateOf(agent),
        agent.lastHeartbeat,
        agent.hostname,
        agent.version ?? '-',
        agent.ipAddress ?? '-',
        agent.id,
      ],
    ])
    call.terminal.out(
      call.json ? JSON.stringify(agents) : table(['NAME', 'STATE', 'LAST SEEN', 'HOST', 'VERSION', 'ADDRESS', 'ID'], rows),
    )
    return 0
  },
}

const show: Command = {
  name: 'agent show',
  summary: 'show an agent and its certificates',
  usage: 'agent show NAME|ID',
  options: SERVER_OPTIONS,
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const path = pathOf(await idOf(call, client))
    const { agent } = await client.call<{ agent: AgentRow & { transfers: object[]; jobs: object[] } }>('GET', path)
    const { certificates } = await client.call<{ certificates: CertificateRow[] }>('GET', `${path}/certificates`)
    if (call.json) {
      call.terminal.out(JSON.stringify({ ...agent, certificates }))
      return 0
    }
    const facts: readonly (readonly [string, string])[] = [
      ['name', agent.name],
      ['state', stateOf(agent)],
      ['last seen', agent.lastHeartbeat],
      ['machine', `${agent.hostname} (${agent.os})`],
      ['version', agent.version ?? '-'],
      ['address', agent.ipAddress ?? '-'],
      ['at a time', `${agent.concurrency} transfers`],
      ['registered', agent.createdAt],
      ['jobs', String(agent.jobs.length)],
    ]
    for (const [name, value] of facts) call.terminal.out(`${name.padEnd(12)}${value}`)
    const rows = certificates.map((one) => [one.id, standingOf(one), one.expiresAt, one.serial])
    if (rows.length > 0) call.terminal.out(`\n${table(['CERTIFICATE', 'STATE', 'EXPIRES', 'SERIAL'], rows)}`)
    return 0
  },
}

const rename: Command = {
  name: 'agent rename',
  summary: 'give an agent another name, or another number of transfers at the same time',
  usage: 'agent rename NAME|ID [NEW-NAME] [--concurrency N]',
  options: { concurrency: { type: 'string', meaning: `transfers at the same time, 1 to ${CONCURRENCY_MAX}` }, ...SERVER_OPTIONS },
  words: { min: 1, max: 2 },
  async run(call) {
    const body = { name: call.words[1], concurrency: numberOf(call, 'concurrency', CONCURRENCY_MAX) }
    if (body.name === undefined && body.concurrency === undefined)
      throw new CommandError('give the agent a name, a --concurrency, or both')
    const client = await connect(call)
    const { agent } = await client.call<{ agent: AgentRow }>('PATCH', pathOf(await idOf(call, client)), body)
    const story = `agent ${agent.id} is called ${agent.name} and makes ${agent.concurrency} transfers at a time`
    call.terminal.out(call.json ? JSON.stringify(agent) : story)
    return 0
  },
}

const disconnect: Command = {
  name: 'agent disconnect',
  summary: 'end the connection of an agent; it comes back by itself',
  usage: 'agent disconnect NAME|ID',
  options: SERVER_OPTIONS,
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const id = await idOf(call, client)
    const { disconnected } = await client.call<{ disconnected: boolean }>('POST', `${pathOf(id)}/disconnect`)
    const story = disconnected ? 'is disconnected; it may come back at once' : 'had no connection'
    call.terminal.out(call.json ? JSON.stringify({ id, disconnected }) : `agent ${id} ${story}`)
    return 0
  },
}

const revoke: Command = {
  name: 'agent revoke',
  summary: 'end an agent: its key and certificates count no more, its transfers stop',
  usage: 'agent revoke NAME|ID',
  options: SERVER_OPTIONS,
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const { agent } = await client.call<{ agent: AgentRow }>('POST', `${pathOf(await idOf(call, client))}/revoke`)
    call.terminal.out(
      call.json ? JSON.stringify(agent) : `agent ${agent.id} is revoked; to work again it has to be enrolled with a new token`,
    )
    return 0
  },
}

const TOKENS = '/api/enrollment-tokens'

const token: Command = {
  name: 'agent token',
  summary: 'tokens that let agents in: create, list, revoke',
  usage: 'agent token create [--name NAME] [--uses N] [--expires 24h] | list | revoke ID',
  options: {
    name: { type: 'string', meaning: 'create: name for people (default: its id)' },
    uses: { type: 'string', member: 'usesMax', meaning: `create: agents that it lets in, 1 to ${USES_MAX} (default 1)` },
    expires: { type: 'string', member: 'expiresInSeconds', meaning: 'create: how long it counts, 1m to 30d (default 24h)' },
    ...SERVER_OPTIONS,
  },
  words: { min: 1, max: 2 },
  async run(call) {
    const [action, id] = call.words
    const client = await connect(call)
    if (action === 'create' && id === undefined) return createToken(call, client)
    if (action === 'list' && id === undefined) return listTokens(call, client)
    if (action === 'revoke' && id !== undefined) return revokeToken(call, client, id)
    throw new CommandError(`usage: landfall ${this.usage}`)
  },
}

async function createToken(call: Call, client: Client): Promise<number> {
  const expires = optional(call, 'expires')
  const made = await client.call<{ enrollmentToken: TokenRow; token: string }>('POST', TOKENS, {
    name: optional(call, 'name'),
    usesMax: numberOf(call, 'uses', USES_MAX),
    expiresInSeconds: expires === undefined ? undefined : durationBetween('expires', expires, '1m', '30d'),
  })
  const { id, usesMax, expiresAt } = made.enrollmentToken
  if (call.json) call.terminal.out(JSON.stringify({ ...made.enrollmentToken, token: made.token }))
  else {
    call.terminal.out(made.token)
    call.terminal.note(
      `token ${id} lets in ${usesMax === 1 ? 'one agent' : `${usesMax} agents`} until ${expiresAt}; it is not shown again`,
    )
  }
  return 0
}

async function listTokens(call: Call, client: Client): Promise<number> {
  const enrollmentTokens = await allOf<TokenRow>(client, TOKENS, 'enrollmentTokens')
  const now = new Date().toISOString()
  const rows = enrollmentTokens.map((one) => [
    one.id,
    one.name,
    tokenState(one, now),
    `${one.uses} of ${one.usesMax}`,
    one.expiresAt,
  ])
  call.terminal.out(call.json ? JSON.stringify(enrollmentTokens) : table(['ID', 'NAME', 'STATE', 'USED', 'EXPIRES'], rows))
  return 0
}

async function revokeToken(call: Call, client: Client, id: string): Promise<number> {
  await client.call('DELETE', `${TOKENS}/${encodeURIComponent(id)}`)
  call.terminal.out(call.json ? JSON.stringify({ id, revoked: true }) : `token ${id} revoked; agents that it let in stay`)
  return 0
}

export const agent = [list, show, rename, disconnect, revoke, token]

async function idOf(call: Call, client: Client): Promise<string> {
  return (await oneOf<AgentRow>(client, 'agent', call.words[0]!)).id
}

function pathOf(id: string): string {
  return `/api/agents/${encodeURIComponent(id)}`
}

function stateOf({ status, revokedAt, isBuiltin }: AgentRow): string {
  const state = revokedAt === null ? status : 'revoked'
  return isBuiltin ? `${state} (built in)` : state
}

function standingOf({ replacedAt, revokedAt }: CertificateRow): string {
  if (revokedAt !== null) return 'revoked'
  return replacedAt === null ? 'current' : 'replaced'
}

function tokenState({ revokedAt, uses, usesMax, expiresAt }: TokenRow, now: string): string {
  if (revokedAt !== null) return 'revoked'
  if (expiresAt <= now) return 'expired'
  return uses >= usesMax ? 'used up' : 'valid'
}

function numberOf(call: Call, flag: string, max: number): number | undefined {
  const text = optional(call, flag)
  if (text === undefined) return undefined
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (number < 1 || number > max) throw new CommandError(`--${flag} is a whole number, 1 to ${max}, not ${JSON.stringify(text)}`)
  return number
}
