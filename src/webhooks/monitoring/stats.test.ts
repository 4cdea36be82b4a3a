import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { classOf, TOOK_BOUNDS_MS } from '../../base/histogram.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../base/units.ts'
import { figuresOf, quantile, windowNamed } from './stats.ts'

const CLASSES = TOOK_BOUNDS_MS.length + 1
const NOW = Date.UTC(2026, 5, 8, 12, 34, 56)

function took(counts: Record<number, number>): number[] {
  return Array.from({ length: CLASSES }, (_, index) => counts[index] ?? 0)
}

const quantiles = [
  { name: 'nothing was answered', took: took({}), share: 0.5, is: null },
  { name: 'the middle of the first class', took: took({ 0: 4 }), share: 0.5, is: 5 },
  { name: 'inside a class answers are spread evenly', took: took({ 3: 10 }), share: 0.9, is: 95 },
  { name: 'a class begins where the one before ends', took: took({ 0: 50, 1: 50 }), share: 0.95, is: 23.5 },
  { name: 'empty classes are passed over', took: took({ 0: 1, 8: 1 }), share: 0.75, is: 3_750 },
  { name: 'the last class has no end: at least its begin', took: took({ 10: 3 }), share: 0.99, is: 10_000 },
]
for (const { name, took, share, is } of quantiles) test(`quantile: ${name}`, () => assert.equal(quantile(took, share), is))

test('a quantile lies in the class of the answer that has this rank, and never falls as the share grows', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 200 }), (durations) => {
      const counts = took({})
      for (const duration of durations) counts[classOf(duration)]! += 1
      const sorted = durations.toSorted((one, other) => one - other)
      let before = 0
      for (const share of [0.01, 0.5, 0.95, 0.99, 1]) {
        const exact = sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)]!
        const known = quantile(counts, share)!
        const rank = classOf(exact)
        assert.ok(known >= (TOOK_BOUNDS_MS[rank - 1] ?? 0) && known <= (TOOK_BOUNDS_MS[rank] ?? 10_000), `${share} of ${sorted}`)
        assert.ok(known >= before)
        before = known
      }
    }),
  )
})

test('figures are shares and averages; without attempts there are none', () => {
  const nothing = {
    ...{
      attempts: 0,
      failures: 0,
      unauthorized: 0,
      answered: 0,
      slow: 0,
      durationMs: 0,
      took: took({}),
      delivered: 0,
      failed: 0,
    },
  }
  const none = { successRate: null, failureRate: null, averageMs: null, p50Ms: null, p95Ms: null, p99Ms: null }
  const counts = { attempts: 0, failures: 0, slow: 0, unauthorized: 0, delivered: 0, failed: 0 }
  assert.deepEqual(figuresOf(nothing), { ...none, ...counts })
  const some = {
    ...{ attempts: 3, failures: 1, unauthorized: 1, answered: 2, slow: 0, durationMs: 25, delivered: 2, failed: 1 },
    took: took({ 0: 1, 1: 1 }),
  }
  assert.deepEqual(figuresOf(some), {
    ...{ attempts: 3, failures: 1, successRate: 0.6667, failureRate: 0.3333, averageMs: 12.5 },
    ...{ p50Ms: 10, p95Ms: 23.5, p99Ms: 24.7, slow: 0, unauthorized: 1, delivered: 2, failed: 1 },
  })
})

const windows = [
  { text: '5m', grain: 'minute', from: NOW - 5 * MINUTE_MS - 56_000 },
  { text: '1h', grain: 'minute', from: NOW - HOUR_MS - 56_000 },
  { text: '120m', grain: 'minute', from: NOW - 2 * HOUR_MS - 56_000 },
  { text: '121m', grain: 'hour', from: Date.UTC(2026, 5, 8, 10) },
  { text: '1d', grain: 'hour', from: Date.UTC(2026, 5, 7, 12) },
  { text: '30d', grain: 'hour', from: Date.UTC(2026, 5, 8, 12) - 30 * DAY_MS },
] as const
for (const { text, grain, from } of windows)
  test(`a window of ${text} is read by the ${grain}`, () => assert.deepEqual(windowNamed(text, NOW), { grain, from, until: NOW }))

for (const text of ['4m', '31d', '721h', '0h', '1', 'h', '1w', '-1h', '1.5h', '', '99999999h'])
  test(`a window of ${JSON.stringify(text)} is refused with the bounds`, () =>
    assert.throws(() => windowNamed(text, NOW), {
      code: 'invalid',
      field: 'window',
      message: /^window is a span from 5m to 30d/,
    }))
