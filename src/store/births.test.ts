import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deliveryOf } from '../webhooks/testing.ts'
import { claimantIn } from './births.ts'

const ROOM = { node: 'node_1', most: 4, rooms: { wh_full: 0, wh_1: 1 }, other: 2 }

test('births: as many as each webhook has room for, and no more than there is in all', () => {
  const claimantOf = claimantIn(ROOM)
  const of = (webhookId: string) => claimantOf(deliveryOf(1, { webhookId }))
  assert.deepEqual([of('wh_full'), of('wh_1'), of('wh_1')], [null, 'node_1', null])
  assert.deepEqual([of('wh_2'), of('wh_2'), of('wh_2')], ['node_1', 'node_1', null])
  assert.deepEqual([of('wh_3'), of('wh_3')], ['node_1', null])
})

test('births: nothing in an order, and nothing without room', () => {
  assert.equal(claimantIn(ROOM)(deliveryOf(1, { orderKey: 'webhook' })), null)
  assert.equal(claimantIn(null)(deliveryOf(1)), null)
})
