import { type Clock, isoSeconds } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { Rounds } from '../base/rounds.ts'
import { MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { closedBy } from './conditions.ts'
import type { Job } from './job.ts'
import type { JobStore } from './port.ts'
import type { Runs } from './runs.ts'
import { createSchedule, type Schedule } from './schedule.ts'

/** A moment of the schedule that is this long past was missed, ms: no server ran. */
export const MISSED_AFTER_MS = MINUTE_MS
/** Missed moments of a job that are judged by its calendar, some 50 ms; of more than these one is taken to have been open. */
const MISSED_MOMENTS_MAX = 1_000
/** How often due jobs and open runs are looked for, ms. */
const LOOK_MS = SECOND_MS
/** Due jobs and open runs that one look takes on; the next look goes on with the others. */
const JOBS_PER_LOOK = 100
const RUNS_PER_LOOK = 500
/** Jobs whose next moment one look checks, some 10 ms. */
const CHECKS_PER_LOOK = 50
/** A clock that is set back by more than this makes all next moments be checked, ms. */
const SET_BACK_MS = MINUTE_MS

export interface SchedulerParts {
  readonly store: JobStore
  readonly runs: Runs
  readonly clock: Clock
  readonly log: Log
}

/**
 * Begins the runs that are due and ends those whose transfers have ended. All it goes by is stored: what a process that died has not done is done at the next
 * look, by whichever node comes first.
 */
export class Scheduler {
  readonly #parts: SchedulerParts
  readonly #looks: Rounds
  /** Open runs are gone through in turn, so that many of them cost a look no more than few. */
  #lastRun = ''
  /** Jobs whose next moment was checked; null: those of all were. */
  #checked: number | null = 0
  #lastLookAt = 0

  constructor(parts: SchedulerParts) {
    this.#parts = parts
    this.#looks = new Rounds({
      clock: parts.clock,
      round: () => this.look(),
      everyMs: LOOK_MS,
      failed: (error) => parts.log.warn({ err: error }, 'jobs could not be looked at; the next look goes on'),
    })
  }

  start(): void {
    this.#looks.start()
  }

  /** A job, a run or one of its transfers has changed on this node. */
  wake(): void {
    this.#looks.wake()
  }

  stop(): Promise<void> {
    return this.#looks.stop()
  }

  /** One look at everything that is due. */
  async look(): Promise<void> {
    const { store, runs, clock, log } = this.#parts
    await this.#checkMoments()
    const begun = new Set<string>()
    for (const job of await store.dueJobs(clock.now(), JOBS_PER_LOOK)) await this.#begin(job, begun)
    const open = await store.openRuns(this.#lastRun, RUNS_PER_LOOK)
    this.#lastRun = open.length < RUNS_PER_LOOK ? '' : open.at(-1)!.id
    for (const run of open) {
      await runs
        .settle(run)
        .catch((error) => log.warn({ err: error, run: run.id }, 'a run could not be settled; the next look tries again'))
    }
  }

  /**
   * At a start, and whenever the clock was set back: a moment later than the next one of the schedule was told by a clock that ran ahead, or by a time
   * zone's rules of before an update, and would be waited for, perhaps for years.
   */
  async #checkMoments(): Promise<void> {
    const { store, clock, log } = this.#parts
    const now = clock.now()
    if (now < this.#lastLookAt - SET_BACK_MS) this.#checked = 0
    this.#lastLookAt = now
    if (this.#checked === null) return
    const { rows } = await store.listJobs({ isEnabled: true }, { limit: CHECKS_PER_LOOK, offset: this.#checked })
    this.#checked = rows.length < CHECKS_PER_LOOK ? null : this.#checked + rows.length
    for (const job of rows) {
      await this.#checkMoment(job, now).catch((error) =>
        log.warn({ err: error, job: job.id }, 'the next run of a job could not be checked; the others are'),
      )
    }
  }

  async #checkMoment({ id, nextRunAt, schedule, options }: Job, now: number): Promise<void> {
    if (nextRunAt === null) return
    const next = createSchedule(schedule, options.timeZone).next(now)
    if (next === null || next >= nextRunAt) return
    const { store, log } = this.#parts
    log.warn(
      { job: id, from: isoSeconds(nextRunAt), to: isoSeconds(next) },
      'the next run of a job was too far ahead; it is due sooner',
    )
    await store.moveJob(id, nextRunAt, next)
  }

  /**
   * After what it depends on, where both are due: whether a dependant goes by the run of that moment or by the one before is not left to which of the two is found
   * first. `begun`: those that this look has seen to.
   */
  async #begin(job: Job, begun: Set<string>): Promise<void> {
    if (begun.has(job.id)) return
    begun.add(job.id)
    const { store, clock, log } = this.#parts
    try {
      const { dependsOn } = job.options
      const other = dependsOn === null ? undefined : await store.findJob(dependsOn)
      if (other !== undefined && other.nextRunAt !== null && other.nextRunAt <= clock.now()) await this.#begin(other, begun)
      await this.#due(job)
    } catch (error) {
      log.warn({ err: error, job: job.id }, 'a run could not begin; the next look tries again')
    }
  }

  async #due(job: Job): Promise<void> {
    const { runs, clock } = this.#parts
    const now = clock.now()
    // However many moments were missed, one run stands for them all.
    const schedule = createSchedule(job.schedule, job.options.timeZone)
    const nextRunAt = schedule.next(now)
    if (now - (job.nextRunAt ?? now) < MISSED_AFTER_MS) return void (await runs.begin(job, { cause: 'schedule', nextRunAt }))
    const skippedFor = job.options.missedRuns === 'skip' ? 'it was due while no server ran' : closedThroughout(job, schedule, now)
    await runs.begin(job, { cause: 'missed', nextRunAt, ...(skippedFor !== null && { skippedFor }) })
  }
}

/** Why the calendar would have let none of the missed moments have its run, so that none is to be made up; null: one of them would have had it. */
function closedThroughout(job: Job, schedule: Schedule, now: number): string | null {
  let first: string | null = null
  let moment = job.nextRunAt
  for (let looked = 0; moment !== null && moment <= now; looked += 1) {
    const closed = looked < MISSED_MOMENTS_MAX ? closedBy(job, moment) : null
    if (closed === null) return null
    first ??= closed
    moment = schedule.next(moment)
  }
  return first
}
