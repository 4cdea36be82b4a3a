import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import { impossibleRows } from '../impossible.conformance.ts'
import { CREATE_SCHEMA_VERSION, pendingMigrations, SCHEMA_VERSION } from '../migrate.ts'
import { migrate } from './database.ts'

const DUMP = new URL('../schema.sqlite.sql', import.meta.url)
const NEWER = new RegExp(`schema version 99.*up to ${SCHEMA_VERSION}:`)
const SQLITE_CONSTRAINT = 19

function fresh(): DatabaseSync {
  const db = new DatabaseSync(':memory:')
  migrate(db)
  return db
}

function dump(db: DatabaseSync): string {
  const rows = db.prepare(`select sql from sqlite_schema where sql is not null order by type desc, name`).all()
  return rows.map((row) => `${row.sql};\n`).join('\n')
}

test('schema.sqlite.sql is what the migrations make (SCHEMA_DUMP=write writes it)', () => {
  const made = dump(fresh())
  if (process.env.SCHEMA_DUMP === 'write') writeFileSync(DUMP, made)
  assert.equal(made, readFileSync(DUMP, 'utf8'))
})

test('migrating again changes nothing', () => {
  const db = fresh()
  migrate(db)
  assert.equal(db.prepare('select count(*) as n from schema_version').get()!.n, SCHEMA_VERSION)
})

test('what had ended before the totals came is counted, and what was said before the feed came is in it', () => {
  const db = new DatabaseSync(':memory:')
  db.exec(CREATE_SCHEMA_VERSION)
  db.exec(pendingMigrations('sqlite', 0)[0]!.sql)
  db.exec(`
    insert into schema_version (version, applied_at) values (1, 0);
    insert into event (id, type, account_id, occurred_at, data, state, is_test) values ('whevt_1', 't', null, 1, '{}', 'said', 0), ('whevt_2', 't', null, 1, '{}', 'held', 0);
    insert into delivery (id, event_id, event_type, webhook_id, cause, dialect, body, state, due_at, attempts, created_at, settled_at) values
      ('dlv_1', 'whevt_1', 't', 'wh_1', 'event', 'mftplus', '', 'delivered', null, 1, 1, 2),
      ('dlv_2', 'whevt_1', 't', 'wh_1', 'resend', 'mftplus', '', 'delivered', null, 1, 1, 2),
      ('dlv_3', 'whevt_1', 't', 'wh_1', 'resend', 'mftplus', '', 'failed', null, 1, 1, 2),
      ('dlv_4', 'whevt_1', 't', 'wh_1', 'resend', 'mftplus', '', 'waiting', 5, 1, 1, null);
  `)
  migrate(db)
  const totals = db.prepare('select * from delivery_total').all().map((row) => ({ ...row })) // biome-ignore format: one line
  assert.deepEqual(totals, [{ webhook_id: 'wh_1', part: 0, delivered: 2, failed: 1, cancelled: 0 }])
  const positions = db.prepare('select position from event order by id').all().map((row) => row.position) // biome-ignore format: one line
  assert.deepEqual(positions, [0, null])
})

test('a newer schema is refused in one sentence that names both versions', () => {
  const db = fresh()
  db.exec('insert into schema_version (version, applied_at) values (99, 0)')
  assert.throws(() => migrate(db), { code: 'store_newer', message: NEWER })
})

test('the questions of the hot path are answered by an index', () => {
  const db = fresh()
  const questions = [
    [
      `select rowid from delivery where webhook_id = 'w' and state = 'waiting' and claimed_by is null and is_blocked = 0 and due_at <= 5 order by due_at limit 9`,
      'delivery_due',
    ],
    [
      `select min(webhook_id) from delivery where state = 'waiting' and claimed_by is null and is_blocked = 0 and webhook_id > 'w'`,
      'delivery_due',
    ],
    [
      `select min(due_at) from delivery where webhook_id = 'w' and state = 'waiting' and claimed_by is null and is_blocked = 0`,
      'delivery_due',
    ],
    [`update delivery set claimed_by = null where claimed_by is not null and claimed_by <> 'n'`, 'delivery_claimed'],
    [
      `update delivery set state = 'waiting' where event_id = 'e' and cause = 'event' and state = 'held'`,
      'delivery_planned_once',
    ],
    [`select count(*) from delivery where webhook_id = 'w' and state = 'failed'`, 'delivery_failed'],
    [`select id from delivery where webhook_id = 'w' and state = 'waiting' order by id desc limit 9`, 'delivery_waiting'],
    [`select id from delivery where webhook_id = 'w' and state = 'cancelled' order by id desc limit 9`, 'delivery_cancelled'],
    [
      `select order_position from delivery where webhook_id = 'w' and order_key = 'k' and state = 'waiting' order by order_position desc limit 1`,
      'delivery_ordered',
    ],
    [`select id from delivery where webhook_id = 'w' and collapse_key = 'k' and state = 'waiting'`, 'delivery_collapsible'],
    [
      `select id from event where state = 'said' and is_test = 0 and (position, id) > (1, 'x') and position < 9 order by position, id limit 9`,
      'event_said',
    ],
    [`select id from delivery where webhook_id = 'w' and state <> 'held' order by id desc limit 9`, 'delivery_of_webhook'],
    [`select * from attempt where webhook_id = 'w' order by started_at desc, delivery_id desc limit 9`, 'attempt_of_webhook'],
    [`select id from event where account_id = 'a' and state = 'said' and is_test = 0 order by id desc limit 9`, 'event_shown'],
  ]
  for (const [sql, index] of questions) {
    const plan = db.prepare(`explain query plan ${sql}`).all()
    const steps = plan.map((row) => String(row.detail))
    assert.ok(steps.some((step) => new RegExp(`SEARCH.*INDEX ${index}\\b`).test(step)), `${sql}\n${steps.join('\n')}`) // biome-ignore format: one line
    assert.ok(!steps.some((step) => /^SCAN/.test(step)), steps.join('\n'))
  }
})

describe('sqlite', () => {
  const db = fresh()
  const isConstraint = (error: unknown) => (Number((error as { errcode: number }).errcode) & 0xff) === SQLITE_CONSTRAINT
  impossibleRows(async (sql) => db.exec(sql), isConstraint)
})
