import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import { freshDatabase } from '../../../test/postgres.ts'
import { plan } from '../../webhooks/plan.ts'
import { impossibleRows } from '../impossible.conformance.ts'
import { SCHEMA_VERSION } from '../migrate.ts'
import { openPostgresStore } from './store.ts'

const DUMP = new URL('../schema.postgres.sql', import.meta.url)

const NEWER = new RegExp(`schema version 99.*up to ${SCHEMA_VERSION}:`)

/** Without the names that PostgreSQL 18 gives to `not null`, which older versions do not have. */
const COLUMNS = `
  select c.relname as table, a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
    coalesce(' collate ' || quote_ident(nullif(l.collname, 'default')), '') as collation, case when a.attnotnull then ' not null' else '' end as required
  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_collation l on l.oid = a.attcollation
  where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace order by c.relname, a.attnum`
const CONSTRAINTS = `
  select conrelid::regclass::text as table, pg_get_constraintdef(oid) as definition
  from pg_constraint where connamespace = 'public'::regnamespace and contype <> 'n' order by 1, contype, 2`
const INDEXES = `select indexdef from pg_indexes where schemaname = 'public' order by indexname`
const OPTIONS = `select relname, reloptions from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace and reloptions is not null order by 1`

describe('postgres', () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>
  let client: pg.Client
  const open = () => openPostgresStore({ url: database.url, plan, node: 'node_a' })

  before(async () => {
    database = await freshDatabase()
    // Several nodes that start together take turns.
    const stores = await Promise.all([open(), open(), open()])
    await Promise.all(stores.map((store) => store.stop()))
    client = new pg.Client({ connectionString: database.url })
    await client.connect()
  })
  after(async () => {
    await client.end()
    await database.drop()
  })

  test('schema.postgres.sql is what the migrations make (SCHEMA_DUMP=write writes it)', async () => {
    const columns = (await client.query(COLUMNS)).rows.map(
      (row) => `${row.table}.${row.name} ${row.type}${row.collation}${row.required}`,
    )
    const constraints = (await client.query(CONSTRAINTS)).rows.map((row) => `${row.table} ${row.definition}`)
    const indexes = (await client.query(INDEXES)).rows.map((row) => row.indexdef)
    const options = (await client.query(OPTIONS)).rows.map((row) => `${row.relname} ${row.reloptions.join(', ')}`)
    const sections = { columns, constraints, indexes, options }
    const made = Object.entries(sections)
      .map(([name, lines]) => `-- ${name}\n${lines.join('\n')}\n`)
      .join('\n')
    if (process.env.SCHEMA_DUMP === 'write') writeFileSync(DUMP, made)
    assert.equal(made, readFileSync(DUMP, 'utf8'))
  })

  test('migrations ran once', async () => {
    assert.equal((await client.query('select version from schema_version')).rows.length, SCHEMA_VERSION)
  })

  impossibleRows(
    (sql) => client.query(sql),
    (error) => String((error as { code: string }).code).startsWith('23'),
  )

  test('a newer schema is refused in one sentence that names both versions', async () => {
    await client.query('insert into schema_version (version, applied_at) values (99, 0)')
    await assert.rejects(open(), { code: 'store_newer', message: NEWER })
  })
})
