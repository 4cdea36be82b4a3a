import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { MINUTE_MS } from '../base/units.ts'
import { NOW, webhookOf } from '../webhooks/testing.ts'
import { ALERT_KINDS, type Alert, type AlertKind, type Facts, judge } from './alert.ts'

const ago = (minutes: number) => NOW - minutes * MINUTE_MS

function factsOf({ webhook, ...more }: Given = {}): Facts {
  return {
    ...{ webhook: webhookOf({ name: 'orders', ...webhook }), open: [], hour: { attempts: 0, failures: 0 } },
    ...{ acceptedAt: null, unauthorizedAt: null, slowAt: null, promptAt: null, failedAt: null, failure: null, recovery: null },
    ...more,
  }
}
type Given = Partial<Omit<Facts, 'webhook'>> & { webhook?: Parameters<typeof webhookOf>[0] }

function anAlert(kind: AlertKind): Alert {
  return { id: `alr_${kind}`, kind, subjectId: 'wh_1', accountId: null, message: '', raisedAt: ago(30), clearedAt: null }
}

const hour = (attempts: number, failures: number) => ({ attempts, failures })
const raises: { name: string; facts: Given; raised: AlertKind[] }[] = [
  { name: 'nothing happened', facts: {}, raised: [] },
  { name: 'a failed webhook', facts: { webhook: { state: 'failed' } }, raised: ['webhook_failed'] },
  { name: 'exactly 5 %', facts: { hour: hour(40, 2) }, raised: [] },
  { name: 'above 5 %', facts: { hour: hour(39, 2) }, raised: ['high_failure_rate'] },
  { name: 'one failure, 100 %', facts: { hour: hour(1, 1) }, raised: [] },
  { name: 'two of two', facts: { hour: hour(2, 2) }, raised: ['high_failure_rate'] },
  { name: 'a slow answer just now', facts: { slowAt: ago(1) }, raised: ['slow_endpoint'] },
  { name: 'a slow answer, found late', facts: { slowAt: ago(10) }, raised: ['slow_endpoint'] },
  { name: 'a slow answer that is past', facts: { slowAt: ago(11) }, raised: [] },
  { name: 'a 401', facts: { unauthorizedAt: ago(1), acceptedAt: ago(0) }, raised: ['unauthorized'] },
  {
    name: 'a delivery given up, webhook on',
    facts: { webhook: { dialect: 'trueftp' }, failedAt: ago(1) },
    raised: ['deliveries_exhausted'],
  },
  { name: 'a delivery that ended in mftplus says nothing by itself', facts: { failedAt: ago(1) }, raised: [] },
  {
    name: 'everything at once',
    facts: { webhook: { state: 'failed' }, hour: hour(9, 9), slowAt: ago(1), unauthorizedAt: ago(1) },
    raised: ['webhook_failed', 'high_failure_rate', 'slow_endpoint', 'unauthorized'],
  },
  {
    name: 'an inactive webhook raises nothing',
    facts: { webhook: { state: 'inactive' }, hour: hour(9, 9), slowAt: ago(1), unauthorizedAt: ago(1) },
    raised: [],
  },
]

const clears: { name: string; open: AlertKind; facts: Given; cleared: boolean }[] = [
  { name: 'failed, still off', open: 'webhook_failed', facts: { webhook: { state: 'failed' } }, cleared: false },
  { name: 'failed, on again, nothing accepted yet', open: 'webhook_failed', facts: {}, cleared: false },
  { name: 'failed, on again and accepted', open: 'webhook_failed', facts: { recovery: { deliveryId: 'dlv_1' } }, cleared: true },
  { name: 'failed, paused by its owner', open: 'webhook_failed', facts: { webhook: { state: 'inactive' } }, cleared: true },
  {
    name: 'rate between both bounds',
    open: 'high_failure_rate',
    facts: { hour: hour(100, 3), acceptedAt: ago(1) },
    cleared: false,
  },
  { name: 'rate at the lower bound', open: 'high_failure_rate', facts: { hour: hour(80, 2), acceptedAt: ago(1) }, cleared: true },
  { name: 'rate, nothing sent for an hour', open: 'high_failure_rate', facts: {}, cleared: false },
  { name: 'slow until now', open: 'slow_endpoint', facts: { slowAt: ago(1), promptAt: ago(0) }, cleared: false },
  { name: 'slow 15 minutes ago', open: 'slow_endpoint', facts: { slowAt: ago(15), promptAt: ago(1) }, cleared: false },
  { name: 'slow longer ago', open: 'slow_endpoint', facts: { slowAt: ago(16), promptAt: ago(1) }, cleared: true },
  {
    name: 'slow longer ago, no answer since',
    open: 'slow_endpoint',
    facts: { slowAt: ago(16), promptAt: ago(20) },
    cleared: false,
  },
  { name: 'slow, long silence, then prompt', open: 'slow_endpoint', facts: { promptAt: ago(1) }, cleared: true },
  {
    name: '401, quiet, nothing accepted',
    open: 'unauthorized',
    facts: { unauthorizedAt: ago(20), acceptedAt: ago(20) },
    cleared: false,
  },
  {
    name: '401, quiet and accepted since',
    open: 'unauthorized',
    facts: { unauthorizedAt: ago(20), acceptedAt: ago(19) },
    cleared: true,
  },
  {
    name: '401 among accepted ones',
    open: 'unauthorized',
    facts: { unauthorizedAt: ago(2), acceptedAt: ago(1) },
    cleared: false,
  },
  { name: '401, silence', open: 'unauthorized', facts: {}, cleared: false },
  {
    name: 'given up, accepted since',
    open: 'deliveries_exhausted',
    facts: { webhook: { dialect: 'trueftp' }, failedAt: ago(16), acceptedAt: ago(3) },
    cleared: true,
  },
  {
    name: 'given up again',
    open: 'deliveries_exhausted',
    facts: { webhook: { dialect: 'trueftp' }, failedAt: ago(3), acceptedAt: ago(1) },
    cleared: false,
  },
]

describe('judge', () => {
  for (const { name, facts, raised } of raises) {
    test(`raises: ${name}`, () => {
      const { raise, clear } = judge([], factsOf(facts), NOW)
      assert.deepEqual([raise.map(({ kind }) => kind), clear], [raised, []])
    })
  }

  for (const { name, open, facts, cleared } of clears) {
    test(`clears: ${name}`, () => {
      const alert = anAlert(open)
      assert.deepEqual(judge([alert], factsOf(facts), NOW), { raise: [], clear: cleared ? [alert] : [] })
    })
  }

  test('a removed webhook clears all its alerts, of a webhook that is on an open alert is not raised again', () => {
    const all = ALERT_KINDS.map(anAlert)
    assert.deepEqual(judge(all, null, NOW), { raise: [], clear: all })
    const bad = factsOf({ webhook: { state: 'failed' }, hour: hour(9, 9), slowAt: ago(1), unauthorizedAt: ago(1) })
    assert.deepEqual(judge(all, bad, NOW).raise, [])
  })

  test('messages name the webhook, the figures and the bound; a failure counts from when the webhook was turned off', () => {
    const failed = factsOf({
      webhook: { state: 'failed', failedReason: 'all 5 attempts failed', offSince: ago(2) },
      hour: hour(39, 2),
    })
    assert.deepEqual(judge([], failed, NOW).raise, [
      { kind: 'webhook_failed', message: 'Webhook "orders" was turned off: all 5 attempts failed.', raisedAt: ago(2) },
      {
        kind: 'high_failure_rate',
        message: '2 of 39 attempts to webhook "orders" failed in the last hour (5.1 %); more than 5 % is too many.',
        raisedAt: NOW,
      },
    ])
  })

  /** One minute of a webhook: what its receiver did with how many attempts, and what its owner did. */
  const minutes = fc.array(
    fc.record({
      accepted: fc.nat(20),
      refused: fc.nat(3),
      unauthorized: fc.constantFrom(0, 0, 0, 1),
      slow: fc.constantFrom(0, 0, 0, 1),
      gaveUp: fc.boolean(),
      state: fc.constantFrom('active', 'active', 'active', 'inactive', 'failed'),
    }),
    { minLength: 1, maxLength: 150 },
  )

  test('raises and clears of a kind alternate, and between both there is what the rules ask for, whatever happens', () => {
    fc.assert(
      fc.property(minutes, (history) => {
        let open: Alert[] = []
        const clearedAt = new Map<AlertKind, number>()
        for (let now = 0; now < history.length; now++) {
          const { state } = history[now]!
          const facts = { ...factsAt(history, now), open }
          const { raise, clear } = judge(open, facts, now * MINUTE_MS)
          for (const { kind } of raise) {
            assert.ok(!open.some((alert) => alert.kind === kind), `${kind} raised twice`)
            assert.notEqual(state, 'inactive')
          }
          for (const alert of clear) {
            assert.ok(open.includes(alert), `${alert.kind} cleared but not open`)
            if (state !== 'inactive') clearedAt.set(alert.kind, now)
          }
          assert.ok(!raise.some(({ kind }) => clear.some((alert) => alert.kind === kind)), 'raised and cleared at once')
          open = [...open.filter((alert) => !clear.includes(alert)), ...raise.map(({ kind }) => anAlert(kind))]
          for (const { kind } of raise) {
            // What had ended of itself begins again only by something new.
            const ended = clearedAt.get(kind)
            if (kind === 'slow_endpoint' && ended !== undefined) assert.ok((facts.slowAt ?? 0) > (ended - 15) * MINUTE_MS)
            if (kind === 'unauthorized' && ended !== undefined) assert.ok((facts.unauthorizedAt ?? 0) > (ended - 15) * MINUTE_MS)
          }
        }
      }),
    )
  })

  test('a rate that dances around 5 % is raised once and not cleared', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 26, max: 80 }), { minLength: 2, maxLength: 200 }), (perMille) => {
        let open: Alert[] = []
        let changes = 0
        for (const failures of [51, ...perMille]) {
          const { raise, clear } = judge(open, factsOf({ hour: hour(1_000, failures), acceptedAt: NOW }), NOW)
          changes += raise.length + clear.length
          open = raise.length > 0 ? [anAlert('high_failure_rate')] : open.filter((alert) => !clear.includes(alert))
        }
        assert.equal(changes, 1)
      }),
    )
  })
})

interface Minute {
  accepted: number
  refused: number
  unauthorized: number
  slow: number
  gaveUp: boolean
  state: string
}

/** The facts of a trueftp webhook at the end of a minute, from what happened in the 60 up to it. */
function factsAt(history: readonly Minute[], now: number): Facts {
  const last = history.slice(Math.max(now - 60, 0), now + 1)
  const latest = (is: (minute: Minute) => boolean) => {
    const index = last.findLastIndex(is)
    return index < 0 ? null : (now - (last.length - 1 - index)) * MINUTE_MS
  }
  const sum = (of: (minute: Minute) => number) => last.reduce((total, minute) => total + of(minute), 0)
  const state = history[now]!.state as 'active'
  return factsOf({
    webhook: { dialect: 'trueftp', state },
    hour: hour(
      sum((each) => each.accepted + each.refused + each.unauthorized),
      sum((each) => each.refused + each.unauthorized),
    ),
    acceptedAt: latest((each) => each.accepted > 0),
    unauthorizedAt: latest((each) => each.unauthorized > 0),
    slowAt: latest((each) => each.slow > 0),
    promptAt: latest((each) => each.accepted > 0),
    failedAt: latest((each) => each.gaveUp),
    recovery: state === 'active' && history[now]!.accepted > 0 ? { deliveryId: 'dlv_1' } : null,
  })
}
