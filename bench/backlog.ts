import { DatabaseSync } from 'node:sqlite'
import { HOUR_MS } from '../src/base/units.ts'

/** Rows of one transaction while filling. */
const STEP_EVENTS = 1_000
const INACTIVE_WEBHOOKS = 50

/**
 * Fills the database of a stopped server with deliveries that wait, as an operator would come to have them:
 *
 * - half are retries of the webhooks that there are: one failed attempt each, in the log, due from 1 h to 3 h from now
 *   (far longer than the benchmark takes);
 * - half are of 50 more webhooks that somebody has switched off, so they are past their time and nobody's to claim.
 *
 * Each event has one delivery for each webhook of its half. Returns how many rows were made.
 */
export function fillBacklog(file: string, rows: number, now: number): number {
  const db = new DatabaseSync(file)
  try {
    db.exec('pragma synchronous = off; pragma temp_store = memory; pragma cache_size = -65536')
    db.function('id_of', { deterministic: true }, (prefix, kind, at, number) =>
      idOf(String(prefix), String(kind), Number(at), Number(number)),
    )
    const active = db.prepare(`select count(*) as n from webhook where state = 'active' and removed_at is null`).get() as {
      n: number
    }
    const retries = fill(db, { half: 'r', webhooks: active.n, rows: rows / 2, now })
    makeInactive(db, now)
    const switchedOff = fill(db, { half: 'o', webhooks: INACTIVE_WEBHOOKS, rows: rows / 2, now })
    db.exec('pragma wal_checkpoint(truncate)')
    return retries + switchedOff
  } finally {
    db.close()
  }
}

/** Ids as the server makes them: a prefix, eight characters of time, eight that make it unique. */
function idOf(prefix: string, kind: string, at: number, number: number): string {
  return `${prefix}${at.toString(36).padStart(8, '0')}${kind}${number.toString(36).padStart(7, '0')}`
}

function makeInactive(db: DatabaseSync, now: number): void {
  db.prepare(
    `with recursive nth (n) as (select 0 union all select n + 1 from nth where n + 1 < cast(? as integer))
     insert into webhook (id, account_id, name, url, events, dialect, sealed_secret, state, created_at, updated_at)
     select id_of('wh_', 'o', ?, n), null, 'switched off', 'http://127.0.0.1:9/hook', '["*"]', 'mftplus', null, 'inactive', ?, ? from nth`,
  ).run(INACTIVE_WEBHOOKS, now - HOUR_MS, now, now)
  db.exec('update webhook_set set version = version + 1')
}

function fill(
  db: DatabaseSync,
  { half, webhooks, rows, now }: { half: 'r' | 'o'; webhooks: number; rows: number; now: number },
): number {
  const events = Math.ceil(rows / webhooks)
  const numbers = `with recursive nth (n) as (select cast(:first as integer) union all select n + 1 from nth where n + 1 < :end)`
  const eventId = `id_of('whevt_', :half, :at + n, n)`
  const data = `json_object('path', '/incoming/orders/old-' || n || '.csv', 'size', 20480, 'username', 'pipeline', 'client_ip', '203.0.113.5',
    'sha256', 'c0ffee0000000000000000000000000000000000000000000000000000c0ffee')`
  const insertEvents = db.prepare(
    `${numbers} insert into event (id, type, account_id, occurred_at, data, state, is_test)
     select ${eventId}, 'file.uploaded', null, :at + n, ${data}, 'said', 0 from nth`,
  )
  const state = half === 'r' ? 'active' : 'inactive'
  const dueAt = half === 'r' ? `:now + ${HOUR_MS} + (n * 7919) % ${2 * HOUR_MS}` : ':at + n'
  const insertDeliveries = db.prepare(
    `${numbers} insert into delivery (id, event_id, event_type, webhook_id, cause, dialect, body,
       state, due_at, attempts, created_at, last_status_code, last_error)
     select id_of('dlv_', :half, :at + n, n * 1000 + w.number), ${eventId}, 'file.uploaded', w.id, 'event', 'mftplus',
       json_object('id', ${eventId}, 'event', 'file.uploaded', 'timestamp', '2026-06-08T12:00:00Z', 'data', ${data}),
       'waiting', ${dueAt}, :attempts, :at + n,
       iif(:attempts > 0, 503, null), iif(:attempts > 0, 'the receiver answered 503', null)
     from nth, (select id, row_number() over (order by id) as number from webhook where state = '${state}') w`,
  )
  // The time is asked for in one of the two halves only.
  insertDeliveries.setAllowUnknownNamedParameters(true)
  const insertAttempts = db.prepare(
    `${numbers} insert into attempt (delivery_id, number, webhook_id, started_at, duration_ms, status_code, error, response_headers, response_body)
     select id, 1, webhook_id, created_at, 12.5, 503, 'the receiver answered 503', '{"content-type":"text/plain"}', 'try later'
     from delivery where id in (select id_of('dlv_', :half, :at + n, n * 1000 + w.number) from nth,
       (select id, row_number() over (order by id) as number from webhook where state = '${state}') w)`,
  )
  for (let first = 0; first < events; first += STEP_EVENTS) {
    const step = { first, end: Math.min(first + STEP_EVENTS, events), half, at: now - HOUR_MS }
    db.exec('begin')
    insertEvents.run(step)
    insertDeliveries.run({ ...step, now, attempts: half === 'r' ? 1 : 0 })
    if (half === 'r') insertAttempts.run(step)
    db.exec('commit')
  }
  return events * webhooks
}
