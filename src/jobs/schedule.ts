import { Cron } from 'croner'
import { AppError } from '../base/error.ts'
import { HOUR_MS } from '../base/units.ts'

/** Longest cron expression, characters. */
export const SCHEDULE_CHARACTERS_MAX = 128

const NS_PER_MS = 1_000_000

/**
 * The moments of a cron expression of five fields in a time zone. What the clocks there skip has one run, at the first moment after the gap, however many
 * moments were in it (also where it is a whole day, as in Samoa in 2011); what they show twice runs the first time only. An expression that names every hour
 * runs in each hour that there is, and in no other.
 */
export interface Schedule {
  /** The first moment after this one, ms since 1970 UTC; null: there is none any more. */
  next(after: number): number | null
}

/** @throws AppError `invalid`, naming `schedule` or `timeZone`, when either is none. */
export function createSchedule(expression: string, timeZone: string): Schedule {
  checkTimeZone(timeZone)
  const { cron, isHourly } = parse(expression)
  return {
    next(after) {
      let stretch = stretchAt(after, timeZone)
      let shown = after + stretch.offset
      for (;;) {
        // Later than what is shown now; an hour that was shown before is over, unless every hour counts.
        const from = isHourly ? shown : Math.max(shown, stretch.shownBefore - 1)
        const due = cron.nextRun(new Date(from))?.getTime()
        if (due === undefined) return null
        if (due - stretch.offset < stretch.end) return due - stretch.offset
        stretch = stretchAt(stretch.end, timeZone)
        const first = stretch.start + stretch.offset
        if (!isHourly && due <= first) return stretch.start
        shown = first - 1
      }
    },
  }
}

/** A time in which the clocks of a zone are not changed; all in ms. What clocks show is written as the moment at which those of UTC show it. */
interface Stretch {
  readonly start: number
  /** The next one begins; the clocks show something else. */
  readonly end: number
  /** What the clocks are ahead of UTC. */
  readonly offset: number
  /** All that is earlier was shown before it began. */
  readonly shownBefore: number
}

function stretchAt(at: number, timeZone: string): Stretch {
  const now = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timeZone)
  const end = now.getTimeZoneTransition('next')
  // The one before the next nanosecond, which is also one of just now.
  const start = now.add({ nanoseconds: 1 }).getTimeZoneTransition('previous')
  const before = start?.subtract({ nanoseconds: 1 })
  return {
    start: start?.epochMilliseconds ?? Number.NEGATIVE_INFINITY,
    end: end?.epochMilliseconds ?? Number.POSITIVE_INFINITY,
    offset: now.offsetNanoseconds / NS_PER_MS,
    shownBefore: start && before ? start.epochMilliseconds + before.offsetNanoseconds / NS_PER_MS : Number.NEGATIVE_INFINITY,
  }
}

/** @throws AppError `invalid` when the expression is none or never due, as seen from `now`. */
export function checkSchedule(expression: string, timeZone: string, now: number): void {
  if (createSchedule(expression, timeZone).next(now) === null)
    throw new AppError('invalid', `schedule '${expression}' names a moment that never comes`, { field: 'schedule' })
}

/** Croner keeps to UTC, which has no gaps: it is asked what clocks show, and `createSchedule` finds the moment at which they do. */
function parse(expression: string): { readonly cron: Cron; readonly isHourly: boolean } {
  const fields = expression.trim().split(/\s+/)
  if (expression.length > SCHEDULE_CHARACTERS_MAX || fields.length !== 5 || fields[0] === '')
    throw notASchedule(
      expression,
      `it has ${expression.trim() === '' ? 0 : fields.length} of the five fields minute, hour, day, month, weekday`,
    )
  try {
    return { cron: new Cron(fields.join(' '), IN_UTC), isHourly: namesEveryHour(fields[1]!) }
  } catch (error) {
    throw notASchedule(expression, error instanceof Error ? error.message.replace(/^CronPattern: /, '') : '')
  }
}

// An offset rather than the zone UTC, for which croner takes eight times as long.
const IN_UTC = { utcOffset: 0, mode: '5-part' } as const

/** However it is written: `*`, `0-23`, `0-11,12-23`. */
function namesEveryHour(hours: string): boolean {
  const cron = new Cron(`0 ${hours} * * *`, IN_UTC)
  const moments = Array.from({ length: 24 }, (_, hour) => hour * HOUR_MS)
  return moments.every((moment) => cron.nextRun(new Date(moment - 1))?.getTime() === moment)
}

function notASchedule(expression: string, why: string): AppError {
  const shown = expression.slice(0, SCHEDULE_CHARACTERS_MAX)
  return new AppError('invalid', `schedule '${shown}' is no cron expression of five fields, such as '30 2 * * 1-5': ${why}`, {
    field: 'schedule',
  })
}

export function checkTimeZone(timeZone: string): void {
  try {
    new Intl.DateTimeFormat('en', { timeZone })
  } catch {
    throw new AppError('invalid', `timeZone '${timeZone.slice(0, 64)}' is no IANA time zone, such as 'Europe/Berlin'`, {
      field: 'timeZone',
    })
  }
}
