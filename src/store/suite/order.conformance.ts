import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newId } from '../../base/id.ts'
import type { EventDraft } from '../../events/event.ts'
import type { Change } from '../../files/port.ts'
import type { ClaimedDelivery, PlannedDelivery, Webhook } from '../../webhooks/webhook.ts'
import type { World } from '../conformance.ts'
import { aChange, anAccount, anAudit, anEvent, aWebhook, settling, tick } from '../testing.ts'

const PAGE = { limit: 1_000, offset: 0 }
const NOBODY = { node: 'node_a', deliveryIds: [] }
const DELIVERED = { state: 'delivered' } as const
const LOST = { state: 'failed', reason: 'attempts used up', webhookFails: false } as const

/** Deliveries that are sent one after the other, and those that replace others. */
export function orderCases(world: World): void {
  /** A webhook in strict order by key: the path of a file, the transfer of a progress. */
  async function ordered(more: Partial<Webhook> = {}) {
    const account = anAccount()
    await world.store.createAccount(account, anAudit())
    const webhook = aWebhook({ accountId: account.id, order: 'key', events: ['file.uploaded', 'transfer.progress'], ...more })
    await world.store.createWebhook(webhook, { webhooksMax: 5 }, anAudit())
    return { account, webhook }
  }

  const at = (accountId: string, path: string) => anEvent(accountId, { data: { path } })
  const record = (events: EventDraft[]) => world.store.recordEvents(events)
  const claim = (webhook: Webhook, now = tick()) => world.store.claim('node_a', [{ webhookId: webhook.id, room: 100 }], now)
  const ids = (deliveries: readonly { eventId: string }[]) => deliveries.map((delivery) => delivery.eventId)
  const settle = async (delivery: ClaimedDelivery, outcome: Parameters<typeof settling>[1]) => {
    const [result] = await world.store.settle([settling(delivery, outcome)])
    assert.equal(result!.written, true)
  }

  test('deliveries of one key are given one after the other, those of other keys flow on', async () => {
    const { account, webhook } = await ordered()
    const [a1, a2, b1, a3, b2] = ['/a', '/a', '/b', '/a', '/b'].map((path) => at(account.id, path))
    await record([a1!, a2!])
    await record([b1!, a3!, b2!])
    const [first, other] = await claim(webhook)
    assert.deepEqual(ids([first!, other!]), [a1!.id, b1!.id])
    assert.deepEqual(await claim(webhook), [])
    assert.ok(!(await world.store.dueWebhooks(tick(), 1_000)).webhookIds.includes(webhook.id))

    // A retry keeps its place.
    const dueAt = tick() + 1_000
    await settle(first!, { state: 'waiting', dueAt })
    assert.deepEqual(await claim(webhook), [])
    const [again] = await claim(webhook, dueAt)
    assert.deepEqual(ids([again!]), [a1!.id])

    world.nudged.length = 0
    await settle(again!, DELIVERED)
    assert.deepEqual(world.nudged, [webhook.id])
    const [second] = await claim(webhook)
    assert.deepEqual(ids([second!]), [a2!.id])
    await settle(second!, LOST)
    assert.deepEqual(ids(await claim(webhook)), [a3!.id])
    await settle(other!, { state: 'cancelled', reason: 'expired' })
    assert.deepEqual(ids(await claim(webhook)), [b2!.id])
  })

  test('what waits behind others leaves its order in steps, the first of it stays where it is', async () => {
    const { account, webhook } = await ordered({ order: 'webhook' })
    const { webhook: other } = await ordered({ order: 'webhook' })
    const events = ['/a', '/b', '/c', '/d'].map((path) => at(account.id, path))
    await record([...events, at(other.accountId!, '/a'), at(other.accountId!, '/b')])
    const [first] = await claim(webhook)
    const dueAt = tick() + 1_000
    await settle(first!, { state: 'waiting', dueAt })
    assert.deepEqual(await claim(webhook), [])

    world.nudged.length = 0
    assert.equal(await world.store.leaveOrder(webhook.id, 'progress:', 2), 2)
    assert.deepEqual(world.nudged, [webhook.id])
    const passing = await claim(webhook)
    assert.deepEqual(ids(passing), [events[1]!.id, events[2]!.id])
    assert.equal(await world.store.leaveOrder(webhook.id, 'progress:', 2), 1)
    assert.equal(await world.store.leaveOrder(webhook.id, 'progress:', 2), 0)
    assert.deepEqual(ids(await claim(webhook)), [events[3]!.id])
    assert.equal((await claim(other)).length, 1, 'the order of another webhook holds')

    for (const delivery of passing) await settle(delivery, DELIVERED)
    const [again] = await claim(webhook, dueAt)
    await settle(again!, DELIVERED)
    const late = at(account.id, '/e')
    await record([late])
    assert.deepEqual(ids(await claim(webhook)), [late.id], 'who comes after them is first again')
  })

  test('progress of a transfer keeps its turn when the rest leaves the order', async () => {
    const { account, webhook } = await ordered({ order: 'none' })
    const progress = (percent: number) =>
      anEvent(account.id, { type: 'transfer.progress', data: { transferId: 'trf_1', progress: percent } })
    await record([progress(10)])
    const [first] = await claim(webhook)
    await record([progress(20)])
    assert.equal(await world.store.leaveOrder(webhook.id, 'progress:', 10), 0)
    assert.deepEqual(await claim(webhook), [])
    await settle(first!, DELIVERED)
    assert.equal((await claim(webhook)).length, 1)
  })

  test('a batch that ends several of a key, or names some twice, lets one go', async () => {
    const { account, webhook } = await ordered({ order: 'webhook' })
    const events = ['/a', '/b', '/c', '/d'].map((path) => at(account.id, path))
    await record(events)
    for (const event of events.slice(0, 3)) {
      const [claimed, ...more] = await claim(webhook)
      assert.deepEqual([claimed!.eventId, more], [event.id, []])
      const end = settling(claimed!, DELIVERED)
      const results = await Promise.all([world.store.settle([end]), world.store.settle([end, end])])
      assert.equal(results.flat().filter((result) => result.written).length, 1)
    }
    assert.deepEqual(ids(await claim(webhook)), [events[3]!.id])
  })

  test('the order is that of being said, and nothing ordered is born claimed while another waits', async () => {
    const { account, webhook } = await ordered()
    const { webhook: loose } = { webhook: aWebhook({ accountId: account.id }) }
    await world.store.createWebhook(loose, { webhooksMax: 5 }, anAudit())
    const held: { change: Change; deliveries: PlannedDelivery[] }[] = []
    for (const path of ['/x/1', '/x/2']) {
      const change = aChange(account, { path })
      const event = at(account.id, '/same')
      const recorded = { ...change, event, intent: { ...change.intent, eventId: event.id } }
      held.push({ change: recorded, deliveries: (await world.store.recordChange(recorded)).deliveries as PlannedDelivery[] })
    }
    const [first, second] = held
    const born = (one: (typeof held)[number]) => ({ node: 'node_a', deliveryIds: one.deliveries.map(({ id }) => id) })
    await world.store.closeIntent(second!.change.intent, born(second!))
    await world.store.closeIntent(first!.change.intent, born(first!))
    // The one that was said first is in its hands; the other is nobody's and blocked, whatever was claimed.
    assert.deepEqual(await claim(webhook), [])
    const head = second!.deliveries.find(({ webhookId }) => webhookId === webhook.id)!
    await settle({ ...head, attempts: 0, createdAt: second!.change.event.occurredAt }, DELIVERED)
    assert.deepEqual(ids(await claim(webhook)), [first!.change.event.id])
    // Of the webhook without an order both were born claimed.
    assert.deepEqual(await claim(loose), [])
    assert.equal(await world.store.findIntent(first!.change.intent.id), undefined)
  })

  test('a resend stands behind what waits; the end of a webhook ends them all', async () => {
    const { account, webhook } = await ordered()
    const events = [at(account.id, '/a'), at(account.id, '/a')]
    await record(events)
    const [head] = await claim(webhook)
    const { attempts: _attempts, createdAt: _createdAt, ...planned } = head!
    const resend: PlannedDelivery = { ...planned, id: newId('delivery', tick()), cause: 'resend' }
    await world.store.addDelivery(resend, tick(), anAudit())
    assert.deepEqual(await claim(webhook), [])
    await settle(head!, DELIVERED)
    const [next] = await claim(webhook)
    assert.equal(next!.eventId, events[1]!.id)
    await world.store.unclaim('node_a', [next!.id])
    assert.deepEqual(ids(await claim(webhook)), [events[1]!.id])
    await settle(next!, DELIVERED)
    assert.deepEqual((await claim(webhook)).map(({ id }) => id), [resend.id]) // biome-ignore format: one line
    await world.store.unclaim('node_a', [resend.id])
    await record([at(account.id, '/a'), at(account.id, '/b')])
    await world.store.removeWebhook(webhook.id, anAudit())
    assert.deepEqual([await world.store.cancelOrphans(2), await world.store.cancelOrphans(9)], [2, 1])
    const { rows } = await world.store.listDeliveries({ webhookId: webhook.id, state: 'waiting' }, PAGE)
    assert.deepEqual(rows, [])
  })

  test('many that record and settle one key at the same time neither break its order nor leave it blocked', async () => {
    const { account, webhook } = await ordered({ order: 'webhook' })
    const rounds = 60
    const said: string[] = []
    const recording = (async () => {
      for (let round = 0; round < rounds; round++) {
        const event = at(account.id, `/${round}`)
        await record([event])
        said.push(event.id)
      }
    })()
    const sent: string[] = []
    let idle = 0
    // Ends when all came; a key that stays blocked would find nothing for ever.
    while (sent.length < rounds) {
      const claimed = await claim(webhook)
      assert.ok(claimed.length <= 1)
      idle = claimed.length === 0 ? idle + 1 : 0
      assert.ok(idle < 2_000, 'blocked for ever')
      for (const one of claimed) {
        sent.push(one.eventId)
        void settle(one, DELIVERED)
      }
    }
    await recording
    assert.deepEqual(sent, said)
  })

  const progress = (accountId: string, transferId: string, percent: number) =>
    anEvent(accountId, { type: 'transfer.progress', data: { transferId, percent } })

  test('of the progress of a transfer only the newest waits; what is under way is not called back', async () => {
    const { account, webhook } = await ordered({ order: 'none' })
    const [a1, b1, a2, a3, a4] = [1, 10, 2, 3, 4].map((percent) => progress(account.id, percent === 10 ? 'b' : 'a', percent))
    await record([a1!])
    const [posting] = await claim(webhook)
    await record([b1!, a2!, a3!])
    await record([a4!])
    assert.deepEqual(ids(await claim(webhook)), [b1!.id])
    const { rows } = await world.store.listDeliveries({ webhookId: webhook.id, state: 'cancelled' }, PAGE)
    assert.deepEqual(ids(rows), [a3!.id, a2!.id])
    assert.ok(rows.every((row) => /^superseded by dlv_/.test(row.lastError!) && row.settledAt !== null && row.attempts === 0))
    await settle(posting!, DELIVERED)
    assert.deepEqual(ids(await claim(webhook)), [a4!.id])
  })

  test('one under way that is replaced meanwhile is not tried again', async () => {
    const { account, webhook } = await ordered({ order: 'none' })
    const [a1, b1, a2, a3] = [1, 10, 2, 3].map((percent) => progress(account.id, percent === 10 ? 'b' : 'a', percent))
    await record([a1!, b1!])
    const [stale, other] = await claim(webhook)
    await record([a2!])
    await record([a3!])
    world.nudged.length = 0
    const dueAt = tick() + 60_000
    await settle(stale!, { state: 'waiting', dueAt })
    assert.deepEqual(world.nudged, [webhook.id])
    await settle(other!, { state: 'waiting', dueAt })
    assert.deepEqual(ids(await claim(webhook)), [a3!.id])
    // Nothing newer has come for the other one: it is tried again.
    assert.deepEqual(ids(await claim(webhook, dueAt)), [b1!.id])
    const { rows, total } = await world.store.listDeliveries({ webhookId: webhook.id, state: 'cancelled' }, PAGE)
    assert.deepEqual([ids(rows).toSorted(), total], [[a1!.id, a2!.id].toSorted(), 2])
    const first = rows.find(({ eventId }) => eventId === a1!.id)!
    assert.match(first.lastError!, /^superseded by dlv_/)
    assert.equal(first.attempts, 1)
  })

  test('what is replaced gives its place in the order free', async () => {
    const { account, webhook } = await ordered({ order: 'webhook' })
    const [first, file, second, third] = [
      progress(account.id, 't', 1),
      at(account.id, '/f'),
      progress(account.id, 't', 2),
      progress(account.id, 't', 3),
    ]
    await record([first])
    await record([file])
    await record([second, third])
    const [head, ...more] = await claim(webhook)
    assert.deepEqual([head!.eventId, more], [file.id, []])
    await settle(head!, DELIVERED)
    assert.deepEqual(ids(await claim(webhook)), [third.id])
  })

  test('a change that is let go replaces too', async () => {
    const { account, webhook } = await ordered({ order: 'none' })
    const old = progress(account.id, 'u', 1)
    await record([old])
    const event = progress(account.id, 'u', 2)
    const change = aChange(account, { path: '/u' })
    const recorded = { ...change, event, intent: { ...change.intent, eventId: event.id } }
    await world.store.recordChange(recorded)
    await world.store.closeIntent(recorded.intent, NOBODY)
    assert.deepEqual(ids(await claim(webhook)), [event.id])
  })
}
