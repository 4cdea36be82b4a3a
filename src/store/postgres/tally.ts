import { SLOW_ANSWER_MS } from '../../base/histogram.ts'
import { added, GRAINS, TALLY_COLUMNS, TALLY_COUNTS, TOTAL_COUNTS } from '../tally.ts'

/**
 * Roll-ups are written in as many parts as there may be batches at once, so that these do not wait for each other: a connection keeps to
 * its part. Two that share one write its rows in the same order, so they wait and do not deadlock.
 */
export const PART = 'pg_backend_pid() % 16'

const SPANS = GRAINS.map(({ grain, spanMs }) => `('${grain}', ${spanMs}::bigint)`).join(', ')

const COUNTS: Record<string, string> = {
  attempts: 'count(number)',
  failures: 'count(error)',
  unauthorized: 'count(*) filter (where status_code = 401)',
  answered: 'count(status_code)',
  slow: `count(*) filter (where status_code is not null and duration_ms > ${SLOW_ANSWER_MS})`,
  duration_ms: 'coalesce(sum(duration_ms) filter (where status_code is not null), 0)',
  delivered: `count(*) filter (where state = 'delivered')`,
  failed: `count(*) filter (where state = 'failed')`,
}

/** Inserts that add the rows of `source`, written settlements, to the roll-ups: one row for each webhook and span of time. */
export function insertTallies(source: string): string {
  const counts = TALLY_COUNTS.map(
    (name) => COUNTS[name] ?? `count(*) filter (where took = ${Number(name.slice('took_'.length))})`,
  )
  return `insert into tally (${TALLY_COLUMNS.join(', ')})
    select webhook_id, grain, ended_at - ended_at % span_ms, ${PART}, ${counts.join(', ')}
    from ${source} cross join (values ${SPANS}) as span (grain, span_ms)
    where number is not null or state = 'failed' group by 1, 2, 3 order by 1, 2, 3
    on conflict (webhook_id, grain, at, part) do update set ${added('tally', TALLY_COUNTS)}`
}

/** The same for the totals of what has ended; `source` has `webhook_id` and `state`. */
export function insertTotals(source: string): string {
  const counts = TOTAL_COUNTS.map((state) => `count(*) filter (where state = '${state}')`)
  return `insert into delivery_total (webhook_id, part, ${TOTAL_COUNTS.join(', ')})
    select webhook_id, ${PART}, ${counts.join(', ')} from ${source} where state <> 'waiting' group by 1 order by 1
    on conflict (webhook_id, part) do update set ${added('delivery_total', TOTAL_COUNTS)}`
}
