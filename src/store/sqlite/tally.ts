import { classOf, SLOW_ANSWER_MS } from '../../base/histogram.ts'
import { MINUTE_MS } from '../../base/units.ts'
import type { Settlement } from '../../webhooks/port.ts'
import { added, GRAINS, TALLY_COLUMNS, TALLY_COUNTS, TOOK_COUNT, TOTAL_COUNTS } from '../tally.ts'
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
  for (const [webhookId, own] of Map.groupBy(settlements, (settlement) => settlement.webhookId)) {
    const counted = own.filter(({ attempt, outcome }) => attempt !== null || outcome.state === 'failed')
    // Nearly always all are of one minute.
    for (const minute of Map.groupBy(counted, ({ endedAt }) => endedAt - (endedAt % MINUTE_MS)).values()) {
      const { endedAt } = minute[0]!
      const counts = countsOf(minute)
      for (const { grain, spanMs } of GRAINS)
        writing.prepare(UPSERT_TALLY).run(webhookId, grain, endedAt - (endedAt % spanMs), PART, ...counts)
    }
    if (own.some(({ outcome }) => outcome.state !== 'waiting')) addTotals(writing, [{ webhookId, ...endsOf(own) }])
  }
}

export function addTotals(writing: Writing, totals: readonly Total[]): void {
  for (const { webhookId, delivered, failed, cancelled } of totals) {
    writing.prepare(UPSERT_TOTAL).run(webhookId, PART, delivered, failed, cancelled)
  }
}

/** In the order of TALLY_COUNTS. */
function countsOf(settlements: readonly Settlement[]): number[] {
  const counts = { attempts: 0, failures: 0, unauthorized: 0, answered: 0, slow: 0, durationMs: 0 }
  const took = new Array<number>(TOOK_COUNT).fill(0)
  for (const { attempt } of settlements) {
    if (attempt === null) continue
    const { error, statusCode, durationMs } = attempt
    counts.attempts += 1
    if (error !== null) counts.failures += 1
    if (statusCode === null) continue
    counts.answered += 1
    if (statusCode === 401) counts.unauthorized += 1
    if (durationMs > SLOW_ANSWER_MS) counts.slow += 1
    counts.durationMs += durationMs
    took[classOf(durationMs)]! += 1
  }
  const { attempts, failures, unauthorized, answered, slow, durationMs } = counts
  const { delivered, failed } = endsOf(settlements)
  return [attempts, failures, unauthorized, answered, slow, durationMs, ...took, delivered, failed]
}

function endsOf(settlements: readonly Settlement[]) {
  const ends = { delivered: 0, failed: 0, cancelled: 0, waiting: 0 }
  for (const { outcome } of settlements) ends[outcome.state] += 1
  return ends
}
