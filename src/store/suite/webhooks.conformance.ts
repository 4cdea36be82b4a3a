import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newId } from '../../base/id.ts'
import { LOOSE } from '../../webhooks/testing.ts'
import type { PlannedDelivery } from '../../webhooks/webhook.ts'
import type { World } from '../conformance.ts'
import { anAccount, anAudit, anEvent, aWebhook, settling, tick } from '../testing.ts'

const PAGE = { limit: 100, offset: 0 }
const LIMITS = { webhooksMax: 100 }
const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected

export function webhookCases(world: World): void {
  async function account() {
    const made = anAccount()
    await world.store.createAccount(made, anAudit())
    return made
  }

  async function webhook(more = {}) {
    const made = aWebhook({ accountId: (await account()).id, ...more })
    await world.store.createWebhook(made, LIMITS, anAudit('webhook.create'))
    return made
  }

  test('a webhook comes back as it was made, and is replaced as a whole', async () => {
    const made = await webhook({ retryDelaysSeconds: [1, 2], events: ['transfer.*', 'file.deleted'], name: '日本' })
    assert.deepEqual(await world.store.findWebhook(made.id), made)
    assert.deepEqual(await world.store.listWebhooks({ accountId: made.accountId! }, PAGE), { rows: [made], total: 1 })
    assert.deepEqual(await world.store.targets([made.id, 'wh_x']), [made])
    const changed = { ...made, retryDelaysSeconds: null, sealedSecret: null, state: 'inactive' as const, updatedAt: tick() }
    await world.store.updateWebhook(changed, made, anAudit('webhook.update'))
    assert.deepEqual(await world.store.findWebhook(made.id), changed)
    assert.deepEqual(await world.store.targets([made.id]), [changed])
    await assert.rejects(world.store.updateWebhook(aWebhook(), made, anAudit()), code('not_found'))
  })

  test('a change of what is no longer as it was read is refused and changes nothing', async () => {
    const made = await webhook()
    const off = { ...made, state: 'inactive' as const, updatedAt: tick() }
    await world.store.updateWebhook(off, made, anAudit())
    const late = { ...made, name: 'late', updatedAt: tick() }
    await assert.rejects(world.store.updateWebhook(late, made, anAudit()), code('conflict'))
    await assert.rejects(world.store.updateWebhook(late, { ...off, state: 'failed' }, anAudit()), code('conflict'))
    assert.deepEqual(await world.store.findWebhook(made.id), off)
  })

  test('the limit of webhooks counts those of the account, also for those made at the same time', async () => {
    const { id: accountId } = await account()
    const six = Array.from({ length: 6 }, () => world.store.createWebhook(aWebhook({ accountId }), { webhooksMax: 2 }, anAudit()))
    const results = await Promise.allSettled(six)
    assert.equal(results.filter((result) => result.status === 'fulfilled').length, 2)
    const refused = results.find((result) => result.status === 'rejected')
    assert.ok(refused && code('limit_reached')(refused.reason))
    assert.match(
      refused.reason.message,
      /^there are \d+ webhooks of this account and \d+ are allowed: remove one, or change the plan/,
    )
  })

  test('a removed webhook is gone for everybody and asked for nothing any more', async () => {
    const made = await webhook()
    await world.store.recordEvents([anEvent(made.accountId)])
    await world.store.removeWebhook(made.id, anAudit('webhook.remove'))
    await world.store.recordEvents([anEvent(made.accountId)])
    assert.equal(await world.store.findWebhook(made.id), undefined)
    assert.deepEqual(await world.store.targets([made.id]), [])
    assert.equal((await world.store.listWebhooks({ accountId: made.accountId! }, PAGE)).total, 0)
    assert.deepEqual(await world.store.claim('node_a', [{ webhookId: made.id, room: 5 }], tick()), [])
    assert.equal(await world.store.cancelOrphans(10), 1)
    assert.equal(await world.store.cancelOrphans(10), 0)
    const { rows, total } = await world.store.listDeliveries({ webhookId: made.id }, PAGE)
    assert.deepEqual([total, rows[0]?.state], [1, 'cancelled'])
    await assert.rejects(world.store.removeWebhook(made.id, anAudit()), code('not_found'))
    await assert.rejects(world.store.updateWebhook(made, made, anAudit()), code('not_found'))
  })

  test('orphans are cancelled in steps', async () => {
    const made = await webhook()
    await world.store.recordEvents([1, 2, 3].map(() => anEvent(made.accountId)))
    await world.store.removeWebhook(made.id, anAudit())
    assert.deepEqual(
      [await world.store.cancelOrphans(2), await world.store.cancelOrphans(2), await world.store.cancelOrphans(2)],
      [2, 1, 0],
    )
  })

  test('what waits for a webhook that is off has no time, and is due again when it is on', async () => {
    const made = await webhook()
    await world.store.recordEvents([anEvent(made.accountId)])
    await world.store.updateWebhook({ ...made, state: 'inactive' }, made, anAudit())
    const off = await world.store.listDeliveries({ webhookId: made.id }, PAGE)
    assert.deepEqual([off.rows[0]?.state, off.rows[0]?.nextAttemptAt], ['waiting', null])
    assert.deepEqual(await world.store.claim('node_a', [{ webhookId: made.id, room: 5 }], tick()), [])
    assert.ok(!(await world.store.dueWebhooks(tick(), 1_000)).webhookIds.includes(made.id))
    world.nudged.length = 0
    await world.store.updateWebhook(made, { ...made, state: 'inactive' }, anAudit())
    assert.deepEqual(world.nudged, [made.id])
    assert.ok((await world.store.dueWebhooks(tick(), 1_000)).webhookIds.includes(made.id))
    assert.equal((await world.store.claim('node_a', [{ webhookId: made.id, room: 5 }], tick())).length, 1)
  })

  test('what waits for later is made due in steps, the soonest first', async () => {
    const made = await webhook()
    const other = await webhook()
    await world.store.recordEvents([1, 2, 3].map(() => anEvent(made.accountId)))
    await world.store.recordEvents([anEvent(other.accountId)])
    const want = (id: string) => [{ webhookId: id, room: 5 }]
    const dueAt = tick() + 60_000
    const claimed = await world.store.claim('node_a', want(made.id), tick())
    const [elsewhere] = await world.store.claim('node_a', want(other.id), tick())
    const later = [...claimed, elsewhere!].map((one, index) => settling(one, { state: 'waiting', dueAt: dueAt + index }))
    await world.store.settle(later)
    const now = tick()
    assert.equal(await world.store.makeDue(made.id, now, 2), 2)
    const due = await world.store.claim('node_a', want(made.id), now)
    assert.deepEqual(
      due.map(({ id }) => id),
      claimed.slice(0, 2).map(({ id }) => id),
    )
    assert.equal(await world.store.makeDue(made.id, now, 2), 1)
    assert.equal(await world.store.makeDue(made.id, now, 2), 0)
    assert.equal((await world.store.claim('node_a', want(made.id), now)).length, 1)
    assert.deepEqual(await world.store.claim('node_a', want(other.id), now), [], 'that of others keeps its time')
  })

  test('deliveries are listed newest first, by state and by event type; one is found with its body and attempts', async () => {
    const made = await webhook({ events: ['file.uploaded', 'file.deleted'] })
    const events = [anEvent(made.accountId), anEvent(made.accountId, { type: 'file.deleted' }), anEvent(made.accountId)]
    await world.store.recordEvents(events)
    const [first] = await world.store.claim('node_a', [{ webhookId: made.id, room: 1 }], tick())
    const retry = settling(first!, { state: 'waiting', dueAt: tick() })
    await world.store.settle([retry])
    const all = await world.store.listDeliveries({ webhookId: made.id }, PAGE)
    assert.deepEqual([all.total, all.rows.map((row) => row.eventId)], [3, events.map((event) => event.id).reverse()])
    const deleted = await world.store.listDeliveries({ webhookId: made.id, eventType: 'file.deleted' }, PAGE)
    assert.deepEqual([deleted.total, deleted.rows[0]?.eventId], [1, events[1]!.id])
    const one = await world.store.listDeliveries({ webhookId: made.id, state: 'waiting' }, { limit: 1, offset: 2 })
    assert.deepEqual([one.total, one.rows[0]?.id], [3, first!.id])
    assert.equal((await world.store.listDeliveries({ webhookId: made.id, state: 'failed' }, PAGE)).total, 0)

    const detail = await world.store.findDelivery(made.id, first!.id)
    const { attempts: _attempts, createdAt: _createdAt, ...planned } = first!
    assert.deepEqual(detail?.planned, planned)
    assert.deepEqual(detail?.attempts, [retry.attempt])
    assert.deepEqual(detail?.delivery, one.rows[0])
    assert.deepEqual(
      [detail?.delivery.attempts, detail?.delivery.lastStatusCode, detail?.delivery.lastError],
      [1, 500, 'status 500'],
    )
    assert.equal(await world.store.findDelivery('wh_other', first!.id), undefined)
    const log = await world.store.listAttempts(made.id, PAGE)
    assert.deepEqual(log, {
      rows: [{ ...retry.attempt!, deliveryId: first!.id, eventType: 'file.uploaded', deliveryState: 'waiting' }],
      total: 1,
      next: null,
    })
  })

  test('a resend is a delivery of its own; a test brings an event that lists do not show', async () => {
    const made = await webhook()
    const event = anEvent(made.accountId)
    await world.store.recordEvents([event])
    const resend: PlannedDelivery = {
      id: newId('delivery', tick()),
      eventId: event.id,
      eventType: event.type,
      webhookId: made.id,
      cause: 'resend',
      dialect: 'mftplus',
      ...LOOSE,
      body: '{"a": 1}',
    }
    const sample = anEvent(made.accountId)
    const trial = { ...resend, id: newId('delivery', tick()), eventId: sample.id, cause: 'test' as const }
    world.nudged.length = 0
    await world.store.addDelivery(resend, tick(), anAudit('webhook.redeliver'))
    await world.store.addTest(sample, trial, anAudit('webhook.test'))
    assert.deepEqual(world.nudged, [made.id, made.id])
    assert.equal((await world.store.claim('node_a', [{ webhookId: made.id, room: 5 }], tick())).length, 3)
    assert.deepEqual((await world.store.listEvents({ accountId: made.accountId! }, PAGE)).rows, [event])
    await assert.rejects(
      world.store.addDelivery({ ...resend, id: 'dlv_2', webhookId: 'wh_x' }, tick(), anAudit()),
      code('not_found'),
    )
  })
}
