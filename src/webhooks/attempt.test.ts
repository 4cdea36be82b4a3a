import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import type { PostResult } from '../http/exchange.ts'
import type { PostRequest } from '../http/post.ts'
import { AccessTokens } from './access-token.ts'
import { attempt, ownFailure } from './attempt.ts'
import { deliveryOf, NOW, webhookOf } from './testing.ts'

const UNSIGNED = { secret: null, secretBefore: null, options: null }
const signedWith = (secret: string) => ({ ...UNSIGNED, secret })

const fine: PostResult = { kind: 'answered', status: 204, headers: {}, bodyExcerpt: Buffer.alloc(0), durationMs: 5 }

function toolsThat(result: PostResult | Error) {
  const sent: PostRequest[] = []
  const post = async (request: PostRequest) => {
    sent.push(request)
    if (result instanceof Error) throw result
    return result
  }
  return { sent, post, tokens: new AccessTokens(post, systemClock), clock: { ...systemClock, now: () => NOW }, node: 'node_1' }
}

test('attempt: the signature covers the exact bytes that are sent', async () => {
  const tools = toolsThat(fine)
  const delivery = deliveryOf(1, { attempts: 2 })
  const settlement = await attempt(delivery, webhookOf(), signedWith('your-signing-secret'), tools)
  const [request] = tools.sent
  assert.ok(request)
  assert.equal(request.body.toString(), delivery.body)
  const digest = createHmac('sha256', 'your-signing-secret').update(request.body).digest('hex')
  assert.equal(request.headers['X-Webhook-Signature'], `sha256=${digest}`)
  assert.equal(request.headers['X-Webhook-ID'], delivery.id)
  assert.equal(request.deadlineMs, 10_000)
  assert.deepEqual(settlement.outcome, { state: 'delivered' })
  assert.equal(settlement.attempt?.number, 3)
  assert.deepEqual([settlement.node, settlement.deliveryId, settlement.webhookId], ['node_1', 'dlv_1', 'wh_1'])
})

test('attempt: the schedule of the webhook counts from the end', async () => {
  const settlement = await attempt(
    deliveryOf(1),
    webhookOf({ retryDelaysSeconds: [9] }),
    UNSIGNED,
    toolsThat({ ...fine, status: 500 }),
  )
  assert.deepEqual(settlement.outcome, { state: 'waiting', dueAt: NOW + 9000 })
})

test('attempt: the rules are those of the dialect in which the delivery was planned', async () => {
  const settlement = await attempt(
    deliveryOf(1, { dialect: 'trueftp' }),
    webhookOf(),
    signedWith('a secret'),
    toolsThat({ ...fine, status: 401 }),
  )
  assert.deepEqual(settlement.outcome, { state: 'waiting', dueAt: NOW + 30_000 })
})

test('attempt: a delivery that must be signed and cannot be is not sent, but comes to its end', async () => {
  const tools = toolsThat(fine)
  const settlement = await attempt(deliveryOf(1, { dialect: 'trueftp', attempts: 2 }), webhookOf(), UNSIGNED, tools)
  assert.equal(tools.sent.length, 0)
  assert.equal(settlement.outcome.state, 'failed')
  assert.match(settlement.attempt?.error ?? '', /no secret/)
})

test('attempt: a failure of our own is no attempt', async () => {
  await assert.rejects(
    attempt(deliveryOf(1), webhookOf(), UNSIGNED, toolsThat(new AppError('internal', 'no sockets'))),
    /no sockets/,
  )
})

const waits = [
  { failures: 1, waitMs: 1000 },
  { failures: 3, waitMs: 4000 },
  { failures: 7, waitMs: 60_000 },
  { failures: 5000, waitMs: 60_000 },
]
for (const { failures, waitMs } of waits) {
  test(`ownFailure: the ${failures}. in a row waits ${waitMs} ms`, () => {
    const { attempt, outcome } = ownFailure(deliveryOf(1), failures, 'node_1', NOW)
    assert.equal(attempt, null)
    assert.deepEqual(outcome, { state: 'waiting', dueAt: NOW + waitMs })
  })
}
