import type { RecordedEvent } from '../events/event.ts'

export type DialectName = 'mftplus' | 'trueftp'

/** How events are said on the wire: envelope, headers, signature, retry rules. Pure: no clock, no socket, no store. */
export interface Dialect {
  readonly name: DialectName
  /** The exact body, fixed when the delivery is planned: the same bytes are signed and sent on every attempt. */
  body(event: RecordedEvent, deliveryId: string): string
  /** Headers of one attempt over the exact body bytes. */
  headers(attempt: AttemptFacts): Record<string, string>
  readonly retry: RetryRules
  /** True when every delivery is signed: a webhook without a secret gets one made. */
  readonly secretRequired: boolean
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
  /** Whether an answer of this status (not 2xx) is tried again. */
  retries(status: number): boolean
  /** Whether using up the attempts turns the webhook off until somebody reactivates it. */
  readonly exhaustionFailsWebhook: boolean
  /** Time for the whole answer, ms. */
  readonly deadlineMs: number
}
