import type { DeliveryCause } from '../webhook.ts'
import type { StatsWindow, Tally } from './stats.ts'

/** Figures of webhooks, read from roll-ups: no question here looks at attempts, whatever their number. */
export interface StatsStore {
  /** What was counted of one webhook. */
  tallyOf(webhookId: string, window: StatsWindow): Promise<Tally>
  /** What was counted of all webhooks together, those removed since among them, and of the `worstMax` with the most failures. */
  tallyOfAll(window: StatsWindow, worstMax: number): Promise<{ all: Tally; worst: WebhookTally[] }>
  /** The latest failed deliveries of a webhook, newest first. */
  recentFailures(webhookId: string, limit: number): Promise<FailedDelivery[]>
  /** What the health of these webhooks is judged by; those that do not exist are left out. */
  vitals(webhookIds: readonly string[], hourFrom: number, recentFrom: number): Promise<Vitals[]>
}

export interface WebhookTally {
  readonly webhookId: string
  readonly webhookName: string
  readonly accountId: string | null
  readonly tally: Tally
}

/** A delivery that ended as failed, with what its last attempt met. */
export interface FailedDelivery {
  readonly id: string
  readonly eventId: string
  readonly eventType: string
  readonly cause: DeliveryCause
  readonly attempts: number
  readonly lastStatusCode: number | null
  readonly lastError: string | null
  readonly failedAt: number
}

export interface Counts {
  readonly attempts: number
  readonly failures: number
  readonly slow: number
}

export interface Vitals {
  readonly webhookId: string
  /** Since `hourFrom` and since `recentFrom`. */
  readonly hour: Counts
  readonly recent: Counts
  /** The earliest time at which something that no lane has yet was or is due; null: nothing waits. */
  readonly oldestDueAt: number | null
}
