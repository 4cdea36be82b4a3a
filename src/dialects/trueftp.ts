import assert from 'node:assert/strict'
import { isoSeconds } from '../base/clock.ts'
import { SECOND_MS } from '../base/units.ts'
import type { Dialect } from './dialect.ts'
import { wellFormedJson } from './json.ts'
import { signatureOf, unixSeconds } from './signature.ts'

/**
 * The webhook contract of TrueFTP. The signature covers the time of the attempt, a dot and the body, so both are new
 * on every attempt while the body stays. Receivers drop duplicates by `delivery_id`, which is that of the header.
 */
export const trueftp: Dialect = {
  name: 'trueftp',
  secretRequired: true,
  signsWithBoth: false,

  body(event, deliveryId) {
    return wellFormedJson({
      event: event.type,
      delivery_id: deliveryId,
      timestamp: isoSeconds(event.occurredAt),
      // The contract has no server-wide events; the member is always a string there, so theirs is empty.
      account_id: event.accountId ?? '',
      data: event.data,
    })
  },

  fixedHeaders: () => null,

  headers(attempt) {
    // The page names no user agent; this is ours.
    return { 'Content-Type': 'application/json', 'User-Agent': 'Landfall/1.0', ...this.signatureHeaders(attempt) }
  },

  signatureHeaders({ deliveryId, eventType, startedAt, body, secret, secretBefore }) {
    assert(secret !== null, 'a delivery in the dialect trueftp is always signed')
    const timestamp = unixSeconds(startedAt)
    return {
      'X-TrueFTP-Event': eventType,
      'X-TrueFTP-Delivery': deliveryId,
      'X-TrueFTP-Timestamp': timestamp,
      'X-TrueFTP-Signature': signatureOf(secretBefore ?? secret, timestamp, '.', body),
    }
  },

  retry: {
    // The page says "exponential backoff (default 3 attempts)"; base, factor and deadline are ours.
    delaysMs: [30 * SECOND_MS, 60 * SECOND_MS],
    jitter: 0,
    retries: () => true,
    endsWebhook: () => false,
    throttles: () => false,
    exhaustionFailsWebhook: false,
    deadlineMs: 10 * SECOND_MS,
  },
}
