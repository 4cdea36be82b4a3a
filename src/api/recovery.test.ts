import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newId } from '../base/id.ts'
import type { EventType } from '../events/catalogue.ts'
import { openWorld } from './testing.ts'

const TRUEFTP = '/api/ext/v1'

describe('recovery over the API', () => {
  let world: Awaited<ReturnType<typeof openWorld>>
  before(async () => {
    world = await openWorld()
  })
  after(() => world.close())

  async function say(count: number, type: EventType = 'file.uploaded', accountId: string | null = world.account.id) {
    const events = Array.from({ length: count }, (_, index) => {
      const occurredAt = world.clock.now()
      const data = { path: `/in/${index}.csv`, size: 1, username: 'pipeline', client_ip: '192.0.2.1' }
      return { id: newId('event', occurredAt), type, accountId, occurredAt, data }
    })
    await world.store.recordEvents(events)
    world.recovery.streams.said()
    return events.map(({ id }) => id)
  }

  async function webhook(more: object = {}, path = '/api/webhooks', token?: string) {
    const body = { url: 'https://receiver.example/hook', events: ['file.*'], ...more }
    const { status, json } = await world.call('POST', path, body, token)
    assert.equal(status, 201, JSON.stringify(json))
    return (path === '/api/webhooks' ? json.data.webhook.id : json.id) as string
  }

  test('what a webhook missed while it was off is told at reactivation, with the request that sends it', async () => {
    const id = await webhook({ accountId: 'default' })
    const { json: off } = await world.call('PATCH', `/api/webhooks/${id}`, { active: false })
    assert.equal(off.data.missed, undefined)
    world.clock.ahead(5)
    const missed = await say(3)
    world.clock.ahead(5)
    const { json: on } = await world.call('PATCH', `/api/webhooks/${id}`, { active: true })
    assert.deepEqual([on.data.missed.events, on.data.missed.isCounted], [3, true])
    const { method, path, body } = on.data.missed.replay
    const dry = await world.call(method, path, { ...body, dryRun: true })
    assert.deepEqual([dry.status, dry.json.data.planned, dry.json.data.sample.length], [200, 3, 3])
    const made = await world.call(method, path, body)
    assert.deepEqual([made.status, made.json.data.planned, made.json.data.replay.state], [202, 3, 'running'])
    const replay = `/api/webhooks/${id}/replays/${made.json.data.replay.id}`
    for (;;) {
      const { json } = await world.call('GET', replay)
      if (json.data.replay.state === 'done') break
    }
    const { json: list } = await world.call('GET', `/api/webhooks/${id}/deliveries`)
    assert.deepEqual(list.data.deliveries.map((row: { eventId: string }) => row.eventId).sort(), missed.sort())
    const { json: all } = await world.call('GET', `/api/webhooks/${id}/replays`)
    assert.deepEqual([all.data.pagination.total, all.data.replays[0].planned], [1, 3])
    const [first] = list.data.deliveries
    const explained = await world.call('GET', `/api/webhooks/${id}/deliveries/${first.id}/explain`)
    assert.equal(explained.json.data.explanation.state, 'waiting')
    assert.equal((await world.call('GET', `/api/webhooks/${id}/deliveries/dlv_x/explain`)).status, 404)
    // Nothing sends here, so that what it planned still waits.
    const cancelled = await world.call('POST', `${replay}/cancel`)
    assert.deepEqual([cancelled.status, cancelled.json.data.replay.cancelled], [200, 3])
    assert.equal((await world.call('POST', `${replay}/cancel`)).status, 409)
  })

  test('the same on the face of account keys, in its style', async () => {
    const { token } = await world.keyOf('default', ['read', 'write'])
    const id = await webhook({}, `${TRUEFTP}/webhooks`, token)
    await world.call('PUT', `${TRUEFTP}/webhooks/${id}`, { active: false }, token)
    world.clock.ahead(5)
    const [eventId] = await say(1)
    world.clock.ahead(5)
    const { json: on } = await world.call('PUT', `${TRUEFTP}/webhooks/${id}`, { active: true }, token)
    assert.deepEqual(
      [on.missed.events, on.missed.is_counted, on.missed.replay.path],
      [1, true, `${TRUEFTP}/webhooks/${id}/replay`],
    )
    const asked = { event_ids: [eventId, 'whevt_x'], rate_per_second: 5 }
    const dry = await world.call('POST', `${TRUEFTP}/webhooks/${id}/replay`, { ...asked, dry_run: true }, token)
    assert.deepEqual([dry.status, dry.json.planned, dry.json.sample[0].id], [200, 1, eventId])
    const made = await world.call('POST', `${TRUEFTP}/webhooks/${id}/replay`, asked, token)
    assert.deepEqual([made.status, made.json.replay.request.rate_per_second], [202, 5])
    const one = `${TRUEFTP}/webhooks/${id}/replays/${made.json.replay.id}`
    assert.equal((await world.call('GET', one, undefined, token)).json.webhook_id, id)
    assert.equal((await world.call('GET', `${TRUEFTP}/webhooks/${id}/replays`, undefined, token)).json.total, 1)
    const { json: feed } = await world.call('GET', `${TRUEFTP}/webhooks/${id}/feed?limit=500`, undefined, token)
    const item = feed.data.find((each: { event_id: string }) => each.event_id === eventId)
    assert.equal(JSON.parse(item.body).delivery_id, item.delivery_id)
    const { token: other } = await world.keyOf((await another()).slug, ['read', 'write'])
    for (const path of ['replays', 'feed', 'replays/rpl_x', 'deliveries/dlv_x/explain'])
      assert.equal((await world.call('GET', `${TRUEFTP}/webhooks/${id}/${path}`, undefined, other)).status, 404, path)
    assert.equal((await world.call('POST', `${TRUEFTP}/webhooks/${id}/replay`, asked, other)).status, 404)
  })

  let accounts = 0
  const another = () =>
    world.accounts.createAccount(world.caller, { slug: `other-${++accounts}`, name: 'Other', plan: 'business' } as never)

  const refused = [
    { body: {}, message: /^since is missing/ },
    { body: { since: 'yesterday' }, message: /since is "yesterday", not a time/ },
    { body: { since: '2026-02-30T00:00:00Z' }, message: /^since is "2026-02-30T00:00:00Z", not a time like/ },
    { body: { since: '2026-02-01T00:00Z', until: '2026-02-29T00:00Z' }, message: /^until is "2026-02-29T00:00Z", not a time/ },
    { body: { since: '2026-01-01T00:00:00Z', only: 'some' }, message: /only is "some", not one of failed, missing, all/ },
    { body: { since: '2026-01-01T00:00:00Z', surplus: 1 }, message: /surplus is not known here/ },
    { body: { since: '2026-01-01T00:00:00Z', events: ['file.uplaoded'] }, message: /did you mean "file.uploaded"/ },
  ]
  for (const { body, message } of refused) {
    test(`a replay is refused: ${message.source}`, async () => {
      const { status, json } = await world.call('POST', `/api/webhooks/${await webhook()}/replay`, body)
      assert.equal(status, 400)
      assert.match(json.error, message)
    })
  }

  test('a feed gives what the webhook is for, page by page, from any cursor', async () => {
    const id = await webhook({ accountId: 'default', events: ['dir.created'], dialect: 'trueftp' })
    const { json: start } = await world.call('GET', `/api/webhooks/${id}/feed?after=now`)
    assert.deepEqual([start.data.items, start.data.isEnd], [[], true])
    await say(2)
    const mine = await say(3, 'dir.created')
    await say(1, 'dir.created', null)
    const read = (after: string, limit = 100) =>
      world.call('GET', `/api/webhooks/${id}/feed?after=${after}&limit=${limit}`).then(({ json }) => json.data)
    const all = await read(start.data.nextCursor)
    assert.deepEqual([all.items.map((item: { eventId: string }) => item.eventId), all.isEnd], [mine, true])
    const [first] = all.items
    const { json: deliveries } = await world.call('GET', `/api/webhooks/${id}/deliveries?limit=100`)
    const planned = deliveries.data.deliveries.find((row: { eventId: string }) => row.eventId === first.eventId)
    assert.deepEqual([first.deliveryId, JSON.parse(first.body).delivery_id], [planned.id, planned.id])
    const page = await read(start.data.nextCursor, 2)
    assert.deepEqual([page.items, page.isEnd], [all.items.slice(0, 2), false])
    assert.deepEqual((await read(page.nextCursor)).items, all.items.slice(2))
    const wrong = await world.call('GET', `/api/webhooks/${id}/feed?after=wrong!`)
    assert.deepEqual([wrong.status, wrong.json.details.code], [400, 'invalid'])
    assert.equal(wrong.json.details.field, 'after')
  })
})
