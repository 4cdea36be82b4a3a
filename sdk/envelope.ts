import type { Dialect } from './dialect.ts'
import { VerifyError } from './error.ts'
import type { EventData, EventType } from './events.ts'
import type { ReadHeader } from './headers.ts'

/** An event in the dialect mftplus. Drop duplicates by `id`. */
export type MftplusEvent = {
  [T in EventType]: { id: string; event: T; timestamp: string; data: EventData[T] }
}[EventType]

/** An event in the dialect trueftp. Drop duplicates by `delivery_id`; `account_id` is empty for events of the whole server. */
export type TrueFtpEvent = {
  [T in EventType]: { event: T; delivery_id: string; timestamp: string; account_id: string; data: EventData[T] }
}[EventType]

/** An event in the dialect standard. `id` is the header `webhook-id`: drop duplicates by it. */
export type StandardEvent = {
  [T in EventType]: { id: string; type: T; timestamp: string; data: EventData[T] }
}[EventType]

/**
 * An event in the dialect cloudevents, from either HTTP mode. Drop duplicates by `id`, which no two sources of a server share: in
 * binary mode it is the only attribute that is signed, being that of the header `webhook-id`.
 */
export type CloudEvent = {
  [T in EventType]: {
    specversion: '1.0'
    id: string
    source: string
    type: T
    time: string
    datacontenttype?: string
    subject?: string
    data: EventData[T]
  }
}[EventType]

export interface EventIn {
  mftplus: MftplusEvent
  trueftp: TrueFtpEvent
  standard: StandardEvent
  cloudevents: CloudEvent
}

/** The event in a body whose signature is right. `type` may be one that this version does not know: newer servers have more. */
export function eventOf(envelope: Dialect, read: ReadHeader, body: Uint8Array): EventIn[Dialect] {
  const parsed = parsedOrUndefined(body)
  if (!isRecord(parsed)) {
    throw new VerifyError('body_not_event', 'The signature is right, but the body is not a JSON object: this is no event.')
  }
  const event = assembled(envelope, read, parsed)
  if (isBinary(envelope, read)) checkId(event.id, read('webhook-id'))
  const missing = MEMBERS[envelope].filter((name) => event[name] === undefined)
  if (missing.length === 0) return event as unknown as EventIn[Dialect]
  const actual = (Object.keys(MEMBERS) as Dialect[]).find((name) =>
    MEMBERS[name].every((member) => assembled(name, read, parsed)[member] !== undefined),
  )
  throw new VerifyError(
    'body_not_event',
    actual === undefined
      ? `The signature is right, but the body lacks ${missing.join(', ')}: this is no event.`
      : `The signature is right, but the body is an event of the dialect ${actual}, not ${envelope}: pass envelope: '${actual}', or change the webhook's dialect.`,
  )
}

const MEMBERS: Readonly<Record<Dialect, readonly string[]>> = {
  mftplus: ['id', 'event', 'timestamp', 'data'],
  trueftp: ['event', 'delivery_id', 'timestamp', 'data'],
  standard: ['id', 'type', 'timestamp', 'data'],
  cloudevents: ['specversion', 'id', 'source', 'type', 'data'],
}

/** Attributes that CloudEvents in binary mode has as headers `ce-…`, its body being the data alone. */
const CLOUD_ATTRIBUTES = ['specversion', 'id', 'source', 'type', 'subject', 'time']

function assembled(envelope: Dialect, read: ReadHeader, parsed: Record<string, unknown>): Record<string, unknown> {
  if (envelope === 'standard') return { id: read('webhook-id'), ...parsed }
  if (!isBinary(envelope, read)) return parsed
  const attributes = CLOUD_ATTRIBUTES.flatMap((name) => {
    const value = read(`ce-${name}`)
    return value === undefined ? [] : [[name, decoded(value)]]
  })
  return { ...Object.fromEntries(attributes), datacontenttype: read('content-type'), data: parsed }
}

function isBinary(envelope: Dialect, read: ReadHeader): boolean {
  return envelope === 'cloudevents' && read('ce-specversion') !== undefined
}

/** The sender makes both equal, and only one of them is signed: with another `ce-id` a delivery that is replayed would look new. */
function checkId(id: unknown, signedId: string | undefined): void {
  if (id === undefined || signedId === undefined || id === signedId) return
  throw new VerifyError(
    'id_mismatch',
    'The signature is right, but it does not cover ce-id, which is another than webhook-id: the header was changed on its way, or ' +
      'the delivery is replayed under another id.',
  )
}

/** Values of `ce-` headers are percent-encoded (CloudEvents HTTP binding, 3.1.3.2). */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

function parsedOrUndefined(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body))
  } catch {
    return undefined
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
