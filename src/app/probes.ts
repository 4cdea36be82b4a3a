import { statfs } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { constrainedMemory, memoryUsage } from 'node:process'
import type { HealthProbes } from '../api/health.ts'
import type { Store } from '../store/store.ts'

/** How the health page asks the parts of this node. `storage` is a folder on the disk of the files. */
export function probesOf(parts: { store: Store; storage: string; undecided: () => number }): HealthProbes {
  return {
    database: () => parts.store.ping(),
    async disk() {
      const { bsize, blocks, bavail } = await statfs(parts.storage)
      return { totalBytes: blocks * bsize, freeBytes: bavail * bsize }
    },
    memory() {
      // A container's limit where there is one, else the machine's memory.
      const limit = constrainedMemory()
      return { usedBytes: memoryUsage.rss(), totalBytes: limit > 0 && limit < totalmem() ? limit : totalmem() }
    },
    undecided: parts.undecided,
    async figures() {
      const { store } = parts
      const [activeAgents, activeTransfers, pendingJobs] = await Promise.all([
        store.countOnlineAgents(),
        store.countOpenTransfers(),
        store.countOpenRuns(),
      ])
      return { activeAgents, activeTransfers, pendingJobs }
    },
  }
}
