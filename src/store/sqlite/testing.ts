import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { StoreHooks } from '../store.ts'
import type { StartThread } from './call.ts'
import { startSqliteThreads } from './client.ts'

/** The entry that the server uses. */
export const startThread: StartThread = (workerData) =>
  new Worker(new URL('../../app/store-thread.ts', import.meta.url), { workerData })

/** A store in a folder of its own, which `close` removes. */
export async function openFresh(hooks: StoreHooks = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'landfall-sqlite-'))
  const file = join(folder, 'landfall.sqlite')
  const store = await startSqliteThreads(startThread).open({ file, ...hooks })
  return {
    store,
    file,
    async close() {
      await store.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
