import { CommandError } from './command.ts'

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 }

/** `90s`, `30m`, `24h`, `7d` or `0` in whole seconds. */
export function durationSeconds(flag: string, text: string): number {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? (text === '0' ? ['', '0', 's'] : [])
  if (count === undefined || unit === undefined)
    throw new CommandError(`--${flag} is a duration such as 90s, 30m, 24h or 7d, not ${JSON.stringify(text)}`)
  return Number(count) * UNIT_SECONDS[unit]!
}

/** The same within bounds, which are written as a person would write them. */
export function durationBetween(flag: string, text: string, least: string, most: string): number {
  const seconds = durationSeconds(flag, text)
  if (seconds >= durationSeconds(flag, least) && seconds <= durationSeconds(flag, most)) return seconds
  throw new CommandError(`--${flag} is ${least} to ${most}, not ${text}`)
}
