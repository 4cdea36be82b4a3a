import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../base/clock.ts'
import { type Held, LANE_BUFFER_MAX, Lane } from './lane.ts'
import { HELD_MAX, LANE_HELD_ALWAYS, LANES_MAX, LANES_NAMED_MAX, Lanes, PACES_MAX } from './lanes.ts'
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
  const lanes = new Lanes(16, systemClock)
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
  const lanes = new Lanes(16, systemClock)
  const lane = filled(lanes, 'wh_1', 17)
  lane.mayHaveMore = true
  lanes.changed(lane)
  assert.equal(lanes.isAnyHungry, false)
  lane.giveBack(16)
  lanes.changed(lane, 1)
  assert.equal(lanes.isAnyHungry, true)
})

test('lanes: a claim is bounded in lanes and deliveries, reserves its room and serves those first that wait longest', () => {
  const lanes = new Lanes(16, systemClock)
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
  const lanes = new Lanes(16, systemClock)
  filled(lanes, 'wh_1', HELD_MAX)
  const lane = lanes.open('wh_2')!
  assert.equal(lanes.roomOf(lane), LANE_HELD_ALWAYS)
  lanes.add(lane, held(1))
  lanes.add(lane, held(2))
  assert.equal(lanes.roomOf(lane), 0)
})

test('lanes: there is a bound on their number', () => {
  const lanes = new Lanes(16, systemClock)
  for (let number = 0; number < LANES_MAX; number++) lanes.open(`wh_${number}`)
  assert.equal(lanes.open('wh_one_more'), undefined)
  assert.ok(lanes.open('wh_0'))
})

test('lane: takes on the concurrency of its webhook, and what it may hold at its rate', () => {
  const lane = new Lane('wh_1', 16)
  for (let number = 0; number < 32; number++) lane.add(held(number))
  assert.equal(lane.shape({ concurrency: 3 }).length, 0)
  assert.equal(lane.width, 3)
  assert.equal(lane.shape({ concurrency: 3, rate: { count: 5, perSeconds: 1 } }).length, 22)
  lane.shape({ concurrency: 40 })
  assert.deepEqual([lane.width, lane.window], [40, 32])
  assert.equal(lane.shape({}).length, 0)
  assert.equal(lane.width, 16)
})

test('lane: one that was narrowed stays so under another concurrency', () => {
  const lane = new Lane('wh_1', 16)
  lane.learn(10_000, false)
  lane.shape({ concurrency: 32 })
  assert.equal(lane.width, 8)
  lane.shape({ concurrency: 4 })
  assert.equal(lane.width, 4)
})

test('lane: a receiver that wants fewer gets one at a time, and more again with every answer', () => {
  const lane = new Lane('wh_1', 16)
  for (let number = 0; number < 32; number++) lane.add(held(number))
  assert.equal(lane.narrow().length, 30)
  assert.deepEqual([lane.width, lane.window], [1, 2])
  for (let times = 0; times < 3; times++) lane.learn(5, true)
  assert.equal(lane.width, 4)
})

test('lanes: the pace of a lane outlives it, until it allows everything again', () => {
  let now = 0
  const lanes = new Lanes(16, { monotonic: () => now })
  const lane = filled(lanes, 'wh_1', 1)
  lane.pace.throttled(0, 0, 0)
  lane.giveBack(0)
  lanes.changed(lane, 1)
  lanes.forgetPaces()
  const again = filled(lanes, 'wh_1', 1)
  assert.equal(again.pace, lane.pace)
  assert.equal(again.width, 1)
  again.giveBack(0)
  lanes.changed(again, 1)
  now = 61_000
  lanes.forgetPaces()
  assert.notEqual(lanes.open('wh_1')!.pace, lane.pace)
})

test('lanes: paces are bounded', () => {
  const lanes = new Lanes(16, { monotonic: () => 0 })
  for (let number = 0; number <= PACES_MAX; number++) {
    const lane = lanes.open(`wh_${number}`)!
    lane.pace.throttled(0, 0, 0)
    lanes.changed(lane)
  }
  assert.equal(lanes.size, 0)
  assert.equal(lanes.open('wh_0')!.pace.isThrottled, false)
  assert.equal(lanes.open('wh_1')!.pace.isThrottled, true)
})

test('lanes: whatever happens, what is held is counted, in turn, and within its bounds', () => {
  const option = fc.record(
    {
      concurrency: fc.integer({ min: 1, max: 40 }),
      rate: fc.record({ count: fc.integer({ min: 1, max: 30 }), perSeconds: fc.integer({ min: 1, max: 30 }) }),
    },
    { requiredKeys: [] },
  )
  const step = fc.oneof(
    fc.record({ kind: fc.constant('take' as const), count: fc.integer({ min: 1, max: 60 }) }),
    fc.record({ kind: fc.constant('start' as const) }),
    fc.record({ kind: fc.constant('end' as const), tookMs: fc.integer({ min: 0, max: 10_000 }), isAnswered: fc.boolean() }),
    fc.record({ kind: fc.constant('throttle' as const) }),
    fc.record({ kind: fc.constant('shape' as const), option }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const lanes = new Lanes(16, { monotonic: () => 0 })
      const lane = lanes.open('wh_1')!
      // Never empty, so that it stays the same lane.
      lane.mayHaveMore = true
      let concurrency = 16
      let number = 0
      let last = -1
      for (const step of steps) {
        let left = 0
        if (step.kind === 'take')
          for (let room = Math.min(step.count, lanes.roomOf(lane)); room > 0; room--) lanes.add(lane, held(number++))
        if (step.kind === 'start' && lane.canStart) {
          const started = Number(lane.start().delivery.id.slice('dlv_'.length))
          assert.ok(started > last)
          last = started
          assert.ok(lane.posting.size <= concurrency)
        }
        if (step.kind === 'end') {
          const [first] = lane.posting
          if (first !== undefined && lane.posting.delete(first)) left++
          left += lane.learn(step.tookMs, step.isAnswered).length
        }
        if (step.kind === 'throttle') left += lane.narrow().length
        if (step.kind === 'shape') {
          concurrency = step.option.concurrency ?? 16
          left += lane.shape(step.option).length
        }
        // What was given back comes again later, as something new.
        if (left > 0) lanes.changed(lane, left)
        assert.equal(lanes.used, lane.held)
        assert.ok(lane.width >= 1 && lane.width <= concurrency)
        assert.ok(lane.buffered === 0 || lane.held <= Math.max(lane.window, LANE_HELD_ALWAYS))
      }
    }),
  )
})

test('lanes: room for births is what each lane has left; one with a backlog leaves half of its window to claims', () => {
  const lanes = new Lanes(4, systemClock)
  filled(lanes, 'wh_1', 3)
  const behind = filled(lanes, 'wh_2', 3)
  behind.mayHaveMore = true
  const asking = filled(lanes, 'wh_3', 1)
  lanes.reserve(asking, 4)
  assert.deepEqual(lanes.roomForBirths(100), { most: 100, rooms: { wh_1: 5, wh_2: 1, wh_3: 0 }, other: 8 })
})

test('lanes: births find no room where all of it is taken, or with too many lanes to name', () => {
  const full = new Lanes(16, systemClock)
  full.take(HELD_MAX - 10)
  assert.equal(full.roomForBirths(100)?.most, 10)
  full.take(10)
  assert.equal(full.roomForBirths(100), null)
  full.take(-HELD_MAX)
  assert.equal(full.roomForBirths(100)?.most, 100)
  const many = new Lanes(16, systemClock)
  for (let number = 0; number <= LANES_NAMED_MAX; number++) filled(many, `wh_${number}`, 1)
  assert.equal(many.roomForBirths(100), null)
})
