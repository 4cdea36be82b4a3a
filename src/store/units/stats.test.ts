import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, test } from 'node:test'
import { freshDatabase } from '../../../test/postgres.ts'
import { HOUR_MS, MINUTE_MS } from '../../base/units.ts'
import { type Execute, kyselyOver } from '../kysely.ts'
import { migrate as migratePostgres, openPools } from '../postgres/connection.ts'
import { migrate as migrateSqlite } from '../sqlite/database.ts'
import { START } from '../testing.ts'
import type { Work } from '../work.ts'
import { statsUnits } from './stats.ts'

const MINUTE = START - (START % MINUTE_MS)
const HOUR = START - (START % HOUR_MS)
const FIVE_AGO = MINUTE - 5 * MINUTE_MS
/** Rows of other webhooks in the last hour: the planner of PostgreSQL decides by them. */
const CROWD = 2_400
const took = (counts: Record<number, number>) => Array.from({ length: 11 }, (_, index) => counts[index] ?? 0)
const LAST_HOUR = { grain: 'minute', from: MINUTE - HOUR_MS, until: START } as const

interface Opened {
  execute: Execute
  /** Steps of the plan of a statement, as text. */
  explain(sql: string, parameters: readonly unknown[]): Promise<string>
  close(): Promise<void>
}

async function openSqlite(): Promise<Opened> {
  const db = new DatabaseSync(':memory:')
  migrateSqlite(db)
  const run = (sql: string, parameters: readonly unknown[]) => db.prepare(sql).all(...(parameters as string[]))
  return {
    execute: async (sql, parameters) => ({ rows: run(sql, parameters), changes: 0 }),
    explain: async (sql, parameters) =>
      run(`explain query plan ${sql}`, parameters)
        .map((row) => row.detail)
        .join('\n'),
    close: async () => db.close(),
  }
}

async function openPostgres(): Promise<Opened> {
  const database = await freshDatabase()
  const { queue, cold } = openPools(database.url)
  await migratePostgres(cold)
  return {
    execute: async (sql, parameters) => ({ rows: (await cold.query(sql, [...parameters])).rows, changes: 0 }),
    explain: async (sql, parameters) => JSON.stringify((await cold.query(`explain ${sql}`, [...parameters])).rows, null, 1),
    async close() {
      await Promise.all([queue.end(), cold.end()])
      await database.drop()
    },
  }
}

for (const [name, open] of Object.entries({ sqlite: openSqlite, postgres: openPostgres })) {
  describe(`statistics on ${name}`, () => {
    let opened: Opened
    let work: Work
    const asked: { sql: string; parameters: readonly unknown[] }[] = []

    before(async () => {
      opened = await open()
      const execute: Execute = (sql, parameters) => {
        asked.push({ sql, parameters })
        return opened.execute(sql, parameters)
      }
      work = { db: kyselyOver(name as 'sqlite', execute) } as unknown as Work
      for (const id of ['wh_a', 'wh_b', 'wh_c']) await insertWebhook(id)
      await insertTally('wh_a', 'minute', MINUTE, 0, { attempts: 3, failures: 1, answered: 3, took: { 0: 2, 9: 1 }, slow: 1 })
      await insertTally('wh_a', 'minute', MINUTE, 1, { attempts: 2, answered: 1, failures: 1, unauthorized: 1, failed: 1 })
      await insertTally('wh_a', 'minute', MINUTE - 30 * MINUTE_MS, 0, { attempts: 5, failures: 2, delivered: 3 })
      await insertTally('wh_a', 'minute', MINUTE - 2 * HOUR_MS, 0, { attempts: 100, failures: 100 })
      await insertTally('wh_a', 'hour', HOUR, 0, { attempts: 50 })
      await insertTally('wh_b', 'minute', MINUTE, 0, { attempts: 7, failures: 7 })
      await insertTally('wh_gone', 'minute', MINUTE, 0, { attempts: 1, failures: 1 })
      for (let number = 0; number < CROWD; number += 1) {
        const at = MINUTE - (number % 60) * MINUTE_MS
        await insertTally(`wh_other_${number % 40}`, 'minute', at, number, { attempts: 1 })
      }
      await opened.execute('analyze', [])
      await insertDelivery('dlv_1', 'wh_a', 'failed', 10)
      await insertDelivery('dlv_2', 'wh_a', 'failed', 20)
      await insertDelivery('dlv_3', 'wh_a', 'waiting', null)
      await insertDelivery('dlv_4', 'wh_b', 'failed', 20)
    })
    after(() => opened.close())

    async function insertWebhook(id: string) {
      await opened.execute(
        `insert into webhook (id, name, url, events, dialect, state, created_at, updated_at)
         values ('${id}', 'receiver ${id}', 'https://r.example', '["*"]', 'mftplus', 'active', 1, 1)`,
        [],
      )
    }

    async function insertTally(id: string, grain: string, at: number, part: number, counts: Record<string, number | object>) {
      const row = { unauthorized: 0, answered: 0, slow: 0, duration_ms: 12.5, delivered: 0, failed: 0, failures: 0, ...counts }
      const { took: classes = {}, ...columns } = row as typeof row & { took?: Record<number, number> }
      const all = { webhook_id: id, grain, at, part, ...columns, ...named(took(classes)) }
      await work.db
        .insertInto('tally')
        .values(all as never)
        .execute()
    }

    async function insertDelivery(id: string, webhookId: string, state: string, settledAt: number | null) {
      const ended = { settled_at: settledAt, due_at: settledAt === null ? START : null }
      const row = { id, event_id: `whevt_${id}`, event_type: 'file.uploaded', webhook_id: webhookId, cause: 'event', state }
      const rest = { dialect: 'mftplus', body: '{}', attempts: 5, created_at: 1, is_blocked: 0, last_error: 'status 503' }
      await work.db
        .insertInto('delivery')
        .values({ ...row, ...rest, ...ended, last_status_code: 503 })
        .execute()
    }

    /** The answer, after a look at how the database found it. */
    async function found<Answer>(ask: () => Promise<Answer>, ...indexes: string[]): Promise<Answer> {
      const before = asked.length
      const answer = await ask()
      const statements = asked.slice(before)
      for (const index of indexes) {
        const plans = await Promise.all(statements.map(({ sql, parameters }) => opened.explain(sql, parameters)))
        assert.ok(plans.some((plan) => new RegExp(index).test(plan)), `${index} in ${plans.join('\n\n')}`) // biome-ignore format: one line
        assert.ok(!plans.some((plan) => /\bSCAN (tally|delivery)\b(?! USING INDEX)|Seq Scan on (tally|delivery)/.test(plan)), plans.join('\n\n')) // biome-ignore format: one line
      }
      return answer
    }
    const primaryKeyOf = (table: string) => (name === 'sqlite' ? `${table} USING PRIMARY KEY` : `${table}_pkey`)

    test('a tally is the sum of all parts of the rows that begin in the window', async () => {
      const tally = await found(() => statsUnits.tallyOf(work, 'wh_a', LAST_HOUR), primaryKeyOf('tally'))
      assert.deepEqual(tally, {
        ...{ attempts: 10, failures: 4, unauthorized: 1, answered: 4, slow: 1, durationMs: 37.5, delivered: 3, failed: 1 },
        took: took({ 0: 2, 9: 1 }),
      })
      const byHour = { grain: 'hour', from: HOUR, until: START } as const
      assert.equal((await statsUnits.tallyOf(work, 'wh_a', byHour)).attempts, 50)
    })

    test('of a webhook that sent nothing the tally is all zero', async () => {
      const tally = await statsUnits.tallyOf(work, 'wh_c', LAST_HOUR)
      assert.deepEqual([tally.attempts, tally.durationMs, tally.took], [0, 0, took({})])
    })

    test('all webhooks together count the removed ones; the worst are those that exist, by failures', async () => {
      const { all, worst } = await found(() => statsUnits.tallyOfAll(work, LAST_HOUR, 5), 'tally_by_age')
      assert.deepEqual([all.attempts, all.failures], [18 + CROWD, 12])
      assert.deepEqual(
        worst.map(({ webhookId, webhookName, tally }) => [webhookId, webhookName, tally.failures]),
        [
          ['wh_b', 'receiver wh_b', 7],
          ['wh_a', 'receiver wh_a', 4],
        ],
      )
      assert.equal((await statsUnits.tallyOfAll(work, LAST_HOUR, 1)).worst.length, 1)
    })

    test('recent failures come newest first, of this webhook only', async () => {
      const failures = await found(() => statsUnits.recentFailures(work, 'wh_a', 10), 'delivery_failed')
      assert.deepEqual(
        failures.map(({ id, failedAt }) => [id, failedAt]),
        [
          ['dlv_2', 20],
          ['dlv_1', 10],
        ],
      )
      assert.deepEqual(failures[0], {
        ...{ id: 'dlv_2', eventId: 'whevt_dlv_2', eventType: 'file.uploaded', cause: 'event', attempts: 5 },
        ...{ lastStatusCode: 503, lastError: 'status 503', failedAt: 20 },
      })
      assert.equal((await statsUnits.recentFailures(work, 'wh_a', 1)).length, 1)
    })

    test('vitals of several webhooks are one call: hour, last minutes, and what is due longest', async () => {
      const ask = () => statsUnits.vitals(work, ['wh_a', 'wh_c', 'wh_x'], LAST_HOUR.from, FIVE_AGO)
      assert.deepEqual(await found(ask, primaryKeyOf('tally'), 'delivery_due'), [
        {
          webhookId: 'wh_a',
          hour: { attempts: 10, failures: 4, slow: 1 },
          recent: { attempts: 5, failures: 2, slow: 1 },
          oldestDueAt: START,
        },
        {
          webhookId: 'wh_c',
          hour: { attempts: 0, failures: 0, slow: 0 },
          recent: { attempts: 0, failures: 0, slow: 0 },
          oldestDueAt: null,
        },
      ])
      assert.deepEqual(await statsUnits.vitals(work, [], 0, 0), [])
    })
  })
}

function named(counts: readonly number[]): Record<string, number> {
  return Object.fromEntries(counts.map((count, index) => [`took_${index}`, count]))
}
