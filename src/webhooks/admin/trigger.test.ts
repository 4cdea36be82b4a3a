import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SERVER_CALLER } from '../../audit/caller.ts'
import type { RecordedEvent } from '../../events/event.ts'
import { NOW, webhookOf } from '../testing.ts'
import type { DeliveryRecord, Webhook } from '../webhook.ts'
import { createTrigger, TRIGGERED_MAX } from './trigger.ts'

const STORED = [
  webhookOf({ id: 'wh_all', events: ['*'] }),
  webhookOf({ id: 'wh_group', events: ['transfer.*'] }),
  webhookOf({ id: 'wh_other', events: ['file.uploaded'] }),
  webhookOf({ id: 'wh_off', events: ['*'], state: 'inactive' }),
]

function triggerOf(webhooks: readonly Webhook[] = STORED) {
  const shown: RecordedEvent[] = []
  const { trigger } = createTrigger({
    webhooks: {
      get: async (id) => webhooks.find((webhook) => webhook.id === id)!,
      list: async (_filter, { limit, offset }) => ({ rows: webhooks.slice(offset, offset + limit), total: webhooks.length }),
      test: async (webhookId, eventType) => ({ webhookId, eventType }) as DeliveryRecord,
    },
    show: (sample) => shown.push(sample),
    clock: { now: () => NOW },
  })
  return { trigger, shown }
}

test('a sample goes to the active webhooks that subscribe to its type, and to whoever listens', async () => {
  const { trigger, shown } = triggerOf()
  const { deliveries, listeners } = await trigger('transfer.failed', {}, SERVER_CALLER)
  assert.deepEqual(
    deliveries.map(({ webhook, delivery }) => [webhook.id, delivery.webhookId, delivery.eventType]),
    [
      ['wh_all', 'wh_all', 'transfer.failed'],
      ['wh_group', 'wh_group', 'transfer.failed'],
    ],
  )
  assert.equal(listeners, 1)
  assert.deepEqual(
    shown.map(({ type, accountId }) => [type, accountId]),
    [['transfer.failed', null]],
  )
})

test('one that is named gets it whether it subscribes or not, and nobody else does', async () => {
  const { trigger, shown } = triggerOf()
  const { deliveries, listeners } = await trigger('transfer.failed', { webhookId: 'wh_other' }, SERVER_CALLER)
  assert.deepEqual([deliveries.length, deliveries[0]!.webhook.id, listeners, shown.length], [1, 'wh_other', 0, 0])
})

/** As many active ones of a type; no page has only those. */
const many = (count: number) =>
  Array.from({ length: count }, (_, index) => [
    webhookOf({ id: `wh_other${index}`, events: ['file.uploaded'] }),
    webhookOf({ id: `wh_off${index}`, state: 'inactive' }),
    webhookOf({ id: `wh_for${index}`, events: ['transfer.*'] }),
  ]).flat()

test('among many webhooks only those count that the sample would go to', async () => {
  const { trigger } = triggerOf(many(TRIGGERED_MAX))
  const { deliveries } = await trigger('transfer.failed', {}, SERVER_CALLER)
  assert.deepEqual(
    deliveries.map(({ webhook }) => webhook.id),
    Array.from({ length: TRIGGERED_MAX }, (_, index) => `wh_for${index}`),
  )
})

test('one that moves to the next page while it is looked at is sent to once', async () => {
  const rows = Array.from({ length: 101 }, (_, index) =>
    webhookOf({ id: `wh_${index === 100 ? 99 : index}`, events: index < 99 ? ['file.uploaded'] : ['*'] }),
  )
  const { deliveries } = await triggerOf(rows).trigger('transfer.failed', {}, SERVER_CALLER)
  assert.deepEqual(
    deliveries.map(({ webhook }) => webhook.id),
    ['wh_99'],
  )
})

test('a type that does not exist, and more webhooks than a sample goes to, are refused before anything is sent', async () => {
  const { trigger, shown } = triggerOf(many(TRIGGERED_MAX + 1))
  await assert.rejects(trigger('transfer.fail', {}, SERVER_CALLER), {
    code: 'invalid',
    message: /did you mean "transfer.failed"/,
  })
  await assert.rejects(trigger('transfer.failed', {}, SERVER_CALLER), {
    code: 'limit_reached',
    message: /more than 100 active webhooks subscribe to transfer.failed, .* at most 100: name one/,
  })
  assert.equal(shown.length, 0)
})
