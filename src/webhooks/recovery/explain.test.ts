import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../base/units.ts'
import { deliveryOf, NOW, webhookOf } from '../testing.ts'
import type { Attempt, DeliveryRecord, PlannedDelivery, Webhook } from '../webhook.ts'
import { type ExplainReason, explain, type Standing, span } from './explain.ts'

interface Case {
  name: string
  webhook?: Partial<Webhook>
  delivery: Partial<DeliveryRecord>
  planned?: Partial<PlannedDelivery>
  /** Errors of the attempts so far; a number is the status of the answer, null: delivered. */
  attempts?: readonly (string | number | null)[]
  standing?: Partial<Standing>
  pauseLeftMs?: number
  reason: ExplainReason
  says: RegExp
  /** Null: nobody can say when. */
  next?: number | null
  remedies: readonly string[]
}

const soon = NOW + 90 * SECOND_MS
const waiting = (nextAttemptAt: number | null) => ({ state: 'waiting', nextAttemptAt }) as const
const failed = (lastStatusCode: number | null, lastError: string) => ({ state: 'failed', lastStatusCode, lastError }) as const

const cases: Case[] = [
  {
    name: 'waits for its first attempt',
    delivery: waiting(soon),
    ...{ reason: 'first_attempt', says: /^Its first attempt is in 1 min 30 s\.$/, next: soon, remedies: ['wait'] },
  },
  {
    name: 'is due',
    delivery: waiting(NOW),
    ...{ reason: 'first_attempt', says: /^Attempt 1 is due now\.$/, next: NOW, remedies: ['wait'] },
  },
  {
    name: 'is being posted',
    delivery: waiting(NOW),
    standing: { isInHand: true },
    ...{ reason: 'under_way', says: /^Attempt 1 is under way, or the next to start\.$/, next: NOW, remedies: ['wait'] },
  },
  {
    name: 'has been posted for as long as a receiver may take',
    delivery: waiting(NOW - 9 * SECOND_MS),
    standing: { isInHand: true },
    ...{ reason: 'under_way', says: /^Attempt 1 is under way/, remedies: ['wait'] },
  },
  {
    name: 'waits for the end of a pause',
    planned: { dialect: 'standard' },
    delivery: waiting(NOW - MINUTE_MS),
    standing: { isInHand: true },
    pauseLeftMs: HOUR_MS,
    ...{ reason: 'paused', says: /wants fewer requests, so nothing is sent to it for another 1 h\.$/, next: NOW + HOUR_MS },
    remedies: ['wait', 'change_webhook'],
  },
  {
    name: 'waits for a retry after a status',
    delivery: waiting(NOW + MINUTE_MS),
    attempts: [500],
    ...{ reason: 'retry', says: /^Attempt 1 of 5 failed: status 500\. The next is in 1 min\.$/, next: NOW + MINUTE_MS },
    remedies: ['mend_receiver', 'redeliver'],
  },
  {
    name: 'waits for a retry after a timeout',
    delivery: waiting(NOW + 5 * MINUTE_MS),
    attempts: [500, 'timed out after 10 s waiting for the answer'],
    ...{ reason: 'retry', says: /^Attempt 2 of 5 failed: timed out after 10 s .*\. The next is in 5 min\.$/ },
    remedies: ['mend_receiver', 'redeliver'],
  },
  {
    name: 'waits for a retry of its own schedule, and expires one day',
    webhook: { retryDelaysSeconds: [60], options: { expireAfterSeconds: 7_200 } },
    delivery: waiting(NOW + MINUTE_MS),
    attempts: [500],
    ...{ reason: 'retry', says: /Attempt 1 of 2 failed.*The next is in 1 min\. It expires in 2 h\.$/ },
    remedies: ['mend_receiver', 'redeliver'],
  },
  {
    name: 'waits for a retry that comes after its expiry',
    webhook: { retryDelaysSeconds: [600], options: { expireAfterSeconds: 30 } },
    delivery: waiting(NOW + 10 * MINUTE_MS),
    attempts: [500],
    ...{ reason: 'retry', says: /^Attempt 1 of 2 failed: status 500\. It expires in 30 s, before another attempt is due\.$/ },
    ...{ next: null, remedies: ['mend_receiver', 'redeliver'] },
  },
  {
    name: 'waits for a retry that the schedule has no more',
    webhook: { retryDelaysSeconds: [600] },
    delivery: waiting(NOW + 10 * MINUTE_MS),
    attempts: [500, 500, 500],
    ...{ reason: 'retry', says: /^Attempt 3 failed: status 500\. The next is in 10 min\.$/, next: NOW + 10 * MINUTE_MS },
    remedies: ['mend_receiver', 'redeliver'],
  },
  {
    name: 'was asked to wait by Retry-After',
    delivery: waiting(NOW + HOUR_MS),
    attempts: [429],
    ...{ reason: 'retry_after', says: /asked with Retry-After to be left alone; the next attempt is in 1 h\.$/ },
    remedies: ['wait', 'redeliver'],
  },
  {
    name: 'is behind another in its order',
    webhook: { order: 'key' },
    delivery: waiting(NOW),
    standing: { blockedBy: 'dlv_7' },
    ...{ reason: 'in_order', says: /waits for delivery dlv_7, .*\(order: key\)/, next: null },
    remedies: ['look_at_other', 'change_webhook'],
  },
  {
    name: 'is newer than what is under way of the same thing, without an order',
    delivery: waiting(NOW),
    planned: { collapseKey: 'transfer:trf_1' },
    standing: { blockedBy: 'dlv_7' },
    ...{ reason: 'in_order', says: /newest state of what delivery dlv_7 speaks of/, next: null },
    remedies: ['look_at_other'],
  },
  {
    name: 'is progress of one transfer behind the file of another',
    webhook: { order: 'webhook' },
    delivery: waiting(NOW),
    planned: { collapseKey: 'transfer:trf_1' },
    standing: { blockedBy: 'dlv_7' },
    ...{ reason: 'in_order', says: /waits for delivery dlv_7, .*\(order: webhook\)/, next: null },
    remedies: ['look_at_other', 'change_webhook'],
  },
  {
    name: 'waits for a webhook that is inactive',
    webhook: { state: 'inactive' },
    delivery: waiting(null),
    ...{ reason: 'webhook_inactive', says: /the webhook is inactive/, next: null, remedies: ['activate'] },
  },
  {
    name: 'waits for a webhook that has failed',
    webhook: { state: 'failed', failedReason: 'all 5 attempts failed', failedDeliveryId: 'dlv_3' },
    delivery: waiting(null),
    ...{ reason: 'webhook_failed', says: /turned off by delivery dlv_3 \(all 5 attempts failed\)/, next: null },
    remedies: ['mend_receiver', 'activate'],
  },
  {
    name: 'is held back by the rate',
    webhook: { options: { rate: { count: 5, perSeconds: 60 } } },
    delivery: waiting(NOW - MINUTE_MS),
    standing: { isInHand: true },
    ...{ reason: 'rate_limited', says: /due for 1 min .* rate of this webhook: 5 in 60 s/, remedies: ['wait', 'change_webhook'] },
  },
  {
    name: 'is held back by a slow receiver',
    delivery: waiting(NOW - MINUTE_MS),
    ...{
      reason: 'receiver_busy',
      says: /more is due than the receiver answers in that time\.$/,
      remedies: ['wait', 'mend_receiver'],
    },
  },
  {
    name: 'is held back by a receiver that may have asked for less',
    planned: { dialect: 'standard' },
    delivery: waiting(NOW - MINUTE_MS),
    ...{
      reason: 'receiver_busy',
      says: /answers of 429, 502 or 504 made it go one at a time/,
      remedies: ['wait', 'mend_receiver'],
    },
  },
  {
    name: 'was delivered at once',
    delivery: { state: 'delivered', lastStatusCode: 204 },
    attempts: [null],
    ...{ reason: 'delivered', says: /took it with the first attempt with status 204\.$/, next: null, remedies: ['redeliver'] },
  },
  {
    name: 'was delivered after failures',
    delivery: { state: 'delivered', lastStatusCode: 200 },
    attempts: [500, 503, null],
    ...{ reason: 'delivered', says: /attempt 3 with status 200\. The one before failed: status 503\.$/, remedies: ['redeliver'] },
  },
  {
    name: 'failed with a 401',
    delivery: failed(401, 'status 401'),
    attempts: [401],
    ...{ reason: 'not_retried', says: /answered 401 to attempt 1, which the dialect mftplus does not try again/, next: null },
    remedies: ['mend_receiver', 'redeliver'],
  },
  {
    name: 'failed with a 410 where that ends the webhook',
    delivery: failed(410, 'status 410'),
    planned: { dialect: 'standard' },
    attempts: [410],
    ...{
      reason: 'receiver_gone',
      says: /answered 410: it wants nothing more/,
      remedies: ['mend_receiver', 'activate', 'redeliver'],
    },
  },
  {
    name: 'used up its attempts',
    delivery: failed(500, 'status 500'),
    attempts: [500, 500, 500, 500, 500],
    ...{ reason: 'attempts_used_up', says: /^All 5 attempts failed, the last with: status 500\.$/ },
    remedies: ['mend_receiver', 'redeliver'],
  },
  {
    name: 'used up its attempts and turned the webhook off',
    webhook: { failedDeliveryId: 'dlv_1' },
    delivery: failed(null, 'connection refused'),
    attempts: ['x', 'x', 'x', 'x', 'connection refused'],
    ...{ reason: 'attempts_used_up', says: /connection refused\. The webhook was turned off by it\.$/ },
    remedies: ['mend_receiver', 'activate', 'redeliver'],
  },
  {
    name: 'expired before any attempt',
    delivery: failed(null, 'expired: not delivered within 60 s'),
    ...{ reason: 'expired', says: /^Expired: not delivered within 60 s\.$/, remedies: ['redeliver'] },
  },
  {
    name: 'expired between attempts',
    delivery: failed(500, 'expired: not delivered within 60 s, the last attempt failed with: status 500'),
    attempts: [500],
    ...{
      reason: 'expired',
      says: /^Expired: not delivered within 60 s, the last attempt failed with: status 500\.$/,
      remedies: ['mend_receiver', 'redeliver'],
    },
  },
  {
    name: 'used up the attempts that there were, whatever schedule and expiry the webhook has got since',
    webhook: { retryDelaysSeconds: [1, 1, 1, 1, 1, 1], options: { expireAfterSeconds: 60 } },
    delivery: failed(500, 'status 500'),
    attempts: [500, 500, 500],
    ...{ reason: 'attempts_used_up', says: /^All 3 attempts failed, the last with: status 500\.$/ },
    remedies: ['mend_receiver', 'redeliver'],
  },
  {
    name: 'was superseded',
    delivery: { state: 'cancelled', lastError: 'superseded by dlv_9' },
    ...{ reason: 'superseded', says: /\(superseded by dlv_9\)/, next: null, remedies: ['redeliver'] },
  },
  {
    name: 'was cancelled with its replay',
    delivery: { state: 'cancelled', lastError: 'the replay was cancelled' },
    planned: { replayId: 'rpl_1', cause: 'resend' },
    ...{ reason: 'replay_cancelled', says: /replay rpl_1, which was cancelled/, remedies: ['replay', 'redeliver'] },
  },
  {
    name: 'was cancelled with its webhook',
    delivery: { state: 'cancelled', lastError: 'status 500' },
    attempts: [500],
    ...{ reason: 'webhook_removed', says: /its webhook was removed/, remedies: [] },
  },
  {
    name: 'was cancelled because its change was undone',
    delivery: { state: 'cancelled' },
    ...{ reason: 'change_undone', says: /its change was undone, or its webhook was removed/, remedies: [] },
  },
]

for (const {
  name,
  webhook,
  delivery,
  planned,
  attempts = [],
  standing,
  pauseLeftMs = 0,
  reason,
  says,
  next,
  remedies,
} of cases) {
  test(`a delivery that ${name}: ${reason}`, () => {
    const { attempts: _attempts, ...made } = deliveryOf(1, planned)
    const log = attempts.map((error, index): Attempt => {
      const statusCode = typeof error === 'number' ? error : error === null ? 200 : null
      const told = typeof error === 'number' ? `status ${error}` : error
      const result = { statusCode, error: told, responseHeaders: null, responseBody: null }
      return { number: index + 1, startedAt: NOW - SECOND_MS, durationMs: SECOND_MS, ...result }
    })
    const explained = explain({
      webhook: webhookOf(webhook),
      delivery: {
        ...{ id: made.id, eventId: made.eventId, eventType: made.eventType, webhookId: made.webhookId, cause: made.cause },
        ...{ state: 'waiting', attempts: log.length, nextAttemptAt: null, createdAt: NOW, settledAt: null },
        ...{ lastStatusCode: log.at(-1)?.statusCode ?? null, lastError: log.at(-1)?.error ?? null },
        ...delivery,
      },
      planned: made,
      attempts: log,
      standing: { isInHand: false, blockedBy: null, ...standing },
      ...{ pauseLeftMs, now: NOW },
    })
    assert.deepEqual([explained.state, explained.reason], [delivery.state, reason])
    assert.match(explained.sentence, says)
    assert.deepEqual(
      explained.remedies.map(({ action }) => action),
      remedies,
    )
    if (next !== undefined) assert.equal(explained.nextAttemptAt, next)
  })
}

test('spans have two units at most', () => {
  const spans = [0, 59, 60, 3_599, 3_600, 90_000, 172_800].map((seconds) => span(seconds * SECOND_MS))
  assert.deepEqual(spans, ['1 s', '59 s', '1 min', '59 min 59 s', '1 h', '1 d 1 h', '2 d'])
})

const elsewhere = [
  { error: 'certificate chain ends in an unknown authority', hint: /tls\.ca/ },
  { error: 'certificate is self-signed', hint: /tls\.ca/ },
  { error: 'receiver asks for a client certificate', hint: /tls\.certificate/ },
  { error: 'no access token: its endpoint answered with status 401 (invalid_client)', hint: /token endpoint/ },
  { error: 'proxy: connection refused', hint: /mend the proxy/ },
  { error: 'proxy: host name not found', hint: /mend the proxy/ },
  { error: 'host name not found', hint: /url and its DNS/ },
  { error: '10.1.2.3 is in 10.0.0.0/8 (private use); LANDFALL_EGRESS_ALLOW can open it', hint: /open it with the setting/ },
  { error: '10.1.2.3 is in 10.0.0.0/8 (private use); egressAllow of the account can open it', hint: /open it with the setting/ },
]
for (const { error, hint } of elsewhere) {
  test(`what is not the receiver’s fault is mended elsewhere: ${error}`, () => {
    const [first] = explained(error, { state: 'active' }).remedies
    assert.equal(first?.action, 'change_webhook')
    assert.match(first?.hint ?? '', hint)
  })
}

test('sending it again is said to start at once only where it does', () => {
  const hintOf = (state: Webhook['state'], pauseLeftMs = 0) =>
    explained('status 500', { state }, pauseLeftMs).remedies.find(({ action }) => action === 'redeliver')?.hint
  assert.match(hintOf('active')!, /starts at once/)
  for (const state of ['failed', 'inactive'] as const) assert.match(hintOf(state)!, /starts when the webhook is active/)
  assert.match(hintOf('active', MINUTE_MS)!, /starts in 1 min, when the pause/)
})

/** A delivery that used up its attempts. */
function explained(lastError: string, webhook: Partial<Webhook>, pauseLeftMs = 0) {
  const planned = deliveryOf(1)
  const { id, eventId, eventType, webhookId, cause } = planned
  return explain({
    webhook: webhookOf(webhook),
    delivery: {
      ...{ id, eventId, eventType, webhookId, cause, state: 'failed', attempts: 5, nextAttemptAt: null },
      ...{ createdAt: NOW, settledAt: NOW, lastStatusCode: null, lastError },
    },
    ...{ planned, attempts: [], standing: { isInHand: false, blockedBy: null }, pauseLeftMs, now: NOW },
  })
}
