import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Held, LANE_BUFFER_MAX, Lane } from './lane.ts'
import { HELD_MAX, LANE_HELD_ALWAYS, LANES_MAX, Lanes } from './lanes.ts'
import { deliveryOf } from './testing.ts'

function held(number: number): Held {
  return { delivery: deliveryOf(number), written: null }
}

function filled(lanes: Lanes, webhookId: string, count: number): Lane {
  const lane = lanes.open(webhookId)!
  for (let number = 0; number < count; number++) lanes.add(lane, held(number))
  lanes.changed(lane)
  return lane
}

test('lane: a receiver that hangs narrows it to one post and gives back what waits', () => {
  const lane = new Lane('wh_1', 16)
  for (let number = 0; number < 32; number++) lane.add(held(number))
  const given = [1, 2, 3, 4, 5].flatMap(() => lane.learn(10_000, false))
  assert.equal(lane.width, 1)
  assert.equal(lane.window, 2)
  assert.equal(given.length, 30)
  assert.equal(lane.start().delivery.id, 'dlv_0')
})

test('lane: a slow receiver keeps its posts at once and loses only the stock behind them', () => {
  const lane = new Lane('wh_1', 16)
  for (let times = 0; times < 10; times++) lane.learn(5000, true)
  assert.deepEqual([lane.width, lane.window], [16, 32])
})

test('lane: a quick receiver is trusted with more, up to the bound', () => {
  const lane = new Lane('wh_1', 16)
  for (let times = 0; times < 2 * LANE_BUFFER_MAX; times++) lane.learn(3, true)
  assert.deepEqual([lane.width, lane.window], [16, LANE_BUFFER_MAX])
})

test('lane: a refused connection is quick and narrows nothing', () => {
  const lane = new Lane('wh_1', 4)
  lane.learn(1, false)
  assert.equal(lane.width, 4)
})

test('lane: starts no more than its width, oldest first', () => {
  const lane = new Lane('wh_1', 2)
  for (let number = 0; number < 3; number++) lane.add(held(number))
  assert.deepEqual([lane.start().delivery.id, lane.start().delivery.id, lane.canStart], ['dlv_0', 'dlv_1', false])
})

test('lanes: an empty lane is dropped, one that may have more is not', () => {
  const lanes = new Lanes(16)
  const lane = filled(lanes, 'wh_1', 1)
  lane.giveBack(0)
  lane.mayHaveMore = true
  lanes.changed(lane, 1)
  assert.equal(lanes.size, 1)
  lane.mayHaveMore = false
  lanes.changed(lane)
  assert.deepEqual([lanes.size, lanes.used], [0, 0])
})

test('lanes: only a lane that has used half of its window wants a claim', () => {
  const lanes = new Lanes(16)
  const lane = filled(lanes, 'wh_1', 17)
  lane.mayHaveMore = true
  lanes.changed(lane)
  assert.equal(lanes.isAnyHungry, false)
  lane.giveBack(16)
  lanes.changed(lane, 1)
  assert.equal(lanes.isAnyHungry, true)
})

test('lanes: a claim is bounded in lanes and deliveries, reserves its room and serves those first that wait longest', () => {
  const lanes = new Lanes(16)
  for (const id of ['wh_1', 'wh_2', 'wh_3']) {
    const lane = lanes.open(id)!
    lane.mayHaveMore = true
    lanes.changed(lane)
  }
  const first = lanes.nextHungry(2, 40)
  assert.deepEqual(
    Array.from(first, ([lane, room]) => [lane.webhookId, room]),
    [
      ['wh_1', 32],
      ['wh_2', 8],
    ],
  )
  assert.equal(lanes.used, 40)
  for (const lane of first.keys()) lanes.changed(lane)
  assert.deepEqual(
    Array.from(lanes.nextHungry(2, 40).keys(), (lane) => lane.webhookId),
    ['wh_3'],
  )
})

test('lanes: when others hold everything, a lane may still hold a little', () => {
  const lanes = new Lanes(16)
  filled(lanes, 'wh_1', HELD_MAX)
  const lane = lanes.open('wh_2')!
  assert.equal(lanes.roomOf(lane), LANE_HELD_ALWAYS)
  lanes.add(lane, held(1))
  lanes.add(lane, held(2))
  assert.equal(lanes.roomOf(lane), 0)
})

test('lanes: there is a bound on their number', () => {
  const lanes = new Lanes(16)
  for (let number = 0; number < LANES_MAX; number++) lanes.open(`wh_${number}`)
  assert.equal(lanes.open('wh_one_more'), undefined)
  assert.ok(lanes.open('wh_0'))
})
