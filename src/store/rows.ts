import type { Account } from '../accounts/account.ts'
import type { AdminToken, ApiKey } from '../accounts/key.ts'
import type { User, UserKey } from '../accounts/user.ts'
import type { AuditEntry } from '../audit/entry.ts'
import type { RecordedEvent } from '../events/event.ts'
import type { Intent, Partial } from '../files/port.ts'
import type { Settlement } from '../webhooks/port.ts'
import type { Attempt, ClaimedDelivery, DeliveryRecord, PlannedDelivery, Webhook } from '../webhooks/webhook.ts'
import type {
  AccountTable,
  AdminTokenTable,
  ApiKeyTable,
  AttemptTable,
  AuditTable,
  DeliveryTable,
  EventTable,
  IntentTable,
  PartialTable,
  UserKeyTable,
  UserTable,
  WebhookTable,
} from './tables.ts'

// Rows to values and back, for both databases. The check constraints vouch for the words that are cast here.

export function toAccount(row: AccountTable): Account {
  return {
    id: row.id,
    slug: row.slug,
    name: row.name,
    plan: row.plan as Account['plan'],
    egressAllow: parsed(row.egress_allow),
    quotaBytes: row.quota_bytes,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

export function toUser(row: UserTable & { account_slug: string }, keys: readonly UserKeyTable[]): User {
  return {
    id: row.id,
    accountId: row.account_id,
    accountSlug: row.account_slug,
    name: row.name,
    passwordHash: row.password_hash,
    publicKeys: keys.map(toUserKey),
    home: row.home,
    permissions: JSON.parse(row.permissions),
    disabled: row.disabled === 1,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

function toUserKey(row: UserKeyTable): UserKey {
  return { id: row.id, type: row.type, blob: row.blob, comment: row.comment, fingerprint: row.fingerprint }
}

export function fromUserKey(userId: string, key: UserKey, position: number): UserKeyTable {
  const { id, type, blob, comment, fingerprint } = key
  return { id, user_id: userId, position, type, blob, comment, fingerprint }
}

export function toApiKey(row: ApiKeyTable): ApiKey {
  return {
    id: row.id,
    accountId: row.account_id,
    name: row.name,
    scopes: JSON.parse(row.scopes),
    hourlyLimit: row.hourly_limit,
    createdAt: row.created_at,
    revokedAt: row.revoked_at,
  }
}

export function toAdminToken(row: AdminTokenTable): AdminToken {
  return { id: row.id, name: row.name, createdAt: row.created_at, revokedAt: row.revoked_at }
}

export function toAudit(row: AuditTable): AuditEntry {
  return {
    id: row.id,
    at: row.at,
    accountId: row.account_id,
    actor: row.actor,
    address: row.address,
    door: row.door as AuditEntry['door'],
    action: row.action as AuditEntry['action'],
    target: row.target,
    result: row.result,
    detail: row.detail,
  }
}

export function fromAudit(entry: AuditEntry): AuditTable {
  const { accountId, actor, target, detail, ...rest } = entry
  return { ...rest, account_id: accountId, actor: storable(actor), target: storable(target), detail: storable(detail) }
}

/**
 * Text that a peer chose, as both databases can hold it: PostgreSQL refuses the character NUL, and a refused row would be tried for
 * ever. Half a surrogate pair turns into the replacement character on its own.
 */
export function storable<Text extends string | null>(text: Text): Text {
  return (text?.includes('\0') ? text.replaceAll('\0', '\ufffd') : text) as Text
}

/** What a delivery says went wrong last: with its last attempt, or why there is none after it. Null: nothing new. */
export function lastErrorOf({ attempt, outcome }: Settlement): string | null {
  const isOfAttempt = attempt !== null && !(outcome.state === 'failed' && outcome.isExpiry)
  if (isOfAttempt) return storable(attempt.error)
  return 'reason' in outcome ? storable(outcome.reason) : null
}

function parsed(json: string | null) {
  return json === null ? null : JSON.parse(json)
}

/** The JSON of a value that may be absent. */
export function textOf(value: object | null): string | null {
  return value === null ? null : JSON.stringify(value)
}

export function toWebhook(row: WebhookTable): Webhook {
  return {
    id: row.id,
    accountId: row.account_id,
    name: row.name,
    url: row.url,
    events: JSON.parse(row.events),
    dialect: row.dialect as Webhook['dialect'],
    filter: parsed(row.filter),
    order: row.ordering as Webhook['order'],
    sealedSecret: row.sealed_secret,
    sealedSecretBefore: row.sealed_secret_before,
    secretBeforeUntil: row.secret_before_until,
    options: JSON.parse(row.options),
    sealedOptions: row.sealed_options,
    egressAllow: parsed(row.egress_allow),
    retryDelaysSeconds: parsed(row.retry_delays_seconds),
    state: row.state as Webhook['state'],
    failedReason: row.failed_reason,
    failedDeliveryId: row.failed_delivery_id,
    inactiveReason: row.inactive_reason,
    offSince: row.off_since,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

export function fromWebhook(webhook: Webhook): WebhookTable {
  return {
    id: webhook.id,
    account_id: webhook.accountId,
    name: webhook.name,
    url: webhook.url,
    events: JSON.stringify(webhook.events),
    dialect: webhook.dialect,
    filter: textOf(webhook.filter),
    ordering: webhook.order,
    sealed_secret: webhook.sealedSecret,
    sealed_secret_before: webhook.sealedSecretBefore,
    secret_before_until: webhook.secretBeforeUntil,
    options: JSON.stringify(webhook.options),
    sealed_options: webhook.sealedOptions,
    egress_allow: textOf(webhook.egressAllow),
    retry_delays_seconds: textOf(webhook.retryDelaysSeconds),
    state: webhook.state,
    failed_reason: webhook.failedReason,
    failed_delivery_id: webhook.failedDeliveryId,
    inactive_reason: webhook.inactiveReason,
    off_since: webhook.offSince,
    created_at: webhook.createdAt,
    updated_at: webhook.updatedAt,
    removed_at: null,
  }
}

export function toEvent(row: EventTable): RecordedEvent {
  return {
    id: row.id,
    type: row.type as RecordedEvent['type'],
    accountId: row.account_id,
    occurredAt: row.occurred_at,
    data: JSON.parse(row.data),
  }
}

export function toPlanned(row: DeliveryTable): PlannedDelivery {
  return {
    id: row.id,
    eventId: row.event_id,
    eventType: row.event_type,
    webhookId: row.webhook_id,
    cause: row.cause as PlannedDelivery['cause'],
    dialect: row.dialect as PlannedDelivery['dialect'],
    body: row.body,
    headers: parsed(row.headers),
    orderKey: row.order_key,
    collapseKey: row.collapse_key,
    replayId: row.replay_id,
  }
}

export function toClaimed(row: DeliveryTable): ClaimedDelivery {
  return { ...toPlanned(row), attempts: row.attempts, createdAt: row.created_at }
}

/** The first of these times; null where there is none. */
export function earliest(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null)
  return known.length === 0 ? null : known.reduce((a, b) => Math.min(a, b))
}

/** What a list reads of a delivery: not its body and what goes with it. */
export const LISTED = [
  'id',
  'event_id',
  'event_type',
  'webhook_id',
  'cause',
  'dialect',
  'state',
  'due_at',
  'claimed_by',
  'attempts',
  'created_at',
  'settled_at',
  'last_status_code',
  'last_error',
] as const satisfies (keyof DeliveryTable)[]

/** `webhookIsActive`: a delivery of a webhook that is off waits without a time. */
export function toDeliveryRecord(row: Pick<DeliveryTable, (typeof LISTED)[number]>, webhookIsActive: boolean): DeliveryRecord {
  return {
    id: row.id,
    eventId: row.event_id,
    eventType: row.event_type,
    webhookId: row.webhook_id,
    cause: row.cause as DeliveryRecord['cause'],
    state: row.state as DeliveryRecord['state'],
    attempts: row.attempts,
    nextAttemptAt: webhookIsActive ? row.due_at : null,
    createdAt: row.created_at,
    settledAt: row.settled_at,
    lastStatusCode: row.last_status_code,
    lastError: row.last_error,
  }
}

export function toAttempt(row: AttemptTable): Attempt {
  return {
    number: row.number,
    startedAt: row.started_at,
    durationMs: row.duration_ms,
    statusCode: row.status_code,
    error: row.error,
    responseHeaders: parsed(row.response_headers),
    responseBody: row.response_body,
  }
}

export function toIntent(row: IntentTable): Intent {
  return {
    id: row.id,
    node: row.node,
    eventId: row.event_id,
    accountId: row.account_id,
    deed: JSON.parse(row.deed),
    usage: { bytes: row.usage_bytes, files: row.usage_files },
    createdAt: row.created_at,
  }
}

export function toPartial(row: PartialTable): Partial {
  return {
    id: row.id,
    accountId: row.account_id,
    userId: row.user_id,
    node: row.node,
    path: row.path,
    temporary: row.temporary,
    identity: row.identity,
    prefixBytes: row.prefix_bytes,
    startedAt: row.started_at,
    updatedAt: row.updated_at,
  }
}
