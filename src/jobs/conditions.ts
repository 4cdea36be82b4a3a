import type { Blackout, Job, Run, Weekday } from './job.ts'

/** What the conditions of a job are judged by, read when it is due. */
export interface Circumstances {
  /** The newest run of this job that began. */
  readonly latestRun: Run | undefined
  /** The job that it depends on: null where it depends on none, undefined where that one is gone. */
  readonly dependency: { readonly name: string; readonly latestRun: Run | undefined } | null | undefined
  readonly isAgentRevoked: boolean
}

/** Why a run that its schedule asks for does not begin now, for people; null: it begins. */
export function unmetCondition(job: Job, now: number, circumstances: Circumstances): string | null {
  if (circumstances.isAgentRevoked) return 'its agent is revoked'
  const calendar = closedBy(job, now)
  if (calendar !== null) return calendar
  const { latestRun, dependency } = circumstances
  if (job.options.waitsForPrevious && latestRun?.status === 'running')
    return `the run before, ${latestRun.id}, is still under way`
  return missingDependency(latestRun, dependency)
}

/** Why the calendar of a job lets no run begin at this moment; null: it does. */
export function closedBy({ options }: Pick<Job, 'options'>, now: number): string | null {
  const local = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(options.timeZone)
  const date = local.toPlainDate()
  if (options.closedDates.includes(date.toString())) return `${date} is a closed date`
  if (options.openDates !== null && !options.openDates.includes(date.toString())) return `${date} is not among the open dates`
  const blackout = options.blackouts.find((each) => covers(each, date, local.toPlainTime()))
  return blackout === undefined
    ? null
    : `${date} ${local.toPlainTime().toString().slice(0, 5)} is in the blackout ${textOf(blackout)}`
}

/** A window that ends at or before its begin goes on into the next day, and belongs to the day on which it began. */
function covers({ days, from, to }: Blackout, date: Temporal.PlainDate, time: Temporal.PlainTime): boolean {
  const isOn = (day: Temporal.PlainDate) => days.includes(WEEKDAYS[day.dayOfWeek - 1]!)
  const clock = time.toString().slice(0, 5)
  if (from < to) return isOn(date) && clock >= from && clock < to
  return (isOn(date) && clock >= from) || (isOn(date.subtract({ days: 1 })) && clock < to)
}

function textOf({ days, from, to }: Blackout): string {
  return `${days.join(', ')} ${from} to ${to}`
}

/** In the order of ISO 8601: Monday is 1. */
export const WEEKDAYS: readonly Weekday[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']

function missingDependency(latestRun: Run | undefined, dependency: Circumstances['dependency']): string | null {
  if (dependency === null) return null
  if (dependency === undefined) return 'the job that it depends on is gone'
  const { name, latestRun: theirs } = dependency
  if (theirs === undefined) return `the job that it depends on, '${name}', has not run yet`
  if (theirs.status !== 'completed') return `the last run of the job that it depends on, '${name}', is ${theirs.status}`
  const since = latestRun?.startedAt ?? 0
  return (theirs.completedAt ?? 0) >= since
    ? null
    : `the job that it depends on, '${name}', has not completed since this job's last run`
}
