import type { AccountStore } from '../accounts/port.ts'
import type { AgentStore } from '../agents/port.ts'
import type { AuditEntry } from '../audit/entry.ts'
import type { AuditStore } from '../audit/port.ts'
import { SECOND_MS } from '../base/units.ts'
import type { EventDraft } from '../events/event.ts'
import type { EventStore } from '../events/port.ts'
import type { FileStore } from '../files/port.ts'
import type { JobStore } from '../jobs/port.ts'
import type { TransferStore } from '../transfers/port.ts'
import type { AlertStore } from '../watch/port.ts'
import type { StatsStore } from '../webhooks/monitoring/stats-port.ts'
import type { BirthRoom, Births, DeliveryStore, WebhookStore } from '../webhooks/port.ts'
import type { ExplainStore } from '../webhooks/recovery/explain.ts'
import type { ReplayStore } from '../webhooks/recovery/replay-port.ts'
import type { SealedStore } from '../webhooks/secrets/sealed.ts'

import type { RetentionStore } from './retention.ts'

/**
 * Everything that Landfall remembers. Two implementations, node:sqlite and PostgreSQL, mean the same (`conformance.ts`).
 *
 * Every method is one transaction, and its answer comes after the commit. What a caller can cause is thrown as the AppError
 * that the port names; anything that the database did not take is `store_failed`, and then nothing was changed. On
 * PostgreSQL a commit whose answer was lost is made certain first: records are repeated, and an event that is there already counts
 * as recorded.
 *
 * Deliveries that no intent holds are due from the time of their event on (`addDelivery`: from `createdAt`), so that being due needs no clock here.
 */
export interface Store
  extends AccountStore,
    AgentStore,
    AuditStore,
    EventStore,
    WebhookStore,
    DeliveryStore,
    ReplayStore,
    SealedStore,
    ExplainStore,
    StatsStore,
    RetentionStore,
    AlertStore,
    JobStore,
    TransferStore,
    Omit<FileStore, 'closeIntent'> {
  /**
   * The deed is done: event said, its deliveries let go. Those named in `claim` become waiting, due and claimed by its node (born
   * claimed), the others waiting, due and nobody's. Does nothing when the intent is not open or not this node's.
   */
  closeIntent(intent: { id: string; node: string }, claim: { node: string; deliveryIds: readonly string[] }): Promise<void>
  /**
   * Events that are true already, each with the audit entry of a fact, if it is one: said at once. Deliveries for which `room` has room are
   * claimed by its node in the same transaction and answered; those in an order never are. The others are due and nobody's.
   */
  recordFacts(facts: readonly Fact[], room: BirthRoom | null): Promise<Births>
  /** The process of this node is certainly gone: what it holds may be taken at once, without waiting until it was silent for long. */
  forgetNode(node: string): Promise<void>
  /** Resolves when the database answers. */
  ping(): Promise<void>
  /** Answers what was called before and refuses what comes after with `stopping`. */
  stop(): Promise<void>
}

export interface Fact {
  readonly event: EventDraft
  readonly audit: AuditEntry | null
}

/** What the owner of a store wants to hear. */
export interface StoreHooks {
  /** After a commit that left due deliveries to nobody: the webhooks concerned, on PostgreSQL also for other nodes' commits. Only a nudge. */
  onPlanned?: (webhookIds: string[]) => void
  /** The database is lost for good (the thread ended): nothing will work any more. Called once. */
  onFailure?: (error: Error) => void
}

/** A node that did not beat for this long has lost its claims, intents and partials, ms (PostgreSQL). */
export const NODE_SILENT_MS = 15 * SECOND_MS
