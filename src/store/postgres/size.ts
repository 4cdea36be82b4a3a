import { sql } from 'kysely'

/** What a row takes besides its columns: its header and its entries in the indexes, bytes; an estimate. */
const ROW_OVERHEAD_BYTES = 300

/**
 * Estimated from the statistics of the database: rows that live, times their width. The files would not do: room that is free again
 * stays in them, and deleting more would never help.
 */
export const STORED_BYTES = sql<number>`(
  select coalesce(sum(t.n_live_tup * (${sql.lit(ROW_OVERHEAD_BYTES)} + coalesce(w.width, 0))), 0)::bigint
  from pg_stat_user_tables as t
  left join (select tablename, sum(avg_width) as width from pg_stats where schemaname = 'public' group by 1) as w
    on w.tablename = t.relname
  where t.schemaname = 'public')`
