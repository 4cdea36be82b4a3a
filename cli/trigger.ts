import { accountIdOf, type Client, connect } from './client.ts'
import { type Call, type Command, optional, SERVER_OPTIONS } from './command.ts'
import { paint, table } from './terminal.ts'

interface Sent {
  readonly webhookId: string
  readonly webhookName: string
  readonly delivery: Delivery
}

interface Delivery {
  readonly id: string
  readonly status: 'waiting' | 'delivered' | 'failed' | 'cancelled'
  readonly attempts: number
  readonly nextAttemptAt: string | null
  readonly lastStatusCode: number | null
  readonly lastError: string | null
}

/** How long the first attempts are waited for, and how often they are asked for, ms. */
const WAIT_MS_MAX = 20_000
const ASK_EVERY_MS = 200

export const trigger: Command = {
  name: 'trigger',
  summary: 'send a sample event through the real path to its webhooks, and to `landfall listen`',
  usage: 'trigger EVENT_TYPE [--webhook ID] [--account SLUG] [--no-wait]',
  words: { min: 1, max: 1 },
  options: {
    webhook: { type: 'string', member: 'webhookId', meaning: 'only to this webhook, subscribed or not' },
    account: { type: 'string', member: 'accountId', meaning: 'only to the webhooks of this account' },
    'no-wait': { type: 'boolean', meaning: 'do not wait for the first attempts' },
    ...SERVER_OPTIONS,
  },
  /** 0: every receiver took it (or nobody waits for it); 1: at least one did not. */
  async run(call) {
    const client = await connect(call)
    const slug = optional(call, 'account')
    const accountId = slug === undefined ? undefined : await accountIdOf(client, slug)
    const body = { event: call.words[0], webhookId: optional(call, 'webhook'), accountId }
    const { deliveries, listeners } = await client.call<{ deliveries: Sent[]; listeners: number }>('POST', '/api/trigger', body)
    const ended = call.flags['no-wait'] === true ? deliveries : await attempted(client, deliveries)
    if (call.json) call.terminal.out(JSON.stringify({ deliveries: ended, listeners }))
    else call.terminal.out(pageOf(call, ended, listeners))
    return ended.some(({ delivery }) => delivery.lastError !== null) ? 1 : 0
  },
}

/** The deliveries once each has its first attempt, or as they are when the time is up. */
async function attempted(client: Client, sent: readonly Sent[]): Promise<Sent[]> {
  const deadline = Date.now() + WAIT_MS_MAX
  let now = [...sent]
  while (now.some(({ delivery }) => delivery.attempts === 0 && delivery.status === 'waiting') && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS))
    now = await Promise.all(
      now.map(async (one) => {
        const path = `/api/webhooks/${one.webhookId}/deliveries/${one.delivery.id}`
        const { delivery } = await client.call<{ delivery: Delivery }>('GET', path)
        return { ...one, delivery }
      }),
    )
  }
  return now
}

function pageOf({ words, terminal }: Call, sent: readonly Sent[], listeners: number): string {
  const heard = listeners === 0 ? [] : [`shown to ${listeners} live listener${listeners === 1 ? '' : 's'}`]
  if (sent.length === 0 && listeners === 0)
    return `no active webhook subscribes to ${words[0]}, and nobody listens: make one with \`landfall webhook create\`, or run \`landfall listen\``
  const rows = sent.map(({ webhookName, webhookId, delivery: { id, status, lastError, lastStatusCode, nextAttemptAt } }) => [
    webhookName,
    webhookId,
    lastError !== null
      ? `${lastError}${nextAttemptAt === null ? '' : `, again at ${nextAttemptAt}`}`
      : `${status} ${lastStatusCode ?? ''}`,
    id,
  ])
  const page = sent.length === 0 ? [] : [table(['WEBHOOK', 'ID', 'OUTCOME', 'DELIVERY'], rows)]
  const failed = sent.filter(({ delivery }) => delivery.lastError !== null).length
  const verdict = failed === 0 ? [] : [paint(terminal, 'red', `${failed} of ${sent.length} did not take it`)]
  return [...page, ...heard, ...verdict].join('\n')
}
