import { readFileSync } from 'node:fs'
import { AppError } from '../base/error.ts'

/**
 * Numbered pairs of SQL files, one a database; never edited once released. The database remembers in `schema_version` what it has
 * seen. Each migration runs in one transaction with the row that says so.
 */
const MIGRATIONS = ['0001_init', '0002_webhooks_complete', '0003_agents']

/** What this program knows. */
export const SCHEMA_VERSION = MIGRATIONS.length

export const CREATE_SCHEMA_VERSION =
  'create table if not exists schema_version (version integer primary key, applied_at bigint not null)'

export interface Migration {
  version: number
  sql: string
}

/** What is still to be done for a database of this version; throws `store_newer` when a newer program wrote it. */
export function pendingMigrations(database: 'sqlite' | 'postgres', version: number): Migration[] {
  if (version > SCHEMA_VERSION) {
    throw new AppError(
      'store_newer',
      `The database has schema version ${version}, this Landfall knows versions up to ${SCHEMA_VERSION}: start the newer Landfall that wrote it.`,
    )
  }
  return MIGRATIONS.slice(version).map((name, index) => ({
    version: version + index + 1,
    sql: readFileSync(new URL(`migrations/${name}.${database}.sql`, import.meta.url), 'utf8'),
  }))
}
