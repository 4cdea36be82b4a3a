import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { FAILURES_MAX, type ReceiverName, Receivers } from './receivers.ts'

const SECRET = 'storm-secret'

async function started(t: TestContext): Promise<Receivers> {
  const receivers = new Receivers({ mftplus: SECRET, trueftp: SECRET }, 'seed')
  await receivers.start()
  t.after(() => receivers.stop())
  return receivers
}

/** The status, or null where the connection was cut. */
async function deliver(receivers: Receivers, to: ReceiverName, deliveryId: string, secret = SECRET): Promise<number | null> {
  const body = JSON.stringify({ id: deliveryId, event: 'file.deleted', timestamp: '2026-06-08T12:00:00Z', data: { path: '/ä' } })
  const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
  const headers = { 'x-webhook-id': deliveryId, 'x-webhook-signature': signature }
  const answer = await fetch(receivers.url(to, 'mftplus'), { method: 'POST', body, headers }).catch(() => undefined)
  return answer?.status ?? null
}

test('the healthy receiver takes everything that is signed, and nothing else', async (t) => {
  const receivers = await started(t)
  assert.equal(await deliver(receivers, 'healthy', 'd1'), 204)
  assert.equal(await deliver(receivers, 'healthy', 'd2', 'another secret'), 401)
  assert.deepEqual(
    receivers.posts.map(({ deliveryId, problem, status }) => ({ deliveryId, problem, status })),
    [
      { deliveryId: 'd1', problem: undefined, status: 204 },
      { deliveryId: 'd2', problem: 'signature_mismatch', status: 401 },
    ],
  )
})

test('the recovering receiver fails first, in both ways, and always takes it before the tries end', async (t) => {
  const receivers = await started(t)
  const failures = new Set<number | null>()
  for (let delivery = 0; delivery < 20; delivery++) {
    const statuses: (number | null)[] = []
    while (statuses.at(-1) !== 204 && statuses.length <= FAILURES_MAX + 1)
      statuses.push(await deliver(receivers, 'recovering', `d${delivery}`))
    assert.equal(statuses.pop(), 204)
    assert.ok(statuses.length >= 1 && statuses.length <= FAILURES_MAX, `${statuses.length} failures`)
    for (const status of statuses) failures.add(status)
  }
  assert.deepEqual(failures, new Set([503, null]))
})

test('it tells of a POST before the answer, and of the answer', async (t) => {
  const receivers = await started(t)
  const told: string[] = []
  receivers.onPost = (moment) => told.push(moment)
  await deliver(receivers, 'healthy', 'd1')
  assert.deepEqual(told, ['posted', 'answered'])
})
