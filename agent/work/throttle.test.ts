import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { movingClock } from '../../src/base/testing.ts'
import { createThrottle } from './throttle.ts'

test('never more than the rate and one burst goes through, and not much less', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 10_000_000 }),
      fc.array(fc.record({ share: fc.double({ min: 0.01, max: 1, noNaN: true }), pauseMs: fc.integer({ min: 0, max: 50 }) }), {
        minLength: 1,
        maxLength: 60,
      }),
      async (rate, asks) => {
        const { clock, moveTo, timers } = movingClock()
        const throttle = createThrottle(rate, clock)
        let sent = 0
        for (const { share, pauseMs } of asks) {
          if (pauseMs > 0) await moveTo(clock.now() + pauseMs)
          const bytes = Math.max(1, Math.floor(throttle.bytesMax * share))
          const taking = throttle.take(bytes)
          const next = [...timers][0]
          if (next !== undefined) await moveTo(next.at)
          await taking
          sent += bytes
          // A burst at the beginning and the one that is just going.
          assert.ok(sent <= (rate * clock.now()) / 1000 + 2 * Math.max(1, rate / 10) + 1, `${sent} after ${clock.now()} ms`)
        }
      },
    ),
    { numRuns: 50 },
  )
})

test('without pauses it takes as long as the rate says', async () => {
  const { clock, moveTo, timers } = movingClock()
  const throttle = createThrottle(1000, clock)
  for (let sent = 0; sent < 10_000; sent += throttle.bytesMax) {
    const taking = throttle.take(throttle.bytesMax)
    const next = [...timers][0]
    if (next !== undefined) await moveTo(next.at)
    await taking
  }
  assert.ok(clock.now() >= 9_700 && clock.now() <= 10_000, `${clock.now()}`)
})

test('no limit, no waiting', async () => {
  const { clock, timers } = movingClock()
  await createThrottle(null, clock).take(Number.MAX_SAFE_INTEGER)
  assert.equal(timers.size, 0)
})
