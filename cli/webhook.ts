import { accountIdOf, connect } from './client.ts'
import { type Call, type Command, CommandError, listOf, optional, required, SERVER_OPTIONS } from './command.ts'
import { preview } from './preview.ts'
import { rotateSecret } from './rotate-secret.ts'
import { readPassword } from './stdin.ts'
import { table } from './terminal.ts'
import { RESET_OPTION, SHAPING_OPTIONS, type Shown, shapeOf } from './webhook-flags.ts'

interface WebhookRow {
  id: string
  name: string
  url: string
  events: string[]
  state: string
  health: { state: string }
  dialect: string
}

interface DeliveryRow {
  id: string
  event: string
  status: string
  attempts: number
  nextAttemptAt: string | null
  createdAt: string
  lastStatusCode: number | null
  lastError: string | null
}

/** What a webhook is, besides how its requests are shaped. */
const ABOUT_OPTIONS = {
  url: { type: 'string', meaning: 'https url that receives the POSTs (http only on loopback)' },
  events: { type: 'string', meaning: 'event types, groups such as file.*, or *; separated by commas' },
  name: { type: 'string', meaning: 'name for people (default: the host of the url)' },
  dialect: { type: 'string', meaning: 'mftplus (default), trueftp, standard or cloudevents' },
  'secret-stdin': { type: 'boolean', member: 'secret', meaning: 'read the signing secret from standard input' },
} as const

type Saved = { webhook: WebhookRow; secret?: string; warning?: string }

const create: Command = {
  name: 'webhook create',
  aliases: ['webhook add'],
  summary: 'make a webhook',
  usage: 'webhook create --url URL --events LIST [--dialect NAME] [--filter data.path=/in/**] …',
  options: {
    ...ABOUT_OPTIONS,
    account: { type: 'string', member: 'accountId', meaning: 'slug of the account whose events it gets (default: every event)' },
    inactive: { type: 'boolean', member: 'active', meaning: 'make it without turning it on' },
    ...SHAPING_OPTIONS,
    ...SERVER_OPTIONS,
  },
  async run(call) {
    const body = { ...(await aboutOf(call)), url: required(call, 'url'), events: listOf(required(call, 'events')) }
    const shape = await shapeOf(call)
    const client = await connect(call)
    const slug = optional(call, 'account')
    const accountId = slug === undefined ? undefined : await accountIdOf(client, slug)
    const active = call.flags.inactive === true ? false : undefined
    return tellSaved(call, await client.call<Saved>('POST', '/api/webhooks', { ...body, ...shape, accountId, active }))
  },
}

const update: Command = {
  name: 'webhook update',
  summary: 'change a webhook; what no option names stays',
  usage: 'webhook update ID [--url URL] [--filter data.path=/in/**] [--reset rate,filter] …',
  options: { ...ABOUT_OPTIONS, ...SHAPING_OPTIONS, ...RESET_OPTION, ...SERVER_OPTIONS },
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const { webhook: before } = await client.call<{ webhook: WebhookRow & Shown }>('GET', pathOf(call))
    const body = { ...(await aboutOf(call)), ...(await shapeOf(call, before)) }
    return tellSaved(call, await client.call<Saved>('PATCH', pathOf(call), body))
  },
}

async function aboutOf(call: Call) {
  const secret = call.flags['secret-stdin'] === true ? await readPassword() : undefined
  const said = { url: optional(call, 'url'), events: listOf(optional(call, 'events')), name: optional(call, 'name'), secret }
  return Object.fromEntries(
    Object.entries({ ...said, dialect: optional(call, 'dialect') }).filter(([, value]) => value !== undefined),
  )
}

function tellSaved({ json, terminal }: Call, { webhook, secret, warning }: Saved): number {
  if (json) terminal.out(JSON.stringify({ ...webhook, secret }))
  else {
    terminal.out(
      `webhook ${webhook.id} sends ${webhook.events.join(', ')} to ${webhook.url} (${webhook.dialect}, ${webhook.state})`,
    )
    if (secret !== undefined) terminal.out(`signing secret, not shown again: ${secret}`)
  }
  if (warning !== undefined) terminal.note(warning)
  return 0
}

const show: Command = {
  name: 'webhook show',
  summary: 'show everything about a webhook, secrets masked',
  usage: 'webhook show ID',
  options: SERVER_OPTIONS,
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const { webhook } = await client.call<{ webhook: Record<string, unknown> }>('GET', pathOf(call))
    // What is null is the default; a table of defaults helps nobody.
    const rows = Object.entries(webhook).filter(([, value]) => value !== null)
    const shown = rows.map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)])
    call.terminal.out(call.json ? JSON.stringify(webhook) : table(['MEMBER', 'VALUE'], shown))
    return 0
  },
}

function pathOf({ words }: Call): string {
  return `/api/webhooks/${encodeURIComponent(words[0]!)}`
}

/** What the API gives in one page at most. */
const LIST_ROWS = 100

const list: Command = {
  name: 'webhook list',
  summary: 'list the webhooks',
  usage: 'webhook list',
  options: SERVER_OPTIONS,
  async run(call) {
    const client = await connect(call)
    const path = `/api/webhooks?limit=${LIST_ROWS}`
    const { webhooks, pagination } = await client.call<{ webhooks: WebhookRow[]; pagination: { total: number } }>('GET', path)
    const rows = webhooks.map((row) => [row.id, row.state, row.health.state, row.dialect, row.events.join(','), row.url])
    call.terminal.out(call.json ? JSON.stringify(webhooks) : table(['ID', 'STATE', 'HEALTH', 'DIALECT', 'EVENTS', 'URL'], rows))
    if (pagination.total > rows.length)
      call.terminal.note(`these are ${rows.length} of ${pagination.total}; GET /api/webhooks has them all`)
    return 0
  },
}

const remove: Command = {
  name: 'webhook remove',
  summary: 'remove a webhook; what waits for it is cancelled',
  usage: 'webhook remove ID',
  options: SERVER_OPTIONS,
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    await client.call('DELETE', pathOf(call))
    call.terminal.out(call.json ? JSON.stringify({ id: call.words[0], removed: true }) : `webhook ${call.words[0]} removed`)
    return 0
  },
}

const activate = switching(['webhook activate'], 'turn a webhook on again; what waits for it is due at once', true)
const deactivate = switching(['webhook deactivate', 'webhook pause'], 'turn a webhook off; what waits for it stays', false)

function switching([name, ...aliases]: [string, ...string[]], summary: string, active: boolean): Command {
  return {
    name,
    aliases,
    summary,
    usage: `${name} ID`,
    options: SERVER_OPTIONS,
    words: { min: 1, max: 1 },
    async run(call) {
      const client = await connect(call)
      const { webhook: changed } = await client.call<{ webhook: WebhookRow }>('PATCH', pathOf(call), { active })
      call.terminal.out(call.json ? JSON.stringify(changed) : `webhook ${changed.id} is ${changed.state}`)
      return 0
    },
  }
}

const test: Command = {
  name: 'webhook test',
  summary: 'send a sample event through the real path',
  usage: 'webhook test ID --event TYPE',
  options: { event: { type: 'string', meaning: 'event type of the sample, such as file.uploaded' }, ...SERVER_OPTIONS },
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const { delivery } = await client.call<{ delivery: DeliveryRow }>('POST', `${pathOf(call)}/test`, {
      event: required(call, 'event'),
    })
    call.terminal.out(
      call.json ? JSON.stringify(delivery) : `delivery ${delivery.id}: see \`landfall webhook deliveries ${call.words[0]}\``,
    )
    return 0
  },
}

const deliveries: Command = {
  name: 'webhook deliveries',
  summary: 'list the latest deliveries of a webhook',
  usage: 'webhook deliveries ID [--status waiting|delivered|failed|cancelled]',
  options: { status: { type: 'string', meaning: 'only those in this state' }, ...SERVER_OPTIONS },
  words: { min: 1, max: 1 },
  async run(call) {
    const client = await connect(call)
    const status = optional(call, 'status')
    if (status !== undefined && !['waiting', 'delivered', 'failed', 'cancelled'].includes(status)) {
      throw new CommandError(`--status is one of waiting, delivered, failed, cancelled, not ${JSON.stringify(status)}`)
    }
    const query = status === undefined ? '' : `&status=${status}`
    const path = `${pathOf(call)}/deliveries?limit=50${query}`
    const answer = await client.call<{ deliveries: DeliveryRow[] }>('GET', path)
    const rows = answer.deliveries.map((row) => [
      row.createdAt,
      row.event,
      row.status,
      String(row.attempts),
      row.lastError ?? String(row.lastStatusCode ?? ''),
      row.nextAttemptAt ?? '',
      row.id,
    ])
    const head = ['CREATED', 'EVENT', 'STATUS', 'ATTEMPTS', 'LAST ANSWER', 'NEXT ATTEMPT', 'ID']
    call.terminal.out(call.json ? JSON.stringify(answer.deliveries) : table(head, rows))
    return 0
  },
}

/** Deliveries that one call names; for more there is `webhook replay`. */
const REDELIVERIES_MAX = 100

const redeliver: Command = {
  name: 'webhook redeliver',
  summary: 'deliver events once more',
  usage: 'webhook redeliver ID DELIVERY...',
  options: SERVER_OPTIONS,
  words: { min: 2, max: REDELIVERIES_MAX + 1 },
  async run(call) {
    const client = await connect(call)
    const [id, ...given] = call.words.map(encodeURIComponent)
    const made: DeliveryRow[] = []
    // In the order in which they were named: that is also the order of a webhook that has one.
    for (const delivery of given) {
      const answer = await client.call<{ delivery: DeliveryRow }>('POST', `/api/webhooks/${id}/deliveries/${delivery}/redeliver`)
      made.push(answer.delivery)
    }
    if (call.json) call.terminal.out(JSON.stringify(made.length === 1 ? made[0] : made))
    else
      for (const { id: delivery, nextAttemptAt } of made) {
        call.terminal.out(`delivery ${delivery} ${nextAttemptAt === null ? 'waits until the webhook is active' : 'is due now'}`)
      }
    return 0
  },
}

export const webhook = [
  create,
  list,
  show,
  update,
  preview,
  activate,
  deactivate,
  rotateSecret,
  remove,
  test,
  deliveries,
  redeliver,
]
