import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LIST_OFFSET_MAX, type Page, type PageRequest } from '../../base/page.ts'
import type { DeliveryState } from '../../webhooks/webhook.ts'
import type { World } from '../conformance.ts'
import { aChange, anAccount, anAudit, anEvent, aWebhook, settling, tick } from '../testing.ts'

const PAGE = { limit: 100, offset: 0 }
const FAILED = { state: 'failed', reason: 'no', webhookFails: false } as const

/** Long lists: totals that are kept and not counted, and cursors where offsets end. */
export function listCases(world: World): void {
  /** A webhook with deliveries of every state: 3 delivered, 2 failed, 2 cancelled, 4 waiting, one of them claimed. */
  async function everything() {
    const account = anAccount()
    await world.store.createAccount(account, anAudit())
    const webhook = aWebhook({ accountId: account.id })
    await world.store.createWebhook(webhook, { webhooksMax: 5 }, anAudit())
    const undone = aChange(account, { path: '/undone' })
    await world.store.recordChange(undone)
    await world.store.undoIntent(undone.intent, anAudit())
    const events = Array.from({ length: 10 }, (_, index) =>
      anEvent(account.id, { type: index % 2 === 0 ? 'file.uploaded' : 'file.deleted' }),
    )
    await world.store.updateWebhook({ ...webhook, events: ['file.uploaded', 'file.deleted'] }, webhook, anAudit())
    await world.store.recordEvents(events)
    const claimed = await world.store.claim('node_a', [{ webhookId: webhook.id, room: 7 }], tick())
    const outcomes = [
      ...Array.from({ length: 3 }, () => ({ state: 'delivered' }) as const),
      ...[FAILED, FAILED, { state: 'waiting', dueAt: tick() } as const],
    ]
    await world.store.settle(outcomes.map((outcome, index) => settling(claimed[index]!, outcome)))
    const [again] = await world.store.claim('node_a', [{ webhookId: webhook.id, room: 1 }], tick() + 1)
    const given = { state: 'cancelled', reason: 'expired' } as const
    await world.store.settle([settling(again!, given, { attempt: null })])
    return { webhook, account, events }
  }

  const STATES: [DeliveryState | undefined, number][] = [
    ...([['delivered', 3], ['failed', 2], ['cancelled', 2], ['waiting', 4], [undefined, 11]] as const), // biome-ignore format: one line
  ] as [DeliveryState | undefined, number][]

  /** Page after page by cursor, until there is no next. */
  async function walk<Row>(list: (page: PageRequest) => Promise<Page<Row>>, limit: number): Promise<Row[]> {
    const rows: Row[] = []
    for (let after: string | undefined, pages = 0; ; pages++) {
      assert.ok(pages < 100)
      const page = await list({ limit, offset: 0, ...(after === undefined ? {} : { after }) })
      assert.ok(page.rows.length <= limit)
      rows.push(...page.rows)
      if (page.next === null || page.next === undefined) return rows
      after = page.next
    }
  }

  test('totals are those of the rows, whatever ended them, and cursors walk over each once', async () => {
    const { webhook } = await everything()
    for (const [state, count] of STATES) {
      const filter = { webhookId: webhook.id, ...(state === undefined ? {} : { state: state as 'waiting' }) }
      const all = await world.store.listDeliveries(filter, PAGE)
      assert.deepEqual([state, all.total, all.rows.length], [state, count, count])
      assert.deepEqual(await walk((page) => world.store.listDeliveries(filter, page), 2), all.rows)
    }
    const deleted = { webhookId: webhook.id, eventType: 'file.deleted' }
    const some = await world.store.listDeliveries(deleted, PAGE)
    assert.deepEqual([some.total, some.rows.length], [5, 5])
    assert.deepEqual(await walk((page) => world.store.listDeliveries(deleted, page), 2), some.rows)
  })

  test('deliveries that wait for a webhook that was removed count as cancelled', async () => {
    const { webhook } = await everything()
    await world.store.unclaimAllBut('node_a', [])
    await world.store.removeWebhook(webhook.id, anAudit())
    assert.ok((await world.store.cancelOrphans(100)) >= 4)
    const cancelled = await world.store.listDeliveries({ webhookId: webhook.id, state: 'cancelled' }, PAGE)
    assert.deepEqual([cancelled.total, cancelled.rows.length], [6, 6])
  })

  test('attempts and events are walked too; what begins too far from the start is refused', async () => {
    const { webhook, account, events } = await everything()
    const attempts = await world.store.listAttempts(webhook.id, PAGE)
    assert.equal(attempts.total, 6)
    assert.deepEqual(await walk((page) => world.store.listAttempts(webhook.id, page), 2), attempts.rows)
    assert.deepEqual((await world.store.listAttempts(webhook.id, { ...PAGE, after: 'dlv_gone.1' })).rows, [])
    const ofOther = aWebhook()
    await world.store.createWebhook(ofOther, { webhooksMax: 1_000 }, anAudit())
    const foreign = anEvent()
    await world.store.recordEvents([foreign])
    const [claimed] = await world.store.claim('node_a', [{ webhookId: ofOther.id, room: 9 }], tick() + 1_000)
    await world.store.settle([settling(claimed!, { state: 'delivered' })])
    assert.deepEqual((await world.store.listAttempts(webhook.id, { ...PAGE, after: `${claimed!.id}.1` })).rows, [])
    for (const types of [undefined, ['file.deleted'] as const]) {
      const filter = { accountId: account.id, ...(types === undefined ? {} : { types }) }
      const expected = events.filter(({ type }) => types === undefined || type === types[0]).reverse()
      assert.deepEqual(await walk((page) => world.store.listEvents(filter, page), 3), expected)
    }
    const far = { limit: 1, offset: LIST_OFFSET_MAX + 1 }
    const lists = [
      () => world.store.listDeliveries({ webhookId: webhook.id }, far),
      () => world.store.listAttempts(webhook.id, far),
      () => world.store.listEvents({}, far),
      () => world.store.listAttempts(webhook.id, { ...PAGE, after: 'dlv_x' }),
    ]
    for (const list of lists) await assert.rejects(list, (error) => (error as { code?: string }).code === 'invalid')
  })
}
