import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EVENT_TYPES, type EventType } from '../events/catalogue.ts'
import { SAMPLES } from '../events/samples.ts'
import { collapseKeyOf, KEY_LENGTH_MAX, keysOf, orderKeyOf } from './order.ts'
import { eventOf } from './testing.ts'

const cases: readonly (readonly [type: EventType, accountId: string | null, data: Record<string, unknown>, key: string])[] = [
  ['file.uploaded', 'acc_1', { path: '/in/a.csv', username: 'kim' }, 'path:acc_1:/in/a.csv'],
  ['file.deleted', 'acc_2', { path: '/in/a.csv', username: 'kim' }, 'path:acc_2:/in/a.csv'],
  ['dir.created', 'acc_1', { path: '/in', username: 'kim' }, 'path:acc_1:/in'],
  ['file.renamed', 'acc_1', { path: '/in/a.csv', previous_path: '/in/a.part' }, 'path:acc_1:/in/a.part'],
  ['file.set_complete', 'acc_1', { paths: ['/a', '/b'], expectation_id: 'exp_1' }, 'expectation:acc_1:exp_1'],
  ['transfer.progress', null, { transferId: 'trf_1', agentId: 'agent_1' }, 'transfer::trf_1'],
  ['transfer.completed', null, { transferId: 'trf_1', agentId: 'agent_1' }, 'transfer::trf_1'],
  ['job.completed', null, { jobId: 'job_1', agentId: 'agent_1' }, 'job::job_1'],
  ['agent.connected', null, { agentId: 'agent_1' }, 'agent::agent_1'],
  ['ftp_user.created', 'acc_1', { username: 'kim' }, 'user:acc_1:kim'],
  ['webhook.failed', 'acc_1', { webhookId: 'wh_1', deliveryId: 'dlv_1' }, 'webhook:acc_1:wh_1'],
  ['alert.raised', null, { alertId: 'alr_1', subjectId: 'wh_1' }, 'alert::wh_1'],
  ['system.error', null, { message: 'disk full' }, 'type::system.error'],
]
for (const [type, accountId, data, key] of cases) {
  test(`order: a webhook in order by key sends ${type} in turn with ${key}`, () => {
    assert.equal(orderKeyOf(eventOf({ type, accountId, data }), { order: 'key' }), key)
  })
}

test('order: every type of the catalogue has a key, and only progress has one without an order', () => {
  for (const type of EVENT_TYPES) {
    const event = eventOf({ type, data: SAMPLES[type] })
    assert.ok(orderKeyOf(event, { order: 'key' }))
    assert.equal(orderKeyOf(event, { order: 'webhook' }), 'webhook')
    assert.equal(orderKeyOf(event, { order: 'none' }) !== null, type === 'transfer.progress', type)
    assert.equal(collapseKeyOf(event) !== null, type === 'transfer.progress', type)
  }
})

test('order: a test is in no order; what is sent again by hand replaces nothing', () => {
  const event = eventOf({ type: 'transfer.progress', data: { transferId: 'trf_1' } })
  assert.deepEqual(keysOf(event, { order: 'none' }, 'event'), { orderKey: 'progress:acc_1:trf_1', collapseKey: 'acc_1:trf_1' })
  assert.deepEqual(keysOf(event, { order: 'none' }, 'resend'), { orderKey: 'progress:acc_1:trf_1', collapseKey: null })
  assert.deepEqual(keysOf(event, { order: 'webhook' }, 'test'), { orderKey: null, collapseKey: null })
})

test('order: keys are bounded, and different paths have different keys', () => {
  const path = fc.string({ maxLength: 3 * KEY_LENGTH_MAX })
  const keyOf = (one: string) => orderKeyOf(eventOf({ data: { path: one } }), { order: 'key' })!
  fc.assert(
    fc.property(path, path, (first, second) => {
      assert.ok(keyOf(first).length <= KEY_LENGTH_MAX)
      assert.equal(keyOf(first) === keyOf(second), first === second)
    }),
  )
})
