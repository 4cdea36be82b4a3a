import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { dialectOf } from '../dialects/index.ts'
import type { PostResult } from '../http/exchange.ts'
import { attemptOf, decide, errorOf, RETRY_AFTER_MS_MAX, rulesFor, throttledMs } from './settle.ts'
import { webhookOf } from './testing.ts'

const mftplus = dialectOf('mftplus').retry
const trueftp = dialectOf('trueftp').retry
const standard = dialectOf('standard').retry
const NOW = Date.UTC(2026, 10, 21, 12, 0, 0)

function answered(status: number, retryAfter?: string): PostResult {
  const answer = { kind: 'answered' as const, status, headers: { a: 'b' }, bodyExcerpt: Buffer.from('ok'), durationMs: 12 }
  return retryAfter === undefined ? answer : { ...answer, retryAfter }
}
const timedOut: PostResult = { kind: 'timed_out', afterMs: 10_003, phase: 'headers' }
const unreachable: PostResult = { kind: 'unreachable', code: 'ECONNREFUSED', message: 'connection refused', durationMs: 1 }
const refused: PostResult = { kind: 'refused', reason: 'the address is private' }

const outcomes = [
  { name: '200 ends it', rules: mftplus, attempt: 1, result: answered(200), outcome: { state: 'delivered' } },
  { name: '299 ends it', rules: trueftp, attempt: 3, result: answered(299), outcome: { state: 'delivered' } },
  {
    name: '401 is final on mftplus and the webhook stays active',
    rules: mftplus,
    attempt: 1,
    result: answered(401),
    outcome: { state: 'failed', reason: 'status 401 is not tried again', webhookFails: false },
  },
  { name: '401 is retried on trueftp', rules: trueftp, attempt: 1, result: answered(401), wait: 30 * SECOND_MS },
  { name: '199 is no success', rules: mftplus, attempt: 1, result: answered(199), wait: MINUTE_MS },
  { name: 'a redirect is no success', rules: mftplus, attempt: 1, result: answered(302), wait: MINUTE_MS },
  { name: '404 is retried', rules: mftplus, attempt: 2, result: answered(404), wait: 5 * MINUTE_MS },
  { name: '408 is retried', rules: mftplus, attempt: 3, result: answered(408), wait: 30 * MINUTE_MS },
  { name: 'a timeout is retried', rules: mftplus, attempt: 4, result: timedOut, wait: 2 * HOUR_MS },
  { name: 'an unreachable receiver is retried', rules: trueftp, attempt: 2, result: unreachable, wait: 60 * SECOND_MS },
  { name: 'a refused address is retried by the schedule', rules: mftplus, attempt: 1, result: refused, wait: MINUTE_MS },
  {
    name: 'the fifth failure on mftplus fails the webhook',
    rules: mftplus,
    attempt: 5,
    result: answered(503),
    outcome: { state: 'failed', reason: 'all 5 attempts failed, the last with: status 503', webhookFails: true },
  },
  {
    name: 'the third failure on trueftp fails the delivery only',
    rules: trueftp,
    attempt: 3,
    result: timedOut,
    outcome: {
      state: 'failed',
      reason: 'all 3 attempts failed, the last with: timed out after 10 s waiting for the answer',
      webhookFails: false,
    },
  },
  { name: '429 without Retry-After keeps the schedule', rules: mftplus, attempt: 1, result: answered(429), wait: MINUTE_MS },
  { name: 'a longer Retry-After wins', rules: mftplus, attempt: 1, result: answered(429, '90'), wait: 90 * SECOND_MS },
  { name: 'a shorter one does not', rules: mftplus, attempt: 1, result: answered(429, '5'), wait: MINUTE_MS },
  { name: '503 honours it too', rules: trueftp, attempt: 1, result: answered(503, '120'), wait: 120 * SECOND_MS },
  { name: '500 does not', rules: trueftp, attempt: 1, result: answered(500, '120'), wait: 30 * SECOND_MS },
  { name: 'at most two hours', rules: trueftp, attempt: 1, result: answered(429, '99999999999999999999'), wait: 2 * HOUR_MS },
  {
    name: 'an HTTP date',
    rules: mftplus,
    attempt: 1,
    result: answered(429, 'Sat, 21 Nov 2026 12:10:00 GMT'),
    wait: 10 * MINUTE_MS,
  },
  {
    name: 'its RFC 850 form',
    rules: mftplus,
    attempt: 1,
    result: answered(429, 'Saturday, 21-Nov-26 12:10:00 GMT'),
    wait: 10 * MINUTE_MS,
  },
  {
    name: 'its asctime form',
    rules: mftplus,
    attempt: 1,
    result: answered(503, 'Sat Nov 21 12:10:00 2026'),
    wait: 10 * MINUTE_MS,
  },
  {
    name: 'a date in the past',
    rules: mftplus,
    attempt: 1,
    result: answered(429, 'Sun, 06 Nov 1994 08:49:37 GMT'),
    wait: MINUTE_MS,
  },
  { name: 'an unreadable Retry-After', rules: mftplus, attempt: 1, result: answered(429, 'soon, 5'), wait: MINUTE_MS },
  { name: 'Retry-After adds no attempt', rules: trueftp, attempt: 3, result: answered(429, '5'), state: 'failed' },
]

for (const { name, rules, attempt, result, outcome, wait, state } of outcomes) {
  test(`decide: ${name}`, () => {
    const decided = decide(rules, attempt, result, NOW)
    if (state !== undefined) assert.equal(decided.state, state)
    else assert.deepEqual(decided, outcome ?? { state: 'waiting', dueAt: NOW + wait! })
  })
}

test('rulesFor: an own schedule replaces the delays and nothing else', () => {
  const rules = rulesFor(mftplus, webhookOf({ retryDelaysSeconds: [0.2, 7] }), 'dlv_1')
  assert.deepEqual(rules.delaysMs, [200, 7000])
  assert.equal(rules.deadlineMs, mftplus.deadlineMs)
  assert.equal(decide(rules, 1, answered(401), NOW).state, 'failed')
  assert.deepEqual(decide(rules, 2, answered(500), NOW), { state: 'waiting', dueAt: NOW + 7000 })
  assert.equal(decide(rules, 3, answered(500), NOW).state, 'failed')
})

test('rulesFor: an empty schedule means one attempt, none means the rules of the dialect', () => {
  assert.equal(decide(rulesFor(mftplus, webhookOf({ retryDelaysSeconds: [] }), 'dlv_1'), 1, timedOut, NOW).state, 'failed')
  assert.deepEqual(rulesFor(trueftp, webhookOf({ retryDelaysSeconds: null }), 'dlv_1'), trueftp)
})

test('rulesFor: each delay grows by up to the jitter, for each delivery in its own way, always the same', () => {
  const schedules = Array.from({ length: 1000 }, (_, number) =>
    rulesFor(standard, webhookOf({ retryDelaysSeconds: null }), `dlv_${number}`),
  )
  for (const [index, delayMs] of standard.delaysMs.entries()) {
    const delays = schedules.map((rules) => rules.delaysMs[index]! / delayMs)
    assert.ok(Math.min(...delays) >= 1 && Math.min(...delays) < 1.01)
    assert.ok(Math.max(...delays) <= 1.2 && Math.max(...delays) > 1.19)
    const mean = delays.reduce((sum, delay) => sum + delay) / delays.length
    assert.ok(Math.abs(mean - 1.1) < 0.01, `mean ${mean}`)
  }
  assert.deepEqual(rulesFor(standard, webhookOf({ retryDelaysSeconds: null }), 'dlv_7'), schedules[7])
  assert.deepEqual(rulesFor(standard, webhookOf({ retryDelaysSeconds: [9] }), 'dlv_7').delaysMs, [9000])
})

test('decide: 410 turns off a webhook whose dialect says so, at once', () => {
  assert.deepEqual(decide(dialectOf('standard').retry, 1, answered(410), NOW), {
    state: 'failed',
    reason: 'status 410: the receiver wants nothing more',
    webhookFails: true,
  })
  assert.equal(decide(mftplus, 1, answered(410), NOW).state, 'waiting')
})

const throttlings = [
  { rules: standard, status: 429, retryAfter: '90', ms: 90 * SECOND_MS },
  { rules: standard, status: 502, retryAfter: '90', ms: 0 },
  { rules: standard, status: 504, retryAfter: undefined, ms: 0 },
  { rules: standard, status: 429, retryAfter: '999999', ms: RETRY_AFTER_MS_MAX },
  { rules: standard, status: 503, retryAfter: '90', ms: null },
  { rules: standard, status: 200, retryAfter: '90', ms: null },
  { rules: mftplus, status: 429, retryAfter: '90', ms: null },
]
for (const { rules, status, retryAfter, ms } of throttlings) {
  const dialect = rules === standard ? 'standard' : 'mftplus'
  test(`throttledMs: ${status} with Retry-After ${retryAfter} in ${dialect} ${ms === null ? 'is none' : `is ${ms} ms`}`, () => {
    const headers: Record<string, string> = retryAfter === undefined ? {} : { 'retry-after': retryAfter }
    const answer: PostResult = { kind: 'answered', status, headers, bodyExcerpt: Buffer.alloc(0), durationMs: 1 }
    assert.equal(throttledMs(rules, attemptOf(1, NOW, 1, answer), NOW), ms)
  })
}

test('throttledMs: no answer asks for nothing', () => {
  assert.equal(throttledMs(standard, attemptOf(1, NOW, 1, timedOut), NOW), null)
})

test('decide: any result at any attempt waits within bounds or ends', () => {
  const result = fc.oneof(
    fc
      .record({
        status: fc.integer({ min: 100, max: 599 }),
        retryAfter: fc.option(fc.oneof(fc.string(), fc.nat().map(String)), { nil: undefined }),
      })
      .map((a) => answered(a.status, a.retryAfter)),
    fc.constantFrom(timedOut, unreachable, refused),
  )
  const delays = fc.array(fc.integer({ min: 0, max: 86_400 }), { maxLength: 20 })
  fc.assert(
    fc.property(
      result,
      delays,
      fc.integer({ min: 1, max: 22 }),
      fc.constantFrom(mftplus, trueftp),
      (result, delays, attempt, rules) => {
        const outcome = decide(rulesFor(rules, webhookOf({ retryDelaysSeconds: delays }), 'dlv_1'), attempt, result, NOW)
        assert.equal(outcome.state === 'delivered', errorOf(result) === null)
        if (attempt > delays.length) assert.notEqual(outcome.state, 'waiting')
        if (outcome.state !== 'waiting') return
        const delayMs = delays[attempt - 1]! * SECOND_MS
        const waitMs = outcome.dueAt - NOW
        assert.ok(
          Number.isInteger(waitMs) && waitMs >= delayMs && waitMs <= Math.max(delayMs, RETRY_AFTER_MS_MAX),
          `${waitMs} for ${delayMs}`,
        )
      },
    ),
  )
})

const errors = [
  { result: answered(204), error: null },
  { result: answered(503), error: 'status 503' },
  { result: timedOut, error: 'timed out after 10 s waiting for the answer' },
  { result: { ...timedOut, afterMs: 2540, phase: 'connect' } as const, error: 'timed out after 2.5 s while connecting' },
  { result: unreachable, error: 'connection refused' },
  { result: refused, error: 'the address is private' },
]
for (const { result, error } of errors) test(`errorOf: ${error}`, () => assert.equal(errorOf(result), error))

test('attemptOf: an answer is kept with status, headers and text that every database can store', () => {
  const result: PostResult = {
    kind: 'answered',
    status: 500,
    headers: { a: 'b' },
    bodyExcerpt: Buffer.from([0x61, 0, 0xff, 0xc3, 0xa9]),
    durationMs: 1,
  }
  assert.deepEqual(attemptOf(2, NOW, 12.6, result), {
    ...{ number: 2, startedAt: NOW, durationMs: 13, statusCode: 500, error: 'status 500' },
    ...{ responseHeaders: { a: 'b' }, responseBody: 'a\uFFFD\uFFFDé' },
  })
})

test('attemptOf: without an answer there is nothing of one', () => {
  const { statusCode, responseHeaders, responseBody } = attemptOf(1, NOW, 10, unreachable)
  assert.deepEqual([statusCode, responseHeaders, responseBody], [null, null, null])
})
