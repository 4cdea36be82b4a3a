import { classOf, SLOW_ANSWER_MS } from '../../base/histogram.ts'
import type { Settlement } from '../../webhooks/port.ts'
import { added, GRAINS, TALLY_COLUMNS, TALLY_COUNTS, TOTAL_COUNTS } from '../tally.ts'
import type { Writing } from './writing.ts'

/** There is one writer, so there is one part. */
export const PART = 0

const UPSERT_TALLY = `insert into tally (${TALLY_COLUMNS.join(', ')}) values (${TALLY_COLUMNS.map(() => '?').join(', ')})
  on conflict (webhook_id, grain, at, part) do update set ${added('tally', TALLY_COUNTS)}`

const UPSERT_TOTAL = `insert into delivery_total (webhook_id, part, delivered, failed, cancelled) values (?, ?, ?, ?, ?)
  on conflict (webhook_id, part) do update set ${added('delivery_total', TOTAL_COUNTS)}`

export interface Total {
  webhookId: string
  delivered: number
  failed: number
  cancelled: number
}

/** Adds what these written settlements count to the roll-ups: one write for each webhook and span of time. */
export function tally(writing: Writing, settlements: readonly Settlement[]): void {
  for (const { grain, spanMs } of GRAINS) {
    const counted = settlements.filter(({ attempt, outcome }) => attempt !== null || outcome.state === 'failed')
    const spans = Map.groupBy(counted, ({ webhookId, endedAt }) => `${endedAt - (endedAt % spanMs)} ${webhookId}`)
    for (const group of spans.values()) {
      const { webhookId, endedAt } = group[0]!
      writing.prepare(UPSERT_TALLY).run(webhookId, grain, endedAt - (endedAt % spanMs), PART, ...countsOf(group))
    }
  }
  const ended = Map.groupBy(
    settlements.filter(({ outcome }) => outcome.state !== 'waiting'),
    ({ webhookId }) => webhookId,
  )
  addTotals(writing, Array.from(ended, ([webhookId, group]) => ({ webhookId, ...endsOf(group) }))) // biome-ignore format: one line
}

export function addTotals(writing: Writing, totals: readonly Total[]): void {
  for (const { webhookId, delivered, failed, cancelled } of totals) {
    writing.prepare(UPSERT_TOTAL).run(webhookId, PART, delivered, failed, cancelled)
  }
}

/** In the order of TALLY_COUNTS. */
function countsOf(settlements: readonly Settlement[]): number[] {
  const attempts = settlements.flatMap(({ attempt }) => attempt ?? [])
  const answered = attempts.filter((attempt) => attempt.statusCode !== null)
  const took = answered.map((attempt) => classOf(attempt.durationMs))
  const { delivered, failed } = endsOf(settlements)
  return [
    attempts.length,
    attempts.filter((attempt) => attempt.error !== null).length,
    answered.filter((attempt) => attempt.statusCode === 401).length,
    answered.length,
    answered.filter((attempt) => attempt.durationMs > SLOW_ANSWER_MS).length,
    answered.reduce((sum, attempt) => sum + attempt.durationMs, 0),
    ...TALLY_COUNTS.filter((name) => name.startsWith('took_')).map((_, index) => took.filter((each) => each === index).length),
    delivered,
    failed,
  ]
}

function endsOf(settlements: readonly Settlement[]) {
  const count = (state: string) => settlements.filter(({ outcome }) => outcome.state === state).length
  return { delivered: count('delivered'), failed: count('failed'), cancelled: count('cancelled') }
}
