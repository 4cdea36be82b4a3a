import { isoSeconds } from '../base/clock.ts'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts'
import type { Dialect } from './dialect.ts'
import { onceAnEvent, wellFormedJson } from './json.ts'
import { signatureOf, unixSeconds } from './signature.ts'

/**
 * The webhook contract of MFTPlus. The signature covers the body alone; the timestamp is that of the attempt and not
 * signed. Receivers drop duplicates by the body's `id`, which is the event's and the same for every webhook.
 */
export const mftplus: Dialect = {
  name: 'mftplus',
  secretRequired: false,
  signsWithBoth: false,

  body: onceAnEvent((event) =>
    wellFormedJson({ id: event.id, event: event.type, timestamp: isoSeconds(event.occurredAt), data: event.data }),
  ),

  fixedHeaders: () => null,

  headers(attempt) {
    return { 'Content-Type': 'application/json', 'User-Agent': 'MFTPlus-Webhook/1.0', ...this.signatureHeaders(attempt) }
  },

  signatureHeaders({ deliveryId, startedAt, body, secret, secretBefore }) {
    const headers = { 'X-Webhook-ID': deliveryId, 'X-Webhook-Timestamp': unixSeconds(startedAt) }
    const key = secretBefore ?? secret
    return key === null ? headers : { ...headers, 'X-Webhook-Signature': signatureOf(key, body) }
  },

  retry: {
    // "Retry Policy": four retries after the first attempt, each delay from the attempt before.
    delaysMs: [1 * MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS],
    jitter: 0,
    // "Common Errors": 401 is the one answer that is final; every other one that is not 2xx is tried again.
    retries: (status) => status !== 401,
    endsWebhook: () => false,
    throttles: () => false,
    exhaustionFailsWebhook: true,
    deadlineMs: 10 * SECOND_MS,
  },
}
