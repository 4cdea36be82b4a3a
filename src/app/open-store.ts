import { Worker } from 'node:worker_threads'
import { AppError } from '../base/error.ts'
import { variableOf } from '../config/settings.ts'
import { startSqliteThreads } from '../store/sqlite/client.ts'
import type { Store, StoreHooks } from '../store/store.ts'

/** A store thread makes short-lived rows and little else; the default young generation costs it 20 MB more. */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 6 }

/** A store that can be opened: what it needs is loading already, in threads of its own if it has some. */
export interface StoreToOpen {
  /** Opens it, once. `file` is where an embedded store lies; `node` is the name by which this process claims. */
  open(file: string, node: string, hooks: StoreHooks): Promise<Store>
  /** For who will not open it. Harmless once the store was opened and stopped. */
  abandon(): Promise<void>
}

/** The store that a setting names: a `postgres://…` address, else a SQLite file whose writer and reader have threads of their own. */
export function prepareStore(database: string): StoreToOpen {
  if (!/^postgres(ql)?:\/\//.test(database)) {
    const entry = new URL('./store-thread.ts', import.meta.url)
    const threads = startSqliteThreads((role) => new Worker(entry, { workerData: role, resourceLimits: THREAD_LIMITS }))
    return { open: (file, _node, hooks) => threads.open({ file: database || file, ...hooks }), abandon: threads.stop }
  }
  return {
    async open(_file, node, hooks) {
      // Loaded only where it is used: the driver and the query builder take 10 MB.
      const { openPostgresStore } = await import('../store/postgres/store.ts')
      const { plan } = await import('../webhooks/plan.ts')
      return openPostgresStore({ url: database, plan, node, ...hooks }).catch((error: unknown) => {
        throw notOpened(database, error)
      })
    },
    async abandon() {},
  }
}

/** What keeps a database from being opened is for whoever set its address: which one, and what it or the way there said. */
function notOpened(database: string, error: unknown): unknown {
  if (!(error instanceof AppError) || error.code !== 'store_failed') return error
  const { message = '', code = '' } = (error.cause ?? {}) as { message?: string; code?: string }
  const place = URL.parse(database)
  const text =
    place === null
      ? `${variableOf('database')} is no url such as postgres://user:password@host:5432/name`
      : `${variableOf('database')}: the database at ${place.hostname}:${place.port || 5432}${place.pathname} cannot be opened: ${message || code}`
  return new AppError('store_failed', text, { field: 'database', cause: error })
}

/** For who has nothing else to load meanwhile. */
export function openStore(database: string, node: string, hooks: StoreHooks): Promise<Store> {
  return prepareStore(database).open(database, node, hooks)
}
