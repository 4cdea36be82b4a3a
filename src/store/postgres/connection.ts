import pg from 'pg'
import { systemClock } from '../../base/clock.ts'
import { SECOND_MS } from '../../base/units.ts'
import { CREATE_SCHEMA_VERSION, pendingMigrations } from '../migrate.ts'

/** Connections for the queue: each kind of hot unit runs in one or two groups at a time. */
const QUEUE_CONNECTIONS_MAX = 8

/** Connections for everything else. */
const COLD_CONNECTIONS_MAX = 6

/** Times that bound what a server that hangs can hold up, ms. */
const CONNECT_MS_MAX = 10 * SECOND_MS
const STATEMENT_MS_MAX = 30 * SECOND_MS
const ANSWER_MS_MAX = 35 * SECOND_MS

/**
 * A plan made while the queue is empty is a disaster when it is full (measured: a third of the rate within seconds), so every
 * execution is planned anew, and never to read a whole table.
 */
const QUEUE_SETTINGS = '-c plan_cache_mode=force_custom_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off'

/**
 * Everything that is asked has an index that gives the rows in order; right after many inserts the planner does not know yet how much it
 * would read without, or by collecting and sorting (measured with 300,000 rows never analysed: 950 ms in place of 5).
 */
const COLD_SETTINGS = '-c enable_seqscan=off -c enable_bitmapscan=off'

/** Locks of the whole database, by number: one holds them for the length of a transaction. `orders` are many, each with a second number. */
export const ADVISORY_LOCK = { migrate: 76_001, paths: 76_002, orders: 76_003, dependencies: 76_004 } as const

const INT8 = 20
const NUMERIC = 1700

/** Numbers as JavaScript numbers: times and sizes stay far below 2^53. */
const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    return oid === INT8 || oid === NUMERIC ? Number : pg.types.getTypeParser(oid, format)
  },
} as pg.CustomTypesConfig

/** What runs a statement: a pool outside of transactions, a client inside. */
export type Queryable = Pick<pg.ClientBase, 'query'>

export function openPools(url: string): { queue: pg.Pool; cold: pg.Pool } {
  const settings = {
    connectionString: url,
    types,
    application_name: 'landfall',
    connectionTimeoutMillis: CONNECT_MS_MAX,
    statement_timeout: STATEMENT_MS_MAX,
    query_timeout: ANSWER_MS_MAX,
    keepAlive: true,
  }
  const queue = new pg.Pool({ ...settings, max: QUEUE_CONNECTIONS_MAX, options: QUEUE_SETTINGS })
  const cold = new pg.Pool({ ...settings, max: COLD_CONNECTIONS_MAX, options: COLD_SETTINGS })
  for (const pool of [queue, cold]) {
    // An idle connection that breaks is replaced by the pool; one that breaks in use fails the statement under way or the next one.
    pool.on('error', () => {})
    pool.on('connect', (client) => client.on('error', () => {}))
  }
  return { queue, cold }
}

/** Runs `work` in one transaction. A connection on which anything failed is not used again. */
export async function transaction<T>(pool: pg.Pool, begin: string, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    await client.query(begin)
    const value = await work(client)
    await client.query('commit')
    client.release()
    return value
  } catch (error) {
    await client.query('rollback').then(
      () => client.release(),
      (cause) => client.release(cause),
    )
    throw error
  }
}

/** One process after the other, however many start together. */
export async function migrate(pool: pg.Pool): Promise<void> {
  await transaction(pool, `begin; select pg_advisory_xact_lock(${ADVISORY_LOCK.migrate})`, async (client) => {
    await client.query(CREATE_SCHEMA_VERSION)
    const { rows } = await client.query('select coalesce(max(version), 0) as version from schema_version')
    for (const migration of pendingMigrations('postgres', rows[0].version)) {
      await client.query(migration.sql)
      await client.query('insert into schema_version (version, applied_at) values ($1, $2)', [
        migration.version,
        systemClock.now(),
      ])
    }
  })
}
