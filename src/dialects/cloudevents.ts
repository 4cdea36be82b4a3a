import type { RecordedEvent } from '../events/event.ts'
import type { Dialect } from './dialect.ts'
import { wellFormedJson } from './json.ts'
import { STANDARD_RETRY, standardHeaders } from './standard.ts'

/** A longer subject is left out: it goes into a header in binary mode, and many servers read at most 8 KiB of all headers. */
const SUBJECT_CHARACTERS_MAX = 1024
/** What an event is about, the narrowest first. */
const SUBJECT_MEMBERS = ['transferId', 'jobId', 'agentId', 'path', 'username', 'webhookId', 'alertId'] as const

/**
 * CloudEvents 1.0.2 over HTTP, structured or binary. Where there is a secret it is signed as Standard Webhooks does, and
 * its retry rules are the same: the specification of CloudEvents for webhooks says the same about 410, 429 and
 * `Retry-After` and nothing about the rest.
 */
export const cloudevents: Dialect = {
  name: 'cloudevents',
  secretRequired: false,
  signsWithBoth: true,

  body(event, _deliveryId, options) {
    if (options?.cloudEventsMode === 'binary') return wellFormedJson(event.data)
    return wellFormedJson({ ...attributesOf(event), datacontenttype: 'application/json', data: event.data })
  },

  fixedHeaders(event, options) {
    if (options?.cloudEventsMode !== 'binary') return null
    const attributes = Object.entries(attributesOf(event)).map(([name, value]) => [`ce-${name}`, headerValue(value)])
    return { 'Content-Type': 'application/json', ...Object.fromEntries(attributes) }
  },

  headers(attempt) {
    return {
      'Content-Type': 'application/cloudevents+json',
      'User-Agent': 'Landfall/1.0',
      ...this.signatureHeaders(attempt),
    }
  },

  signatureHeaders: standardHeaders,

  retry: STANDARD_RETRY,
}

function attributesOf(event: RecordedEvent): Record<string, string> {
  const subject = subjectOf(event.data)
  return {
    specversion: '1.0',
    id: event.id,
    source: event.accountId === null ? '/landfall' : `/landfall/accounts/${encodeURIComponent(event.accountId)}`,
    type: event.type,
    ...(subject === undefined ? {} : { subject }),
    time: new Date(event.occurredAt).toISOString(),
  }
}

function subjectOf(data: Readonly<Record<string, unknown>>): string | undefined {
  const member = SUBJECT_MEMBERS.find((name) => typeof data[name] === 'string' && data[name] !== '')
  if (member === undefined) return undefined
  const subject = attributeText(String(data[member]))
  return headerValue(subject).length <= SUBJECT_CHARACTERS_MAX ? subject : undefined
}

/** The type String of CloudEvents has no control characters, no halves of surrogate pairs and no noncharacters. */
function attributeText(text: string): string {
  return text.toWellFormed().replaceAll(/[\p{Cc}\p{Noncharacter_Code_Point}]/gu, '\uFFFD')
}

/** "HTTP Header Values": percent-encoded UTF-8 of space, double quote, percent and whatever is not printable ASCII. */
function headerValue(text: string): string {
  return text.replaceAll(/[^!-~]|["%]/gu, (character) =>
    Buffer.from(character).toString('hex').toUpperCase().replaceAll(/../g, '%$&'),
  )
}
