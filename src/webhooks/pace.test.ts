import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { PAUSE_MS, PAUSE_MS_MAX, Pace } from './pace.ts'

const rates = fc.record({ count: fc.integer({ min: 1, max: 20 }), perSeconds: fc.integer({ min: 1, max: 60 }) })
const gaps = fc.array(fc.integer({ min: 0, max: 5 * SECOND_MS }), { minLength: 1, maxLength: 120 })

test('pace: never more starts in any span than its rate says, and none is kept waiting without need', () => {
  fc.assert(
    fc.property(rates, gaps, (rate, gaps) => {
      const pace = new Pace()
      pace.limit(rate)
      const starts: number[] = []
      let now = 0
      for (const gap of gaps) {
        now += gap
        const inSpan = starts.filter((at) => at > now - rate.perSeconds * SECOND_MS).length
        assert.equal(pace.waitMs(now) === 0, inSpan < rate.count)
        if (pace.waitMs(now) > 0) continue
        pace.started(now)
        starts.push(now)
      }
    }),
  )
})

test('pace: whoever waits as long as it says may start then', () => {
  fc.assert(
    fc.property(rates, gaps, (rate, gaps) => {
      const pace = new Pace()
      pace.limit(rate)
      let now = 0
      for (const gap of gaps) {
        now += gap
        now += pace.waitMs(now)
        assert.equal(pace.waitMs(now), 0)
        pace.started(now)
      }
    }),
  )
})

test('pace: another rate counts from the next start, with the starts before', () => {
  const pace = new Pace()
  pace.limit({ count: 3, perSeconds: 10 })
  for (const at of [0, 1000, 2000]) pace.started(at)
  assert.equal(pace.waitMs(2000), 8000)
  pace.limit({ count: 3, perSeconds: 10 })
  assert.equal(pace.waitMs(2000), 8000)
  pace.limit({ count: 1, perSeconds: 3 })
  assert.equal(pace.waitMs(2000), 3000)
  pace.limit(undefined)
  assert.equal(pace.waitMs(2000), 0)
})

const holds = [
  { rate: undefined, heldMax: Number.POSITIVE_INFINITY },
  { rate: { count: 1, perSeconds: 3600 }, heldMax: 2 },
  { rate: { count: 100, perSeconds: 60 }, heldMax: 4 },
  { rate: { count: 50, perSeconds: 1 }, heldMax: 100 },
]
for (const { rate, heldMax } of holds)
  test(`pace: at ${rate === undefined ? 'no rate' : `${rate.count} in ${rate.perSeconds} s`} a lane may hold ${heldMax}`, () => {
    const pace = new Pace()
    pace.limit(rate)
    assert.equal(pace.heldMax, heldMax)
  })

test('pace: many answers of one throttling are one pause', () => {
  const pace = new Pace()
  for (let answer = 0; answer < 16; answer++) pace.throttled(0, 100, 0)
  assert.equal(pace.waitMs(100), PAUSE_MS)
})

test('pace: the pause doubles while the receiver goes on asking, up to a minute, and begins anew after an answer', () => {
  const pace = new Pace()
  const pauses: number[] = []
  let now = 0
  for (let times = 0; times < 9; times++) {
    pace.throttled(now, now, 0)
    pauses.push(pace.waitMs(now))
    now += pace.waitMs(now)
  }
  assert.deepEqual(pauses.slice(0, 4), [1000, 2000, 4000, 8000])
  assert.deepEqual(pauses.slice(-2), [PAUSE_MS_MAX, PAUSE_MS_MAX])
  assert.equal(pace.isThrottled, true)
  assert.equal(pace.unthrottled(now), true)
  assert.equal(pace.isThrottled, false)
  pace.throttled(now, now, 0)
  assert.equal(pace.waitMs(now), PAUSE_MS)
})

test('pace: a good answer to what was under way before the pause does not end it', () => {
  const pace = new Pace()
  pace.throttled(0, 10, 0)
  assert.equal(pace.unthrottled(5), false)
  assert.deepEqual([pace.isThrottled, pace.waitMs(10)], [true, PAUSE_MS])
})

test('pace: the receiver may ask for a longer pause, not for a shorter one', () => {
  const pace = new Pace()
  pace.throttled(0, 0, 2 * MINUTE_MS)
  pace.throttled(0, 1000, 1)
  assert.equal(pace.waitMs(1000), 2 * MINUTE_MS - 1000)
})

test('pace: a pause ends when the webhook is changed; the rate does not', () => {
  const pace = new Pace()
  pace.limit({ count: 1, perSeconds: 10 })
  pace.changed(1)
  pace.started(0)
  pace.throttled(0, 0, 2 * MINUTE_MS)
  pace.changed(1)
  assert.deepEqual([pace.pauseLeftMs(1000), pace.isThrottled], [2 * MINUTE_MS - 1000, true])
  pace.changed(2)
  assert.deepEqual([pace.pauseLeftMs(1000), pace.isThrottled, pace.waitMs(1000)], [0, false, 9000])
})

test('pace: is forgotten when its rate allows everything, and a minute after the last pause', () => {
  const pace = new Pace()
  assert.equal(pace.isForgettable(0), true)
  pace.limit({ count: 5, perSeconds: 10 })
  pace.started(0)
  assert.deepEqual([pace.isForgettable(9999), pace.isForgettable(10_000)], [false, true])
  pace.throttled(20_000, 20_000, 5000)
  assert.deepEqual([pace.isForgettable(84_999), pace.isForgettable(85_000)], [false, true])
})
