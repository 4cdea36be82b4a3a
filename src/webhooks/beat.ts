import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { Rounds } from '../base/rounds.ts'
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
  readonly #beats: Rounds
  readonly #housekeeping: readonly Rounds[]
  /** When the last committed beat was begun, by the clock that never jumps. */
  #lastBeganAt = Number.NEGATIVE_INFINITY

  constructor(parts: BeatParts) {
    this.#parts = parts
    this.#startedAt = parts.clock.now()
    this.#beats = this.#rounds(BEAT_MS, () => this.#beat(), 'the beat of this node could not be written')
    this.#housekeeping = [
      this.#rounds(HOUSEKEEPING_MS, () => this.#freeClaims(), 'claims of dead nodes could not be freed'),
      this.#rounds(HOUSEKEEPING_MS, () => this.#cancelOrphans(), 'deliveries of removed webhooks could not be cancelled'),
    ]
  }

  start(): void {
    this.#beats.start()
    for (const rounds of this.#housekeeping) rounds.start()
  }

  /** Does not wait for what is under way: whoever stops may have no time, and nothing depends on its end. */
  stop(): void {
    void this.#beats.stop()
    for (const rounds of this.#housekeeping) void rounds.stop()
  }

  get ageMs(): number {
    return this.#parts.clock.monotonic() - this.#lastBeganAt
  }

  isFresh(): boolean {
    return this.ageMs <= BEAT_VALID_MS
  }

  async #beat(): Promise<number> {
    const { store, clock, node, beaten } = this.#parts
    const beganAt = clock.monotonic()
    await store.beat({ id: node, startedAt: this.#startedAt }, clock.now())
    const wasTakenForDead = beganAt - this.#lastBeganAt > NODE_SILENT_MS
    this.#lastBeganAt = beganAt
    if (this.#beats.isRunning) beaten(wasTakenForDead)
    return Math.max(BEAT_MS - (clock.monotonic() - beganAt), 0)
  }

  async #freeClaims(): Promise<void> {
    const { store, clock, node, log, freed } = this.#parts
    const count = await store.freeClaims(node, clock.now(), NODE_SILENT_MS)
    if (count > 0) {
      log.info({ count }, 'deliveries claimed by a node that is gone were freed')
      if (this.#beats.isRunning) freed()
    }
  }

  async #cancelOrphans(): Promise<number> {
    const cancelled = await this.#parts.store.cancelOrphans(ORPHANS_STEP)
    return cancelled >= ORPHANS_STEP ? ORPHANS_PAUSE_MS : HOUSEKEEPING_MS
  }

  #rounds(everyMs: number, round: () => Promise<number | undefined> | Promise<void>, trouble: string): Rounds {
    const { clock, log } = this.#parts
    const failed = (error: unknown) => log.warn({ err: error }, `${trouble}; trying again`)
    return new Rounds({ clock, round, everyMs, retryMs: RETRY_MS, failed })
  }
}
