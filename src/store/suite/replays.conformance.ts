import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idBound, newId } from '../../base/id.ts'
import type { EventDraft } from '../../events/event.ts'
import { planDelivery } from '../../webhooks/plan.ts'
import type { Replay, ReplayStep } from '../../webhooks/recovery/replay-port.ts'
import type { Webhook } from '../../webhooks/webhook.ts'
import type { World } from '../conformance.ts'
import { NODE_SILENT_MS } from '../store.ts'
import { anAccount, anAudit, anEvent, aWebhook, settling, tick } from '../testing.ts'

const PAGE = { limit: 1_000, offset: 0 }

export function replayCases(world: World): void {
  /** A webhook that was off while `count` events were recorded. */
  async function missing(count: number, more: Partial<Webhook> = {}) {
    const account = anAccount()
    await world.store.createAccount(account, anAudit())
    const webhook = aWebhook({ accountId: account.id, ...more })
    const events = Array.from({ length: count }, () => anEvent(account.id))
    await world.store.recordEvents(events)
    await world.store.createWebhook(webhook, { webhooksMax: 5 }, anAudit())
    return { webhook, events }
  }

  function aReplay(webhook: Webhook): Replay {
    const at = tick()
    const all = { events: null, path: null, only: 'all', eventIds: null } as const
    return {
      ...{ id: newId('replay', at), webhookId: webhook.id, accountId: webhook.accountId },
      ...{ request: { since: 0, until: at, ...all, ratePerSecond: 50 }, state: 'running' },
      ...{ matched: 3, isCounted: false, planned: 0, createdAt: at, endedAt: null },
    }
  }

  async function running(count: number, node: string) {
    const { webhook, events } = await missing(count)
    const replay = aReplay(webhook)
    await world.store.createReplay(replay, anAudit('webhook.replay'))
    const taken = await world.store.takeReplays(node, 1_000)
    assert.ok(taken.some(({ id }) => id === replay.id))
    const step = (chosen: EventDraft[], more: Partial<ReplayStep> = {}): ReplayStep => {
      const at = tick()
      const deliveries = chosen.map((event) => ({ ...planDelivery(event, webhook, 'resend', at), replayId: replay.id }))
      const cursor = chosen.at(-1)?.id ?? 'whevt_x'
      return { id: replay.id, node, cursorBefore: null, cursor, deliveries, at, isLast: false, ...more }
    }
    return { webhook, events, replay, step, find: async () => (await world.store.findReplay(webhook.id, replay.id))! }
  }

  test('a replay comes back as it was made, and only one of a webhook runs', async () => {
    const { webhook } = await missing(0)
    const replay = aReplay(webhook)
    await world.store.createReplay(replay, anAudit('webhook.replay'))
    const nothing = { waiting: 0, delivered: 0, failed: 0, cancelled: 0 }
    assert.deepEqual(await world.store.findReplay(webhook.id, replay.id), { ...replay, ...nothing })
    assert.equal(await world.store.findReplay('wh_other', replay.id), undefined)
    await assert.rejects(world.store.createReplay(aReplay(webhook), anAudit()), {
      code: 'conflict',
      message: new RegExp(replay.id),
    })
    await world.store.cancelReplay(webhook.id, replay.id, anAudit('webhook.replay_cancel'))
    const next = aReplay(webhook)
    await world.store.createReplay(next, anAudit('webhook.replay'))
    const { rows, total } = await world.store.listReplays(webhook.id, PAGE)
    assert.deepEqual([rows.map(({ id, state }) => [id, state]), total], [[[next.id, 'running'], [replay.id, 'cancelled']], 2]) // biome-ignore format: one line
    await assert.rejects(world.store.createReplay({ ...aReplay(webhook), webhookId: 'wh_gone' }, anAudit()), {
      code: 'not_found',
    })
  })

  test('one for a webhook that is off is taken when it is active again, however many there are', async () => {
    const { webhook, find, replay } = await running(0, 'node_off')
    const isTaken = async () => (await world.store.takeReplays('node_off', 1_000)).some(({ id }) => id === replay.id)
    const off = { ...webhook, state: 'inactive', offSince: tick(), updatedAt: tick() } as const
    await world.store.updateWebhook(off, webhook, anAudit())
    assert.equal(await isTaken(), false)
    await world.store.updateWebhook({ ...webhook, updatedAt: tick() }, off, anAudit())
    assert.equal(await isTaken(), true)
    assert.equal((await find()).state, 'running')
    await world.store.releaseReplays('node_off')
  })

  test('of two that begin at the same time one runs', async () => {
    const { webhook } = await missing(0)
    const tries = await Promise.allSettled([1, 2].map(() => world.store.createReplay(aReplay(webhook), anAudit())))
    assert.deepEqual(tries.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    assert.equal((tries.find((each) => each.status === 'rejected') as PromiseRejectedResult).reason.code, 'conflict')
  })

  test('a step inserts its deliveries, due, and moves the cursor; repeated or by another node it does nothing', async () => {
    const { webhook, events, replay, step, find } = await running(3, 'node_r1')
    world.nudged.length = 0
    const first = step(events.slice(0, 2))
    assert.equal(await world.store.advanceReplay({ ...first, node: 'node_r0' }), false)
    assert.equal(await world.store.advanceReplay(first), true)
    assert.deepEqual([...new Set(world.nudged)], [webhook.id])
    assert.equal(await world.store.advanceReplay(first), false)
    assert.equal(await world.store.countWaiting(replay.id, 100), 2)
    assert.equal(await world.store.countWaiting(replay.id, 1), 1)
    const { rows } = await world.store.listDeliveries({ webhookId: webhook.id }, PAGE)
    assert.deepEqual(
      // Ids of the same millisecond are in no order.
      rows.map(({ eventId, cause, state, nextAttemptAt }) => [eventId, cause, state, nextAttemptAt]).sort(),
      [events[0]!, events[1]!].map(({ id }) => [id, 'resend', 'waiting', first.at]),
    )
    assert.equal((await find()).state, 'running')
    const last = step(events.slice(2), { cursorBefore: first.cursor, isLast: true })
    assert.equal(await world.store.advanceReplay(last), true)
    const { state, matched, isCounted, planned, waiting, endedAt } = await find()
    assert.deepEqual([state, matched, isCounted, planned, waiting, endedAt], ['done', 3, true, 3, 3, last.at])
    assert.ok(!(await world.store.takeReplays('node_r1', 1_000)).some(({ id }) => id === replay.id))
  })

  test('a step whose webhook is gone leaves everything as it was', async () => {
    const { webhook, events, step, find } = await running(1, 'node_r2')
    await world.store.removeWebhook(webhook.id, anAudit())
    await assert.rejects(world.store.advanceReplay(step(events)), { code: 'not_found' })
    assert.deepEqual([(await find()).planned, (await find()).waiting], [0, 0])
  })

  test('one that has planned everything is cancelled while something of it waits, and not afterwards', async () => {
    const { webhook, events, replay, step, find } = await running(2, 'node_r9')
    await world.store.advanceReplay(step(events, { isLast: true }))
    assert.deepEqual([(await find()).state, (await find()).waiting], ['done', 2])
    await world.store.cancelReplay(webhook.id, replay.id, anAudit('webhook.replay_cancel'))
    const { state, waiting, cancelled } = await find()
    assert.deepEqual([state, waiting, cancelled], ['cancelled', 0, 2])
    await world.store.cancelLeftovers(replay.id, tick())

    const next = await running(1, 'node_r9')
    await world.store.advanceReplay(next.step([], { isLast: true }))
    await assert.rejects(world.store.cancelReplay(next.webhook.id, next.replay.id, anAudit()), {
      code: 'conflict',
      message: 'the replay is done already, and nothing of it waits',
    })
  })

  test('cancelling ends what nobody has in hand at once, and the rest when it comes back', async () => {
    const { webhook, events, replay, step, find } = await running(3, 'node_r3')
    await world.store.advanceReplay(step(events))
    const [held, withdrawn] = await world.store.claim('node_r3', [{ webhookId: webhook.id, room: 2 }], tick())
    assert.deepEqual(await world.store.cancelledReplays([replay.id]), [])
    await world.store.cancelReplay(webhook.id, replay.id, anAudit('webhook.replay_cancel'))
    const { state, waiting, cancelled } = await find()
    assert.deepEqual([state, waiting, cancelled], ['cancelled', 2, 1])
    assert.deepEqual(await world.store.cancelledReplays(['rpl_x', replay.id]), [replay.id])
    await assert.rejects(world.store.cancelReplay(webhook.id, replay.id, anAudit()), { code: 'conflict', message: /cancelled/ })
    await assert.rejects(world.store.cancelReplay(webhook.id, 'rpl_x', anAudit()), { code: 'not_found' })
    const isOpen = async () => (await world.store.takeReplays('node_r3', 1_000)).some(({ id }) => id === replay.id)
    await world.store.cancelLeftovers(replay.id, tick())
    assert.ok(await isOpen())
    await world.store.settle([
      settling(held!, { state: 'waiting', dueAt: tick() }, { node: 'node_r3' }),
      { ...settling(withdrawn!, { state: 'cancelled', reason: 'not wanted' }, { node: 'node_r3' }), attempt: null },
    ])
    await world.store.cancelLeftovers(replay.id, tick())
    assert.ok(!(await isOpen()))
    assert.equal((await find()).cancelled, 3)
    assert.equal(await world.store.advanceReplay(step(events, { cursorBefore: events[2]!.id })), false)
  })

  test('where a delivery stands: in somebody’s hands, or behind another', async () => {
    const { webhook, events } = await missing(3, { order: 'webhook' })
    const at = tick()
    const planned = events.map((event) => planDelivery(event, webhook, 'resend', at))
    for (const delivery of planned) await world.store.addDelivery(delivery, at, anAudit('webhook.redeliver'))
    const [first, second, third] = planned.map(({ id }) => id)
    const standing = (id: string | undefined) => world.store.standingOf(webhook.id, id!)
    assert.deepEqual(await standing(first), { isInHand: false, blockedBy: null })
    assert.deepEqual(await standing(third), { isInHand: false, blockedBy: first })
    const [claimed] = await world.store.claim('node_a', [{ webhookId: webhook.id, room: 5 }], tick())
    assert.deepEqual(await standing(first), { isInHand: true, blockedBy: null })
    await world.store.settle([settling(claimed!, { state: 'delivered' })])
    assert.deepEqual(await standing(first), { isInHand: false, blockedBy: null })
    assert.deepEqual(await standing(third), { isInHand: false, blockedBy: second })
  })

  test('a replay is one node’s, until that lets go or is lost', async () => {
    const { replay } = await running(0, 'node_r4')
    const has = async (node: string) => (await world.store.takeReplays(node, 1_000)).some(({ id }) => id === replay.id)
    const at = tick()
    await world.store.beat({ id: 'node_r4', startedAt: at }, at)
    await world.store.beat({ id: 'node_r5', startedAt: at }, at + NODE_SILENT_MS + 1)
    assert.ok(await has('node_r5'))
    await world.store.releaseReplays('node_r5')
    assert.ok(await has('node_r6'))
  })

  test('events of a range and by id: said, of the account, oldest first, without samples', async () => {
    const { webhook, events } = await missing(5)
    const other = await missing(1)
    const { accountId } = webhook
    const sample = anEvent(accountId)
    await world.store.addTest(sample, planDelivery(sample, webhook, 'test', tick()), anAudit())
    const range = { accountId, from: events[1]!.id, after: null, before: idBound('event', tick()) }
    const ids = async (more: object, limit = 10) =>
      (await world.store.eventsInRange({ ...range, ...more }, limit)).map(({ id }) => id)
    const all = events.map(({ id }) => id)
    assert.deepEqual(await ids({}), all.slice(1))
    assert.deepEqual(await ids({ after: all[2]! }, 1), all.slice(3, 4))
    assert.deepEqual(await ids({ before: all[3]! }), all.slice(1, 3))
    assert.ok((await ids({ accountId: null }, 1_000)).includes(other.events[0]!.id))
    const wanted = [all[3]!, sample.id, 'whevt_x', all[0]!]
    assert.deepEqual((await world.store.eventsByIds(wanted)).map(({ id }) => id), [all[0], all[3]]) // biome-ignore format: one line
    assert.deepEqual(await world.store.eventsByIds([]), [])
  })

  test('sendings are all deliveries of an event to one webhook but tests, oldest first', async () => {
    const account = anAccount()
    await world.store.createAccount(account, anAudit())
    const webhooks = [aWebhook({ accountId: account.id }), aWebhook({ accountId: account.id })]
    for (const webhook of webhooks) await world.store.createWebhook(webhook, { webhooksMax: 5 }, anAudit())
    const [webhook] = webhooks as [Webhook]
    const [event, other] = [anEvent(account.id), anEvent(account.id)]
    await world.store.recordEvents([event, other])
    const [first] = await world.store.claim('node_a', [{ webhookId: webhook.id, room: 1 }], tick())
    await world.store.settle([settling(first!, { state: 'failed', reason: 'status 500', webhookFails: false })])
    const at = tick()
    const resend = planDelivery(event, webhook, 'resend', at)
    await world.store.addDelivery(resend, at, anAudit('webhook.redeliver'))
    const found = await world.store.sendingsOf(webhook.id, [event.id])
    assert.deepEqual(found, [
      { id: first!.id, eventId: event.id, state: 'failed', lastError: 'status 500', isResend: false },
      { id: resend.id, eventId: event.id, state: 'waiting', lastError: null, isResend: true },
    ])
    assert.equal((await world.store.sendingsOf(webhook.id, [event.id, other.id])).length, 3)
    assert.deepEqual(await world.store.sendingsOf(webhook.id, []), [])
  })
}
