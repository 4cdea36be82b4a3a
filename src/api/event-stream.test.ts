import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { newId } from '../base/id.ts'
import type { EventType } from '../events/catalogue.ts'
import { openWorld } from './testing.ts'

const TRUEFTP = '/api/ext/v1'

interface Message {
  id: string | undefined
  name: string | undefined
  // biome-ignore lint/suspicious/noExplicitAny: messages have many shapes.
  data: any
}

describe('the live stream of events', () => {
  let world: Awaited<ReturnType<typeof openWorld>>
  before(async () => {
    world = await openWorld()
  })
  after(() => world.close())

  async function say(type: EventType = 'file.uploaded', accountId: string | null = world.account.id) {
    const occurredAt = world.clock.now()
    const data = { path: '/in/a.csv', size: 1, username: 'pipeline', client_ip: '192.0.2.1' }
    const event = { id: newId('event', occurredAt), type, accountId, occurredAt, data }
    await world.store.recordEvents([event])
    world.recovery.streams.said()
    return event.id
  }

  /** A reader of server-sent events; `next` gives message after message and ends with the stream. */
  async function open(path: string, token: string = world.adminToken, more: Record<string, string> = {}) {
    const leave = new AbortController()
    const headers = { authorization: `Bearer ${token}`, ...more }
    const answer = await fetch(world.url + path, { headers, signal: leave.signal })
    const lines = answer.body!.pipeThrough(new TextDecoderStream())
    async function* messages(): AsyncGenerator<Message> {
      let text = ''
      for await (const chunk of lines) {
        text += chunk
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          const field = (name: string) => text.slice(0, end).split('\n').find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) // biome-ignore format: one line
          const data = field('data')
          if (data !== undefined) yield { id: field('id'), name: field('event'), data: JSON.parse(data) }
          text = text.slice(end + 2)
        }
      }
    }
    const all = messages()
    return {
      answer,
      leave: () => leave.abort(),
      next: async () => (await all.next()).value as Message | undefined,
      /** The data of the next message, which must come. */
      async data() {
        const { done, value } = await all.next()
        assert.ok(!done, 'the stream has ended')
        return value.data
      },
    }
  }

  test('tells what is said, and goes on from where a reader was', async () => {
    const first = await open('/api/events/stream')
    assert.deepEqual([first.answer.status, first.answer.headers.get('content-type')], [200, 'text/event-stream; charset=utf-8'])
    assert.equal(first.answer.headers.get('cache-control'), 'no-store')
    const hello = await first.next()
    assert.deepEqual([hello?.name, Object.keys(hello?.data)], ['hello', ['cursor']])
    const [one, two] = [await say(), await say('dir.created')]
    const told = await first.next()
    assert.deepEqual([told?.data.id, told?.data.event, told?.data.accountId], [one, 'file.uploaded', world.account.id])
    first.leave()
    const again = await open('/api/events/stream', world.adminToken, { 'last-event-id': told!.id! })
    await again.next()
    assert.equal((await again.next())?.data.id, two)
    assert.equal((await again.next())?.name, 'live')
    again.leave()
    const since = await open(`/api/events/stream?after=${hello?.data.cursor}&events=dir.*`)
    await since.next()
    assert.equal((await since.next())?.data.id, two)
    since.leave()
  })

  test('an administrator hears all or one account, a key its own only', async () => {
    const { token } = await world.keyOf('default', ['read'])
    const admin = await open('/api/events/stream')
    const ofAccount = await open('/api/events/stream?account=default')
    const ofKey = await open(`${TRUEFTP}/events/stream`, token)
    for (const reader of [admin, ofAccount, ofKey]) assert.equal((await reader.next())?.name, 'hello')
    const serverWide = await say('system.error', null)
    const ours = await say()
    assert.equal((await admin.next())?.data.id, serverWide)
    assert.equal((await admin.next())?.data.id, ours)
    assert.equal((await ofAccount.next())?.data.id, ours)
    const shaped = (await ofKey.next())?.data
    assert.deepEqual([shaped.id, shaped.account_id], [ours, world.account.id])
    for (const reader of [admin, ofAccount, ofKey]) reader.leave()
    const { token: writes } = await world.keyOf('default', ['write'])
    const refused = await open(`${TRUEFTP}/events/stream`, writes)
    assert.equal(refused.answer.status, 403)
  })

  test('signs ready requests with the secret of the listener, which is in no log', async () => {
    const secret = 'a secret of the listener'
    const reader = await open('/api/events/stream?sign=mftplus', world.adminToken, { 'x-landfall-listen-secret': secret })
    assert.equal((await reader.next())?.data.secret, undefined)
    const id = await say()
    const { eventId, event, deliveryId, headers, body, cursor } = await reader.data()
    reader.leave()
    assert.deepEqual([eventId, event, headers['X-Webhook-ID'], JSON.parse(body).id], [id, 'file.uploaded', deliveryId, id])
    assert.equal(headers['X-Webhook-Signature'], `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`)
    assert.match(cursor, /^[0-9a-z.]+$/)
    assert.ok(!world.logged.join().includes(secret))
  })

  test('makes a secret where none is sent, and tells it once', async () => {
    const reader = await open('/api/events/stream?sign=trueftp')
    const { secret } = await reader.data()
    await say()
    const { headers, body } = await reader.data()
    reader.leave()
    const signed = createHmac('sha256', secret).update(`${headers['X-TrueFTP-Timestamp']}.${body}`).digest('hex')
    assert.equal(headers['X-TrueFTP-Signature'], `sha256=${signed}`)
  })

  test('with a dialect: its bodies, unsigned', async () => {
    const reader = await open('/api/events/stream?dialect=trueftp')
    await reader.next()
    const id = await say()
    const { eventId, deliveryId, body, headers } = await reader.data()
    reader.leave()
    assert.deepEqual([eventId, JSON.parse(body).delivery_id, headers], [id, deliveryId, undefined])
  })

  test('as a webhook: its scope, subscriptions, filter, dialect and headers', async () => {
    const made = await world.call('POST', '/api/webhooks', {
      ...{ url: 'https://receiver.example/hook', events: ['dir.*'], accountId: 'default', dialect: 'trueftp' },
      filter: { 'data.path': { prefix: '/in/' } },
    })
    assert.equal(made.status, 201, made.text)
    const reader = await open(`/api/events/stream?webhook=${made.json.data.webhook.id}`)
    await reader.next()
    await say()
    await say('dir.created', null)
    const id = await say('dir.created')
    const { eventId, headers } = await reader.data()
    reader.leave()
    assert.deepEqual([eventId, headers['X-TrueFTP-Event']], [id, 'dir.created'])
  })

  const refused = [
    { path: '?after=wrong!', status: 400 },
    { path: '?events=file.uplaoded', status: 400 },
    { path: '?sign=nothing', status: 400 },
    { path: '?webhook=wh_x', status: 404 },
    { path: '?account=nobody', status: 404 },
    { path: '?surplus=1', status: 400 },
  ]
  for (const { path, status } of refused) {
    test(`refused before the first byte: ${path}`, async () => {
      const answer = await world.call('GET', `/api/events/stream${path}`)
      assert.equal(answer.status, status, answer.text)
    })
  }

  test('a sample of trigger is shown live', async () => {
    const reader = await open('/api/events/stream?events=job.failed')
    await reader.next()
    const sent = await world.call('POST', '/api/trigger', { event: 'job.failed' })
    assert.deepEqual([sent.status, sent.json.data.listeners], [202, 1], sent.text)
    assert.equal((await reader.next())?.data.event, 'job.failed')
    reader.leave()
  })

  test('when the server stops, a stream ends with its last cursor', async () => {
    const reader = await open('/api/events/stream')
    const hello = await reader.next()
    const stopping = world.api.stop()
    const end = await reader.next()
    assert.deepEqual([end?.name, end?.data], ['end', { cursor: hello?.data.cursor, reason: 'the server is stopping' }])
    assert.equal(await reader.next(), undefined)
    await stopping
  })
})
