import type { Log } from '../base/log.ts'
import type { AuditEntry } from './entry.ts'
import type { AuditStore } from './port.ts'

/** Entries that may wait for the store; beyond it the oldest are dropped and the log says how many. */
const WAITING_MAX = 10_000
/** Entries written in one transaction. */
const BATCH_MAX = 500

/**
 * Writes the entries of operations that change nothing (changes carry theirs in their own unit of work), in batches
 * behind the callers. What waits when the process is killed is lost: nothing that was acknowledged depends on it.
 */
export class AuditTrail {
  #store: Pick<AuditStore, 'appendAudit'>
  #log: Log
  #waiting: AuditEntry[] = []
  #writing: Promise<void> | undefined

  constructor(store: Pick<AuditStore, 'appendAudit'>, log: Log) {
    this.#store = store
    this.#log = log
  }

  append(entries: readonly AuditEntry[]): void {
    this.#waiting.push(...entries)
    const over = this.#waiting.length - WAITING_MAX
    if (over > 0) {
      this.#waiting.splice(0, over)
      this.#log.error({ dropped: over }, 'audit entries dropped: the store is too slow or does not answer')
    }
    this.#writing ??= this.#write()
  }

  /** Resolves when all that was appended is written or was given up. */
  async stop(): Promise<void> {
    await this.#writing
  }

  async #write(): Promise<void> {
    // One turn later, so that entries of one burst share a transaction.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH_MAX)
      try {
        await this.#store.appendAudit(batch)
      } catch (error) {
        this.#log.error({ error: String(error), entries: batch.length }, 'cannot write audit entries')
      }
    }
    this.#writing = undefined
  }
}
