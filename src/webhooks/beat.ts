import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { SECOND_MS } from '../base/units.ts'
import type { DeliveryStore } from './port.ts'

export const BEAT_MS = 2 * SECOND_MS
/** A node whose last committed beat is older than this starts nothing, ms. Less than NODE_SILENT_MS, so that it stops before others take over. */
export const BEAT_VALID_MS = 10 * SECOND_MS
/** A node silent for longer than this loses its claims, ms. */
export const NODE_SILENT_MS = 15 * SECOND_MS
/** How often claims of dead nodes are looked for, ms, and deliveries of removed webhooks cancelled. */
const HOUSEKEEPING_MS = 5 * SECOND_MS
const RETRY_MS = SECOND_MS
/** Deliveries of removed webhooks cancelled in one step, and the pause between full steps, ms. */
const ORPHANS_STEP = 500
const ORPHANS_PAUSE_MS = 100

export interface BeatParts {
  readonly store: Pick<DeliveryStore, 'beat' | 'freeClaims' | 'cancelOrphans'>
  readonly clock: Clock
  readonly log: Log
  readonly node: string
  /** A beat was committed. `wasTakenForDead`: so late that others may have taken the claims of this node. */
  readonly beaten: (wasTakenForDead: boolean) => void
  /** Claims were freed: there may be more to do. */
  readonly freed: () => void
}

/** Says that this node lives, tidies up after those that do not, and knows whether it may work. */
export class Beat {
  readonly #parts: BeatParts
  readonly #startedAt: number
  #isRunning = true
  /** When the last committed beat was begun, by the clock that never jumps. */
  #lastBeganAt = Number.NEGATIVE_INFINITY
  #cancels = new Set<() => void>()

  constructor(parts: BeatParts) {
    this.#parts = parts
    this.#startedAt = parts.clock.now()
  }

  start(): void {
    void this.#beat()
    void this.#freeClaims()
    void this.#cancelOrphans()
  }

  stop(): void {
    this.#isRunning = false
    for (const cancel of this.#cancels) cancel()
  }

  get ageMs(): number {
    return this.#parts.clock.monotonic() - this.#lastBeganAt
  }

  isFresh(): boolean {
    return this.ageMs <= BEAT_VALID_MS
  }

  async #beat(): Promise<void> {
    const { store, clock, node, log, beaten } = this.#parts
    const beganAt = clock.monotonic()
    let nextMs = RETRY_MS
    try {
      await store.beat({ id: node, startedAt: this.#startedAt }, clock.now())
      const wasTakenForDead = beganAt - this.#lastBeganAt > NODE_SILENT_MS
      this.#lastBeganAt = beganAt
      nextMs = Math.max(BEAT_MS - (clock.monotonic() - beganAt), 0)
      if (this.#isRunning) beaten(wasTakenForDead)
    } catch (error) {
      log.warn({ err: error }, 'the beat of this node could not be written; trying again')
    }
    this.#again(nextMs, () => this.#beat())
  }

  async #freeClaims(): Promise<void> {
    const { store, clock, node, log, freed } = this.#parts
    let nextMs = HOUSEKEEPING_MS
    try {
      const count = await store.freeClaims(node, clock.now(), NODE_SILENT_MS)
      if (count > 0) {
        log.info({ count }, 'deliveries claimed by a node that is gone were freed')
        if (this.#isRunning) freed()
      }
    } catch (error) {
      log.warn({ err: error }, 'claims of dead nodes could not be freed; trying again')
      nextMs = RETRY_MS
    }
    this.#again(nextMs, () => this.#freeClaims())
  }

  async #cancelOrphans(): Promise<void> {
    const { store, log } = this.#parts
    let nextMs = HOUSEKEEPING_MS
    try {
      if ((await store.cancelOrphans(ORPHANS_STEP)) >= ORPHANS_STEP) nextMs = ORPHANS_PAUSE_MS
    } catch (error) {
      log.warn({ err: error }, 'deliveries of removed webhooks could not be cancelled; trying again')
    }
    this.#again(nextMs, () => this.#cancelOrphans())
  }

  #again(ms: number, work: () => Promise<void>): void {
    if (!this.#isRunning) return
    const cancel = this.#parts.clock.after(ms, () => {
      this.#cancels.delete(cancel)
      void work()
    })
    this.#cancels.add(cancel)
  }
}
