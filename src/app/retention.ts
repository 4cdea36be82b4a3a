import type { Clock } from '../base/clock.ts'
import type { Running } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import { Rounds } from '../base/rounds.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts'
import type { Purged, PurgedKind, RetentionStore } from '../store/retention.ts'

/** Rows of one step: whoever waits for the database behind it waits 4 ms longer, 6 at most (measured on SQLite; 500 rows: 13). */
export const PURGE_ROWS = 100

/** Pause after a step, as a multiple of the time that it took, so that deleting takes a fifth of the database at most; and at least this. */
const PAUSE_FACTOR = 4
const PAUSE_MS_MIN = 5

/** From the start to the first round, and from round to round, ms. */
const FIRST_ROUND_MS = MINUTE_MS
const ROUND_MS = 10 * MINUTE_MS

/** Wait after an error of the store, ms. */
const FAILURE_WAIT_MS = 10 * SECOND_MS

/** Roll-ups are small and stay longer than what they count: minutes for the graphs of two days, hours for those of a year. */
const MINUTES_KEPT_MS = 2 * DAY_MS
const HOURS_KEPT_MS = 400 * DAY_MS

/** What is younger is never deleted for its size: its receivers may still ask for it, ms. */
const SIZE_KEEPS_MS = HOUR_MS

/** What is kept of the time before, each time that what is stored turns out to be too large. */
const SHRINK_FACTOR = 0.9

/** Wait between deleting and looking at the size again, ms: the statistics of PostgreSQL come a second late. */
const LOOK_WAIT_MS = 2 * SECOND_MS

export interface RetentionParts {
  readonly store: RetentionStore
  readonly clock: Clock
  readonly log: Log
  readonly settings: {
    readonly retentionMs: number
    readonly auditRetentionMs: number
    /** 0: no bound. */
    readonly retentionBytesMax: number
  }
}

/**
 * Deletes what is old, and what is oldest while all of it takes more room than it may. new → running (start) → stopped. In rounds,
 * each of small steps with pauses; a process that dies in the middle leaves the rest to the next round of any node.
 */
export class Retention implements Running {
  readonly #parts: RetentionParts
  readonly #rounds: Rounds
  /** Ends a pause. */
  #wake: () => void = () => {}
  /** Rows deleted in this round. */
  #deleted: Partial<Record<PurgedKind | 'attempts', number>> = {}

  constructor(parts: RetentionParts) {
    this.#parts = parts
    this.#rounds = new Rounds({
      clock: parts.clock,
      round: () => this.#round(),
      everyMs: ROUND_MS,
      failed: (error) => parts.log.error({ err: error }, 'what is old could not be deleted; the next round goes on'),
    })
  }

  start(): void {
    this.#rounds.start(FIRST_ROUND_MS)
  }

  /** Resolves when the step under way has ended. */
  async stop(): Promise<void> {
    const stopped = this.#rounds.stop()
    this.#wake()
    await stopped
  }

  async #round(): Promise<void> {
    const { clock, log, settings } = this.#parts
    const began = clock.monotonic()
    this.#deleted = {}
    const now = clock.now()
    const old = now - settings.retentionMs
    await this.#purge('deliveries', old)
    await this.#purge('events', old)
    await this.#purge('minutes', now - Math.min(MINUTES_KEPT_MS, settings.retentionMs))
    await this.#purge('hours', now - HOURS_KEPT_MS)
    await this.#purge('replays', old)
    await this.#purge('alerts', old)
    await this.#purge('webhooks', old)
    await this.#purge('transfers', old)
    await this.#purge('runs', old)
    await this.#purge('jobs', old)
    await this.#purge('audit', now - settings.auditRetentionMs)
    if (settings.retentionBytesMax > 0) await this.#shrink(now)
    if (Object.keys(this.#deleted).length > 0) {
      log.info({ ...this.#deleted, tookMs: Math.round(clock.monotonic() - began) }, 'what was old has been deleted')
    }
  }

  /** All of a kind that is older. */
  async #purge(kind: PurgedKind, before: number): Promise<void> {
    let after: string | null = null
    do after = (await this.#step(kind, before, after))?.next ?? null
    while (after !== null)
  }

  /** While what is stored is too large, a tenth less of the time is kept. */
  async #shrink(now: number): Promise<void> {
    const { settings } = this.#parts
    for (let keptMs = settings.retentionMs; keptMs > SIZE_KEEPS_MS && (await this.#isTooLarge()); ) {
      keptMs = Math.max(keptMs * SHRINK_FACTOR, SIZE_KEEPS_MS)
      await this.#purge('deliveries', Math.floor(now - keptMs))
      await this.#purge('events', Math.floor(now - keptMs))
      await this.#pause(LOOK_WAIT_MS)
    }
  }

  #pause(ms: number): Promise<void> {
    if (!this.#rounds.isRunning) return Promise.resolve()
    return new Promise((resolve) => {
      const cancel = this.#parts.clock.after(ms, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }

  async #isTooLarge(): Promise<boolean> {
    const { store, settings, log } = this.#parts
    if (!this.#rounds.isRunning) return false
    try {
      return (await store.databaseBytes()) > settings.retentionBytesMax
    } catch (error) {
      log.warn({ err: error }, 'the size of the database could not be read; it is looked at in the next round')
      return false
    }
  }

  /** One step and the pause after it. Undefined: the store failed, the rest is for the next round; or this process stops. */
  async #step(kind: PurgedKind, before: number, after: string | null): Promise<Purged | undefined> {
    const { store, clock, log } = this.#parts
    if (!this.#rounds.isRunning) return undefined
    const began = clock.monotonic()
    try {
      const purged = await store.purge({ kind, before, after, limit: PURGE_ROWS })
      this.#count(kind, purged.deleted)
      this.#count('attempts', purged.attempts)
      await this.#pause(Math.max((clock.monotonic() - began) * PAUSE_FACTOR, PAUSE_MS_MIN))
      return purged
    } catch (error) {
      log.warn({ err: error, kind }, 'what is old could not be deleted; it is tried again in the next round')
      await this.#pause(FAILURE_WAIT_MS)
      return undefined
    }
  }

  #count(what: PurgedKind | 'attempts', rows: number): void {
    if (rows > 0) this.#deleted[what] = (this.#deleted[what] ?? 0) + rows
  }
}
