import { connect } from './client.ts'
import { type Command, CommandError, listOf, optional, required, SERVER_OPTIONS } from './command.ts'
import { rotateSecret } from './rotate-secret.ts'
import { readPassword } from './stdin.ts'
import { table } from './terminal.ts'

interface WebhookRow {
  id: string
  name: string
  url: string
  events: string[]
  state: string
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

const create: Command = {
  name: 'webhook create',
  summary: 'make a webhook',
  usage: 'webhook create --url URL --events LIST [--dialect mftplus|trueftp] [--secret-stdin]',
  options: {
    url: { type: 'string', meaning: 'https url that receives the POSTs (http only on loopback)' },
    events: { type: 'string', meaning: 'event types, groups such as file.*, or *; separated by commas' },
    name: { type: 'string', meaning: 'name for people (default: the host of the url)' },
    dialect: { type: 'string', meaning: 'mftplus (default) or trueftp' },
    account: { type: 'string', meaning: 'slug of the account whose events it gets (default: every event)' },
    'secret-stdin': { type: 'boolean', meaning: 'read the signing secret from standard input' },
    ...SERVER_OPTIONS,
  },
  async run(call) {
    const secret = call.flags['secret-stdin'] === true ? await readPassword() : undefined
    const client = await connect(call)
    const slug = optional(call, 'account')
    const accountId =
      slug === undefined
        ? undefined
        : (await client.call<{ account: { id: string } }>('GET', `/api/accounts/${encodeURIComponent(slug)}`)).account.id
    const body = {
      url: required(call, 'url'),
      events: listOf(required(call, 'events')),
      name: optional(call, 'name'),
      dialect: optional(call, 'dialect'),
      accountId,
      secret,
    }
    const made = await client.call<{ webhook: WebhookRow; secret?: string; warning?: string }>('POST', '/api/webhooks', body)
    if (call.json) call.terminal.out(JSON.stringify({ ...made.webhook, secret: made.secret }))
    else {
      call.terminal.out(
        `webhook ${made.webhook.id} sends ${made.webhook.events.join(', ')} to ${made.webhook.url} (${made.webhook.dialect})`,
      )
      if (made.secret !== undefined) call.terminal.out(`signing secret, not shown again: ${made.secret}`)
      if (made.warning !== undefined) call.terminal.note(made.warning)
    }
    return 0
  },
}

const list: Command = {
  name: 'webhook list',
  summary: 'list the webhooks',
  usage: 'webhook list',
  options: SERVER_OPTIONS,
  async run(call) {
    const client = await connect(call)
    const { webhooks } = await client.call<{ webhooks: WebhookRow[] }>('GET', '/api/webhooks?limit=100')
    const rows = webhooks.map((row) => [row.id, row.state, row.dialect, row.events.join(','), row.url])
    call.terminal.out(call.json ? JSON.stringify(webhooks) : table(['ID', 'STATE', 'DIALECT', 'EVENTS', 'URL'], rows))
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
    await client.call('DELETE', `/api/webhooks/${encodeURIComponent(call.words[0]!)}`)
    call.terminal.out(call.json ? JSON.stringify({ id: call.words[0], removed: true }) : `webhook ${call.words[0]} removed`)
    return 0
  },
}

const activate = switching('webhook activate', 'turn a webhook on again; what waits for it is due at once', true)
const deactivate = switching('webhook deactivate', 'turn a webhook off; what waits for it stays', false)

function switching(name: string, summary: string, active: boolean): Command {
  return {
    name,
    summary,
    usage: `${name} ID`,
    options: SERVER_OPTIONS,
    words: { min: 1, max: 1 },
    async run(call) {
      const client = await connect(call)
      const path = `/api/webhooks/${encodeURIComponent(call.words[0]!)}`
      const { webhook: changed } = await client.call<{ webhook: WebhookRow }>('PATCH', path, { active })
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
    const path = `/api/webhooks/${encodeURIComponent(call.words[0]!)}/test`
    const { delivery } = await client.call<{ delivery: DeliveryRow }>('POST', path, { event: required(call, 'event') })
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
    const path = `/api/webhooks/${encodeURIComponent(call.words[0]!)}/deliveries?limit=50${query}`
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

const redeliver: Command = {
  name: 'webhook redeliver',
  summary: 'deliver an event once more',
  usage: 'webhook redeliver ID DELIVERY',
  options: SERVER_OPTIONS,
  words: { min: 2, max: 2 },
  async run(call) {
    const client = await connect(call)
    const [id, delivery] = call.words.map(encodeURIComponent)
    const answer = await client.call<{ delivery: DeliveryRow }>('POST', `/api/webhooks/${id}/deliveries/${delivery}/redeliver`)
    call.terminal.out(call.json ? JSON.stringify(answer.delivery) : `delivery ${answer.delivery.id} is due now`)
    return 0
  },
}

export const webhook = [create, list, activate, deactivate, rotateSecret, remove, test, deliveries, redeliver]
