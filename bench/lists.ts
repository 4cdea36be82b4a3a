import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import { startPostgres } from '../test/postgres.ts'
import type { Dose } from './dose.ts'
import { type HistoryDatabase, writeHistory } from './history.ts'
import type { Row, Target } from './report.ts'
import { withFolder } from './scratch.ts'
import { Server } from './server.ts'
import { percentile } from './statistics.ts'

/** Webhooks that share the history. */
const WEBHOOKS = 100
/** Times that each question is asked, of another webhook each time. */
const ASKED = 100
/** What an answer may take at the 95th percentile, ms. */
const ANSWER_MS_MAX = 50

/** (h) How long lists and statistics take once very many attempts are stored, through the API of the running server. */
export async function measureLists(dose: Dose, progress: (text: string) => void): Promise<Row> {
  const targets: Target[] = []
  const notes: string[] = []
  await withFolder('lists', async (folder) => {
    const data = join(folder, 'sqlite')
    await measureStore('SQLite', data, [], () => openSqlite(join(data, 'landfall.sqlite')))
  })
  const postgres = await startPostgres()
  try {
    await withFolder('lists', async (folder) => {
      await measureStore('PostgreSQL', folder, ['--database', postgres.url], () => openPostgres(postgres.url))
    })
  } finally {
    await postgres.stop()
  }

  async function measureStore(
    store: string,
    data: string,
    flags: readonly string[],
    open: () => Promise<Filling>,
  ): Promise<void> {
    // What is old enough to be purged would go while it is measured.
    const settings = [...flags, '--retention-ms', String(365 * 86_400_000)]
    const first = await Server.start(data, settings)
    const webhookIds: string[] = []
    for (let made = 0; made < WEBHOOKS; made++) webhookIds.push(await first.createWebhook('http://127.0.0.1:9/hook'))
    await first.stop()

    const begun = performance.now()
    const filling = await open()
    try {
      await writeHistory(filling.db, webhookIds, dose.attempts, Date.now(), (text) => progress(`${store}: ${text}`))
    } finally {
      await filling.end()
    }
    notes.push(
      `${store}: ${dose.attempts.toLocaleString('en-US')} attempts written in ${Math.round((performance.now() - begun) / 1000)} s`,
    )

    const server = await Server.start(data, settings)
    for (const [name, pathOf] of Object.entries(QUESTIONS)) {
      const took: number[] = []
      for (let index = 0; index < ASKED; index++) {
        const path = pathOf(webhookIds[(index * 37) % WEBHOOKS]!, index)
        const asked = performance.now()
        await server.get(path)
        took.push(performance.now() - asked)
      }
      progress(`${store}: ${name} ${percentile(took, 95).toFixed(1)} ms`)
      targets.push({ name: `${store}: ${name}, p95`, unit: 'ms', value: percentile(took, 95), atMost: ANSWER_MS_MAX })
    }
    await server.stop()
  }

  return {
    row: 'h',
    title: `lists and statistics with ${dose.attempts.toLocaleString('en-US')} attempts stored`,
    figures: [],
    targets,
    notes,
  }
}

/** Everything that people look at, over the API. */
const QUESTIONS: Readonly<Record<string, (webhookId: string, index: number) => string>> = {
  'webhooks with their health': () => '/api/webhooks?limit=100',
  'deliveries, newest first': (id) => `/api/webhooks/${id}/deliveries?limit=50`,
  'deliveries that failed': (id) => `/api/webhooks/${id}/deliveries?status=failed&limit=50`,
  'deliveries that were delivered': (id) => `/api/webhooks/${id}/deliveries?status=delivered&limit=50`,
  'deliveries of one event type': (id) => `/api/webhooks/${id}/deliveries?event=job.completed&limit=50`,
  'deliveries of a type that never happened': (id) => `/api/webhooks/${id}/deliveries?event=system.error&limit=50`,
  'deliveries, a late page': (id, index) => `/api/webhooks/${id}/deliveries?limit=50&page=${1 + (index % 100)}`,
  'statistics of an hour': (id) => `/api/webhooks/${id}/stats?window=1h`,
  'statistics of 30 days': (id) => `/api/webhooks/${id}/stats?window=30d`,
  'statistics of all webhooks, a day': () => '/api/stats?window=24h',
  'events, newest first': () => '/api/events?limit=50',
  'events of one type': () => '/api/events?event=job.completed&limit=50',
  'the feed from its beginning': (id) => `/api/webhooks/${id}/feed?limit=50`,
  alerts: () => '/api/alerts?limit=50',
}

interface Filling {
  readonly db: HistoryDatabase
  end(): Promise<void>
}

async function openSqlite(file: string): Promise<Filling> {
  const db = new DatabaseSync(file)
  db.exec('pragma synchronous = off; pragma temp_store = memory; pragma cache_size = -262144')
  return {
    db: {
      async run(statement, parameters = {}) {
        const prepared = db.prepare(statement)
        prepared.setAllowUnknownNamedParameters(true)
        prepared.run(parameters)
      },
      suffixOf: (number) => `printf('%08x', ${number})`,
      numbers: `with recursive nth (n) as (select cast(:first as integer) union all select n + 1 from nth where n + 1 < :end) select n from nth`,
    },
    async end() {
      db.exec('pragma wal_checkpoint(truncate)')
      db.close()
    },
  }
}

async function openPostgres(url: string): Promise<Filling> {
  const client = new pg.Client(url)
  await client.connect()
  // A connection that is lost shows in the statement that needs it.
  client.on('error', () => undefined)
  return {
    db: {
      async run(statement, parameters = {}) {
        await client.query(bound(statement, parameters))
      },
      suffixOf: (number) => `lpad(to_hex(${number}), 8, '0')`,
      numbers: 'select n from generate_series(:first, :end - 1) as n',
    },
    async end() {
      // What autovacuum has done long before a table has grown this large.
      await client.query('vacuum analyze')
      await client.end()
    },
  }
}

/** The numbers and texts of this benchmark, written into the statement: they hold no quotes. */
function bound(statement: string, parameters: Readonly<Record<string, string | number>>): string {
  return statement.replaceAll(/(?<!:):([a-z]\w*)/g, (_, name) => {
    const value = parameters[name]
    return typeof value === 'number' ? `${value}::bigint` : `'${value}'`
  })
}
