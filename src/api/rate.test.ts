import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../base/clock.ts'
import { RateWindows } from './rate.ts'

function setUp(callersMax = 10) {
  let now = 1_000
  const clock: Clock = { now: () => now, monotonic: () => now, after: () => () => {} }
  return {
    windows: new RateWindows(clock, 60_000, callersMax),
    ahead(ms: number) {
      now += ms
    },
  }
}

test('a window begins with the first request, counts down, refuses, and begins anew', () => {
  const { windows, ahead } = setUp()
  assert.deepEqual(windows.take('a', 2), { limit: 2, remaining: 1, allowed: true, resetAt: 61_000 })
  ahead(59_999)
  assert.deepEqual(windows.take('a', 2), { limit: 2, remaining: 0, allowed: true, resetAt: 61_000 })
  assert.deepEqual(windows.take('a', 2), { limit: 2, remaining: 0, allowed: false, resetAt: 61_000 })
  assert.equal(windows.look('a', 2).allowed, false)
  ahead(1)
  assert.equal(windows.look('a', 2).allowed, true)
  assert.deepEqual(windows.take('a', 2), { limit: 2, remaining: 1, allowed: true, resetAt: 121_000 })
})

test('callers do not share windows, and looking costs nothing', () => {
  const { windows } = setUp()
  windows.take('a', 1)
  assert.equal(windows.take('a', 1).allowed, false)
  for (let time = 0; time < 5; time += 1) assert.equal(windows.look('b', 1).allowed, true)
  assert.equal(windows.take('b', 1).allowed, true)
})

test('a limit that is lowered within a window leaves nothing, not less', () => {
  const { windows } = setUp()
  for (let time = 0; time < 5; time += 1) windows.take('a', 10)
  assert.equal(windows.take('a', 3).allowed, false)
  assert.ok(windows.take('a', 3).remaining >= 0)
})

test('only so many callers are remembered: the oldest is forgotten', () => {
  const { windows } = setUp(2)
  windows.take('a', 1)
  windows.take('b', 1)
  windows.take('c', 1)
  assert.equal(windows.look('a', 1).allowed, true)
  assert.equal(windows.look('b', 1).allowed, false)
  assert.equal(windows.look('c', 1).allowed, false)
})
