import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, type TestContext, test } from 'node:test'
import { createReceiver } from '../../sdk/examples/express.ts'
import { EVENT_TYPES } from '../events/catalogue.ts'
import { openWorld } from './testing.ts'

// What those who write receivers ask of the API: samples and probes.

const world = await openWorld()
after(() => world.close())
const { call, account, keyOf } = world
const { token } = await keyOf('default', ['read', 'write'])
const SECRET = 'a secret of this test'

async function makeWebhook(more: object): Promise<string> {
  const { json, status } = await call('POST', '/api/webhooks', { url: 'https://receiver.example/in', secret: SECRET, ...more })
  assert.equal(status, 201)
  return json.data.webhook.id
}

async function listening(t: TestContext, handler: RequestListener): Promise<string> {
  const server = createServer(handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks`
}

test('trigger: a sample becomes a delivery of each webhook that subscribes, with the same as a test delivery', async () => {
  const group = await makeWebhook({ events: ['transfer.*'] })
  const ofAccount = await makeWebhook({ events: ['*'], accountId: account.id, dialect: 'trueftp' })
  const other = await makeWebhook({ events: ['dir.created'] })
  const off = await makeWebhook({ events: ['*'], active: false })

  const all = await call('POST', '/api/trigger', { event: 'transfer.failed' })
  assert.equal(all.status, 202)
  const { deliveries, listeners } = all.json.data
  assert.deepEqual(deliveries.map(({ webhookId }: { webhookId: string }) => webhookId).sort(), [group, ofAccount].sort())
  assert.equal(listeners, 0)
  for (const { webhookId, webhookName, delivery } of deliveries) {
    assert.equal(webhookName, 'receiver.example')
    const stored = await call('GET', `/api/webhooks/${webhookId}/deliveries/${delivery.id}`)
    assert.deepEqual([stored.json.data.delivery.event, stored.json.data.delivery.status], ['transfer.failed', 'waiting'])
  }

  const scoped = await call('POST', '/api/trigger', { event: 'transfer.failed', accountId: account.id })
  assert.deepEqual(
    scoped.json.data.deliveries.map(({ webhookId }: { webhookId: string }) => webhookId),
    [ofAccount],
  )
  const named = await call('POST', '/api/trigger', { event: 'transfer.failed', webhookId: other })
  assert.deepEqual(
    named.json.data.deliveries.map(({ webhookId }: { webhookId: string }) => webhookId),
    [other],
  )

  const inactive = await call('POST', '/api/trigger', { event: 'transfer.failed', webhookId: off })
  assert.equal(inactive.status, 409)
  assert.match(inactive.json.error, /inactive|not active/)
})

test('trigger: every type of the catalogue has a sample that can be sent', async () => {
  const id = await makeWebhook({ events: ['file.uploaded'] })
  for (const event of EVENT_TYPES) assert.equal((await call('POST', '/api/trigger', { event, webhookId: id })).status, 202, event)
})

test('trigger and doctor refuse: unknown types and webhooks, and everybody but administrators', async () => {
  const id = await makeWebhook({ events: ['file.uploaded'] })
  const wrong = await call('POST', '/api/trigger', { event: 'transfer.fail' })
  assert.deepEqual(
    [wrong.status, wrong.json.error],
    [400, 'event: "transfer.fail" is no event type; did you mean "transfer.failed"?'],
  )
  // A group is taken by webhooks, and a sample is of one type.
  const sayings = [
    await call('POST', '/api/trigger', { event: 'file.*' }),
    await call('POST', `/api/webhooks/${id}/test`, { event: 'file.*' }),
  ]
  for (const { json } of sayings) assert.equal(json.error, 'event: "file.*" is no event type; did you mean "file.uploaded"?')
  const nowhere = 'wh_0000000000000000'
  const refused = [
    { path: '/api/trigger', body: { event: 'file.uploaded', webhookId: nowhere }, as: undefined, status: 404 },
    { path: '/api/trigger', body: {}, as: undefined, status: 400 },
    { path: '/api/trigger', body: { event: 'file.uploaded' }, as: null, status: 401 },
    { path: '/api/trigger', body: { event: 'file.uploaded' }, as: token, status: 401 },
    { path: `/api/webhooks/${nowhere}/doctor`, body: undefined, as: undefined, status: 404 },
    { path: `/api/webhooks/${id}/doctor`, body: undefined, as: null, status: 401 },
    { path: `/api/webhooks/${id}/doctor`, body: undefined, as: token, status: 401 },
  ]
  for (const { path, body, as, status } of refused) assert.equal((await call('POST', path, body, as)).status, status, path)
})

const outcomesOf = (checks: { name: string; outcome: string }[]) =>
  Object.fromEntries(checks.map(({ name, outcome }) => [name, outcome]))

test('doctor: a receiver of the sdk passes, and what it was sent is in no log of deliveries', async (t) => {
  const kept = new Set<string>()
  t.mock.method(console, 'warn', () => {})
  const url = await listening(
    t,
    createReceiver(SECRET, async (id) => void kept.add(id)),
  )
  const id = await makeWebhook({ url, events: ['file.*'], dialect: 'trueftp' })
  const { json, status } = await call('POST', `/api/webhooks/${id}/doctor`)
  assert.equal(status, 200)
  const { report } = json.data
  assert.deepEqual([report.webhookId, report.url, report.tls], [id, url, null])
  // How long it takes is a matter of this machine; that it is judged is shown beside the doctor.
  const { latency, ...outcomes } = outcomesOf(report.checks)
  assert.match(latency ?? 'none', /^(ok|warning)$/)
  assert.deepEqual(outcomes, {
    tls: 'warning',
    genuine: 'ok',
    bad_signature: 'ok',
    changed_body: 'ok',
    old_timestamp: 'ok',
    duplicate: 'warning',
  })
  assert(kept.size >= 1)
  assert.equal((await call('GET', `/api/webhooks/${id}/deliveries`)).json.data.deliveries.length, 0)
  const { entries } = (await call('GET', '/api/audit?action=webhook.doctor')).json.data
  assert.deepEqual([entries.length, entries[0].target, entries[0].result], [1, id, 'ok'])
  assert(!JSON.stringify(json).includes(SECRET) && !world.logged.join('\n').includes(SECRET))
})

test('doctor: a receiver that takes everything is told what is wrong and what to do', async (t) => {
  const url = await listening(t, (request, response) => request.resume().on('end', () => response.end('ok')))
  const id = await makeWebhook({ url, events: ['file.*'], dialect: 'trueftp' })
  const { checks } = (await call('POST', `/api/webhooks/${id}/doctor`)).json.data.report
  const found = outcomesOf(checks)
  assert.deepEqual(
    [found.genuine, found.bad_signature, found.changed_body, found.old_timestamp],
    ['ok', 'problem', 'problem', 'problem'],
  )
  for (const { outcome, remedy } of checks) assert.equal(remedy === null, outcome === 'ok')
})

test('doctor: nobody there, and a host that is no receiver over TLS', async (t) => {
  const gone = await listening(t, () => {})
  const plain = gone.replace('http:', 'https:')
  for (const [url, name] of [
    ['http://127.0.0.1:9/', 'genuine'],
    [plain, 'tls'],
  ] as const) {
    const id = await makeWebhook({ url, events: ['file.*'] })
    const { checks, tls } = (await call('POST', `/api/webhooks/${id}/doctor`)).json.data.report
    assert.deepEqual([checks.at(-1).name, checks.at(-1).outcome, tls], [name, 'problem', null])
  }
})
