import { type Clock, delay } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Lane } from './lane.ts'
import type { DeliveryStore } from './port.ts'
import type { Webhook } from './webhook.ts'

/** Webhooks read at once for the attempts about to start. */
const TARGETS_MAX = 500
/** Wait after webhooks could not be read, ms. */
const TARGETS_FAILURE_WAIT_MS = 200
const NONE: ReadonlySet<string> = new Set()

export interface StartParts {
  readonly store: Pick<DeliveryStore, 'targets' | 'cancelledReplays'>
  readonly clock: Clock
  readonly log: Log
  /** Whether this node lives in the eyes of the others. */
  readonly mayWork: () => boolean
  /**
   * Starts what the lane can start under its webhook as it has just been read (undefined: it is gone), but what these replays have planned, which
   * were cancelled.
   */
  readonly start: (lane: Lane, webhook: Webhook | undefined, cancelled: ReadonlySet<string>) => void
}

/** Nothing starts before its webhook has been read anew, and its replay, if it is of one. Reads of many lanes share one call. */
export class Starts {
  readonly #parts: StartParts
  /** Lanes about to start something, waiting for their webhook to be read. */
  readonly #wanting = new Set<Lane>()
  #isReading = false

  constructor(parts: StartParts) {
    this.#parts = parts
  }

  /** Starts what this lane can start. */
  want(lane: Lane): void {
    if (!lane.canStart || lane.isWaiting || !this.#parts.mayWork()) return
    this.#wanting.add(lane)
    if (this.#isReading) return
    this.#isReading = true
    queueMicrotask(() => void this.#readAll())
  }

  async #readAll(): Promise<void> {
    const { store, clock, log, mayWork, start } = this.#parts
    while (this.#wanting.size > 0 && mayWork()) {
      const lanes = [...this.#wanting].slice(0, TARGETS_MAX)
      for (const lane of lanes) this.#wanting.delete(lane)
      try {
        const replayIds = new Set(lanes.flatMap((lane) => lane.replaysNext))
        const cancelled = replayIds.size === 0 ? NONE : new Set(await store.cancelledReplays([...replayIds]))
        const webhooks = await store.targets(lanes.map((lane) => lane.webhookId))
        const byId = new Map(webhooks.map((webhook) => [webhook.id, webhook]))
        for (const lane of lanes) start(lane, byId.get(lane.webhookId), cancelled)
      } catch (error) {
        log.warn({ err: error }, 'webhooks could not be read for their attempts; trying again')
        for (const lane of lanes) this.#wanting.add(lane)
        await delay(clock, TARGETS_FAILURE_WAIT_MS)
      }
    }
    this.#wanting.clear()
    this.#isReading = false
  }
}
