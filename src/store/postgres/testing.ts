import { freshDatabase } from '../../../test/postgres.ts'
import { plan } from '../../webhooks/plan.ts'
import type { StoreHooks } from '../store.ts'
import { openPostgresStore } from './store.ts'

/** A store in a database of its own, which `close` drops. */
export async function openFresh(hooks: StoreHooks = {}) {
  const database = await freshDatabase()
  const store = await openPostgresStore({ url: database.url, plan, node: 'node_a', ...hooks })
  return {
    store,
    url: database.url,
    async close() {
      await store.stop()
      await database.drop()
    },
  }
}
