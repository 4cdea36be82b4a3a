import { join } from 'node:path'
import pg from 'pg'
import { HOUR_MS } from '../src/base/units.ts'
import { startPostgres } from '../test/postgres.ts'
import { fillBacklog } from './backlog.ts'
import type { Dose } from './dose.ts'
import type { Figure, Row, Target } from './report.ts'
import { withFolder } from './scratch.ts'
import { Server } from './server.ts'
import { median } from './statistics.ts'

/** From making the process to its ready line, ms. */
const READY_MS_MAX = 1_000

/**
 * (i) How long a server takes from the start of its process to its ready line, with a million deliveries that wait. The starts before
 * it has left its compiled code in the cache, as every start but the first after an update finds it.
 */
export async function measureReady(dose: Dose, progress: (text: string) => void): Promise<Row> {
  const figures: Figure[] = []
  const targets: Target[] = []

  async function measureStore(store: string, data: string, flags: readonly string[], fill: () => Promise<number> | number) {
    const made = performance.now()
    const first = await Server.start(data, flags)
    figures.push({ name: `${store}: the first start, which makes keys and schema`, unit: 'ms', value: performance.now() - made })
    for (let index = 0; index < dose.receivers; index++) await first.createWebhook('http://127.0.0.1:9/hook')
    await first.stop()
    progress(`(i) ${store}: ${(await fill()).toLocaleString('en-US')} rows wait`)

    const took: number[] = []
    for (let start = 0; start < dose.starts; start++) {
      const begun = performance.now()
      const server = await Server.start(data, flags)
      took.push(performance.now() - begun)
      await server.stop()
    }
    targets.push({
      name: `${store}: ready with that many waiting`,
      unit: 'ms',
      value: median(took),
      atMost: READY_MS_MAX,
      runs: took,
    })
  }

  await withFolder('ready', async (folder) => {
    await measureStore('SQLite', folder, [], () => fillBacklog(join(folder, 'landfall.sqlite'), dose.waitingRows, Date.now()))
  })
  const postgres = await startPostgres()
  try {
    await withFolder('ready', async (folder) => {
      await measureStore('PostgreSQL', folder, ['--database', postgres.url], () => fillPostgres(postgres.url, dose.waitingRows))
    })
  } finally {
    await postgres.stop()
  }
  return {
    row: 'i',
    title: `from start to ready with ${dose.waitingRows.toLocaleString('en-US')} deliveries waiting`,
    figures,
    targets,
    notes: [
      `each start: ${targets.map(({ name, runs }) => `${name.split(':')[0]} ${runs!.map(Math.round).join(', ')} ms`).join('; ')}`,
    ],
  }
}

/** Retries of the webhooks that there are, each event one for each of them, due in 1 to 3 hours. Returns how many. */
async function fillPostgres(url: string, rows: number): Promise<number> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    const { rows: webhooks } = await client.query('select id from webhook where removed_at is null order by id')
    const ids = webhooks.map(({ id }) => id)
    const events = Math.ceil(rows / ids.length)
    const now = Date.now()
    await client.query(
      `insert into event (id, type, account_id, occurred_at, data, state, is_test)
       select 'whevt_' || lpad(to_hex(n), 16, '0'), 'file.uploaded', null, $1::bigint, '{"path":"/incoming/old.csv","size":20480}', 'said', 0
       from generate_series(1, $2::int) n`,
      [now - HOUR_MS, events],
    )
    await client.query(
      `insert into delivery (id, event_id, event_type, webhook_id, cause, dialect, body, state, due_at, attempts, created_at,
         last_status_code, last_error)
       select 'dlv_' || lpad(to_hex(n * 1000 + w.number), 16, '0'), 'whevt_' || lpad(to_hex(n), 16, '0'), 'file.uploaded', w.id, 'event',
         'mftplus', '{"event":"file.uploaded","data":{"path":"/incoming/old.csv","size":20480}}', 'waiting',
         $1::bigint + ${HOUR_MS} + (n * 7919) % ${2 * HOUR_MS}, 1, $1::bigint - ${HOUR_MS}, 503, 'the receiver answered 503'
       from generate_series(1, $2::int) n, unnest($3::text[]) with ordinality w (id, number)`,
      [now, events, ids],
    )
    // What autovacuum has done long before so much waits.
    await client.query('vacuum analyze')
    return events * ids.length
  } finally {
    await client.end()
  }
}
