import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newId } from '../../base/id.ts'
import { MINUTE_MS } from '../../base/units.ts'
import type { Alert } from '../../watch/alert.ts'
import type { Webhook } from '../../webhooks/webhook.ts'
import type { World } from '../conformance.ts'
import { anAccount, anAttempt, anAudit, anEvent, aWebhook, settling, tick } from '../testing.ts'

const PAGE = { limit: 100, offset: 0 }
const FAR = Number.MAX_SAFE_INTEGER

export function alertCases(world: World): void {
  async function webhook(more: Partial<Webhook> = {}): Promise<Webhook> {
    const account = anAccount()
    await world.store.createAccount(account, anAudit())
    const made = aWebhook({ accountId: account.id, ...more })
    await world.store.createWebhook(made, { webhooksMax: 100 }, anAudit())
    return made
  }

  function anAlert({ id, accountId }: Webhook, more: Partial<Alert> = {}): Alert {
    const raisedAt = tick()
    const kind = 'high_failure_rate'
    return {
      id: newId('alert', raisedAt),
      kind,
      subjectId: id,
      accountId,
      message: 'too many',
      raisedAt,
      clearedAt: null,
      ...more,
    }
  }

  const raise = (alert: Alert, basis: Webhook, mailDueAt: number | null = null) =>
    world.store.raiseAlert(alert, basis, [anEvent(basis.accountId, { type: 'alert.raised' })], mailDueAt)
  const clear = ({ id, subjectId }: Alert, basis: Webhook | null, mailDueAt: number | null = null) =>
    world.store.clearAlert(
      { id, subjectId, clearedAt: tick() },
      basis,
      [anEvent(basis?.accountId ?? null, { type: 'alert.cleared' })],
      mailDueAt,
    )
  const openOf = async ({ id }: Webhook) => (await world.store.watchFacts([id], 0))[0]!.open

  /** Has one attempt made and settled; answers its minute. */
  async function attempted(made: Webhook, status: number, outcome: 'delivered' | 'failed' | 'waiting', durationMs = 10) {
    await world.store.recordEvents([anEvent(made.accountId)])
    const [delivery] = await world.store.claim('node_a', [{ webhookId: made.id, room: 1 }], FAR)
    const endedAt = tick()
    const ends = {
      delivered: { state: 'delivered' } as const,
      failed: {
        state: 'failed',
        reason: `status ${status}`,
        webhookFails: made.dialect === 'mftplus' && status !== 401,
      } as const,
      waiting: { state: 'waiting', dueAt: FAR } as const,
    }
    const attempt = anAttempt(delivery!.attempts + 1, status, { durationMs, startedAt: endedAt })
    await world.store.settle([settling(delivery!, ends[outcome], { attempt, endedAt })])
    return { minute: endedAt - (endedAt % MINUTE_MS), deliveryId: delivery!.id }
  }

  test('an alert is raised once with its events; the second of its kind is refused while it is open', async () => {
    const made = await webhook({ events: ['alert.*'] })
    const alert = anAlert(made)
    const both = await Promise.all([raise(alert, made), raise(anAlert(made), made)])
    assert.deepEqual(both.toSorted(), [false, true])
    assert.equal((await openOf(made)).length, 1)
    assert.equal((await world.store.listDeliveries({ webhookId: made.id }, PAGE)).total, 1)
    assert.ok(await raise(anAlert(made, { kind: 'slow_endpoint' }), made))
    assert.equal((await openOf(made)).length, 2)
  })

  test('it is cleared once, and can be raised again', async () => {
    const made = await webhook()
    const alert = anAlert(made)
    await raise(alert, made)
    assert.deepEqual((await Promise.all([clear(alert, made), clear(alert, made)])).toSorted(), [false, true])
    assert.deepEqual(await openOf(made), [])
    assert.ok(await raise(anAlert(made), made))
    const events = await world.store.listEvents({ accountId: made.accountId! }, PAGE)
    assert.deepEqual(events.rows.map(({ type }) => type).toSorted(), ['alert.cleared', 'alert.raised', 'alert.raised'])
  })

  test('a judgement about a webhook that has changed since is not carried out', async () => {
    const made = await webhook()
    const alert = anAlert(made)
    assert.equal(await raise(alert, { ...made, state: 'failed' }), false)
    assert.equal(await raise(alert, { ...made, updatedAt: 1 }), false)
    assert.ok(await raise(alert, made))
    assert.equal(await clear(alert, null), false)
    await world.store.removeWebhook(made.id, anAudit())
    assert.equal(await clear(alert, made), false)
    assert.ok(await clear(alert, null))
    assert.equal(await raise(anAlert(made), made), false)
    assert.deepEqual(await world.store.watchFacts([made.id], 0), [])
  })

  test('facts are the sums of the hour and the latest minute of each evidence', async () => {
    const made = await webhook({ dialect: 'trueftp' })
    const [nothing] = await world.store.watchFacts([made.id], 0)
    assert.deepEqual(nothing?.hour, { attempts: 0, failures: 0 })
    assert.deepEqual([nothing?.acceptedAt, nothing?.slowAt, nothing?.failedAt], [null, null, null])
    const { minute } = await attempted(made, 200, 'delivered', 5_001)
    await attempted(made, 401, 'waiting')
    const [facts] = await world.store.watchFacts([made.id, 'wh_x'], 0)
    assert.deepEqual(facts?.hour, { attempts: 2, failures: 1 })
    assert.deepEqual([facts?.acceptedAt, facts?.unauthorizedAt, facts?.slowAt], [minute, minute, minute])
    assert.deepEqual([facts?.promptAt, facts?.failedAt], [minute, null])
    await attempted(made, 500, 'failed')
    assert.equal((await world.store.watchFacts([made.id], 0))[0]?.failedAt, minute)
    assert.deepEqual((await world.store.watchFacts([made.id], minute + MINUTE_MS))[0]?.hour, { attempts: 0, failures: 0 })
    assert.ok((await world.store.troubledWebhooks(minute, 1_000)).includes(made.id))
    assert.ok(!(await world.store.troubledWebhooks(minute + MINUTE_MS, 1_000)).includes(made.id))
  })

  test('a failed webhook is in trouble until an alert says so, and says which delivery turned it off', async () => {
    const made = await webhook()
    const { deliveryId, minute } = await attempted(made, 503, 'failed')
    const later = minute + MINUTE_MS
    assert.ok((await world.store.troubledWebhooks(later, 1_000)).includes(made.id))
    const [facts] = await world.store.watchFacts([made.id], 0)
    assert.equal(facts?.webhook.state, 'failed')
    assert.deepEqual(facts?.failure, { deliveryId, attempts: 1, error: 'status 503' })
    const failed = (await world.store.findWebhook(made.id))!
    await raise(anAlert(made, { kind: 'webhook_failed' }), failed)
    assert.ok(!(await world.store.troubledWebhooks(later, 1_000)).includes(made.id))
  })

  test('a webhook recovers with the first delivery that was accepted since it is active again', async () => {
    const made = await webhook()
    await attempted(made, 200, 'delivered')
    await attempted(made, 503, 'failed')
    const failed = (await world.store.findWebhook(made.id))!
    await raise(anAlert(made, { kind: 'webhook_failed' }), failed)
    const recovery = async () => (await world.store.watchFacts([made.id], 0))[0]!.recovery
    assert.equal(await recovery(), null)
    const again = { ...made, updatedAt: tick() }
    await world.store.updateWebhook(again, failed, anAudit())
    assert.equal(await recovery(), null)
    await attempted(made, 500, 'waiting')
    assert.equal(await recovery(), null)
    const { deliveryId } = await attempted(made, 200, 'delivered')
    await attempted(made, 200, 'delivered')
    assert.deepEqual(await recovery(), { deliveryId })
  })

  test('alerts are found by id, listed newest first, by status, kind, webhook and account', async () => {
    const made = await webhook()
    const [older, newer] = [anAlert(made), anAlert(made, { kind: 'unauthorized', message: 'the 401 \u2026' })]
    await raise(older, made)
    await raise(newer, made)
    await clear(older, made)
    assert.deepEqual(await world.store.findAlert(newer.id), newer)
    assert.equal(await world.store.findAlert('alr_x'), undefined)
    const ids = async (filter: object) =>
      (await world.store.listAlerts({ accountId: made.accountId!, ...filter }, PAGE)).rows.map(({ id }) => id)
    assert.deepEqual(await ids({}), [newer.id, older.id])
    assert.deepEqual(await ids({ status: 'open' }), [newer.id])
    assert.deepEqual(await ids({ status: 'cleared' }), [older.id])
    assert.deepEqual(await ids({ kind: 'unauthorized' }), [newer.id])
    assert.deepEqual(await ids({ subjectId: made.id }), [newer.id, older.id])
    assert.deepEqual(await ids({ subjectId: 'wh_x' }), [])
    assert.equal((await world.store.listAlerts({ subjectId: made.id }, { limit: 1, offset: 0 })).total, 2)
    const open = await world.store.openAlerts('', 1_000)
    assert.ok(open.some(({ id }) => id === newer.id) && !open.some(({ id }) => id === older.id))
    assert.ok(!(await world.store.openAlerts(newer.id, 1_000)).some(({ id }) => id === newer.id))
  })

  /** Takes the mails that are due, but only those of this webhook. */
  async function take({ id }: Webhook, now: number, leaseUntil: number) {
    const taken = await world.store.takeMails(now, leaseUntil, 1_000)
    return taken.filter(({ alert }) => alert.subjectId === id).map(({ notice, tries }) => ({ notice, tries }))
  }

  test('a mail is taken by one of several nodes, again when its lease is over, and never after it was sent', async () => {
    const made = await webhook()
    const alert = anAlert(made)
    const now = tick()
    await raise(alert, made, now)
    assert.deepEqual(await take(made, now - 1, now), [])
    const both = await Promise.all([take(made, now, now + 60), take(made, now, now + 60)])
    assert.deepEqual(both.flat(), [{ notice: 'raised', tries: 1 }])
    assert.deepEqual(await take(made, now + 59, now + 120), [])
    assert.deepEqual(await take(made, now + 60, now + 120), [{ notice: 'raised', tries: 2 }])
    await world.store.mailFailed(alert.id, 'raised', now + 90)
    assert.deepEqual(await take(made, now + 90, now + 120), [{ notice: 'raised', tries: 3 }])
    await world.store.mailSent(alert.id, 'raised', now + 91)
    assert.deepEqual(await take(made, FAR, FAR), [])
  })

  test('an alert that was raised without mail has none, and one that is given up is not taken again', async () => {
    const made = await webhook()
    await raise(anAlert(made), made)
    const other = anAlert(made, { kind: 'unauthorized' })
    const now = tick()
    await raise(other, made, now)
    await world.store.mailFailed(other.id, 'raised', null)
    assert.deepEqual(await take(made, FAR, FAR), [])
  })

  test('the mail about the end follows that about the begin, also when the alert ends while that is being sent', async () => {
    const made = await webhook()
    const alert = anAlert(made)
    const now = tick()
    await raise(alert, made, now)
    await take(made, now, now + 60)
    await clear(alert, made, now + 1)
    assert.deepEqual(await take(made, now + 1, now + 70), [])
    await world.store.mailSent(alert.id, 'raised', now + 2)
    assert.deepEqual(await take(made, now + 2, now + 70), [{ notice: 'cleared', tries: 1 }])
    // A late word about the first says nothing about the second.
    await world.store.mailFailed(alert.id, 'raised', null)
    assert.deepEqual(await take(made, now + 70, now + 80), [{ notice: 'cleared', tries: 2 }])
    await world.store.mailSent(alert.id, 'cleared', now + 71)
    assert.deepEqual(await take(made, FAR, FAR), [])
  })
}
