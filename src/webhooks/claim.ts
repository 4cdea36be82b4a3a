import { type Clock, delay } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { SECOND_MS } from '../base/units.ts'
import type { Lane } from './lane.ts'
import type { Lanes } from './lanes.ts'
import type { DeliveryStore } from './port.ts'
import type { ClaimedDelivery } from './webhook.ts'

/** One claim asks for at most this many deliveries, of at most this many webhooks. */
const CLAIM_DELIVERIES_MAX = 1_000
const CLAIM_WEBHOOKS_MAX = 200
/** The database is asked at least this often, ms: the most that a lost nudge costs. */
export const SWEEP_MS = SECOND_MS
/** Sweeps for retries that fall due are at least this far apart, ms: a sweep costs a seek for every webhook with something waiting. */
const SWEEP_MS_MIN = 50
/** Webhooks without a lane that one sweep can find, whatever number of lanes has a backlog. */
const SWEEP_NEW_WEBHOOKS = 256
/** Wait after a failure of the store, ms: doubled with each one in a row. */
const FAILURE_WAIT_MS = 100
const FAILURE_WAIT_MS_MAX = 5 * SECOND_MS
/** After a claim whose answer was lost, its deliveries are put back; by then a late commit of it is through, ms. */
const RECONCILE_AFTER_MS = SECOND_MS

export interface ClaimParts {
  readonly store: Pick<DeliveryStore, 'claim' | 'dueWebhooks' | 'unclaimAllBut'>
  readonly clock: Clock
  readonly log: Log
  readonly node: string
  readonly lanes: Lanes
  /** Whether this node lives in the eyes of the others. */
  readonly mayWork: () => boolean
  /** Whether the store may be claiming for this node what its lanes do not hold yet. */
  readonly isBearing: () => boolean
  readonly arrived: (lane: Lane, deliveries: readonly ClaimedDelivery[]) => void
}

/**
 * Fetches due deliveries into the lanes that have room. One claim is under way at a time; each names the room of
 * many webhooks, those that waited longest first. The sweep over the database is the truth about what is due;
 * everything else (nudges, refused offers, full claims, known retry times) only makes it sooner.
 */
export class Claims {
  readonly #parts: ClaimParts
  #isRunning = true
  #isClaiming = false
  #isSweeping = false
  #sweepAt = Number.POSITIVE_INFINITY
  #cancelSweep: () => void = () => {}
  #failuresInRow = 0
  /** Calls of unknown outcome: one whose time to be reconciled is running, another since then, one that is due. */
  #isDoubtful = false
  #isDoubtfulAgain = false
  #isReconcileDue = false
  #isReconciling = false

  constructor(parts: ClaimParts) {
    this.#parts = parts
  }

  /** Claims are about to be compared with what the lanes hold: nothing may be born claimed, it would be put back under our hands. */
  get isInDoubt(): boolean {
    return this.#isReconcileDue || this.#isReconciling
  }

  stop(): void {
    this.#isRunning = false
    this.#cancelSweep()
  }

  /** There may be something due for these webhooks. */
  nudge(webhookIds: readonly string[]): void {
    this.#expect(webhookIds)
    this.wake()
  }

  /** Claims for whichever lane is hungry, unless that is being done already. */
  wake(): void {
    const { lanes, mayWork } = this.#parts
    if (this.#isClaiming || !this.#isRunning || !mayWork() || !(lanes.isAnyHungry || this.#isReconcileDue)) return
    this.#isClaiming = true
    queueMicrotask(() => void this.#claimAll())
  }

  /** Asks the database what is due, at the latest at this wall time (and never later than a sweep's period from now). */
  sweepBy(dueAt: number): void {
    const { clock } = this.#parts
    const now = clock.now()
    const at = now + Math.min(Math.max(dueAt - now, SWEEP_MS_MIN), SWEEP_MS)
    if (!this.#isRunning || at >= this.#sweepAt) return
    this.#cancelSweep()
    this.#sweepAt = at
    this.#cancelSweep = clock.after(at - now, () => {
      this.#sweepAt = Number.POSITIVE_INFINITY
      void this.#sweep()
    })
  }

  /** A call that may have claimed, or failed to put back, has failed: this node may own deliveries it does not hold. */
  doubt(): void {
    if (this.#isDoubtful) {
      this.#isDoubtfulAgain = true
      return
    }
    this.#isDoubtful = true
    this.#parts.clock.after(RECONCILE_AFTER_MS, () => {
      this.#isDoubtful = false
      this.#isReconcileDue = true
      if (this.#isDoubtfulAgain) {
        this.#isDoubtfulAgain = false
        this.doubt()
      }
      this.wake()
    })
  }

  async #claimAll(): Promise<void> {
    const { lanes, mayWork, isBearing, clock, log } = this.#parts
    while (this.#isRunning && mayWork()) {
      try {
        if (this.#isReconcileDue && !isBearing()) await this.#reconcile()
        const wants = lanes.nextHungry(CLAIM_WEBHOOKS_MAX, CLAIM_DELIVERIES_MAX)
        if (wants.size === 0) break
        await this.#claim(wants)
        this.#failuresInRow = 0
      } catch (error) {
        log.warn({ err: error }, 'deliveries could not be claimed; trying again')
        const waitMs = Math.min(FAILURE_WAIT_MS * 2 ** this.#failuresInRow++, FAILURE_WAIT_MS_MAX)
        await delay(clock, waitMs)
      }
    }
    this.#isClaiming = false
  }

  async #claim(wants: Map<Lane, number>): Promise<void> {
    const { store, clock, node, lanes, arrived } = this.#parts
    for (const lane of wants.keys()) {
      lane.mayHaveMore = false
      lanes.changed(lane)
    }
    try {
      const rooms = Array.from(wants, ([lane, room]) => ({ webhookId: lane.webhookId, room }))
      const byWebhook = Map.groupBy(await store.claim(node, rooms, clock.now()), (delivery) => delivery.webhookId)
      for (const [lane, room] of wants) {
        const deliveries = byWebhook.get(lane.webhookId) ?? []
        lanes.unreserve(lane)
        if (deliveries.length >= room) lane.mayHaveMore = true
        arrived(lane, deliveries)
      }
    } catch (error) {
      this.doubt()
      for (const lane of wants.keys()) {
        lanes.unreserve(lane)
        lane.mayHaveMore = true
        lanes.changed(lane)
      }
      throw error
    }
  }

  async #reconcile(): Promise<void> {
    const { store, node, lanes, log, clock } = this.#parts
    this.#isReconciling = true
    this.#isReconcileDue = false
    try {
      const kept = [...lanes].flatMap((lane) => lane.everything()).map(({ delivery }) => delivery.id)
      // An outcome that has been on its way since before the doubt may be in the store, and its delivery claimed again
      // by the claim in doubt; only when it is answered does keeping it no longer hide that.
      const suspiciousSince = clock.monotonic() - RECONCILE_AFTER_MS
      const isHiding = [...lanes].some((lane) => lane.settling.values().some((since) => since <= suspiciousSince))
      const count = await store.unclaimAllBut(node, kept)
      if (isHiding) this.doubt()
      if (count > 0) log.info({ count }, 'deliveries of a claim whose answer was lost were put back')
      this.sweepBy(0)
    } catch (error) {
      this.#isReconcileDue = true
      throw error
    } finally {
      this.#isReconciling = false
    }
  }

  async #sweep(): Promise<void> {
    if (this.#isSweeping || !this.#isRunning) return
    const { store, clock, lanes, log } = this.#parts
    this.#isSweeping = true
    let nextAt = Number.POSITIVE_INFINITY
    try {
      const limit = lanes.size + SWEEP_NEW_WEBHOOKS
      const { webhookIds, nextDueAt } = await store.dueWebhooks(clock.now(), limit)
      this.#expect(webhookIds)
      // With more webhooks due than were named, any lane may be one of them.
      if (webhookIds.length >= limit) this.#expect(Array.from(lanes, (lane) => lane.webhookId))
      // Later than what is due already, so a retry starts on time also behind a backlog for which there is no room.
      if (nextDueAt !== null) nextAt = nextDueAt
    } catch (error) {
      log.warn({ err: error }, 'the database could not be asked for due deliveries; trying again')
    }
    this.#isSweeping = false
    this.wake()
    this.sweepBy(nextAt)
  }

  /** More may be due for these webhooks than their lanes hold. */
  #expect(webhookIds: readonly string[]): void {
    const { lanes } = this.#parts
    for (const webhookId of webhookIds) {
      const lane = lanes.open(webhookId)
      if (lane === undefined) continue
      lane.mayHaveMore = true
      lanes.changed(lane)
    }
  }
}
