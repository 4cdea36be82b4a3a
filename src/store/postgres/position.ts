import { sql } from 'kysely'
import type { Queryable } from './connection.ts'

const BASE = '(select base from said_base)'

/**
 * The position of an event is the transaction that said it. Numbers are given when a transaction first writes, so one that commits late
 * stands before others that were read already; therefore readers stop before the oldest transaction that is still open.
 */
export const POSITION = `(pg_current_xact_id()::text::bigint + ${BASE})`

/** Whatever was said below has committed, and nothing will join it. */
export const SAID_END = sql<number>`(pg_snapshot_xmin(pg_current_snapshot())::text::bigint + ${sql.raw(BASE)})`

/**
 * Call when the store is opened. Positions that no transaction of this cluster can have given yet came with the database from another cluster:
 * from here on events stand after them. A cluster that other nodes use has none, so nothing moves under their hands.
 */
export async function rebase(db: Queryable): Promise<void> {
  await db.query(
    `update said_base set base = last.position + 1
     from (select position from event where state = 'said' and is_test = 0 order by position desc, id desc limit 1) as last
     where last.position >= base + pg_snapshot_xmax(pg_current_snapshot())::text::bigint`,
  )
}
