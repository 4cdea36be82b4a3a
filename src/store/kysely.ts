import {
  type CompiledQuery,
  type DatabaseConnection,
  type DialectAdapter,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresQueryCompiler,
  type QueryCompiler,
  type QueryResult,
  SqliteAdapter,
  SqliteQueryCompiler,
} from 'kysely'
import type { Tables } from './tables.ts'

/** Runs one statement on the connection of the transaction. */
export type Execute = (sql: string, parameters: readonly unknown[]) => Promise<{ rows: unknown[]; changes: number }>

const DIALECTS: Record<'sqlite' | 'postgres', { adapter: () => DialectAdapter; compiler: () => QueryCompiler }> = {
  sqlite: { adapter: () => new SqliteAdapter(), compiler: () => new SqliteQueryCompiler() },
  postgres: { adapter: () => new PostgresAdapter(), compiler: () => new PostgresQueryCompiler() },
}

/** Kysely over one connection whose transaction somebody else begins and ends. */
export function kyselyOver(database: 'sqlite' | 'postgres', execute: Execute): Kysely<Tables> {
  const { adapter, compiler } = DIALECTS[database]
  return new Kysely<Tables>({
    dialect: {
      createAdapter: adapter,
      createQueryCompiler: compiler,
      createDriver: () => new BorrowedConnection(execute),
      createIntrospector() {
        throw new Error('the schema is read from its dump, not through Kysely')
      },
    },
  })
}

class BorrowedConnection implements Driver, DatabaseConnection {
  #execute: Execute

  constructor(execute: Execute) {
    this.#execute = execute
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const { rows, changes } = await this.#execute(query.sql, query.parameters)
    return { rows: rows as Row[], numAffectedRows: BigInt(changes) }
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    return this
  }

  async init() {}
  async releaseConnection() {}
  async destroy() {}

  beginTransaction(): Promise<void> {
    throw new Error('the transaction belongs to the unit of work')
  }

  commitTransaction(): Promise<void> {
    return this.beginTransaction()
  }

  rollbackTransaction(): Promise<void> {
    return this.beginTransaction()
  }

  streamQuery(): AsyncIterableIterator<never> {
    throw new Error('units of work read bounded pages, not streams')
  }
}
