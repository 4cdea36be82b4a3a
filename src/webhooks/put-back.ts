import { type Clock, delay } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { SECOND_MS } from '../base/units.ts'
import type { DeliveryStore } from './port.ts'

/** Time to put back, at the end of a stop, what did not end in time, ms. */
const LET_GO_MS = 2 * SECOND_MS

export interface PutBackParts {
  readonly store: Pick<DeliveryStore, 'unclaim' | 'unclaimAllBut'>
  readonly node: string
  readonly clock: Clock
  readonly log: Log
  /** What the store did not take back is still claimed by this node. */
  readonly failed: () => void
  /** Nothing, or less, is on its way back. */
  readonly progress: () => void
}

/** Deliveries that go back into the store without an outcome, for others or for later. Those that come together are written together. */
export class PutBack {
  readonly #parts: PutBackParts
  #ids: string[] = []
  #underWay = 0

  constructor(parts: PutBackParts) {
    this.#parts = parts
  }

  get isDone(): boolean {
    return this.#underWay === 0
  }

  add(id: string): void {
    if (this.#ids.push(id) > 1) return
    this.#underWay++
    queueMicrotask(() => void this.#flush())
  }

  /** Whatever this node still has, such as what was being posted. If it fails, the claims end with the beats. */
  async all(): Promise<void> {
    const { store, node, log, clock } = this.#parts
    const done = store.unclaimAllBut(node, []).catch((error) => {
      log.warn({ err: error }, 'deliveries could not be put back; they are freed when this node is found to be gone')
    })
    await Promise.race([done, delay(clock, LET_GO_MS)])
  }

  async #flush(): Promise<void> {
    const { store, node, log, failed, progress } = this.#parts
    const ids = this.#ids
    this.#ids = []
    try {
      await store.unclaim(node, ids)
    } catch (error) {
      log.warn({ err: error, deliveries: ids.length }, 'deliveries could not be put back; trying again')
      failed()
    }
    this.#underWay--
    progress()
  }
}
