import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newId } from '../../base/id.ts'
import { HOUR_MS } from '../../base/units.ts'
import type { PlannedDelivery } from '../../webhooks/webhook.ts'
import type { World } from '../conformance.ts'
import type { PurgedKind } from '../retention.ts'
import { aChange, anAccount, anAudit, anEvent, aWebhook, settling, tick } from '../testing.ts'

const PAGE = { limit: 100, offset: 0 }
const NOBODY = { node: 'node_a', deliveryIds: [] }

export function retentionCases(world: World): void {
  async function withWebhook() {
    const account = anAccount()
    await world.store.createAccount(account, anAudit())
    const webhook = aWebhook({ accountId: account.id })
    await world.store.createWebhook(webhook, { webhooksMax: 5 }, anAudit())
    return { account, webhook, want: [{ webhookId: webhook.id, room: 100 }] }
  }

  /** All steps of a kind; how many rows went, and attempts with them. */
  async function purge(kind: PurgedKind, before: number, limit = 3) {
    const sum = { deleted: 0, attempts: 0 }
    for (let after: string | null = null, steps = 0; ; steps++) {
      assert.ok(steps < 1_000)
      const { deleted, attempts, next } = await world.store.purge({ kind, before, after, limit })
      assert.ok(deleted <= limit)
      sum.deleted += deleted
      sum.attempts += attempts
      if (next === null) return sum
      after = next
    }
  }

  test('what has ended and is old goes with its attempts, what waits or is held stays with its event', async () => {
    const { account, webhook, want } = await withWebhook()
    const events = Array.from({ length: 6 }, () => anEvent(account.id))
    await world.store.recordEvents(events)
    const claimed = await world.store.claim('node_a', want, tick())
    const ends = [
      { state: 'delivered' },
      { state: 'failed', reason: 'no', webhookFails: false },
      { state: 'delivered' },
      { state: 'waiting', dueAt: tick() },
    ] as const
    await world.store.settle(ends.map((outcome, index) => settling(claimed[index]!, outcome)))
    await world.store.unclaimAllBut('node_a', [])
    const held = aChange(account, { path: '/held' })
    await world.store.recordChange(held)
    const border = tick()
    const young = anEvent(account.id)
    await world.store.recordEvents([young])
    const [late] = (await world.store.claim('node_a', want, tick())).filter((one) => one.eventId === young.id)
    await world.store.settle([settling(late!, { state: 'delivered' })])

    assert.deepEqual(await purge('deliveries', border), { deleted: 3, attempts: 3 })
    const left = await world.store.listDeliveries({ webhookId: webhook.id }, PAGE)
    assert.deepEqual([left.total, left.rows.map((row) => row.eventId)], [4, [young, ...events.slice(3).reverse()].map((event) => event.id)]) // biome-ignore format: one line
    assert.deepEqual(left.rows.map((row) => row.state), ['delivered', 'waiting', 'waiting', 'waiting']) // biome-ignore format: one line
    for (const state of ['delivered', 'failed'] as const) {
      const { total, rows } = await world.store.listDeliveries({ webhookId: webhook.id, state }, PAGE)
      assert.equal(total, rows.length)
    }
    assert.equal((await world.store.listAttempts(webhook.id, PAGE)).total, 2)
    assert.equal((await purge('events', border)).deleted, 3)
    const shown = await world.store.listEvents({ accountId: account.id }, PAGE)
    assert.deepEqual(shown.rows.map((event) => event.id), [young, ...events.slice(3).reverse()].map((event) => event.id)) // biome-ignore format: one line

    // The change that was held is carried out as if nothing had been.
    await world.store.unclaimAllBut('node_a', [])
    await world.store.closeIntent(held.intent, NOBODY)
    assert.equal((await world.store.findEvent(held.event.id))?.id, held.event.id)
    const rest = await world.store.claim('node_a', want, tick())
    assert.equal(rest.length, 4)
    await world.store.settle(rest.map((one) => settling(one, { state: 'delivered' })))
    assert.equal((await purge('deliveries', tick())).deleted, 5)
    assert.equal((await purge('events', tick())).deleted, 5)
    assert.equal((await world.store.listDeliveries({ webhookId: webhook.id }, PAGE)).total, 0)
  })

  test('an old event stays while something young needs it: sent again, or a test that waits', async () => {
    const { account, webhook, want } = await withWebhook()
    const event = anEvent(account.id)
    await world.store.recordEvents([event])
    const [first] = await world.store.claim('node_a', want, tick())
    await world.store.settle([settling(first!, { state: 'delivered' })])
    const { attempts: _attempts, createdAt: _createdAt, ...planned } = first!
    const sample = anEvent(account.id)
    const border = tick()
    const again: PlannedDelivery = { ...planned, id: newId('delivery', tick()), cause: 'resend' }
    const trial: PlannedDelivery = { ...planned, id: newId('delivery', tick()), eventId: sample.id, cause: 'test' }
    await world.store.addDelivery(again, tick(), anAudit())
    await world.store.addTest(sample, trial, anAudit())
    assert.equal((await purge('deliveries', border)).deleted, 1)
    assert.equal((await purge('events', border)).deleted, 0)
    const both = await world.store.claim('node_a', want, tick() + 1_000)
    assert.equal(both.length, 2)
    await world.store.settle(both.map((one) => settling(one, { state: 'delivered' })))
    assert.equal((await purge('deliveries', tick() + 1_000)).deleted, 2)
    assert.equal((await purge('events', border)).deleted, 2)
    assert.equal((await world.store.listDeliveries({ webhookId: webhook.id }, PAGE)).total, 0)
  })

  test('roll-ups go by their own age, and a feed goes on where it was', async () => {
    const { account, webhook, want } = await withWebhook()
    await world.store.recordEvents([anEvent(account.id), anEvent(account.id)])
    const claimed = await world.store.claim('node_a', want, tick())
    const old = tick()
    const ages = [old, old + 5 * HOUR_MS]
    await world.store.settle(claimed.map((one, index) => settling(one, { state: 'delivered' }, { endedAt: ages[index]! })))
    const cursor = await world.store.eventsEnd()
    await purge('minutes', old + HOUR_MS)
    const sum = (grain: 'minute' | 'hour') => world.store.tallyOf(webhook.id, { grain, from: 0, until: old + 10 * HOUR_MS })
    assert.deepEqual([(await sum('minute')).attempts, (await sum('hour')).attempts], [1, 2])
    await purge('hours', old + 2 * HOUR_MS)
    assert.deepEqual([(await sum('minute')).attempts, (await sum('hour')).attempts], [1, 1])
    await purge('deliveries', old + 6 * HOUR_MS)
    await purge('events', old + 6 * HOUR_MS)
    const said = (await world.store.eventsAfter(cursor, 1_000)).events
    assert.deepEqual(said.filter(({ accountId }) => accountId === account.id), []) // biome-ignore format: one line
    assert.ok((await world.store.databaseBytes()) >= 0)
  })

  test('a removed webhook goes with the last of its deliveries, and the audit trail by its own age', async () => {
    const { account, webhook, want } = await withWebhook()
    await world.store.recordEvents([anEvent(account.id)])
    const [delivery] = await world.store.claim('node_a', want, tick())
    await world.store.settle([settling(delivery!, { state: 'delivered' })])
    await world.store.removeWebhook(webhook.id, anAudit('webhook.remove', { accountId: account.id }))
    const border = tick()
    assert.equal((await purge('webhooks', border)).deleted, 0)
    await purge('deliveries', border)
    assert.equal((await purge('webhooks', border)).deleted, 1)
    assert.equal((await purge('webhooks', border)).deleted, 0)

    const young = anAudit('upload', { accountId: account.id })
    await world.store.appendAudit([young])
    await purge('audit', border)
    const { rows } = await world.store.listAudit({ accountId: account.id }, PAGE)
    assert.deepEqual(rows.map(({ id }) => id), [young.id]) // biome-ignore format: one line
  })
}
