import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { silentLog } from '../base/log.ts'
import { HOUR_MS } from '../base/units.ts'
import { anAttempt, anAudit, anEvent, aWebhook, settling } from '../store/testing.ts'
import { AlertWatch } from '../watch/alerts.ts'
import type { Webhook } from '../webhooks/webhook.ts'
import { openWorld } from './testing.ts'

const FAR = Number.MAX_SAFE_INTEGER
const TRUEFTP = '/api/ext/v1'

describe('monitoring', () => {
  let world: Awaited<ReturnType<typeof openWorld>>
  let own: Webhook
  let foreign: Webhook
  let key: string
  let alertId: string

  before(async () => {
    world = await openWorld()
    key = (await world.keyOf('default', ['read'])).token
    own = aWebhook({ accountId: world.account.id, dialect: 'trueftp', name: 'own' })
    foreign = aWebhook({ accountId: null, name: 'of all' })
    await world.store.createWebhook(own, { webhooksMax: 10 }, anAudit())
    await attempts(own, 200, 18)
    await attempts(own, 503, 2)
    // It would have to be sent these too, at the made-up times of the events, which are over one day.
    await world.store.createWebhook(foreign, { webhooksMax: 10 }, anAudit())
    await attempts(foreign, 503, 1)
    await new AlertWatch({ ...world, log: silentLog, mails: false }).look()
    alertId = (await world.call('GET', '/api/alerts?status=open&kind=high_failure_rate')).json.data.alerts[0].id
  })
  after(() => world.close())

  async function attempts(to: Webhook, status: number, times: number) {
    await world.store.recordEvents(Array.from({ length: times }, () => anEvent(to.accountId)))
    for (const delivery of await world.store.claim('node_a', [{ webhookId: to.id, room: times }], FAR)) {
      const endedAt = world.clock.now()
      const attempt = anAttempt(1, status, { durationMs: 40, startedAt: endedAt })
      const failed = { state: 'failed', reason: 'used up', webhookFails: false } as const
      await world.store.settle([settling(delivery, status === 200 ? { state: 'delivered' } : failed, { attempt, endedAt })])
    }
  }

  test('the stats of a webhook: rates, times, health, and the failures with their errors', async () => {
    const { status, json } = await world.call('GET', `/api/webhooks/${own.id}/stats?window=1h`)
    assert.equal(status, 200)
    const { figures, health, recentFailures, window } = json.data
    assert.deepEqual(
      [figures.attempts, figures.failures, figures.successRate, figures.failureRate, figures.averageMs],
      [20, 2, 0.9, 0.1, 40],
    )
    assert.ok(figures.p50Ms > 25 && figures.p50Ms <= 50 && figures.p99Ms <= 50)
    assert.deepEqual([figures.delivered, figures.failed], [18, 2])
    assert.equal(health.state, 'degraded')
    assert.deepEqual(
      recentFailures.map((failure: object) => ({ ...failure, id: '', eventId: '', failedAt: '' })),
      Array(2).fill({
        ...{ id: '', eventId: '', event: 'file.uploaded', cause: 'event', attempts: 1, failedAt: '' },
        ...{ lastStatusCode: 503, lastError: 'status 503' },
      }),
    )
    assert.equal(window.grain, 'minute')
    const spanMs = Date.parse(window.until) - Date.parse(window.from)
    assert.ok(spanMs >= HOUR_MS && spanMs < HOUR_MS + 60_000 && window.from.endsWith(':00.000Z'))
  })

  test('an account sees the same of its own webhooks, in its own style, and nothing of others', async () => {
    const { json } = await world.call('GET', `${TRUEFTP}/webhooks/${own.id}/stats?window=7d`, undefined, key)
    assert.deepEqual(
      [json.attempts, json.failure_rate, json.grain, json.health.state, json.recent_failures.length],
      [20, 0.1, 'hour', 'degraded', 2],
    )
    assert.equal((await world.call('GET', `${TRUEFTP}/webhooks/${foreign.id}/stats`, undefined, key)).status, 404)
  })

  test('a window that is none is refused with the bounds', async () => {
    const refused = await world.call('GET', `/api/webhooks/${own.id}/stats?window=31d`)
    assert.deepEqual([refused.status, refused.json.details.field], [400, 'window'])
    assert.match(refused.json.error, /from 5m to 30d.*not "31d"/)
    assert.equal((await world.call('GET', '/api/stats?window=x')).status, 400)
  })

  test('the stats of the server add up all webhooks and name the worst', async () => {
    const { json } = await world.call('GET', '/api/stats')
    assert.deepEqual([json.data.figures.attempts, json.data.figures.failures], [21, 3])
    assert.deepEqual(
      json.data.worst.map((each: { webhookName: string }) => each.webhookName),
      ['own', 'of all'],
    )
  })

  test('a webhook shows its health, on both faces, alone and in lists', async () => {
    const { webhooks } = (await world.call('GET', '/api/webhooks')).json.data
    assert.deepEqual(
      webhooks.map(({ health }: { health: { state: string } }) => health.state),
      ['degraded', 'healthy'],
    )
    const { webhook } = (await world.call('GET', `/api/webhooks/${own.id}`)).json.data
    assert.match(webhook.health.reasons[0], /^2 of 20 attempts \(10 %\) in the last hour failed/)
    const { json } = await world.call('GET', `${TRUEFTP}/webhooks/${own.id}`, undefined, key)
    assert.equal(json.health.state, 'degraded')
  })

  test('alerts are listed by status, kind and webhook, and found by id', async () => {
    const kinds = async (query: string) =>
      (await world.call('GET', `/api/alerts?${query}`)).json.data.alerts.map(({ kind }: { kind: string }) => kind).toSorted()
    assert.deepEqual(await kinds(''), ['deliveries_exhausted', 'high_failure_rate'])
    assert.deepEqual(await kinds('status=cleared'), [])
    assert.deepEqual(await kinds(`webhook=${own.id}&kind=high_failure_rate`), ['high_failure_rate'])
    assert.deepEqual(await kinds(`webhook=${foreign.id}`), [])
    const { alert } = (await world.call('GET', `/api/alerts/${alertId}`)).json.data
    assert.deepEqual([alert.status, alert.webhookId, alert.clearedAt], ['open', own.id, null])
    assert.match(alert.message, /^2 of 20 attempts to webhook "own" failed in the last hour \(10 %\)/)
    assert.equal((await world.call('GET', '/api/alerts/alr_x')).status, 404)
    assert.equal((await world.call('GET', '/api/alerts?status=closed')).status, 400)
  })

  test('an account has its own alerts only', async () => {
    const list = await world.call('GET', `${TRUEFTP}/alerts?status=open`, undefined, key)
    assert.deepEqual([list.json.total, list.json.data[0].webhook_id], [2, own.id])
    assert.equal((await world.call('GET', `${TRUEFTP}/alerts/${alertId}`, undefined, key)).json.id, alertId)
    await world.accounts.createAccount(world.caller, { slug: 'other', name: 'Other' })
    const other = (await world.keyOf('other', ['read'])).token
    assert.equal((await world.call('GET', `${TRUEFTP}/alerts`, undefined, other)).json.total, 0)
    assert.equal((await world.call('GET', `${TRUEFTP}/alerts/${alertId}`, undefined, other)).status, 404)
  })
})
