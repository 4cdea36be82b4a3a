import { type Clock, delay } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import { isPassing, toStoreError } from './failure.ts'

/** Units of one kind that may wait. Beyond that the database is too far behind to take more. */
const UNITS_WAITING_MAX = 50_000

/** Tries of a group whose answer is lost, and the pause before the 2nd, doubled each time, ms: about 6 s in all. */
const TRIES_MAX = 6
const PAUSE_MS = 200

export type Outcome<Result> = { value: Result } | { error: Error }

interface Waiting<Unit, Result> {
  unit: Unit
  resolve: (value: Result) => void
  reject: (error: Error) => void
}

/**
 * Collects units of one kind: what waits when a lane is free runs together, as arrays in one transaction. A group that the database
 * refused is tried one by one, so that a bad unit fails alone. One whose answer was lost is repeated until there is an answer, so that it
 * is certain what became of it: units must bear being repeated.
 */
export class Group<Unit, Result> {
  #run: (units: Unit[]) => Promise<Outcome<Result>[]>
  #unitsMax: number
  #lanesFree: number
  #lanes: number
  #clock: Clock
  #waiting: Waiting<Unit, Result>[] = []
  #isScheduled = false
  #onIdle: (() => void) | undefined

  constructor(options: { lanes: number; unitsMax: number; clock: Clock; run: (units: Unit[]) => Promise<Outcome<Result>[]> }) {
    this.#run = options.run
    this.#unitsMax = options.unitsMax
    this.#lanes = options.lanes
    this.#lanesFree = options.lanes
    this.#clock = options.clock
  }

  add(unit: Unit): Promise<Result> {
    if (this.#waiting.length >= UNITS_WAITING_MAX) {
      const message = `The database is behind: ${UNITS_WAITING_MAX} changes wait for it. Nothing was changed.`
      return Promise.reject(new AppError('store_failed', message))
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ unit, resolve, reject })
      this.#schedule()
    })
  }

  /** Resolves when nothing waits or runs. */
  async drain(): Promise<void> {
    if (this.#waiting.length === 0 && this.#lanesFree === this.#lanes) return
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve
    })
  }

  /** Not at once: what is called in the same turn shall go together. */
  #schedule(): void {
    if (this.#isScheduled || this.#lanesFree === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      while (this.#lanesFree > 0 && this.#waiting.length > 0) void this.#runNext()
    })
  }

  async #runNext(): Promise<void> {
    this.#lanesFree -= 1
    const group = this.#waiting.splice(0, this.#unitsMax)
    const outcomes = await this.#outcomes(group.map(({ unit }) => unit))
    group.forEach(({ resolve, reject }, index) => {
      const outcome = outcomes[index]!
      if ('error' in outcome) reject(outcome.error)
      else resolve(outcome.value)
    })
    this.#lanesFree += 1
    if (this.#waiting.length > 0) this.#schedule()
    else if (this.#lanesFree === this.#lanes) this.#onIdle?.()
  }

  async #outcomes(units: Unit[]): Promise<Outcome<Result>[]> {
    for (let tried = 1; ; tried += 1) {
      try {
        return await this.#run(units)
      } catch (error) {
        if (isPassing(error) && tried < TRIES_MAX) {
          await delay(this.#clock, PAUSE_MS * 2 ** (tried - 1))
        } else if (isPassing(error) || units.length === 1) {
          return units.map(() => ({ error: toStoreError(error) }))
        } else {
          return (await Promise.all(units.map((unit) => this.#outcomes([unit])))).flat()
        }
      }
    }
  }
}
