import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MINUTE_MS } from '../../base/units.ts'
import { NOW, webhookOf } from '../testing.ts'
import { healthOf } from './health.ts'

const counts = (attempts = 0, failures = 0, slow = 0) => ({ attempts, failures, slow })
const cases = [
  { name: 'all is well', hour: counts(100, 1), recent: counts(10), state: 'healthy', reasons: [] },
  { name: 'nothing was sent', state: 'healthy', reasons: ['Nothing was sent in the last hour.'] },
  { name: 'one failure alone says nothing', hour: counts(1, 1), recent: counts(1, 1), state: 'healthy', reasons: [] },
  { name: 'five of a hundred is not above 5 %', hour: counts(100, 5), state: 'healthy', reasons: [] },
  {
    name: 'six of a hundred',
    hour: counts(100, 6),
    state: 'degraded',
    reasons: ['6 of 100 attempts (6 %) in the last hour failed; up to 5 % count as healthy.'],
  },
  {
    name: 'a slow answer',
    hour: counts(9, 0, 1),
    recent: counts(2, 0, 1),
    state: 'degraded',
    reasons: ['1 answer in the last 5 minutes took longer than 5 s.'],
  },
  {
    name: 'deliveries that nobody takes',
    hour: counts(9),
    oldestDueAt: NOW - 7 * MINUTE_MS,
    state: 'degraded',
    reasons: ['Deliveries wait: the oldest has been due for 7 minutes.'],
  },
  {
    name: 'a receiver that asked to be left alone for long',
    hour: counts(9, 1),
    pauseLeftMs: 119 * MINUTE_MS,
    state: 'degraded',
    reasons: ['The receiver asked for fewer requests: none is sent for another 119 minutes.'],
  },
  { name: 'a short pause', hour: counts(9, 1), pauseLeftMs: MINUTE_MS, state: 'healthy', reasons: [] },
  { name: 'a retry that is not due yet', hour: counts(9), oldestDueAt: NOW + MINUTE_MS, state: 'healthy', reasons: [] },
  {
    name: 'half fail now, and more than 5 % in the hour',
    hour: counts(100, 10),
    recent: counts(4, 2),
    state: 'failing',
    reasons: [
      '2 of 4 attempts (50 %) in the last 5 minutes failed.',
      '10 of 100 attempts (10 %) in the last hour failed; up to 5 % count as healthy.',
    ],
  },
  {
    name: 'all failed before it went quiet',
    hour: counts(3, 3),
    state: 'failing',
    reasons: ['3 of 3 attempts (100 %) in the last hour failed; up to 5 % count as healthy.'],
  },
  {
    name: 'it recovered: the last minutes count more than the hour',
    hour: counts(10, 6),
    recent: counts(4),
    state: 'degraded',
    reasons: ['6 of 10 attempts (60 %) in the last hour failed; up to 5 % count as healthy.'],
  },
  {
    name: 'turned off by its owner',
    webhook: { state: 'inactive' },
    hour: counts(3, 3),
    state: 'healthy',
    reasons: ['It is inactive: nothing is sent until it is set active.'],
  },
  {
    name: 'turned off with its plan',
    webhook: { state: 'inactive', inactiveReason: 'the plan has no webhooks' },
    state: 'healthy',
    reasons: ['It is inactive: the plan has no webhooks.'],
  },
  {
    name: 'turned off by a delivery',
    webhook: { state: 'failed', failedReason: 'all 5 attempts failed, the last with: status 503' },
    hour: counts(3),
    state: 'failed',
    reasons: ['It was turned off: all 5 attempts failed, the last with: status 503.'],
  },
] as const
for (const given of cases) {
  test(`health: ${given.name}`, () => {
    const { webhook = {}, state, reasons, ...facts } = given as Given
    const quiet = { hour: counts(), recent: counts(), oldestDueAt: null, pauseLeftMs: 0 }
    assert.deepEqual(healthOf(webhookOf(webhook), { ...quiet, ...facts }, NOW), { state, reasons })
  })
}

interface Given {
  webhook?: { state: 'inactive' | 'failed' }
  hour?: ReturnType<typeof counts>
  recent?: ReturnType<typeof counts>
  oldestDueAt?: number
  pauseLeftMs?: number
  state: string
  reasons: readonly string[]
}
