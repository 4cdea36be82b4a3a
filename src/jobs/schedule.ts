import { Cron } from 'croner'
import { AppError } from '../base/error.ts'

/** Longest cron expression, characters. */
export const SCHEDULE_CHARACTERS_MAX = 128

/**
 * The moments of a cron expression of five fields in a time zone. A night whose clock skips 02:30 has its run at the first moment after the gap,
 * and a night that has 02:30 twice has it once, the first time; expressions that name every hour run in each of them.
 */
export interface Schedule {
  /** The first moment after this one, ms since 1970 UTC; null: there is none any more. */
  next(after: number): number | null
  /** The moments after `from` up to and including `until`, earliest first; at most `limit`. */
  between(from: number, until: number, limit: number): number[]
}

/** @throws AppError `invalid`, naming `schedule` or `timeZone`, when either is none or no moment ever comes. */
export function createSchedule(expression: string, timeZone: string): Schedule {
  checkTimeZone(timeZone)
  const cron = parse(expression, timeZone)
  const next = (after: number) => cron.nextRun(new Date(after))?.getTime() ?? null
  return {
    next,
    between(from, until, limit) {
      const moments = []
      for (let at = next(from); at !== null && at <= until && moments.length < limit; at = next(at)) moments.push(at)
      return moments
    },
  }
}

/** @throws AppError `invalid` when the expression is none or never due, as seen from `now`. */
export function checkSchedule(expression: string, timeZone: string, now: number): void {
  if (createSchedule(expression, timeZone).next(now) === null)
    throw new AppError('invalid', `schedule '${expression}' names a moment that never comes`, { field: 'schedule' })
}

function parse(expression: string, timeZone: string): Cron {
  const fields = expression.trim().split(/\s+/)
  if (expression.length > SCHEDULE_CHARACTERS_MAX || fields.length !== 5 || fields[0] === '')
    throw notASchedule(
      expression,
      `it has ${expression.trim() === '' ? 0 : fields.length} of the five fields minute, hour, day, month, weekday`,
    )
  try {
    return new Cron(fields.join(' '), { timezone: timeZone, mode: '5-part' })
  } catch (error) {
    throw notASchedule(expression, error instanceof Error ? error.message.replace(/^CronPattern: /, '') : '')
  }
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
