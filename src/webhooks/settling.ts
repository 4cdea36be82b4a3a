import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { SECOND_MS } from '../base/units.ts'
import type { DeliveryStore, Settlement, SettleResult } from './port.ts'

/**
 * Settlements written by one call, and calls under way at a time: a batch is what came while the last one ran. With two at a time batches are
 * half as long, and a commit writes about as many pages for half a batch of many webhooks as for a whole one.
 */
const SETTLE_BATCH_MAX = 200
const SETTLE_CALLS_MAX = 1
/** Wait after a failed write, ms: doubled with each try. */
const FAILURE_WAIT_MS = 100
const FAILURE_WAIT_MS_MAX = 5 * SECOND_MS
/** A batch that failed this often is halved, so that one bad row cannot hold up the others. */
const TRIES_BEFORE_HALVING = 3

/** `Tag` is whatever the owner of a settlement wants to get back with its result. */
interface Batch<Tag> {
  readonly items: readonly { settlement: Settlement; tag: Tag }[]
  readonly tries: number
}

export interface SettlingParts<Tag> {
  readonly store: Pick<DeliveryStore, 'settle'>
  readonly clock: Clock
  readonly log: Log
  readonly settled: (tag: Tag, settlement: Settlement, result: SettleResult) => void
}

/**
 * Brings outcomes into the store. None is ever dropped: a write that fails is repeated until the engine
 * is stopped. Repeating is harmless: a settlement names the claim and its attempt's number, so the second writes nothing.
 */
export class Settling<Tag> {
  readonly #parts: SettlingParts<Tag>
  #fresh: { settlement: Settlement; tag: Tag }[] = []
  /** Failed before, and their wait is over. */
  readonly #again: Batch<Tag>[] = []
  #calls = 0
  #isRunning = true

  constructor(parts: SettlingParts<Tag>) {
    this.#parts = parts
  }

  add(settlement: Settlement, tag: Tag): void {
    this.#fresh.push({ settlement, tag })
    this.#run()
  }

  /** What is not written yet never will be; the deliveries are attempted again by whoever gets them. */
  stop(): void {
    this.#isRunning = false
  }

  #run(): void {
    while (this.#isRunning && this.#calls < SETTLE_CALLS_MAX) {
      const batch = this.#again.shift() ?? this.#takeFresh()
      if (batch === undefined) return
      this.#calls++
      void this.#write(batch)
    }
  }

  #takeFresh(): Batch<Tag> | undefined {
    if (this.#fresh.length === 0) return undefined
    const items = this.#fresh.length <= SETTLE_BATCH_MAX ? this.#fresh : this.#fresh.slice(0, SETTLE_BATCH_MAX)
    this.#fresh = this.#fresh.length <= SETTLE_BATCH_MAX ? [] : this.#fresh.slice(SETTLE_BATCH_MAX)
    return { items, tries: 0 }
  }

  async #write(batch: Batch<Tag>): Promise<void> {
    const { store, log, settled } = this.#parts
    let results: SettleResult[] | undefined
    try {
      results = await store.settle(batch.items.map(({ settlement }) => settlement))
    } catch (error) {
      log.warn({ err: error, settlements: batch.items.length }, 'outcomes of attempts could not be written; trying again')
    }
    this.#calls--
    if (!this.#isRunning) return
    if (results === undefined) this.#later(batch)
    else for (const [index, { settlement, tag }] of batch.items.entries()) settled(tag, settlement, results[index]!)
    this.#run()
  }

  #later({ items, tries }: Batch<Tag>): void {
    const half = Math.ceil(items.length / 2)
    const parts = tries < TRIES_BEFORE_HALVING || items.length === 1 ? [items] : [items.slice(0, half), items.slice(half)]
    this.#parts.clock.after(Math.min(FAILURE_WAIT_MS * 2 ** tries, FAILURE_WAIT_MS_MAX), () => {
      this.#again.push(...parts.map((part) => ({ items: part, tries: tries + 1 })))
      this.#run()
    })
  }
}
