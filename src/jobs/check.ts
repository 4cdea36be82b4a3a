import { AppError } from '../base/error.ts'
import { faultOfGlob } from '../base/glob.ts'
import { faultOfLabel } from '../base/label.ts'
import { DAY_MS, SECOND_MS } from '../base/units.ts'
import type { PostActionInput } from '../transfers/route.ts'
import { RETRY_DELAYS_MS } from '../transfers/transfer.ts'
import type { PostAction } from '../wire/agent/work.ts'
import { WEEKDAYS } from './conditions.ts'
import type { Blackout, JobOptions, Weekday } from './job.ts'
import { checkSchedule, checkTimeZone } from './schedule.ts'
import { isGlob } from './select-files.ts'

/** What a job may be given beyond its documented fields; every member may be left out. */
export interface JobOptionsInput {
  readonly timeZone?: string
  readonly postAction?: PostActionInput
  readonly skipMoved?: JobOptions['skipMoved']
  readonly quietSeconds?: number
  readonly parallelism?: number
  readonly timeoutSeconds?: number | null
  readonly retryDelaysSeconds?: readonly number[]
  readonly bytesPerSecond?: number | null
  readonly blackouts?: readonly { readonly days: readonly string[]; readonly from: string; readonly to: string }[]
  readonly closedDates?: readonly string[]
  readonly openDates?: readonly string[] | null
  readonly waitsForPrevious?: boolean
  readonly dependsOn?: string | null
  readonly missedRuns?: JobOptions['missedRuns']
  readonly onAgentLost?: JobOptions['onAgentLost']
}

/** Where nothing is said. */
export const JOB_DEFAULTS: JobOptions = {
  timeZone: 'UTC',
  postAction: { kind: 'keep' },
  skipMoved: 'none',
  quietSeconds: 0,
  parallelism: 4,
  timeoutSeconds: null,
  retryDelaysSeconds: RETRY_DELAYS_MS.map((ms) => ms / SECOND_MS),
  bytesPerSecond: null,
  blackouts: [],
  closedDates: [],
  openDates: null,
  waitsForPrevious: true,
  dependsOn: null,
  missedRuns: 'once',
  onAgentLost: 'retry',
}

export const JOB_LIMITS = {
  name: { min: 1, max: 100, unit: 'characters' },
  path: { min: 1, max: 1_024, unit: 'characters' },
  quietSeconds: { min: 0, max: 3_600, unit: 'seconds' },
  parallelism: { min: 1, max: 64, unit: 'transfers' },
  timeoutSeconds: { min: 10, max: (7 * DAY_MS) / SECOND_MS, unit: 'seconds' },
  retryDelaysSeconds: { min: 0, max: 10, unit: 'delays' },
  retryDelay: { min: 1, max: DAY_MS / SECOND_MS, unit: 'seconds' },
  bytesPerSecond: { min: 1_024, max: 100_000_000_000, unit: 'bytes a second' },
  blackouts: { min: 0, max: 50, unit: 'windows' },
  dates: { min: 0, max: 1_000, unit: 'dates' },
} as const
type Limit = (typeof JOB_LIMITS)[keyof typeof JOB_LIMITS]

/** The options with what was given in the place of what was there; the post action is one that goes with the route. @throws AppError `invalid`, naming member, bound and value. */
export function checkOptions(given: JobOptionsInput & { readonly postAction: PostAction }, before: JobOptions): JobOptions {
  const after: JobOptions = { ...before, ...(given as Partial<JobOptions>) }
  checkTimeZone(after.timeZone)
  within('quietSeconds', after.quietSeconds)
  within('parallelism', after.parallelism)
  if (after.timeoutSeconds !== null) within('timeoutSeconds', after.timeoutSeconds)
  if (after.bytesPerSecond !== null) within('bytesPerSecond', after.bytesPerSecond)
  within('retryDelaysSeconds', after.retryDelaysSeconds.length)
  for (const delay of after.retryDelaysSeconds) bounded('retryDelaysSeconds', delay, JOB_LIMITS.retryDelay)
  if (after.postAction.kind === 'move') checkPath('postAction.to', after.postAction.to)
  within('blackouts', after.blackouts.length)
  for (const blackout of after.blackouts) checkBlackout(blackout)
  checkDates('closedDates', after.closedDates)
  if (given.openDates?.length === 0)
    throw invalid('openDates', 'openDates names no date, so that no run would ever begin; null is for any date')
  if (after.openDates !== null) checkDates('openDates', after.openDates)
  return after
}

/** @throws AppError `invalid` for a name, paths or a schedule that are none. */
export function checkJob(
  job: { readonly name: string; readonly sourcePath: string; readonly destinationPath: string; readonly schedule: string },
  options: JobOptions,
  now: number,
): void {
  bounded('name', job.name.length, JOB_LIMITS.name)
  const faultOfName = faultOfLabel(job.name)
  if (faultOfName !== undefined) throw invalid('name', `name ${faultOfName}`)
  checkPath('sourcePath', job.sourcePath)
  checkPath('destinationPath', job.destinationPath)
  if (isGlob(job.destinationPath))
    throw invalid('destinationPath', `destinationPath '${job.destinationPath}' has a wildcard; it names one file or folder`)
  const fault = isGlob(job.sourcePath) ? faultOfGlob(job.sourcePath) : undefined
  if (fault !== undefined) throw invalid('sourcePath', `sourcePath ${fault}`)
  checkSchedule(job.schedule, options.timeZone, now)
}

function checkPath(field: string, path: string): void {
  bounded(field, path.length, JOB_LIMITS.path)
  if (/[\0\r\n]/.test(path)) throw invalid(field, `${field} has a character that no path has: a line end or NUL`)
  if (path.split('/').includes('..')) throw invalid(field, `${field} '${path}' has a segment '..'; write the path without it`)
}

function checkBlackout({ days, from, to }: Blackout): void {
  if (days.length === 0) throw invalid('blackouts', 'a blackout names no day; give some of mon, tue, wed, thu, fri, sat, sun')
  const twice = days.find((day, index) => days.indexOf(day) !== index)
  if (twice !== undefined) throw invalid('blackouts', `blackouts: '${twice}' is among the days of one twice`)
  const unknown = days.find((day) => !WEEKDAYS.includes(day as Weekday))
  if (unknown !== undefined) throw invalid('blackouts', `blackouts: '${unknown}' is none of ${WEEKDAYS.join(', ')}`)
  for (const time of [from, to])
    if (!/^([01]\d|2[0-3]):[0-5]\d$/.test(time))
      throw invalid('blackouts', `blackouts: '${time}' is no time of day such as 22:00`)
}

function checkDates(field: 'closedDates' | 'openDates', dates: readonly string[]): void {
  bounded(field, dates.length, JOB_LIMITS.dates)
  for (const date of dates) {
    if (!/^\d{4}-\d\d-\d\d$/.test(date) || !isDate(date))
      throw invalid(field, `${field}: '${date}' is no date such as 2026-12-25`)
  }
}

function isDate(date: string): boolean {
  try {
    Temporal.PlainDate.from(date, { overflow: 'reject' })
    return true
  } catch {
    return false
  }
}

function within(field: keyof typeof JOB_LIMITS, value: number): void {
  bounded(field, value, JOB_LIMITS[field])
}

function bounded(field: string, value: number, { min, max, unit }: Limit): void {
  if (!Number.isInteger(value) || value < min || value > max)
    throw invalid(field, `${field} has ${value} ${unit}; it takes ${min} to ${max}`)
}

function invalid(field: string, message: string): AppError {
  return new AppError('invalid', message, { field })
}
