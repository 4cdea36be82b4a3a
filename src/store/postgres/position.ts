import { sql } from 'kysely'

/**
 * The position of an event is the transaction that said it. Numbers are given when a transaction first writes, so one that commits late
 * stands before others that were read already; therefore readers stop before the oldest transaction that is still open.
 */
export const POSITION = 'pg_current_xact_id()::text::bigint'

/** Whatever was said below has committed, and nothing will join it. */
export const SAID_END = sql<number>`pg_snapshot_xmin(pg_current_snapshot())::text::bigint`
