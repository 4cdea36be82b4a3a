import type { AuditEntry } from '../audit/entry.ts'
import type { Page, PageRequest } from '../base/page.ts'
import type { EventDraft } from '../events/event.ts'
import type { OrderKeys } from './order.ts'
import type {
  Attempt,
  ClaimedDelivery,
  DeliveryRecord,
  DeliveryState,
  PlannedDelivery,
  Webhook,
  WebhookState,
} from './webhook.ts'

/** Administration of webhooks; rare. Every write is one transaction with its audit entry. */
export interface WebhookStore {
  /**
   * `webhooksMax` counts the account's webhooks inside the transaction: `limit_reached`. `plan` is that of its account as it was
   * read: `conflict` if it is another one by now. Where it may go (`egressAllow`) is read from its account there too.
   */
  createWebhook(webhook: Webhook, limits: { webhooksMax: number; plan?: string | null }, audit: AuditEntry): Promise<void>
  /**
   * Replaces all members but id, account, creation time and where it may go; what waits for it becomes due at its times again. `not_found` if it
   * is gone, `conflict` if it, or the plan of its account, is no longer as it was read `before`: an engine may have failed it meanwhile.
   */
  updateWebhook(
    webhook: Webhook,
    before: Pick<Webhook, 'state' | 'updatedAt'> & { plan?: string | null },
    audit: AuditEntry,
  ): Promise<void>
  /** Gone at once for everybody; its waiting deliveries turn cancelled (by `cancelOrphans`, in small steps). */
  removeWebhook(id: string, audit: AuditEntry): Promise<void>
  /** Makes what waits for a later time due at `at`, at most `limit`, the soonest first; returns how many. What waits behind others is due already. */
  makeDue(webhookId: string, at: number, limit: number): Promise<number>
  /** What waits behind others in an order goes its own way, but where the order's key begins with `kept`: at most `limit`; returns how many. */
  leaveOrder(webhookId: string, kept: string, limit: number): Promise<number>
  findWebhook(id: string): Promise<Webhook | undefined>
  /** `accountId` absent: all. */
  listWebhooks(filter: { accountId?: string }, page: PageRequest): Promise<Page<Webhook>>

  listDeliveries(
    filter: { webhookId: string; state?: Exclude<DeliveryState, 'held'>; eventType?: string },
    page: PageRequest,
  ): Promise<Page<DeliveryRecord>>
  /** The delivery, its fixed body and its attempts, oldest first. */
  findDelivery(
    webhookId: string,
    id: string,
  ): Promise<{ delivery: DeliveryRecord; planned: PlannedDelivery; attempts: Attempt[] } | undefined>
  /** Attempts of all deliveries of a webhook, newest first (a TrueFTP delivery row is one attempt). */
  listAttempts(
    webhookId: string,
    page: PageRequest,
  ): Promise<Page<Attempt & { deliveryId: string; eventType: string; deliveryState: DeliveryState }>>
  /** A new delivery of a stored event (resend), due now. */
  addDelivery(delivery: PlannedDelivery, createdAt: number, audit: AuditEntry): Promise<void>
  /** A sample event, kept out of event lists, with one delivery to one webhook, due now. */
  addTest(event: EventDraft, delivery: PlannedDelivery, audit: AuditEntry): Promise<void>
}

/** What the engine needs of the store: the hot path. Whoever implements it batches calls that wait. */
export interface DeliveryStore {
  /** A node says that it lives; returns when the beat is committed. */
  beat(node: { id: string; startedAt: number }, at: number): Promise<void>
  /** Frees claims of earlier lives of this process (one process per data folder), or of nodes silent for longer than `silentMs`. Returns how many. */
  freeClaims(node: string, now: number, silentMs: number): Promise<number>
  /** Webhooks that are active and have unclaimed deliveries due, with the earliest due time that is still to come; bounded by `limit`. */
  dueWebhooks(now: number, limit: number): Promise<{ webhookIds: string[]; nextDueAt: number | null }>
  /** Gives this node up to `room` due deliveries of each webhook named, oldest due first, of an order only the first. Skips webhooks that are not active. */
  claim(node: string, wants: readonly { webhookId: string; room: number }[], now: number): Promise<ClaimedDelivery[]>
  /** Puts claimed deliveries back, due at once: a lane that stops. Only this node's. */
  unclaim(node: string, deliveryIds: readonly string[]): Promise<void>
  /**
   * Puts back every claim of this node but those of `kept`, due at once; returns how many. After a claim whose answer
   * was lost: nobody here knows which deliveries it took, and while this node lives nobody else would free them.
   * With none kept it is the last call of a node that stops.
   */
  unclaimAllBut(node: string, kept: readonly string[]): Promise<number>
  /**
   * Writes the outcome of attempts; see Settlement. The answers come in the same order. The end of one lets the next of its order go; one
   * that waits again ends as cancelled if a newer one with its collapse key has come meanwhile.
   */
  settle(settlements: readonly Settlement[]): Promise<SettleResult[]>
  /** What an attempt needs of its webhook, read at each attempt (an implementation may cache by version). */
  targets(webhookIds: readonly string[]): Promise<Webhook[]>
  /** Which of these replays were cancelled. */
  cancelledReplays(ids: readonly string[]): Promise<string[]>
  /** Cancels waiting deliveries of removed webhooks, at most `limit`; returns how many. */
  cancelOrphans(limit: number): Promise<number>
}

/** For what the store may claim for a node when it plans: the room of its lanes, as it was when the call was made. */
export interface BirthRoom {
  readonly node: string
  /** Deliveries in all. */
  readonly most: number
  /** By webhook. */
  readonly rooms: Readonly<Record<string, number>>
  /** Of each webhook that is not named. */
  readonly other: number
}

/** What became of a record that was told of room. */
export interface Births {
  /** Claimed at their birth, in the order in which they were planned. */
  readonly deliveries: readonly ClaimedDelivery[]
  /** False: an event was there already, so its deliveries may have been claimed by a call whose answer was lost. */
  readonly isComplete: boolean
}

/** Its keys are those of the delivery: the store need not look whether anything waits for its end. */
export interface Settlement extends OrderKeys {
  readonly deliveryId: string
  readonly webhookId: string
  /** The claim: only if the delivery is still this node's and has exactly `attempt.number - 1` attempts is anything written. */
  readonly node: string
  /** Null: none was made. After our own failure the delivery goes back to waiting; one that has expired ends. */
  readonly attempt: Attempt | null
  readonly outcome: Outcome
  readonly endedAt: number
}

export type Outcome =
  | { state: 'delivered' }
  | { state: 'waiting'; dueAt: number }
  /** `isExpiry`: not for its last attempt, but because the next one would come too late. */
  | { state: 'failed'; reason: string; webhookFails: boolean; isExpiry?: true }
  /** Not wanted any more, without an attempt. */
  | { state: 'cancelled'; reason: string }

export interface SettleResult {
  /** False: the claim was lost; nothing was written. */
  readonly written: boolean
  /** The webhook's state after this settlement. */
  readonly webhookState: WebhookState | 'removed'
}

/**
 * Which deliveries an event asks for; pure. The store calls it inside the transaction that records the event, with
 * the webhooks as that transaction sees them.
 */
export type Plan = (event: EventDraft, webhooks: readonly Webhook[]) => PlannedDelivery[]
