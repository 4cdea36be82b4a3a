import type { AuditEntry } from '../../audit/entry.ts'
import type { Page, PageRequest } from '../../base/page.ts'
import type { RecordedEvent } from '../../events/event.ts'
import type { DeliveryState, PlannedDelivery } from '../webhook.ts'

/**
 * Which stored events are sent again. `failed`: the last delivery to this webhook failed. `missing`: none was delivered, waits, or was
 * replaced by a newer state of the same thing: the receiver has not got it and will not get it by itself. `all`: whatever became of it.
 */
export type ReplayOutcome = 'failed' | 'missing' | 'all'

export interface ReplayRequest {
  /** Recorded at or after, ms since 1970 UTC. */
  readonly since: number
  /** Recorded before, ms since 1970 UTC. */
  readonly until: number
  /** Types and groups, subscribed to or not; null: what the webhook subscribes to. */
  readonly events: readonly string[] | null
  /** A glob that a path of the event must match. */
  readonly path: string | null
  readonly only: ReplayOutcome
  /** Exactly these, sorted; null: those of the time range. */
  readonly eventIds: readonly string[] | null
  readonly ratePerSecond: number
}

/** `running`: plans page by page; `done`: all is planned, some of it may wait; `cancelled`: no more is planned, what waited is cancelled. */
export type ReplayState = 'running' | 'done' | 'cancelled'

/** Stored events on their way to one webhook again. */
export interface Replay {
  readonly id: string
  readonly webhookId: string
  readonly accountId: string | null
  readonly request: ReplayRequest
  readonly state: ReplayState
  /** Events that it asks for, counted when it was made. */
  readonly matched: number
  /** Whether those are all; false: at least so many, the count was cut. */
  readonly isCounted: boolean
  /** Deliveries made so far. */
  readonly planned: number
  readonly createdAt: number
  readonly endedAt: number | null
}

/** A replay and what became of its deliveries; of very many, and of those no longer stored, not all are counted. */
export interface ReplayProgress extends Replay {
  readonly waiting: number
  readonly delivered: number
  readonly failed: number
  readonly cancelled: number
}

/** A replay in the hands of a node. */
export interface OpenReplay extends Replay {
  /** The last event looked at; null at the start. */
  readonly cursor: string | null
}

/** One step: the deliveries of a page, and the cursor behind it. */
export interface ReplayStep {
  readonly id: string
  readonly node: string
  /** As the page was read: if the row says otherwise, this step was made already or is somebody else's. */
  readonly cursorBefore: string | null
  readonly cursor: string
  readonly deliveries: readonly PlannedDelivery[]
  readonly at: number
  /** Nothing is left to plan. */
  readonly isLast: boolean
}

/** A delivery of an event to one webhook, as far as replay asks. */
export interface Sending {
  readonly id: string
  readonly eventId: string
  readonly state: DeliveryState
  readonly lastError: string | null
  readonly isResend: boolean
}

/** Replays and what they read. */
export interface ReplayStore {
  /** `conflict`, naming it, while another replay of the webhook is running; `not_found` when the webhook is gone. */
  createReplay(replay: Replay, audit: AuditEntry): Promise<void>
  findReplay(webhookId: string, id: string): Promise<ReplayProgress | undefined>
  /** Newest first. */
  listReplays(webhookId: string, page: PageRequest): Promise<Page<ReplayProgress>>
  /**
   * Ends it, and cancels what it has planned and nobody has in hand; what is under way is cancelled when it comes back
   * (`cancelLeftovers`). `conflict` when it is cancelled, or done with nothing waiting; `not_found`.
   */
  cancelReplay(webhookId: string, id: string, audit: AuditEntry): Promise<void>

  /** Said events with ids from `from` (inclusive) or after `after`, and before `before`, oldest first, samples of tests left out. */
  eventsInRange(
    range: { accountId: string | null; from: string; after: string | null; before: string },
    limit: number,
  ): Promise<RecordedEvent[]>
  /** Those of these events that are said and no samples, oldest first. */
  eventsByIds(ids: readonly string[]): Promise<RecordedEvent[]>
  /** Deliveries of these events to this webhook, oldest first; tests and held ones are not among them. */
  sendingsOf(webhookId: string, eventIds: readonly string[]): Promise<Sending[]>

  /**
   * Gives this node the open replays that nobody or a lost node has; answers all that it has now, at most `limit`. Not among them
   * are those that run for a webhook which is off: they cost nothing until it is active again.
   */
  takeReplays(node: string, limit: number): Promise<OpenReplay[]>
  /** This node lets go of its replays: others may take them at once. */
  releaseReplays(node: string): Promise<void>
  /** Number of its deliveries that wait, counted to `limit`. */
  countWaiting(replayId: string, limit: number): Promise<number>
  /** One transaction: the deliveries are inserted, due now, and the cursor moves. False: nothing was written, see `cursorBefore`. */
  advanceReplay(step: ReplayStep): Promise<boolean>
  /** Cancels what waits of a cancelled replay, and closes it when nothing is under way any more. */
  cancelLeftovers(replayId: string, at: number): Promise<void>
}
