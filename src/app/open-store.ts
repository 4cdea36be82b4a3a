import { Worker } from 'node:worker_threads'
import { openSqliteStore } from '../store/sqlite/client.ts'
import type { Store, StoreHooks } from '../store/store.ts'
import { plan } from '../webhooks/plan.ts'

/** A store thread makes short-lived rows and little else; the default young generation costs it 20 MB more. */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 6 }

/** The store that a setting names: a `postgres://…` address, else a SQLite file whose writer and reader have threads of their own. */
export async function openStore(database: string, node: string, hooks: StoreHooks): Promise<Store> {
  if (/^postgres(ql)?:\/\//.test(database)) {
    // Loaded only where it is used: the driver and the query builder take 10 MB.
    const { openPostgresStore } = await import('../store/postgres/store.ts')
    return openPostgresStore({ url: database, plan, node, ...hooks })
  }
  return openSqliteStore({
    file: database,
    startThread: (role) =>
      new Worker(new URL('./store-thread.ts', import.meta.url), { workerData: role, resourceLimits: THREAD_LIMITS }),
    ...hooks,
  })
}
