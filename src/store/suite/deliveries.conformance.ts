import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HOUR_MS, MINUTE_MS } from '../../base/units.ts'
import type { Settlement } from '../../webhooks/port.ts'
import type { World } from '../conformance.ts'
import { anAccount, anAttempt, anAudit, anEvent, aWebhook, START, settling, tick } from '../testing.ts'

const PAGE = { limit: 1_000, offset: 0 }

export function deliveryCases(world: World): void {
  /** A webhook of an account of its own with `count` deliveries due. */
  async function backlog(count: number) {
    const account = anAccount()
    await world.store.createAccount(account, anAudit())
    const webhook = aWebhook({ accountId: account.id })
    await world.store.createWebhook(webhook, { webhooksMax: 5 }, anAudit())
    const events = Array.from({ length: count }, () => anEvent(account.id))
    await world.store.recordEvents(events)
    return { webhook, events, want: (room: number) => [{ webhookId: webhook.id, room }] }
  }

  async function record(webhookId: string) {
    return (await world.store.listDeliveries({ webhookId }, PAGE)).rows
  }

  test('claims give the oldest first, as much as there is room for, and nothing twice', async () => {
    const { events, want } = await backlog(5)
    const first = await world.store.claim('node_a', want(2), tick())
    const rest = await world.store.claim('node_b', want(10), tick())
    assert.deepEqual([...first, ...rest].map((delivery) => delivery.eventId), events.map((event) => event.id)) // biome-ignore format: one line
    assert.deepEqual(await world.store.claim('node_a', want(10), tick()), [])
    assert.deepEqual([first.length, first[0]!.attempts, JSON.parse(first[0]!.body).event], [2, 0, 'file.uploaded'])
  })

  test('what is not due yet is not given', async () => {
    const { events, want, webhook } = await backlog(1)
    assert.deepEqual(await world.store.claim('node_a', want(1), events[0]!.occurredAt - 1), [])
    const due = await world.store.dueWebhooks(events[0]!.occurredAt - 1, 1_000)
    assert.ok(!due.webhookIds.includes(webhook.id))
    assert.equal((await world.store.claim('node_a', want(1), events[0]!.occurredAt)).length, 1)
  })

  test('one claim serves several webhooks, each with its own room', async () => {
    const [one, two] = [await backlog(3), await backlog(3)]
    const claimed = await world.store.claim('node_a', [...one.want(1), ...two.want(2), { webhookId: 'wh_x', room: 3 }], tick())
    assert.deepEqual(claimed.map((delivery) => delivery.webhookId), [one.webhook.id, two.webhook.id, two.webhook.id]) // biome-ignore format: one line
  })

  test('many that claim at the same time never get the same', async () => {
    const { want } = await backlog(100)
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, index) => world.store.claim(`node_${index % 3}`, want(7), tick())),
    )
    const ids = claims.flat().map((delivery) => delivery.id)
    assert.equal(new Set(ids).size, ids.length)
    const rest = await world.store.claim('node_a', want(100), tick())
    assert.equal(ids.length + rest.length, 100)
  })

  test("facts are claimed at their birth as far as there is room, never in an order; the rest is due and nobody's", async () => {
    const account = anAccount()
    await world.store.createAccount(account, anAudit())
    const [plain, full, ordered] = [aWebhook({ accountId: account.id }), aWebhook({ accountId: account.id }), aWebhook({ accountId: account.id, order: 'webhook' })] // biome-ignore format: one line
    for (const webhook of [plain, full, ordered]) await world.store.createWebhook(webhook, { webhooksMax: 5 }, anAudit())
    const facts = [1, 2, 3].map(() => ({ event: anEvent(account.id), audit: anAudit('upload', { accountId: account.id }) }))
    const room = { node: 'node_born', most: 10, rooms: { [full.id]: 0 }, other: 2 }
    const { deliveries, isComplete } = await world.store.recordFacts(facts, room)
    assert.equal(isComplete, true)
    assert.deepEqual(
      deliveries.map(({ webhookId, eventId, attempts, createdAt }) => ({ webhookId, eventId, attempts, createdAt })),
      facts
        .slice(0, 2)
        .map(({ event }) => ({ webhookId: plain.id, eventId: event.id, attempts: 0, createdAt: event.occurredAt })),
    )
    const stored = await world.store.findDelivery(plain.id, deliveries[0]!.id)
    const { attempts: _, createdAt: __, ...born } = deliveries[0]!
    assert.deepEqual([stored?.planned, stored?.delivery.state], [born, 'waiting'])
    assert.equal((await world.store.listAudit({ accountId: account.id, action: 'upload' }, PAGE)).total, 3)

    const wants = [plain, full, ordered].map(({ id }) => ({ webhookId: id, room: 9 }))
    const claimed = await world.store.claim('node_a', wants, tick())
    assert.deepEqual(claimed.map(({ webhookId }) => webhookId), [plain.id, full.id, full.id, full.id, ordered.id]) // biome-ignore format: one line
    const again = await world.store.recordFacts(facts, room)
    assert.deepEqual(again, { deliveries: [], isComplete: false })

    const [settled] = await world.store.settle([settling(deliveries[0]!, { state: 'delivered' }, { node: 'node_born' })])
    assert.equal(settled!.written, true)
    assert.equal(await world.store.unclaimAllBut('node_born', []), 1)
    assert.equal((await world.store.claim('node_a', wants, tick())).length, 1)
  })

  test('facts of many callers are claimed each into the room of its own', async () => {
    const { webhook } = await backlog(0)
    const room = (most: number) => ({ node: 'node_born', most, rooms: {}, other: most })
    const facts = () => [1, 2].map(() => ({ event: anEvent(webhook.accountId), audit: null }))
    const births = await Promise.all([2, 1, 0].map((most) => world.store.recordFacts(facts(), most === 0 ? null : room(most))))
    assert.deepEqual(births.map(({ deliveries }) => deliveries.length), [2, 1, 0]) // biome-ignore format: one line
    assert.equal(await world.store.unclaimAllBut('node_born', []), 3)
  })

  test('dueWebhooks names who has something due, longest overdue first, and the earliest time to come, also of those overdue', async () => {
    const [first, second, third] = [await backlog(2), await backlog(1), await backlog(1)]
    const { webhookIds, nextDueAt } = await world.store.dueWebhooks(tick(), 1_000)
    const ours = [first, second, third].map(({ webhook }) => webhook.id)
    assert.deepEqual(webhookIds.filter((id) => ours.includes(id)), ours) // biome-ignore format: one line
    assert.equal(nextDueAt, null)
    const [retried] = await world.store.claim('node_a', first.want(1), tick())
    const dueAt = tick() + 60_000
    await world.store.settle([settling(retried!, { state: 'waiting', dueAt })])
    assert.equal((await world.store.dueWebhooks(tick(), 1_000)).nextDueAt, dueAt)
    assert.equal((await world.store.dueWebhooks(dueAt, 1_000)).nextDueAt, null)
    await world.store.claim('node_a', first.want(1), dueAt)
    assert.equal((await world.store.dueWebhooks(tick(), 1)).webhookIds.length, 1)
    await world.store.claim('node_a', [...first.want(9), ...third.want(9)], tick())
    const after = (await world.store.dueWebhooks(tick(), 1_000)).webhookIds
    assert.deepEqual(after.filter((id) => ours.includes(id)), [second.webhook.id]) // biome-ignore format: one line
  })

  test('a delivery goes through retries to its end, every attempt in the log', async () => {
    const { webhook, want } = await backlog(1)
    const [first] = await world.store.claim('node_a', want(1), tick())
    const dueAt = tick() + 60_000
    assert.deepEqual(await world.store.settle([settling(first!, { state: 'waiting', dueAt })]), [
      { written: true, webhookState: 'active' },
    ])
    assert.deepEqual(await world.store.claim('node_a', want(1), dueAt - 1), [])
    const [second] = await world.store.claim('node_a', want(1), dueAt)
    assert.deepEqual(second, { ...first, attempts: 1 })
    const end = settling(second!, { state: 'delivered' }, { endedAt: dueAt + 5 })
    await world.store.settle([end])
    const [row] = await record(webhook.id)
    assert.deepEqual(
      [row!.state, row!.attempts, row!.nextAttemptAt, row!.settledAt, row!.lastStatusCode, row!.lastError],
      ['delivered', 2, null, dueAt + 5, 200, null],
    )
    const detail = await world.store.findDelivery(webhook.id, first!.id)
    assert.deepEqual(detail?.attempts.map((attempt) => attempt.number), [1, 2]) // biome-ignore format: one line
    assert.deepEqual(await world.store.settle([end]), [{ written: false, webhookState: 'active' }])
  })

  test('settling names its claim: another node, another number or another webhook writes nothing', async () => {
    const { webhook, want } = await backlog(1)
    const [claimed] = await world.store.claim('node_a', want(1), tick())
    const delivered = { state: 'delivered' } as const
    const results = await world.store.settle([
      settling(claimed!, delivered, { node: 'node_b' }),
      settling(claimed!, delivered, { attempt: anAttempt(2) }),
      settling(claimed!, delivered, { deliveryId: 'dlv_x' }),
      settling(claimed!, delivered),
      settling(claimed!, delivered),
    ])
    assert.deepEqual(results.map((result) => result.written), [false, false, false, true, false]) // biome-ignore format: one line
    const { total } = await world.store.listAttempts(webhook.id, PAGE)
    assert.equal(total, 1)
  })

  test('our own failure is no attempt: the delivery waits on', async () => {
    const { webhook, want } = await backlog(1)
    const [claimed] = await world.store.claim('node_a', want(1), tick())
    const dueAt = tick() + 1_000
    const [result] = await world.store.settle([settling(claimed!, { state: 'waiting', dueAt }, { attempt: null })])
    assert.equal(result!.written, true)
    const [row] = await record(webhook.id)
    assert.deepEqual([row!.state, row!.attempts, row!.nextAttemptAt], ['waiting', 0, dueAt])
    assert.equal((await world.store.listAttempts(webhook.id, PAGE)).total, 0)
    assert.equal((await world.store.claim('node_a', want(1), dueAt)).length, 1)
  })

  test('a delivery says why it has ended: with its last attempt, or because the next would come too late', async () => {
    const { webhook, want } = await backlog(2)
    const [used, late] = await world.store.claim('node_a', want(2), tick())
    const failed = { state: 'failed', reason: 'a reason', webhookFails: false } as const
    await world.store.settle([settling(used!, failed), settling(late!, { ...failed, isExpiry: true })])
    const rows = await record(webhook.id)
    const errorOf = ({ id }: { id: string }) => rows.find((row) => row.id === id)!.lastError
    assert.deepEqual([errorOf(used!), errorOf(late!)], ['status 500', 'a reason'])
  })

  test('an end that fails its webhook turns it off, once, and what else waits keeps waiting', async () => {
    const { webhook, want } = await backlog(3)
    const [first, second] = await world.store.claim('node_a', want(2), tick())
    const fatal = { state: 'failed', reason: 'attempts used up', webhookFails: true } as const
    const end = settling(first!, fatal)
    assert.deepEqual(await world.store.settle([settling(first!, fatal, { node: 'node_b' })]), [
      { written: false, webhookState: 'active' },
    ])
    assert.deepEqual(await world.store.settle([end]), [{ written: true, webhookState: 'failed' }])
    const off = { failedReason: 'attempts used up', failedDeliveryId: first!.id, offSince: end.endedAt, updatedAt: end.endedAt }
    const failed = { ...webhook, state: 'failed', ...off }
    assert.deepEqual(await world.store.findWebhook(webhook.id), failed)
    assert.deepEqual(await world.store.targets([webhook.id]), [failed])
    assert.deepEqual(await world.store.settle([settling(second!, { ...fatal, reason: 'later' })]), [
      { written: true, webhookState: 'failed' },
    ])
    assert.equal((await world.store.findWebhook(webhook.id))?.failedReason, 'attempts used up')
    assert.deepEqual(await world.store.claim('node_a', want(5), tick()), [])
    const rows = await record(webhook.id)
    assert.deepEqual(rows.map((row) => [row.state, row.nextAttemptAt]), [['waiting', null], ['failed', null], ['failed', null]]) // biome-ignore format: one line
    assert.equal((await world.store.listDeliveries({ webhookId: webhook.id, state: 'failed' }, PAGE)).total, 2)
    await world.store.updateWebhook(webhook, { state: 'failed', updatedAt: end.endedAt }, anAudit())
    assert.equal((await world.store.claim('node_a', want(5), tick())).length, 1)
  })

  test('an end without blame leaves the webhook on; a removed one is said to be removed', async () => {
    const { webhook, want } = await backlog(2)
    const [first, second] = await world.store.claim('node_a', want(2), tick())
    const failed = { state: 'failed', reason: 'status 401', webhookFails: false } as const
    assert.deepEqual(await world.store.settle([settling(first!, failed)]), [{ written: true, webhookState: 'active' }])
    await world.store.removeWebhook(webhook.id, anAudit())
    const waits = settling(second!, { state: 'waiting', dueAt: tick() })
    assert.deepEqual(await world.store.settle([waits]), [{ written: true, webhookState: 'removed' }])
    assert.equal(await world.store.cancelOrphans(10), 1)
  })

  test('a delivery that is not wanted any more ends without an attempt', async () => {
    const { webhook, want } = await backlog(1)
    const [claimed] = await world.store.claim('node_a', want(1), tick())
    const end = settling(claimed!, { state: 'cancelled', reason: 'expired' }, { attempt: null })
    assert.deepEqual(await world.store.settle([end]), [{ written: true, webhookState: 'active' }])
    const [row] = await record(webhook.id)
    assert.deepEqual([row!.state, row!.attempts, row!.settledAt, row!.lastError], ['cancelled', 0, end.endedAt, 'expired'])
  })

  test('whatever a receiver answers can be stored', async () => {
    const { webhook, want } = await backlog(1)
    const [claimed] = await world.store.claim('node_a', want(1), tick())
    const attempt = anAttempt(1, 500, {
      error: 'status 500',
      responseBody: 'a\u0000b\ud800"\\{,}',
      responseHeaders: { 'x-nul': '\u0000' },
    })
    await world.store.settle([settling(claimed!, { state: 'failed', reason: 'status\u0000', webhookFails: true }, { attempt })])
    const detail = await world.store.findDelivery(webhook.id, claimed!.id)
    assert.equal(detail?.attempts[0]?.responseBody, 'a\ufffdb\ufffd"\\{,}')
    assert.deepEqual(detail?.attempts[0]?.responseHeaders, { 'x-nul': '\u0000' })
    assert.equal((await world.store.findWebhook(webhook.id))?.failedReason, 'status\ufffd')
  })

  test('many settlements at once are answered each for itself', async () => {
    const { webhook, want } = await backlog(250)
    const claimed = await world.store.claim('node_a', want(250), tick())
    const calls = claimed.map((delivery, index) =>
      settling(delivery, { state: 'delivered' }, index % 5 === 0 ? { node: 'node_b' } : {}),
    )
    const results = await Promise.all(calls.map((call) => world.store.settle([call])))
    assert.ok(results.every(([result], index) => result!.written === (index % 5 !== 0)))
    assert.equal((await world.store.listDeliveries({ webhookId: webhook.id, state: 'delivered' }, PAGE)).total, 200)
    assert.deepEqual(await world.store.settle([]), [])
  })

  test('what is settled is counted by minute and by hour, in classes of duration', async () => {
    const { webhook, want } = await backlog(6)
    const claimed = await world.store.claim('node_a', want(6), tick())
    const endedAt = START - (START % HOUR_MS) + HOUR_MS + 30 * MINUTE_MS
    const failed = { state: 'failed', reason: 'no', webhookFails: false } as const
    const answers: [number, Settlement['outcome'], Partial<Settlement>][] = [
      [0, { state: 'delivered' }, { attempt: anAttempt(1, 200, { durationMs: 10 }) }],
      [1, { state: 'delivered' }, { attempt: anAttempt(1, 200, { durationMs: 5_001 }) }],
      [2, { state: 'waiting', dueAt: endedAt }, { attempt: anAttempt(1, 401, { durationMs: 10.5 }) }],
      [3, failed, { attempt: anAttempt(1, 500, { statusCode: null, error: 'timed out', durationMs: 60_000 }) }],
      [4, failed, { attempt: null }],
      [5, { state: 'waiting', dueAt: endedAt }, { attempt: null }],
    ]
    const settlements = answers.map(([index, outcome, more]) => settling(claimed[index]!, outcome, { endedAt, ...more }))
    await world.store.settle(settlements.slice(0, 3))
    await world.store.settle(settlements.slice(3))
    // A claim that was lost counts nothing.
    await world.store.settle(settlements)
    const took = [1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0]
    const counted = {
      ...{ attempts: 4, failures: 2, unauthorized: 1, answered: 3, slow: 1, durationMs: 5_021.5, took },
      ...{ delivered: 2, failed: 2 },
    }
    const hour = endedAt - (endedAt % HOUR_MS)
    assert.deepEqual(await world.store.tallyOf(webhook.id, { grain: 'hour', from: hour, until: hour }), counted)
    assert.deepEqual(await world.store.tallyOf(webhook.id, { grain: 'minute', from: endedAt, until: endedAt }), counted)
    const before = await world.store.tallyOf(webhook.id, { grain: 'minute', from: hour, until: endedAt - 1 })
    assert.deepEqual([before.attempts, before.delivered], [0, 0])
  })
}
