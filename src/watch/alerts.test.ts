import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { type Clock, systemClock } from '../base/clock.ts'
import { silentLog } from '../base/log.ts'
import { HOUR_MS, MINUTE_MS } from '../base/units.ts'
import type { RecordedEvent } from '../events/event.ts'
import { openFresh } from '../store/sqlite/testing.ts'
import type { Store } from '../store/store.ts'
import { anAttempt, anAudit, anEvent, aWebhook, settling, tick } from '../store/testing.ts'
import type { Webhook } from '../webhooks/webhook.ts'
import { AlertWatch } from './alerts.ts'
import type { AlertStore } from './port.ts'
import { noticingFailures } from './watch.ts'

const PAGE = { limit: 100, offset: 0 }
const FAR = Number.MAX_SAFE_INTEGER

describe('the watch over webhooks, on a real store', () => {
  let store: Store
  let close: () => Promise<void>
  let now: number
  let webhook: Webhook
  let startedAt: number
  const clock: Clock = { ...systemClock, now: () => now }
  const watchOver = (more: Partial<AlertStore> = {}) =>
    new AlertWatch({ store: { ...store, ...more }, clock, log: silentLog, mails: false })

  before(async () => {
    const opened = await openFresh()
    store = opened.store
    close = opened.close
    now = tick()
  })
  after(() => close())

  beforeEach(async () => {
    // Beyond what the test before has left in the last hour.
    now += 3 * HOUR_MS
    startedAt = now
    webhook = aWebhook({ updatedAt: now })
    await store.createWebhook(webhook, { webhooksMax: 1_000 }, anAudit())
  })

  /** Attempts of this webhook now, each of a delivery of its own. */
  async function attempt(status: number, { times = 1, durationMs = 10, fails = false, to = webhook } = {}): Promise<void> {
    for (let number = 0; number < times; number++) {
      await store.recordEvents([anEvent()])
      const [delivery] = await store.claim('node_a', [{ webhookId: to.id, room: 1 }], FAR)
      const outcome =
        status < 300
          ? ({ state: 'delivered' } as const)
          : fails
            ? ({ state: 'failed', reason: `status ${status}`, webhookFails: to.dialect === 'mftplus' && status !== 401 } as const)
            : ({ state: 'waiting', dueAt: FAR } as const)
      const made = {
        ...anAttempt(delivery!.attempts + 1, status),
        durationMs,
        startedAt: now,
        error: status < 300 ? null : `status ${status}`,
      }
      await store.settle([settling(delivery!, outcome, { attempt: made, endedAt: now })])
    }
  }

  async function reactivate(
    state: 'active' | 'inactive' = 'active',
    through: Pick<Store, 'updateWebhook'> = store,
  ): Promise<void> {
    const failed = (await store.findWebhook(webhook.id))!
    now += 1
    const changed = {
      ...failed,
      state,
      failedReason: null,
      failedDeliveryId: null,
      offSince: state === 'active' ? null : now,
      updatedAt: now,
    }
    await through.updateWebhook(changed, failed, anAudit())
  }

  /** Kinds of what this test raised and whether it is open, by name. */
  const alerts = async (of = webhook) =>
    (await store.listAlerts({ subjectId: of.id }, PAGE)).rows
      .map(({ kind, clearedAt }) => `${kind} ${clearedAt === null ? 'open' : 'cleared'}`)
      .toSorted()
  const events = async (): Promise<RecordedEvent[]> =>
    (await store.listEvents({ since: startedAt }, PAGE)).rows.filter(({ type }) => /^(alert|webhook)\./.test(type))
  const types = async () => (await events()).map(({ type }) => type).toSorted()
  const dataOf = async (wanted: string) => (await events()).find(({ type }) => type === wanted)?.data

  test('a 401: raised once by however many looks and nodes, the webhook stays active, cleared when it is accepted again', async () => {
    const watch = watchOver()
    await attempt(401, { fails: true })
    await Promise.all([watch.look(), watchOver().look(), watchOver().look()])
    await watch.look()
    assert.deepEqual(await alerts(), ['unauthorized open'])
    assert.equal((await store.findWebhook(webhook.id))?.state, 'active')
    const [alert] = (await store.listAlerts({ subjectId: webhook.id }, PAGE)).rows
    assert.deepEqual(await dataOf('alert.raised'), {
      ...{ alertId: alert?.id, kind: 'unauthorized', subjectId: webhook.id, message: alert?.message },
      raisedAt: `${new Date(now).toISOString().slice(0, 19)}Z`,
    })
    now += 5 * MINUTE_MS
    await attempt(200)
    await watch.look()
    assert.deepEqual(await alerts(), ['unauthorized open'])
    now += 12 * MINUTE_MS
    await Promise.all([watch.look(), watchOver().look()])
    await watch.look()
    assert.deepEqual(await alerts(), ['unauthorized cleared'])
    assert.deepEqual(await types(), ['alert.cleared', 'alert.raised'])
  })

  test('a rate is judged over the last hour, also when good attempts leave it and nothing new fails', async () => {
    const watch = watchOver()
    await attempt(200, { times: 60 })
    now += 30 * MINUTE_MS
    await attempt(500, { times: 3 })
    await watch.look()
    assert.deepEqual(await alerts(), [])
    now += 32 * MINUTE_MS
    await watch.look()
    assert.deepEqual(await alerts(), ['high_failure_rate open'])
    await attempt(200, { times: 57 })
    await watch.look()
    assert.deepEqual(await alerts(), ['high_failure_rate open'])
    now += 30 * MINUTE_MS
    await watch.look()
    assert.deepEqual(await alerts(), ['high_failure_rate cleared'])
  })

  test('a receiver that nobody sends to is not called well', async () => {
    await attempt(500, { times: 2 })
    await watchOver().look()
    now += 5 * HOUR_MS
    await watchOver().look()
    assert.deepEqual(await alerts(), ['high_failure_rate open'])
    await attempt(200)
    await watchOver().look()
    assert.deepEqual(await alerts(), ['high_failure_rate cleared'])
  })

  test('a slow answer is raised, and over after a quarter of an hour and a prompt one', async () => {
    await attempt(200, { durationMs: 5_001 })
    await watchOver().look()
    assert.deepEqual(await alerts(), ['slow_endpoint open'])
    now += 17 * MINUTE_MS
    await watchOver().look()
    assert.deepEqual(await alerts(), ['slow_endpoint open'])
    await attempt(200, { durationMs: 5_000 })
    await watchOver().look()
    assert.deepEqual(await alerts(), ['slow_endpoint cleared'])
  })

  test('a webhook that was turned off: alert and webhook.failed; active again and accepted: cleared and webhook.recovered', async () => {
    await attempt(503, { fails: true })
    const failedAt = `${new Date(now).toISOString().slice(0, 19)}Z`
    const [failed] = (await store.listDeliveries({ webhookId: webhook.id, state: 'failed' }, PAGE)).rows
    await watchOver().look()
    await watchOver().look()
    assert.deepEqual(await alerts(), ['webhook_failed open'])
    now += MINUTE_MS
    await reactivate()
    await watchOver().look()
    assert.deepEqual(await alerts(), ['webhook_failed open'])
    now += MINUTE_MS
    await attempt(200)
    await watchOver().look()
    await watchOver().look()
    assert.deepEqual(await alerts(), ['webhook_failed cleared'])
    assert.deepEqual(await types(), ['alert.cleared', 'alert.raised', 'webhook.failed', 'webhook.recovered'])
    const who = { webhookId: webhook.id, webhookName: 'receiver' }
    assert.deepEqual(await dataOf('webhook.failed'), {
      ...who,
      deliveryId: failed?.id,
      attempts: 1,
      error: 'status 503',
      status: 'failed',
    })
    const [accepted] = (await store.listDeliveries({ webhookId: webhook.id, state: 'delivered' }, PAGE)).rows
    assert.deepEqual(await dataOf('webhook.recovered'), { ...who, deliveryId: accepted?.id, failedAt, status: 'active' })
  })

  test('a failure is noticed before it is mended, however soon that is', async () => {
    await attempt(503, { fails: true })
    await reactivate('active', noticingFailures(store, watchOver()))
    assert.deepEqual(await alerts(), ['webhook_failed open'])
    assert.deepEqual(await types(), ['alert.raised', 'webhook.failed'])
  })

  test('a failed webhook that is removed was failed, and its alert is over', async () => {
    await attempt(503, { fails: true })
    const watch = watchOver()
    await noticingFailures(store, watch).removeWebhook(webhook.id, anAudit())
    await watch.look()
    await watch.look()
    assert.deepEqual(await alerts(), ['webhook_failed cleared'])
    assert.deepEqual(await types(), ['alert.cleared', 'alert.raised', 'webhook.failed'])
  })

  test('a webhook that its owner turns off has no alerts', async () => {
    await attempt(401, { fails: true })
    await attempt(503, { fails: true })
    await watchOver().look()
    assert.deepEqual(await alerts(), ['high_failure_rate open', 'unauthorized open', 'webhook_failed open'])
    await reactivate('inactive')
    await watchOver().look()
    assert.deepEqual(await alerts(), ['high_failure_rate cleared', 'unauthorized cleared', 'webhook_failed cleared'])
    assert.ok(!(await events()).some(({ type }) => type === 'webhook.recovered'))
  })

  test('what dies before the commit is judged again by the next, and nothing twice', async () => {
    await attempt(503, { fails: true })
    const dying = watchOver({ raiseAlert: () => Promise.reject(new Error('the process died here')) })
    await assert.rejects(dying.look())
    assert.deepEqual(await alerts(), [])
    // The answer is lost, the commit is not.
    const lost = watchOver({
      async raiseAlert(...args) {
        await store.raiseAlert(...args)
        throw new Error('the process died here')
      },
    })
    await assert.rejects(lost.look())
    await watchOver().look()
    assert.deepEqual(await alerts(), ['webhook_failed open'])
    assert.equal((await events()).length, 2)
  })

  test('receivers of alerts that fail do not keep each other going', async () => {
    const trueftp = { dialect: 'trueftp' as const, events: ['alert.*'] }
    const [one, other] = [aWebhook({ ...trueftp, updatedAt: now }), aWebhook({ ...trueftp, updatedAt: now })]
    await reactivate('inactive')
    for (const each of [one, other]) await store.createWebhook(each, { webhooksMax: 1_000 }, anAudit())
    await store.recordEvents([anEvent(null, { type: 'alert.raised', data: { subjectId: 'wh_x' } })])
    let posts = 0
    // Two days in which both refuse whatever they get.
    for (let step = 0; step < 48; step++) {
      for (const each of [one, other]) {
        for (const delivery of await store.claim('node_a', [{ webhookId: each.id, room: 100 }], FAR)) {
          posts += 1
          const refused = { ...anAttempt(1, 500), startedAt: now }
          const outcome = { state: 'failed', reason: 'status 500', webhookFails: false } as const
          await store.settle([settling(delivery, outcome, { attempt: refused, endedAt: now })])
        }
      }
      await watchOver().look()
      now += HOUR_MS
    }
    const kinds = ['deliveries_exhausted open', 'high_failure_rate open']
    assert.deepEqual(await alerts(one), kinds)
    assert.deepEqual(await alerts(other), kinds)
    assert.equal(posts, 2 + 4)
  })

  test('it looks by itself until it is stopped', async () => {
    const looked = Promise.withResolvers<void>()
    const watch = watchOver({
      async openAlerts(...args) {
        looked.resolve()
        return store.openAlerts(...args)
      },
    })
    await attempt(401, { fails: true })
    watch.start()
    await looked.promise
    await watch.stop()
    assert.deepEqual(await alerts(), ['unauthorized open'])
  })
})
