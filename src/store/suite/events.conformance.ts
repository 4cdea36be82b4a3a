import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../../../test/eventually.ts'
import type { World } from '../conformance.ts'
import { aChange, anAccount, anAudit, anEvent, aWebhook } from '../testing.ts'

const PAGE = { limit: 100, offset: 0 }

export function eventCases(world: World): void {
  async function account() {
    const made = anAccount()
    await world.store.createAccount(made, anAudit())
    return made
  }

  test('events come back as they were recorded, newest first, with their filters', async () => {
    const { id } = await account()
    const data = { text: 'ü 日本 \u0000 "quoted"', nested: { list: [1, 2.5, null, true] }, big: 9_007_199_254_740_991 }
    const events = [anEvent(id, { data }), anEvent(id, { type: 'dir.created' }), anEvent(id), anEvent(null)]
    await world.store.recordEvents(events)
    const [first, second, third, serverWide] = events
    assert.deepEqual(await world.store.findEvent(first!.id), first)
    assert.deepEqual(await world.store.listEvents({ accountId: id }, PAGE), {
      rows: [third, second, first],
      total: 3,
      next: null,
    })
    assert.deepEqual((await world.store.listEvents({ accountId: id, types: ['dir.created'] }, PAGE)).rows, [second])
    const span = { accountId: id, since: second!.occurredAt, until: third!.occurredAt }
    assert.deepEqual((await world.store.listEvents(span, PAGE)).rows, [second])
    assert.deepEqual(await world.store.listEvents({ accountId: id }, { limit: 1, offset: 1 }), {
      rows: [second],
      total: 3,
      next: second!.id,
    })
    assert.deepEqual((await world.store.listEvents({}, { limit: 1, offset: 0 })).rows, [serverWide])
    assert.equal(await world.store.findEvent('whevt_x'), undefined)
  })

  test('an event plans one delivery for each webhook that matches, due and nobody’s', async () => {
    const { id: accountId } = await account()
    const other = await account()
    const webhooks = [
      aWebhook({ accountId }),
      aWebhook({ accountId, events: ['*'], dialect: 'trueftp' }),
      aWebhook({ accountId, events: ['dir.created'] }),
      aWebhook({ accountId, state: 'inactive' }),
      aWebhook({ accountId: other.id }),
    ]
    for (const webhook of webhooks) await world.store.createWebhook(webhook, { webhooksMax: 10 }, anAudit())
    world.nudged.length = 0
    const event = anEvent(accountId)
    await world.store.recordFact(event, anAudit('download'))
    const expected = webhooks.slice(0, 2).map((webhook) => webhook.id)
    assert.deepEqual([...world.nudged].sort(), [...expected].sort())
    for (const webhook of webhooks) {
      const { rows } = await world.store.listDeliveries({ webhookId: webhook.id }, PAGE)
      assert.deepEqual(
        rows.map((row) => [row.eventId, row.state, row.nextAttemptAt, row.createdAt]),
        expected.includes(webhook.id) ? [[event.id, 'waiting', event.occurredAt, event.occurredAt]] : [],
      )
    }
  })

  test('a record that is repeated counts once', async () => {
    const { id: accountId } = await account()
    const webhook = aWebhook({ accountId })
    await world.store.createWebhook(webhook, { webhooksMax: 10 }, anAudit())
    const event = anEvent(accountId)
    const audit = anAudit('download', { actor: 'repeats' })
    await Promise.all([
      world.store.recordFact(event, audit),
      world.store.recordFact(event, audit),
      world.store.recordEvents([event]),
    ])
    assert.equal((await world.store.listDeliveries({ webhookId: webhook.id }, PAGE)).total, 1)
    assert.equal((await world.store.listEvents({ accountId }, PAGE)).total, 1)
    assert.ok((await world.store.listAudit({ actor: 'repeats' }, PAGE)).total <= 1)
  })

  test('many that come at once are all recorded, each with the webhooks of its moment', async () => {
    const { id: accountId } = await account()
    const webhook = aWebhook({ accountId })
    const early = Array.from({ length: 300 }, () => anEvent(accountId))
    const late = Array.from({ length: 300 }, () => anEvent(accountId))
    await Promise.all(early.map((event) => world.store.recordEvents([event])))
    await world.store.createWebhook(webhook, { webhooksMax: 10 }, anAudit())
    await Promise.all(late.map((event) => world.store.recordEvents([event])))
    assert.equal((await world.store.listEvents({ accountId }, PAGE)).total, 600)
    assert.equal((await world.store.listDeliveries({ webhookId: webhook.id }, PAGE)).total, 300)
  })

  /**
   * The cursor of an event of its own. The end of what is said comes later than the commits on PostgreSQL while anything else in the cluster
   * is open, so what tests before this one said may stand behind it.
   */
  async function behindAll(): Promise<string> {
    const before = await world.store.eventsEnd()
    const marker = anEvent((await account()).id)
    await world.store.recordEvents([marker])
    return eventually(async () => {
      const { events, cursors } = await world.store.eventsAfter(before, 1_000)
      const index = events.findIndex(({ id }) => id === marker.id)
      assert.notEqual(index, -1)
      return cursors[index]!
    })
  }

  test('what was said is read on in the order in which it was said, however it was recorded', async () => {
    const made = await account()
    const start = await behindAll()
    const changes = ['/o/1', '/o/2', '/o/3'].map((path) => aChange(made, { path }))
    for (const change of changes) await world.store.recordChange(change)
    const [first, second, undone] = changes
    const fact = anEvent(made.id)
    const nobody = { node: 'node_a', deliveryIds: [] }
    await world.store.closeIntent(second!.intent, nobody)
    await world.store.recordEvents([fact])
    await world.store.undoIntent(undone!.intent, anAudit())
    await world.store.closeIntent(first!.intent, nobody)

    const expected = [second!.event, fact, first!.event]
    const all = await eventually(async () => {
      const said = await world.store.eventsAfter(start, 10)
      assert.deepEqual(said.events, expected)
      return said
    })
    assert.equal(all.isEnd, true)
    assert.match(all.next, /^[0-9a-z.]+$/)
    const page = await world.store.eventsAfter(start, 2)
    assert.deepEqual([page.events, page.isEnd], [expected.slice(0, 2), false])
    assert.deepEqual(page.cursors, all.cursors.slice(0, 2))
    assert.deepEqual((await world.store.eventsAfter(page.cursors[0]!, 10)).events, expected.slice(1))
    assert.deepEqual((await world.store.eventsAfter(page.next, 10)).events, expected.slice(2))
    assert.deepEqual(await world.store.eventsAfter(all.next, 10), { events: [], cursors: [], next: all.next, isEnd: true })
    assert.deepEqual((await world.store.eventsAfter(await world.store.eventsEnd(), 10)).events, [])
  })

  test('from the beginning means from the oldest event that is stored; what is no cursor is refused', async () => {
    const { id } = await account()
    const event = anEvent(id)
    await world.store.recordEvents([event])
    const seen = await eventually(async () => {
      const ids: string[] = []
      for (let cursor: string | null = null, isEnd = false; !isEnd; ) {
        const said = await world.store.eventsAfter(cursor, 500)
        ids.push(...said.events.map((each) => each.id))
        cursor = said.next
        isEnd = said.isEnd
      }
      assert.equal(ids.at(-1), event.id)
      return ids
    })
    assert.equal(new Set(seen).size, seen.length)
    assert.equal(seen.length, (await world.store.listEvents({}, { limit: 1, offset: 0 })).total)
    // The last one is of a form that is right, and so far on that this database cannot have given it.
    for (const cursor of ['', '1', '.', 'A.b', '1.2.3', '1.whevt_x', `${'z'.repeat(11)}.`, `${'z'.repeat(10)}.`]) {
      await assert.rejects(world.store.eventsAfter(cursor, 1), (error) => (error as { code?: string }).code === 'invalid')
    }
  })
}
