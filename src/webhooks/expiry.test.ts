import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expired, expiresAt, unlessExpired } from './expiry.ts'
import { deliveryOf, NOW, webhookOf } from './testing.ts'

const webhook = webhookOf({ options: { expireAfterSeconds: 60 } })
const delivery = deliveryOf(1)
const AT = NOW + 60_000

test('expiry: counts from the planning, and never comes without the option', () => {
  assert.equal(expiresAt(delivery, webhook), AT)
  assert.equal(expiresAt(delivery, webhookOf()), Number.POSITIVE_INFINITY)
})

const waiting = (dueAt: number) => ({ state: 'waiting', dueAt }) as const
const late = {
  state: 'failed',
  reason: 'expired: not delivered within 60 s, the last attempt failed with: status 503',
  webhookFails: false,
  isExpiry: true,
} as const
const used = { state: 'failed', reason: 'all 5 attempts failed, the last with: status 503', webhookFails: true } as const
const cases = [
  { name: 'a retry before it is made', outcome: waiting(AT - 1), becomes: waiting(AT - 1) },
  { name: 'a retry at that moment is not', outcome: waiting(AT), becomes: late },
  { name: 'a retry long after it is not', outcome: waiting(AT + 3_600_000), becomes: late },
  { name: 'an answer just in time counts', outcome: { state: 'delivered' }, becomes: { state: 'delivered' } },
  { name: 'attempts used up say so', outcome: used, becomes: used },
] as const
for (const { name, outcome, becomes } of cases)
  test(`expiry: ${name}`, () => assert.deepEqual(unlessExpired(outcome, delivery, webhook, 'status 503'), becomes))

test('expiry: without the option every retry is made', () => {
  assert.deepEqual(unlessExpired(waiting(AT + 1), delivery, webhookOf(), 'status 503'), waiting(AT + 1))
})

test('expiry: what has expired ends as failed without an attempt, and leaves the webhook as it is', () => {
  assert.deepEqual(expired(delivery, webhook, 'node_1', AT), {
    ...{ deliveryId: 'dlv_1', webhookId: 'wh_1', orderKey: null, collapseKey: null, node: 'node_1', attempt: null, endedAt: AT },
    outcome: { state: 'failed', reason: 'expired: not delivered within 60 s', webhookFails: false, isExpiry: true },
  })
})
