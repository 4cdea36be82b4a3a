import { AppError } from '../../base/error.ts'
import { TOOK_BOUNDS_MS } from '../../base/histogram.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../base/units.ts'

/** What was counted over a time: the sum of rows of the roll-ups. */
export interface Tally {
  readonly attempts: number
  /** Attempts that did not count as delivered. */
  readonly failures: number
  /** Answered 401. */
  readonly unauthorized: number
  readonly answered: number
  /** Answered after more than `SLOW_ANSWER_MS`. */
  readonly slow: number
  /** Of all that were answered, together. */
  readonly durationMs: number
  /** Those that were answered, by the class of their duration; see `TOOK_BOUNDS_MS`. */
  readonly took: readonly number[]
  /** Deliveries that ended. */
  readonly delivered: number
  readonly failed: number
}

/** What a tally says to people. Shares are from 0 to 1; null where nothing was counted that could have one. */
export interface Figures {
  readonly attempts: number
  readonly failures: number
  readonly successRate: number | null
  readonly failureRate: number | null
  readonly averageMs: number | null
  readonly p50Ms: number | null
  readonly p95Ms: number | null
  readonly p99Ms: number | null
  readonly slow: number
  readonly unauthorized: number
  readonly delivered: number
  readonly failed: number
}

export function figuresOf(tally: Tally): Figures {
  const { attempts, failures, answered, slow, durationMs, took, unauthorized, delivered, failed } = tally
  return {
    attempts,
    failures,
    successRate: attempts === 0 ? null : rounded((attempts - failures) / attempts, SHARE_DIGITS),
    failureRate: attempts === 0 ? null : rounded(failures / attempts, SHARE_DIGITS),
    averageMs: answered === 0 ? null : rounded(durationMs / answered, MS_DIGITS),
    p50Ms: quantile(took, 0.5),
    p95Ms: quantile(took, 0.95),
    p99Ms: quantile(took, 0.99),
    ...{ slow, unauthorized, delivered, failed },
  }
}

const SHARE_DIGITS = 4
const MS_DIGITS = 1

/**
 * The duration, ms, that this share of the answers did not exceed. Known to the class only: inside it answers are taken to be spread
 * evenly. The last class has no upper bound and counts as its lower one, which reads as "at least". Null without any answer.
 */
export function quantile(took: readonly number[], share: number): number | null {
  const total = took.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  let left = share * total
  for (const [index, count] of took.entries()) {
    if (left <= count && count > 0) {
      const from = index === 0 ? 0 : TOOK_BOUNDS_MS[index - 1]!
      const to = TOOK_BOUNDS_MS[index] ?? from
      return rounded(from + ((to - from) * left) / count, MS_DIGITS)
    }
    left -= count
  }
  return TOOK_BOUNDS_MS.at(-1)!
}

export type Grain = 'minute' | 'hour'
const GRAIN_MS: Record<Grain, number> = { minute: MINUTE_MS, hour: HOUR_MS }

/** A time that figures are asked for, as it can be answered: rows begin at whole minutes or hours. */
export interface StatsWindow {
  readonly grain: Grain
  readonly from: number
  readonly until: number
}

const WINDOW_MS_MIN = 5 * MINUTE_MS
const WINDOW_MS_MAX = 30 * DAY_MS
export const WINDOW_DEFAULT = '1h'
/** Longer windows are read by the hour: at most 720 rows a writer instead of 43,200. */
const WINDOW_BY_MINUTE_MS_MAX = 2 * HOUR_MS
const UNIT_MS = { m: MINUTE_MS, h: HOUR_MS, d: DAY_MS } as const

/** The window that a text such as `5m`, `1h` or `30d` means now. @throws AppError `invalid` */
export function windowNamed(text: string, now: number): StatsWindow {
  const parts = /^([1-9]\d{0,4})([mhd])$/.exec(text)
  const span = parts === null ? Number.NaN : Number(parts[1]) * UNIT_MS[parts[2] as keyof typeof UNIT_MS]
  if (!(span >= WINDOW_MS_MIN && span <= WINDOW_MS_MAX)) {
    const message = `window is a span from 5m to 30d such as 5m, 1h or 7d, not ${JSON.stringify(text.slice(0, 20))}`
    throw new AppError('invalid', message, { field: 'window' })
  }
  return windowOf(span, now)
}

/** The last `spanMs` until now, widened to where the first row that has a part in it begins. */
export function windowOf(spanMs: number, now: number): StatsWindow {
  const grain = spanMs <= WINDOW_BY_MINUTE_MS_MAX ? 'minute' : 'hour'
  return { grain, from: beginOf(now - spanMs, grain), until: now }
}

/** When the minute or hour of a time begins. */
export function beginOf(at: number, grain: Grain): number {
  return at - (at % GRAIN_MS[grain])
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
