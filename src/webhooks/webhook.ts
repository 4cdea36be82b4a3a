import type { DialectName } from '../dialects/dialect.ts'
import type { Filter } from './filter.ts'

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
  /** Which of those events; null: all. */
  readonly filter: Filter | null
  /** `webhook`: one delivery after the other; `key`: the same among deliveries of one path, transfer or job. */
  readonly order: WebhookOrder
  /** Sealed under the master key; null: deliveries are not signed. */
  readonly sealedSecret: string | null
  /** The secret before, and until when it counts; null outside a rotation. */
  readonly sealedSecretBefore: string | null
  readonly secretBeforeUntil: number | null
  readonly options: WebhookOptions
  /** The JSON of its `SecretOptions`, sealed; null: it has none. */
  readonly sealedOptions: string | null
  /** Networks that webhooks of its account may reach, in place of those of the server; null: those of the server. */
  readonly egressAllow: readonly string[] | null
  /** Own retry schedule, seconds before the 2nd, 3rd, ... attempt; null: the dialect's. */
  readonly retryDelaysSeconds: readonly number[] | null
  readonly state: WebhookState
  /** Why it failed, for people; null unless failed. */
  readonly failedReason: string | null
  /** The delivery that turned it off; null unless failed. */
  readonly failedDeliveryId: string | null
  /** Why it is inactive, where not its owner turned it off; else null. */
  readonly inactiveReason: string | null
  /** Since when it is not active; null while it is. */
  readonly offSince: number | null
  readonly createdAt: number
  readonly updatedAt: number
}

export type WebhookOrder = 'none' | 'webhook' | 'key'

/** What shapes the requests of a webhook, without any secret. What is absent has the default of the dialect or the server. */
export interface WebhookOptions {
  /** Dialects whose signature headers go along with those of the main one. */
  readonly alsoSign?: readonly DialectName[]
  /** CloudEvents: the whole event as the body, or its attributes as headers. */
  readonly cloudEventsMode?: 'structured' | 'binary'
  /** Time for the whole answer, below that of the dialect. */
  readonly timeoutSeconds?: number
  /** Posts at once. */
  readonly concurrency?: number
  /** Posts started, at most so many in so many seconds. */
  readonly rate?: { readonly count: number; readonly perSeconds: number }
  /** A delivery that is not delivered this long after it was planned fails as expired. */
  readonly expireAfterSeconds?: number
  /** Sent with every attempt; a null value is a secret one. */
  readonly headers?: Readonly<Record<string, string | null>>
  readonly auth?: WebhookAuth
  /** Client certificate (its key is secret) and a certificate authority of its own, PEM. */
  readonly tls?: { readonly certificate?: string; readonly ca?: string }
  /** An HTTP proxy, asked to CONNECT; its password is secret. */
  readonly proxy?: { readonly url: string; readonly username?: string }
}

/** How it shows to the receiver who calls; passwords and tokens are secret. */
export type WebhookAuth =
  | { readonly kind: 'basic'; readonly username: string }
  | { readonly kind: 'bearer' }
  | { readonly kind: 'oauth2'; readonly tokenUrl: string; readonly clientId: string; readonly scope?: string }

/** The secret parts of WebhookOptions. */
export interface SecretOptions {
  /** Values of those headers that are secret. */
  readonly headers?: Readonly<Record<string, string>>
  /** basic: the password; bearer: the token; oauth2: the client's secret. */
  readonly auth?: string
  /** The key of the client certificate, PEM. */
  readonly tlsKey?: string
  readonly proxyPassword?: string
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
  /** Headers that belong to the body (CloudEvents in binary mode); null: none. */
  readonly headers: Readonly<Record<string, string>> | null
  /** Sent in turn with the others of its webhook that have the same; null: whenever it is due. */
  readonly orderKey: string | null
  /** Replaces what waits with the same key; null: replaces nothing. */
  readonly collapseKey: string | null
  /** The replay that planned it. */
  readonly replayId: string | null
}

/** A delivery in the hands of a lane: claimed by this node, due now. */
export interface ClaimedDelivery extends PlannedDelivery {
  /** Attempts settled so far; the next one is this plus one. */
  readonly attempts: number
  readonly createdAt: number
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

/** The same for its `SecretOptions`. */
export function webhookOptionsPurpose(webhookId: string): string {
  return `webhook.options:${webhookId}`
}
