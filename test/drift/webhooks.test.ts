import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/base/units.ts'
import type { DialectName, RetryRules } from '../../src/dialects/dialect.ts'
import { DIALECT_NAMES, dialectOf } from '../../src/dialects/index.ts'
import { CATALOGUE, EVENT_TYPES } from '../../src/events/catalogue.ts'
import { signedDelivery } from '../contract/signed.ts'

// docs/webhooks.md is written by hand but for its tables of what the code says: those stand between comments and are
// compared with it. UPDATE_DOCS=1 writes them instead.

const PAGE = fileURLToPath(new URL('../../docs/webhooks.md', import.meta.url))
const TABLES: Readonly<Record<string, () => string>> = {
  headers: headerTables,
  retries: retryTable,
  statuses: statusTable,
  events: eventTable,
}

for (const [name, table] of Object.entries(TABLES)) {
  test(`docs/webhooks.md: the part "${name}" equals the code`, () => {
    const page = readFileSync(PAGE, 'utf8')
    const [start, end] = [`<!-- from the code: ${name} -->\n`, '<!-- end -->']
    const from = page.indexOf(start) + start.length
    const to = page.indexOf(end, from)
    assert(from >= start.length && to >= from, `the page has no part "${name}"`)
    if (process.env.UPDATE_DOCS === '1') writeFileSync(PAGE, page.slice(0, from) + table() + page.slice(to))
    else assert.equal(page.slice(from, to), table(), 'renew it with UPDATE_DOCS=1 npm test -- drift')
  })
}

/** What each header is for. One that is not here fails the test: a receiver must be told. */
const MEANINGS: Readonly<Record<string, string>> = {
  'Content-Type': 'of the body',
  'User-Agent': 'who calls',
  'X-Webhook-ID': 'id of the delivery, the same on every attempt; the event has its own in the body',
  'X-Webhook-Timestamp': 'time of the attempt, Unix seconds; **not signed**',
  'X-Webhook-Signature': 'only where the webhook has a secret',
  'X-TrueFTP-Event': 'event type, as in the body',
  'X-TrueFTP-Delivery': 'id of the delivery, as in the body',
  'X-TrueFTP-Timestamp': 'time of the attempt, Unix seconds; signed',
  'X-TrueFTP-Signature': 'always',
  'webhook-id': 'id of the event, the same on every attempt; signed',
  'webhook-timestamp': 'time of the attempt, Unix seconds; signed',
  'webhook-signature': 'one or more, separated by spaces; in cloudevents only where the webhook has a secret',
  'ce-specversion': 'version of CloudEvents; not signed, like all `ce-…`',
  'ce-id': 'id of the event',
  'ce-source': 'the server, or the account of the event',
  'ce-type': 'event type',
  'ce-subject': 'what it is about: a path or an id, percent-encoded; absent where there is none',
  'ce-time': 'when the event happened',
}

function headerTables(): string {
  type Mode = { title: string; dialect: DialectName; mode: 'structured' | 'binary' | undefined }
  const modes = DIALECT_NAMES.flatMap((dialect): Mode[] =>
    dialect === 'cloudevents'
      ? [
          { title: 'cloudevents, structured: the whole event is the body', dialect, mode: 'structured' },
          { title: 'cloudevents, binary: the body is `data` alone', dialect, mode: 'binary' },
        ]
      : [{ title: dialect, dialect, mode: undefined }],
  )
  return modes
    .map(({ title, dialect, mode }) => {
      const { headers } = signedDelivery({
        ...{ dialect, type: 'file.uploaded', secret: 'your-signing-secret', startedAt: Date.UTC(2026, 5, 8, 12) },
        ...(mode === undefined ? {} : { options: { cloudEventsMode: mode } }),
      })
      const rows = Object.entries(headers).map(([name, value]) => {
        const meaning = MEANINGS[name]
        assert(meaning !== undefined, `the page does not say what the header ${name} means`)
        return `| \`${name}\` | \`${value.replace(/(?<=sha256=\w{8}|v1,\w{8})[^ ]+/g, '…')}\` | ${meaning} |`
      })
      return `\n### ${title}\n\n| Header | Example | Meaning |\n|---|---|---|\n${rows.join('\n')}\n`
    })
    .join('')
    .concat('\n')
}

function retryTable(): string {
  const rows = DIALECT_NAMES.map((name) => {
    const { delaysMs, jitter, deadlineMs, exhaustionFailsWebhook } = dialectOf(name).retry
    const spread = jitter === 0 ? '' : `, each up to ${Math.round(jitter * 100)} % longer`
    const after = exhaustionFailsWebhook
      ? 'the webhook fails and is off until somebody turns it on'
      : 'the delivery fails, the webhook stays on'
    const total = spanText(delaysMs.reduce((sum, one) => sum + one, 0))
    return `| ${name} | ${spanText(deadlineMs)} | ${delaysMs.length + 1} | ${delaysMs.map(spanText).join(', ')}${spread} | ${total} | ${after} |`
  })
  return `\n| Dialect | Deadline | Attempts | Delays between | In all | When they are used up |\n|---|---|---|---|---|---|\n${rows.join('\n')}\n\n`
}

const STATUSES = [400, 401, 403, 404, 408, 410, 422, 429, 500, 502, 503, 504] as const

function statusTable(): string {
  const rows = STATUSES.map(
    (status) => `| ${status} | ${DIALECT_NAMES.map((name) => effectOf(dialectOf(name).retry, status)).join(' | ')} |`,
  )
  const every = (status: number) => DIALECT_NAMES.map((name: DialectName) => effectOf(dialectOf(name).retry, status)).join(' | ')
  return `\n| Answer | ${DIALECT_NAMES.join(' | ')} |\n|---|${'---|'.repeat(DIALECT_NAMES.length)}\n| 2xx |${' delivered |'.repeat(DIALECT_NAMES.length)}\n| 3xx | ${every(301)} |\n${rows.join('\n')}\n\n`
}

function effectOf(rules: RetryRules, status: number): string {
  if (rules.endsWebhook(status)) return 'final, the webhook is turned off'
  if (!rules.retries(status)) return 'final'
  return rules.throttles(status) ? 'tried again, with fewer requests' : 'tried again'
}

function eventTable(): string {
  const rows = EVENT_TYPES.map((type) => `| [\`${type}\`](events.md#${type.replaceAll('.', '')}) | ${CATALOGUE[type].trigger} |`)
  return `\n| Type | When |\n|---|---|\n${rows.join('\n')}\n\n`
}

/** In the largest unit that leaves no rest; a sum may have two. */
function spanText(ms: number): string {
  const parts = [
    [Math.floor(ms / HOUR_MS), 'h'],
    [Math.floor((ms % HOUR_MS) / MINUTE_MS), 'min'],
    [Math.floor((ms % MINUTE_MS) / SECOND_MS), 's'],
  ] as const
  return parts
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ')
}
