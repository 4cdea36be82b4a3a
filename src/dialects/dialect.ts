import type { RecordedEvent } from '../events/event.ts'

export type DialectName = 'mftplus' | 'trueftp' | 'standard' | 'cloudevents'

/** How events are said on the wire: envelope, headers, signature, retry rules. Pure: no clock, no socket, no store. */
export interface Dialect {
  readonly name: DialectName
  /** The exact body, fixed when the delivery is planned: the same bytes are signed and sent on every attempt. */
  body(event: RecordedEvent, deliveryId: string, options?: EnvelopeOptions): string
  /** Headers that belong to that body and are fixed with it, in place of those of `headers` that have the same name; null: none. */
  fixedHeaders(event: RecordedEvent, options?: EnvelopeOptions): Record<string, string> | null
  /** Headers of one attempt over the exact body bytes: content type, user agent and `signatureHeaders`. */
  headers(attempt: AttemptFacts): Record<string, string>
  /** Those of them by which a receiver recognises and verifies a delivery; they may go along with another dialect's. */
  signatureHeaders(attempt: AttemptFacts): Record<string, string>
  readonly retry: RetryRules
  /** True when every delivery is signed: a webhook without a secret gets one made. */
  readonly secretRequired: boolean
  /** True: during a rotation both secrets sign. False: there is room for one, that of the secret before, until it ends. */
  readonly signsWithBoth: boolean
}

/** What a webhook may choose about its envelope. */
export interface EnvelopeOptions {
  /** CloudEvents: the whole event as the body (the default), or its attributes as headers. */
  readonly cloudEventsMode?: 'structured' | 'binary'
}

export interface AttemptFacts {
  readonly deliveryId: string
  readonly eventId: string
  readonly eventType: string
  /** Start of this attempt, ms since 1970 UTC. */
  readonly startedAt: number
  readonly body: Uint8Array
  /** Null where the webhook has none; then nothing is signed. */
  readonly secret: string | null
  /** During a rotation the secret before, which still counts; else null. */
  readonly secretBefore: string | null
}

export interface RetryRules {
  /** Delay before the 2nd, 3rd, ... attempt, ms from the end of the one before; attempts are one more than delays. */
  readonly delaysMs: readonly number[]
  /** Each of these delays may be longer by up to this part of it, so that deliveries that failed together do not come back together. */
  readonly jitter: number
  /** Whether an answer of this status (not 2xx) is tried again. */
  retries(status: number): boolean
  /** Whether an answer of this status says that the receiver is gone for good: the webhook is turned off. */
  endsWebhook(status: number): boolean
  /** Whether an answer of this status asks for fewer requests. */
  throttles(status: number): boolean
  /** Whether using up the attempts turns the webhook off until somebody reactivates it. */
  readonly exhaustionFailsWebhook: boolean
  /** Time for the whole answer, ms. */
  readonly deadlineMs: number
}
