/** What is deleted when it is old, one kind at a time. Deliveries go with their attempts and before their events. */
export const PURGED_KINDS = [
  ...(['deliveries', 'events', 'minutes', 'hours', 'replays', 'alerts', 'webhooks'] as const),
  ...(['transfers', 'runs', 'jobs', 'audit'] as const),
] as const
export type PurgedKind = (typeof PURGED_KINDS)[number]

export interface PurgeStep {
  readonly kind: PurgedKind
  /** Only what was made, and has ended, before this time, ms. */
  readonly before: number
  /** Where the step before stopped (its `next`); null: from the oldest on. */
  readonly after: string | null
  /** Rows that are looked at; as many are deleted at most, besides the attempts of the deliveries among them. */
  readonly limit: number
}

export interface Purged {
  /** Rows of this kind. */
  readonly deleted: number
  readonly attempts: number
  /** Where the next step goes on; null: nothing older than `before` is left to look at. */
  readonly next: string | null
}

/** Deleting what is old, in steps so small that nothing waits for them. */
export interface RetentionStore {
  /**
   * Deletes, oldest first. Kept, however old: deliveries that are held or wait, events of a delivery that is stored or of an open intent,
   * running replays, open alerts, webhooks that were not removed or of which a delivery is stored, transfers and runs that have not ended, the last run
   * of each job, jobs that were not removed and what these have moved.
   */
  purge(step: PurgeStep): Promise<Purged>
  /** Bytes that the stored rows take; on PostgreSQL an estimate from its statistics. */
  databaseBytes(): Promise<number>
}
