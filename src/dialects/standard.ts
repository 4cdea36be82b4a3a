import assert from 'node:assert/strict'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts'
import type { AttemptFacts, Dialect, RetryRules } from './dialect.ts'
import { onceAnEvent, wellFormedJson } from './json.ts'
import { standardSignature } from './key.ts'
import { unixSeconds } from './signature.ts'

/** "Deliverability and reliability", "Delivery success and failure", "Request timeouts". */
export const STANDARD_RETRY: RetryRules = {
  delaysMs: [
    ...[5 * SECOND_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS],
    ...[10 * HOUR_MS, 14 * HOUR_MS, 20 * HOUR_MS, 24 * HOUR_MS],
  ],
  // "some level of random jitter"; how much is ours.
  jitter: 0.2,
  retries: (status) => status !== 410,
  endsWebhook: (status) => status === 410,
  throttles: (status) => status === 429 || status === 502 || status === 504,
  exhaustionFailsWebhook: true,
  // "somewhere between 15 and 30s".
  deadlineMs: 15 * SECOND_MS,
}

/**
 * Standard Webhooks 1.0.0. The signature covers the id, the time of the attempt and the body. The id is the event's, so
 * that a receiver knows a retry, a resend and a replay for what they are. Several signatures are separated by spaces.
 */
export const standard: Dialect = {
  name: 'standard',
  secretRequired: true,
  signsWithBoth: true,

  body: onceAnEvent((event) => {
    const timestamp = new Date(event.occurredAt).toISOString()
    return wellFormedJson({ type: event.type, timestamp, data: event.data })
  }),

  fixedHeaders: () => null,

  headers(attempt) {
    return { 'Content-Type': 'application/json', 'User-Agent': 'Landfall/1.0', ...this.signatureHeaders(attempt) }
  },

  signatureHeaders(attempt) {
    assert(attempt.secret !== null, 'a delivery in the dialect standard is always signed')
    return standardHeaders(attempt)
  },

  retry: STANDARD_RETRY,
}

/** "Webhook headers", "Signature scheme". */
export function standardHeaders({ eventId, startedAt, body, secret, secretBefore }: AttemptFacts): Record<string, string> {
  const timestamp = unixSeconds(startedAt)
  const headers = { 'webhook-id': eventId, 'webhook-timestamp': timestamp }
  if (secret === null) return headers
  const content = Buffer.concat([Buffer.from(`${eventId}.${timestamp}.`), body])
  const secrets = secretBefore === null ? [secret] : [secret, secretBefore]
  return { ...headers, 'webhook-signature': secrets.map((one) => standardSignature(one, content)).join(' ') }
}
