import type { DialectName } from '../dialects/dialect.ts'

/**
 * A configured endpoint. active ⇄ inactive by its owner; active → failed when a delivery used up its attempts (dialects
 * that say so); failed → active by hand only.
 */
export type WebhookState = 'active' | 'inactive' | 'failed'

export interface Webhook {
  readonly id: string
  /** Null: all accounts and server-wide events. */
  readonly accountId: string | null
  readonly name: string
  readonly url: string
  /** Event types, `*`, or a group such as `transfer.*`. */
  readonly events: readonly string[]
  readonly dialect: DialectName
  /** Sealed under the master key; null: deliveries are not signed. */
  readonly sealedSecret: string | null
  /** Own retry schedule, seconds before the 2nd, 3rd, ... attempt; null: the dialect's. */
  readonly retryDelaysSeconds: readonly number[] | null
  readonly state: WebhookState
  /** Why it failed, for people; null unless failed. */
  readonly failedReason: string | null
  readonly createdAt: number
  readonly updatedAt: number
}

export type DeliveryState = 'held' | 'waiting' | 'delivered' | 'failed' | 'cancelled'
export type DeliveryCause = 'event' | 'resend' | 'test'

/** One event for one webhook, as planned. Body and dialect are fixed from here on. */
export interface PlannedDelivery {
  readonly id: string
  readonly eventId: string
  readonly eventType: string
  readonly webhookId: string
  readonly cause: DeliveryCause
  readonly dialect: DialectName
  readonly body: string
}

/** A delivery in the hands of a lane: claimed by this node, due now. */
export interface ClaimedDelivery extends PlannedDelivery {
  /** Attempts settled so far; the next one is this plus one. */
  readonly attempts: number
}

/** A settled POST. */
export interface Attempt {
  /** From 1, without gaps. */
  readonly number: number
  readonly startedAt: number
  readonly durationMs: number
  /** Null where no answer came. */
  readonly statusCode: number | null
  /** Why it did not count as delivered; null when it did. */
  readonly error: string | null
  readonly responseHeaders: Record<string, string> | null
  /** At most the first 16 KiB. */
  readonly responseBody: string | null
}

/** A delivery as people ask for it. */
export interface DeliveryRecord {
  readonly id: string
  readonly eventId: string
  readonly eventType: string
  readonly webhookId: string
  readonly cause: DeliveryCause
  readonly state: Exclude<DeliveryState, 'held'>
  readonly attempts: number
  /** Null once settled, and while its webhook is not active. */
  readonly nextAttemptAt: number | null
  readonly createdAt: number
  readonly settledAt: number | null
  readonly lastStatusCode: number | null
  readonly lastError: string | null
}

/** What the secret of a webhook is sealed for: a sealed text copied to another webhook does not open there. */
export function webhookSecretPurpose(webhookId: string): string {
  return `webhook.secret:${webhookId}`
}
