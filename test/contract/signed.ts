import type { DialectName, EnvelopeOptions } from '../../src/dialects/dialect.ts'
import { dialectOf } from '../../src/dialects/index.ts'
import type { EventType } from '../../src/events/catalogue.ts'
import type { RecordedEvent } from '../../src/events/event.ts'
import { SAMPLES } from '../../src/events/samples.ts'

export const EVENT_ID = 'whevt_mq55sao01a2b3c4d'
export const DELIVERY_ID = 'dlv_mq55sao01a2b3c4d'

export interface Signing {
  readonly dialect: DialectName
  readonly type: EventType
  readonly secret: string | null
  readonly secretBefore?: string
  /** Of the attempt, ms. */
  readonly startedAt: number
  readonly data?: RecordedEvent['data']
  readonly eventId?: string
  readonly deliveryId?: string
  readonly options?: EnvelopeOptions
  /** Dialects whose signature headers go along. */
  readonly alsoSign?: readonly DialectName[]
}

/** One attempt as the server's own dialects make it: the headers and the exact bytes. */
export function signedDelivery(signing: Signing): { headers: Record<string, string>; body: Buffer } {
  const { type, secret, secretBefore = null, startedAt, eventId = EVENT_ID, deliveryId = DELIVERY_ID } = signing
  const dialect = dialectOf(signing.dialect)
  const event = {
    id: eventId,
    type,
    accountId: 'acc_mq55sao01a2b3c4d',
    occurredAt: startedAt,
    data: signing.data ?? SAMPLES[type],
  }
  const body = Buffer.from(dialect.body(event, deliveryId, signing.options))
  const attempt = { deliveryId, eventId, eventType: type, startedAt, body, secret, secretBefore }
  const others = (signing.alsoSign ?? []).map((name) => dialectOf(name).signatureHeaders(attempt))
  const fixed = dialect.fixedHeaders(event, signing.options) ?? {}
  return { headers: Object.assign({}, ...others, dialect.headers(attempt), fixed), body }
}
