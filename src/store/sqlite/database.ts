import { chmodSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { systemClock } from '../../base/clock.ts'
import { SECOND_MS } from '../../base/units.ts'
import type { Execute } from '../kysely.ts'
import { CREATE_SCHEMA_VERSION, pendingMigrations } from '../migrate.ts'

/** Prepared statements kept by a connection. The hot path has about 30; the rest are lists in their variants. */
const STATEMENTS_KEPT_MAX = 300

/** Time that a connection waits for another's lock, ms. Only a start beside a process that is ending meets one. */
const LOCK_WAIT_MS = 5 * SECOND_MS

/** Memory for pages of one connection, KiB. The system caches the file too; four times as much was no faster with a million rows waiting. */
const PAGE_CACHE_KIB = 8_192

/** The journal file is cut to this after a checkpoint, bytes; the writer keeps it from growing much beyond (see JOURNAL_PAGES_MAX). */
const JOURNAL_FILE_BYTES_MAX = 67_108_864

/** One connection and its prepared statements. */
export class Connection {
  readonly db: DatabaseSync
  #statements = new Map<string, StatementSync>()

  constructor(db: DatabaseSync) {
    this.db = db
  }

  prepare(sql: string): StatementSync {
    const kept = this.#statements.get(sql)
    if (kept !== undefined) return kept
    if (this.#statements.size >= STATEMENTS_KEPT_MAX) this.#statements.clear()
    const statement = this.db.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }

  /** For Kysely: the same statements behind promises that are settled already. */
  readonly execute: Execute = async (sql, parameters) => {
    const statement = this.prepare(sql)
    if (statement.columns().length > 0) {
      const rows = statement.all(...(parameters as string[]))
      return { rows, changes: rows.length }
    }
    return { rows: [], changes: Number(statement.run(...(parameters as string[])).changes) }
  }
}

/** The connection that writes. Makes the file (mode 0600) and brings its schema up to date. */
export function openWriter(file: string): Connection {
  const db = new DatabaseSync(file, { timeout: LOCK_WAIT_MS })
  chmodSync(file, 0o600)
  db.exec(`
    pragma journal_mode = wal;
    pragma synchronous = full;
    pragma foreign_keys = on;
    pragma wal_autocheckpoint = 0;
    pragma journal_size_limit = ${JOURNAL_FILE_BYTES_MAX};
    pragma cache_size = -${PAGE_CACHE_KIB};
    pragma temp_store = memory;
  `)
  migrate(db)
  return new Connection(db)
}

/** A connection that cannot write. The file must have been opened by a writer before. */
export function openReader(file: string): Connection {
  const db = new DatabaseSync(file, { readOnly: true, timeout: LOCK_WAIT_MS })
  db.exec(`pragma cache_size = -${PAGE_CACHE_KIB}; pragma temp_store = memory;`)
  return new Connection(db)
}

export function migrate(db: DatabaseSync): void {
  db.exec(CREATE_SCHEMA_VERSION)
  const { version } = db.prepare('select coalesce(max(version), 0) as version from schema_version').get() as { version: number }
  for (const migration of pendingMigrations('sqlite', version)) {
    db.exec('begin immediate')
    db.exec(migration.sql)
    db.prepare('insert into schema_version (version, applied_at) values (?, ?)').run(migration.version, systemClock.now())
    db.exec('commit')
  }
}
