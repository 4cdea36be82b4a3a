import { DAY_MS, HOUR_MS, MINUTE_MS } from '../src/base/units.ts'

/** What the history of a long-running server is written with: one database or the other. */
export interface HistoryDatabase {
  /** Runs one statement; `:name` stands for a parameter. */
  run(statement: string, parameters?: Readonly<Record<string, string | number>>): Promise<void>
  /** Text that makes the 8 last characters of an id of a number. */
  readonly suffixOf: (number: string) => string
  /** A query of the numbers `n` from `:first` up to `:end`, the end not among them. */
  readonly numbers: string
}

/** Days that the history covers. */
const DAYS = 25
/** Attempts written by one step; all of a step happened in the same millisecond. */
const STEP_ATTEMPTS = 10_000
const TYPES = ['file.uploaded', 'file.downloaded', 'file.deleted', 'transfer.completed', 'job.completed']

/**
 * Writes so many attempts of these webhooks, spread over the last 25 days, each the only one of its delivery: 97 of 100 delivered,
 * two failed after a 401, one cancelled later. Every event went to all webhooks. The roll-ups say what settling would have made them say.
 */
export async function writeHistory(
  db: HistoryDatabase,
  webhookIds: readonly string[],
  attempts: number,
  now: number,
  progress: (text: string) => void,
): Promise<void> {
  const perStep = Math.floor(STEP_ATTEMPTS / webhookIds.length)
  const events = Math.ceil(attempts / webhookIds.length)
  const from = now - DAYS * DAY_MS
  const eventId = `'whevt_' || :time || ${db.suffixOf('n')}`
  const type = TYPES.map((name, index) => `when ${index} then '${name}'`).join(' ')
  const eventType = `case n % ${TYPES.length} ${type} end`
  const data = `'{"path":"/incoming/orders/old-' || n || '.csv","size":20480,"username":"pipeline","client_ip":"203.0.113.5"}'`
  const state = `case when (n + w.number) % 50 = 0 then 'failed' when (n + w.number) % 100 = 1 then 'cancelled' else 'delivered' end`
  const isFailed = `(n + w.number) % 50 = 0 or (n + w.number) % 100 = 1`
  const webhooks = `(select id, row_number() over (order by id) as number from webhook where removed_at is null)`
  const deliveryId = `'dlv_' || :time || ${db.suffixOf(`n * ${webhookIds.length} + w.number`)}`

  for (let first = 0; first < events; first += perStep) {
    const at = Math.floor(from + ((now - from) * first) / events)
    const step = { first, end: Math.min(first + perStep, events), at, time: at.toString(36).padStart(8, '0') }
    await db.run('begin')
    await db.run(
      `insert into event (id, type, account_id, occurred_at, data, state, is_test, position)
       select ${eventId}, ${eventType}, null, :at, ${data}, 'said', 0, 0 from (${db.numbers}) numbers`,
      step,
    )
    await db.run(
      `insert into delivery (id, event_id, event_type, webhook_id, cause, dialect, body, state, attempts, created_at, settled_at,
         last_status_code, last_error, is_blocked)
       select ${deliveryId}, ${eventId}, ${eventType}, w.id, 'event', 'mftplus',
         '{"id":"' || ${eventId} || '","event":"file.uploaded","timestamp":"2026-06-08T12:00:00Z","data":' || ${data} || '}',
         ${state}, 1, :at, :at + 20, case when ${isFailed} then 401 else 200 end, case when ${isFailed} then 'status 401' end, 0
       from (${db.numbers}) numbers cross join ${webhooks} w`,
      step,
    )
    await db.run(
      `insert into attempt (delivery_id, number, webhook_id, started_at, duration_ms, status_code, error, response_headers, response_body)
       select ${deliveryId}, 1, w.id, :at, 20, case when ${isFailed} then 401 else 200 end, case when ${isFailed} then 'status 401' end,
         '{"content-type":"text/plain"}', 'ok'
       from (${db.numbers}) numbers cross join ${webhooks} w`,
      step,
    )
    await db.run('commit')
    if (first % (100 * perStep) === 0) progress(`history: ${(first * webhookIds.length).toLocaleString('en-US')} attempts`)
  }

  const spans = [
    ['hour', HOUR_MS, from],
    ['minute', MINUTE_MS, now - 2 * HOUR_MS],
  ] as const
  for (const [grain, spanMs, since] of spans) {
    progress(`history: the ${grain}s`)
    const took = Array.from({ length: 11 }, (_, index) => `took_${index}`)
    await db.run(
      `insert into tally (webhook_id, grain, at, part, attempts, failures, unauthorized, answered, slow, duration_ms, ${took.join(', ')}, delivered, failed)
       select webhook_id, '${grain}', started_at - started_at % ${spanMs}, 0, count(*), count(error), count(error), count(*), 0, 20 * count(*),
         ${took.map((_, index) => (index === 1 ? 'count(*)' : '0')).join(', ')}, count(*) - count(error), count(error)
       from attempt where started_at >= :since group by webhook_id, started_at - started_at % ${spanMs}`,
      { since },
    )
  }
  await db.run(
    `insert into delivery_total (webhook_id, part, delivered, failed, cancelled)
     select webhook_id, 0, sum(case when state = 'delivered' then 1 else 0 end), sum(case when state = 'failed' then 1 else 0 end),
       sum(case when state = 'cancelled' then 1 else 0 end)
     from delivery group by webhook_id`,
  )
}
