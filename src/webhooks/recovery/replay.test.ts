import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { SERVER_CALLER } from '../../audit/caller.ts'
import { AppError } from '../../base/error.ts'
import { newId } from '../../base/id.ts'
import { MINUTE_MS } from '../../base/units.ts'
import { openFresh } from '../../store/sqlite/testing.ts'
import type { Store } from '../../store/store.ts'
import { anAccount, anAudit, aWebhook, settling } from '../../store/testing.ts'
import { NOW } from '../testing.ts'
import type { Webhook } from '../webhook.ts'
import { createReplayAdmin, type ReplayInput } from './replay.ts'

describe('what is asked to be sent again', () => {
  let store: Store
  let close: () => Promise<void>
  before(async () => {
    const opened = await openFresh()
    store = opened.store
    close = opened.close
  })
  after(() => close())

  let woken = 0
  const clock = { now: () => NOW }
  const ADMIN = SERVER_CALLER

  async function found(id: string): Promise<Webhook> {
    const webhook = await store.findWebhook(id)
    if (webhook === undefined) throw new AppError('not_found', `no webhook ${id}`)
    return webhook
  }

  async function world(count: number, more: Partial<Webhook> = {}) {
    const account = anAccount()
    await store.createAccount(account, anAudit())
    const webhook = aWebhook({ accountId: account.id, events: ['file.*'], createdAt: NOW, updatedAt: NOW, ...more })
    await store.createWebhook(webhook, { webhooksMax: 5 }, anAudit())
    const events = Array.from({ length: count }, (_, index) => {
      const occurredAt = NOW - (count - index) * MINUTE_MS
      const data = { path: `/in/${index}.csv`, size: index }
      return { ...{ id: newId('event', occurredAt), type: 'file.uploaded' as const, accountId: account.id, occurredAt, data } }
    })
    await store.recordEvents(events)
    const replays = createReplayAdmin({
      store,
      webhooks: { get: found, getIncluded: found },
      clock,
      wake: () => void woken++,
    })
    const replay = (input: ReplayInput) => replays.replay(webhook.id, input, ADMIN)
    return { webhook, events, replays, replay, account }
  }

  test('a dry run counts and shows the first, and stores nothing', async () => {
    const { replay, replays, webhook, events } = await world(450)
    const { planned, isCounted, sample, replay: made, warning } = await replay({ since: 0, dryRun: true })
    assert.deepEqual([planned, isCounted, made, warning], [450, true, null, null])
    assert.deepEqual(sample, events.slice(0, 10))
    assert.equal((await replays.list(webhook.id, { limit: 1, offset: 0 }, ADMIN)).total, 0)
  })

  test('since is inside, until is outside', async () => {
    const { replay, events } = await world(5)
    const [, second, , fourth] = events
    const { planned, sample } = await replay({ since: second!.occurredAt, until: fourth!.occurredAt, dryRun: true })
    assert.deepEqual([planned, sample.map(({ id }) => id)], [2, events.slice(1, 3).map(({ id }) => id)])
  })

  test('what failed, and what is missing', async () => {
    const { replay, webhook } = await world(4)
    const claimed = await store.claim('node_a', [{ webhookId: webhook.id, room: 2 }], NOW)
    const failed = { state: 'failed', reason: 'status 500', webhookFails: false } as const
    await store.settle([settling(claimed[0]!, failed), settling(claimed[1]!, { state: 'delivered' })])
    const asked = async (input: ReplayInput) => (await replay({ since: 0, dryRun: true, ...input })).planned
    assert.equal(await asked({ only: 'failed' }), 1)
    assert.equal(await asked({ only: 'missing' }), 1)
    assert.equal(await asked({}), 4)
  })

  test('events named by id, each once, unknown ones left out', async () => {
    const { replay, events } = await world(3)
    const eventIds = [events[2]!.id, 'whevt_x', events[0]!.id, events[2]!.id]
    const { planned, replay: made } = await replay({ eventIds })
    assert.equal(planned, 2)
    assert.deepEqual(made?.request.eventIds, [...new Set(eventIds)].sort())
  })

  test('a replay that is made is running, its worker is woken, and there is one at a time', async () => {
    const { replay, replays, webhook } = await world(1)
    const before = woken
    const { replay: made } = await replay({ since: 0, only: 'missing' })
    assert.equal(woken, before + 1)
    assert.deepEqual(await replays.get(webhook.id, made!.id, ADMIN), made)
    assert.deepEqual([made!.state, made!.matched, made!.request.ratePerSecond], ['running', 0, 50])
    await assert.rejects(replay({ since: 0 }), { code: 'conflict', message: new RegExp(made!.id) })
    assert.equal((await replays.cancel(webhook.id, made!.id, ADMIN)).state, 'cancelled')
    await assert.rejects(replays.cancel(webhook.id, made!.id, ADMIN), { code: 'conflict' })
    await assert.rejects(replays.get(webhook.id, 'rpl_x', ADMIN), { code: 'not_found' })
  })

  test('one for a webhook that is off is made, with a warning', async () => {
    const { replay } = await world(1, { state: 'inactive', offSince: 0 })
    const { planned, replay: made, warning } = await replay({ since: 0 })
    assert.deepEqual([planned, made?.state], [1, 'running'])
    assert.match(warning!, /the webhook is inactive: nothing is sent until active is set to true/)
  })

  const refused = [
    { name: 'neither a time nor events', input: {}, field: 'since', message: /since is missing/ },
    { name: 'an end before the start', input: { since: NOW, until: NOW - 1 }, field: 'since', message: /not before/ },
    { name: 'a start in the future', input: { since: NOW + 9 }, field: 'since', message: /not before/ },
    { name: 'an unknown type', input: { since: 0, events: ['file.uplaoded'] }, field: 'events', message: /file\.uploaded/ },
    { name: 'no types', input: { since: 0, events: [] }, field: 'events', message: /1 to 100 entries, not 0/ },
    { name: 'no ids', input: { eventIds: [] }, field: 'eventIds', message: /1 to 1000 entries, not 0/ },
    { name: 'too many ids', input: { eventIds: Array(1_001).fill('a') }, field: 'eventIds', message: /not 1001/ },
    { name: 'an empty path', input: { since: 0, path: '' }, field: 'path', message: /path is empty/ },
    { name: 'a deep path', input: { since: 0, path: '/a'.repeat(32) }, field: 'path', message: /33 segments, at most 32/ },
    { name: 'no rate', input: { since: 0, ratePerSecond: 0 }, field: 'ratePerSecond', message: /1 to 1000, not 0/ },
    { name: 'a flood', input: { since: 0, ratePerSecond: 1_001 }, field: 'ratePerSecond', message: /not 1001/ },
  ]
  for (const { name, input, field, message } of refused) {
    test(`refused: ${name}`, async () => {
      const { replay } = await world(0)
      await assert.rejects(replay(input), { code: 'invalid', field, message })
    })
  }

  test('reactivation says what was missed meanwhile', async () => {
    const { webhook, account, replays } = await world(2)
    const off: Webhook = { ...webhook, state: 'failed', failedReason: 'status 500', offSince: NOW - 10, updatedAt: NOW - 10 }
    await store.updateWebhook(off, webhook, anAudit())
    const data = { path: '/in/late.csv', size: 1 }
    const late = { id: newId('event', NOW - 5), type: 'file.uploaded', accountId: account.id, occurredAt: NOW - 5, data } as const
    await store.recordEvents([late])
    const on: Webhook = { ...webhook, updatedAt: NOW }
    await store.updateWebhook(on, off, anAudit())
    assert.deepEqual(await replays.missed(off, on), { since: NOW - 10, until: NOW + 1, events: 1, isCounted: true })
    assert.equal(await replays.missed(on, on), null)
    assert.equal(await replays.missed(off, { ...off, state: 'inactive' }), null)
  })

  test('what was missed begins with the event whose delivery turned the webhook off', async () => {
    const { webhook, events, replays } = await world(3)
    const claimed = await store.claim('node_a', [{ webhookId: webhook.id, room: 3 }], NOW)
    const of = (event: { id: string }) => claimed.find(({ eventId }) => eventId === event.id)!
    const [first, second] = [events[0]!, events[1]!]
    await store.settle([settling(of(first), { state: 'delivered' })])
    const end = { state: 'failed', reason: 'status 500', webhookFails: true } as const
    await store.settle([settling(of(second), end, { endedAt: NOW })])
    const off = await found(webhook.id)
    assert.deepEqual([off.state, off.failedDeliveryId, off.offSince], ['failed', of(second).id, NOW])
    const missed = await replays.missed(off, webhook)
    // The third one waits, and goes on by itself.
    assert.deepEqual(missed, { since: second.occurredAt, until: NOW + 1, events: 1, isCounted: true })
  })
})
