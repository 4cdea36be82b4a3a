import type { Settlement, SettleResult } from '../../webhooks/port.ts'
import type { Attempt } from '../../webhooks/webhook.ts'
import { lastErrorOf, storable } from '../rows.ts'
import { replaceStale, unblockFirst } from './order.ts'
import { tally } from './tally.ts'
import type { Writing } from './writing.ts'

/** Writes outcomes, each only while its claim holds: delivery and attempt together, or nothing. */
export function settle(writing: Writing, settlements: readonly Settlement[]): SettleResult[] {
  const written: Settlement[] = []
  const results = settlements.map((settlement): SettleResult => {
    const { deliveryId, webhookId, orderKey, collapseKey, attempt, outcome, endedAt } = settlement
    const isWritten = attempt === null ? putBack(writing, settlement) : settleOne(writing, settlement, attempt)
    if (isWritten) {
      written.push(settlement)
      failWebhook(writing, settlement)
      if (outcome.state !== 'waiting') {
        if (orderKey !== null) unblockFirst(writing, webhookId, orderKey)
      } else if (collapseKey !== null) replaceStale(writing, deliveryId, endedAt)
    }
    return { written: isWritten, webhookState: writing.webhooks.get(webhookId)?.state ?? 'removed' }
  })
  tally(writing, written)
  return results
}

function settleOne(writing: Writing, settlement: Settlement, attempt: Attempt): boolean {
  const { outcome, endedAt } = settlement
  const { changes } = writing
    .prepare(
      `update delivery set state = ?, due_at = ?, settled_at = ?, attempts = ?, last_status_code = ?, last_error = ?, claimed_by = null
       where id = ? and webhook_id = ? and claimed_by = ? and attempts = ? and state = 'waiting'`,
    )
    .run(
      outcome.state,
      outcome.state === 'waiting' ? outcome.dueAt : null,
      outcome.state === 'waiting' ? null : endedAt,
      attempt.number,
      attempt.statusCode,
      lastErrorOf(settlement),
      settlement.deliveryId,
      settlement.webhookId,
      settlement.node,
      attempt.number - 1,
    )
  if (changes === 0) return false
  insertAttempt(writing, settlement, attempt)
  return true
}

function insertAttempt(writing: Writing, { deliveryId, webhookId }: Settlement, attempt: Attempt): void {
  const { number, startedAt, durationMs, statusCode, error, responseHeaders, responseBody } = attempt
  writing
    .prepare(
      `insert into attempt
         (delivery_id, number, webhook_id, started_at, duration_ms, status_code, error, response_headers, response_body)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      deliveryId,
      number,
      webhookId,
      startedAt,
      durationMs,
      statusCode,
      storable(error),
      responseHeaders === null ? null : JSON.stringify(responseHeaders),
      storable(responseBody),
    )
}

/** Our own failure: no attempt was made, nothing is said against the receiver. */
function putBack(writing: Writing, settlement: Settlement): boolean {
  const { deliveryId, webhookId, node, outcome, endedAt } = settlement
  const { changes } = writing
    .prepare(
      `update delivery set state = ?, due_at = ?, settled_at = ?, last_error = coalesce(?, last_error), claimed_by = null
       where id = ? and webhook_id = ? and claimed_by = ? and state = 'waiting'`,
    )
    .run(
      outcome.state,
      outcome.state === 'waiting' ? outcome.dueAt : null,
      outcome.state === 'waiting' ? null : endedAt,
      lastErrorOf(settlement),
      deliveryId,
      webhookId,
      node,
    )
  return changes === 1
}

function failWebhook(writing: Writing, { deliveryId, webhookId, outcome, endedAt }: Settlement): void {
  if (outcome.state !== 'failed' || !outcome.webhookFails) return
  if (writing.webhooks.get(webhookId)?.state !== 'active') return
  writing.changeWebhooks()
  writing
    .prepare(
      `update webhook set state = 'failed', failed_reason = ?, failed_delivery_id = ?, off_since = ?, updated_at = ?
       where id = ? and state = 'active' and removed_at is null`,
    )
    .run(storable(outcome.reason), deliveryId, endedAt, endedAt, webhookId)
}
