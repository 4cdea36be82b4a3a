import { test } from 'node:test'
import type { TSchema } from 'typebox'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/base/units.ts'
import { DIALECT_NAMES, dialectOf } from '../../src/dialects/index.ts'
import { CATALOGUE, EVENT_GROUPS, EVENT_TYPES, type EventType } from '../../src/events/catalogue.ts'
import { PAYLOADS } from '../../src/events/payloads.ts'
import { SAMPLES } from '../../src/events/samples.ts'
import { assertPage } from './page.ts'

test('docs/events.md equals the catalogue, the schemas, the samples and the dialects', () =>
  assertPage('events.md', eventsPage()))

const ORIGIN = { mftplus: 'MFTPlus', trueftp: 'TrueFTP', landfall: 'Landfall' }

function eventsPage(): string {
  return `# Events

A webhook names the events it wants: single types, a group (${EVENT_GROUPS.map(code).join(', ')}) or \`*\` for all. Any webhook may ask for any
type, whatever its dialect; \`data\` is the same in every dialect.

| Type | From | When | Payload |
|---|---|---|---|
${EVENT_TYPES.map(catalogueRow).join('\n')}

"documented": the page of the contract that the type comes from shows its payload; members that are not marked optional are exactly
the page's, in its order. "ours": the page shows none, or the type is our own; then the members are a choice of Landfall. Members may
be added to any payload and are never renamed or retyped: pass over those that you do not know.

Today \`file.uploaded\`, \`file.downloaded\`, \`file.upload_failed\`, \`file.deleted\`, \`file.renamed\`, \`dir.*\`, \`ftp_user.created\`, \`webhook.*\` and \`alert.*\`
happen. What raises the others is not built yet; webhooks can ask for them and get test events.

Deliveries arrive at least once and in no certain order. Drop duplicates by \`id\` (mftplus, cloudevents), \`delivery_id\` (trueftp) or the header
\`webhook-id\` (standard): all stay the same over all attempts, as does every byte of the body. \`delivery_id\` is new when a delivery is sent again by
hand or by a replay; the others are the id of the event and stay.

## How an event is said

${DIALECT_NAMES.map(dialectSection).join('\n\n')}

${binarySection()}

The signature of mftplus covers the body alone, that of trueftp the timestamp header, a dot and the body, that of standard and
cloudevents the headers \`webhook-id\` and \`webhook-timestamp\` and the body with dots between. Those two write signatures as [Standard
Webhooks](https://www.standardwebhooks.com) does, several with spaces between: \`v1,\` with HMAC-SHA256 under what follows \`whsec_\`, decoded, or \`v1a,\` with
the Ed25519 key of a \`whsk_\` secret. The key of any other secret is its UTF-8 bytes, as libraries read it in their raw format. A webhook can
have signatures of other dialects beside its own (\`alsoSign\`): the same bytes, with the headers of both; see [secrets](secrets.md). Timestamps in headers are those of
the attempt, in Unix seconds; the \`timestamp\` in a body is that of the event. \`account_id\` is empty for events that belong to no account
(agents, jobs, system). A text that holds half a surrogate pair is sent with U+FFFD in its place, so that every body is valid UTF-8.

## Payloads

${EVENT_TYPES.map(payloadSection).join('\n\n')}
`
}

function catalogueRow(type: EventType): string {
  const { source, trigger, documented } = CATALOGUE[type]
  return `| [\`${type}\`](#${anchorOf(type)}) | ${ORIGIN[source]} | ${trigger} | ${documented ? 'documented' : 'ours'} |`
}

/** The anchor that a heading of this text gets: letters, digits, `_` and `-` stay. */
function anchorOf(heading: string): string {
  return heading.replaceAll('.', '')
}

function dialectSection(name: (typeof DIALECT_NAMES)[number]): string {
  const dialect = dialectOf(name)
  const at = Date.UTC(2026, 5, 8, 12)
  const type = 'file.uploaded'
  const deliveryId = 'dlv_mq55sao01a2b3c4d'
  const event = {
    id: 'whevt_mq55sao01a2b3c4d',
    type,
    accountId: 'acc_mq55sao01a2b3c4d',
    occurredAt: at,
    data: SAMPLES[type],
  } as const
  const secret = name === 'standard' ? `whsec_${Buffer.alloc(24, 1).toString('base64')}` : 'your-signing-secret'
  const body = dialect.body(event, deliveryId)
  const headers = dialect.headers({
    deliveryId,
    eventId: event.id,
    secretBefore: null,
    eventType: type,
    startedAt: at,
    body: Buffer.from(body),
    secret,
  })
  const { delaysMs, jitter, retries, endsWebhook, exhaustionFailsWebhook, deadlineMs } = dialect.retry
  return `### ${name}

\`\`\`http
${Object.entries(headers)
  .map(([header, value]) => `${header}: ${value}`)
  .join('\n')}

${body}
\`\`\`

Signed here with the secret \`${secret}\`; ${dialect.secretRequired ? 'deliveries are always signed' : 'without a secret the signature header is absent'}. An attempt has ${spanText(deadlineMs)} for the whole
answer. Any answer but 2xx${exceptions(retries(401), endsWebhook(410))} is tried again: ${delaysMs.length + 1} attempts, ${delaysMs.map(spanText).join(', ')} apart${jitter === 0 ? '' : `, each up to ${jitter * 100} % later`}. When they are used up the delivery
has failed${exhaustionFailsWebhook ? ' and the webhook is off until somebody turns it on again' : '; the webhook stays on'}.`
}

function exceptions(retries401: boolean, endedBy410: boolean): string {
  if (!retries401) return ', except 401, which is final,'
  return endedBy410 ? ', except 410, which turns the webhook off,' : ''
}

function binarySection(): string {
  const type = 'file.uploaded'
  const id = 'whevt_mq55sao01a2b3c4d'
  const occurredAt = Date.UTC(2026, 5, 8, 12)
  const event = { id, type, accountId: 'acc_mq55sao01a2b3c4d', occurredAt, data: SAMPLES[type] } as const
  const options = { cloudEventsMode: 'binary' } as const
  const headers = Object.entries(dialectOf('cloudevents').fixedHeaders(event, options) ?? {})
  return `With \`cloudEventsMode: binary\` the attributes of cloudevents are headers, percent-encoded as its HTTP binding says, and the body is \`data\` alone:

\`\`\`http
${headers.map(([header, value]) => `${header}: ${value}`).join('\n')}

${dialectOf('cloudevents').body(event, 'dlv_mq55sao01a2b3c4d', options)}
\`\`\``
}

function spanText(ms: number): string {
  if (ms % HOUR_MS === 0) return `${ms / HOUR_MS} h`
  return ms % MINUTE_MS === 0 ? `${ms / MINUTE_MS} min` : `${ms / SECOND_MS} s`
}

function payloadSection(type: EventType): string {
  return `### ${type}

| Member | Type | Meaning |
|---|---|---|
${memberRows(type).join('\n')}

\`\`\`json
${JSON.stringify(SAMPLES[type], null, 2)}
\`\`\``
}

function memberRows(type: EventType): string[] {
  const { properties, required } = PAYLOADS[type] as unknown as { properties: Record<string, TSchema>; required: string[] }
  return Object.entries(properties).map(([name, schema]) => {
    const { description } = schema as { description?: string }
    return `| \`${name}\` | ${typeOf(schema)}${required.includes(name) ? '' : ', optional'} | ${description} |`
  })
}

function typeOf(schema: TSchema): string {
  const {
    anyOf,
    const: value,
    format,
    items,
    type,
  } = schema as {
    anyOf?: { const: string }[]
    const?: string
    format?: string
    items?: TSchema
    type?: string
  }
  if (anyOf !== undefined) return anyOf.map((one) => code(one.const)).join(' or ')
  if (value !== undefined) return code(value)
  if (items !== undefined) return `array of ${typeOf(items)}`
  return format === 'date-time' ? 'time' : String(type)
}

function code(text: string): string {
  return `\`${text}\``
}
