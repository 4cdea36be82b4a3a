import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { CATALOGUE, EVENT_TYPES, type EventType } from '../../src/events/catalogue.ts'
import { SAMPLES } from '../../src/events/samples.ts'
import { eventually } from '../eventually.ts'
import { startTestServer, type TestServer } from '../server.ts'

// The rows of both pages about managing webhooks, and the request that a receiver sees, against the whole running server.

const SECRET = 'your-signing-secret'

let server: TestServer
let receiver: Awaited<ReturnType<typeof startRecorder>>
before(async () => {
  server = await startTestServer()
  receiver = await startRecorder()
})
after(async () => {
  await server.stop()
  receiver.stop()
})

test('"Create a webhook via the REST API": the body of the page, word for word', async () => {
  const { status, json } = await mftplus('POST', '/webhooks', {
    name: 'Transfer Alerts',
    url: 'https://your-app.com/webhooks/mftplus',
    events: ['transfer.completed', 'transfer.failed'],
    secret: SECRET,
    active: true,
  })
  assert.equal(status, 201)
  assert.equal(json.success, true)
  const { name, url, events, active, state, hasSecret, dialect } = json.data.webhook
  assert.deepEqual(
    { name, url, events, active, state, hasSecret, dialect },
    {
      name: 'Transfer Alerts',
      url: 'https://your-app.com/webhooks/mftplus',
      events: ['transfer.completed', 'transfer.failed'],
      ...{ active: true, state: 'active', hasSecret: true, dialect: 'mftplus' },
    },
  )
  assert.ok(!JSON.stringify(json).includes(SECRET), 'the secret is never returned')
})

test('"List Webhooks", "Get Webhook Details", "Update Webhook", "View Delivery History", "Delete Webhook"', async () => {
  const { id } = (await mftplus('POST', '/webhooks', { url: receiver.url, events: ['*'] })).json.data.webhook
  const list = await mftplus('GET', '/webhooks')
  assert.ok(list.json.data.webhooks.some((webhook: { id: string }) => webhook.id === id))
  assert.deepEqual(Object.keys(list.json.data.pagination).slice(0, 4), ['page', 'limit', 'total', 'pages'])
  assert.equal((await mftplus('GET', `/webhooks/${id}`)).json.data.webhook.url, receiver.url)

  const updated = await mftplus('PATCH', `/webhooks/${id}`, { url: 'https://new-url.com/webhook', active: false })
  assert.equal(updated.status, 200)
  const { url, active, state } = updated.json.data.webhook
  assert.deepEqual({ url, active, state }, { url: 'https://new-url.com/webhook', active: false, state: 'inactive' })

  assert.deepEqual((await mftplus('GET', `/webhooks/${id}/deliveries`)).json.data.deliveries, [])
  assert.deepEqual((await mftplus('DELETE', `/webhooks/${id}`)).json.data, { deleted: true })
  assert.equal((await mftplus('GET', `/webhooks/${id}`)).status, 404)
})

for (const url of ['http://your-app.com/hook', 'http://203.0.113.9/hook', 'ftp://your-app.com/hook']) {
  test(`"MFTPlus refuses to send webhooks to HTTP endpoints (except for localhost testing)": ${url}`, async () => {
    for (const { status, json } of [
      await mftplus('POST', '/webhooks', { url, events: ['transfer.failed'] }),
      await trueftp('POST', '/webhooks', { url, events: ['file.uploaded'] }),
    ]) {
      assert.equal(status, 400)
      assert.match(JSON.stringify(json), /url/)
    }
  })
}

test('"except for localhost testing": http to localhost is taken while every listener is on loopback', async () => {
  const url = receiver.url.replace('127.0.0.1', 'localhost')
  const { status, json } = await mftplus('POST', '/webhooks', { url, events: ['transfer.failed'] })
  assert.equal(status, 201)
  await mftplus('DELETE', `/webhooks/${json.data.webhook.id}`)
})

for (const type of EVENT_TYPES) {
  test(`"Send a test event … Choose an event type to simulate": ${type}, in both dialects`, async (t) => {
    const plus = await webhookFor(t, 'mftplus')
    const sent = await mftplus('POST', `/webhooks/${plus}/test`, { event: type })
    assert.equal(sent.status, 202)
    assertMftplusRequest(await receiver.next(), type, sent.json.data.delivery)

    const ftp = await webhookFor(t, 'trueftp')
    assert.equal((await mftplus('POST', `/webhooks/${ftp}/test`, { event: type })).status, 202)
    assertTrueftpRequest(await receiver.next(), type)
  })
}

test('"X-Webhook-Signature (if secret configured)": without a secret there is none', async (t) => {
  const id = await webhookFor(t, 'mftplus', null)
  await mftplus('POST', `/webhooks/${id}/test`, { event: 'transfer.completed' })
  assert.ok(!('x-webhook-signature' in (await receiver.next()).headers))
})

test('"Each attempt is recorded — view recent deliveries (status, attempt, error)"', async (t) => {
  const { json: made } = await trueftp('POST', '/webhooks', { url: receiver.url, events: ['file.uploaded'] })
  t.after(() => trueftp('DELETE', `/webhooks/${made.id}`))
  await mftplus('POST', `/webhooks/${made.id}/test`, { event: 'file.uploaded' })
  await receiver.next()
  const [row] = await eventually(async () => {
    const { data } = (await trueftp('GET', `/webhooks/${made.id}/deliveries`)).json
    assert.equal(data.length, 1)
    return data
  })
  const { event, status, attempt, status_code, error } = row
  assert.deepEqual(
    { event, status, attempt, status_code, error },
    { event: 'file.uploaded', status: 'delivered', attempt: 1, status_code: 200, error: null },
  )
})

test('"Webhooks are available on paid plans": another plan is refused, on both faces, and nothing is stored', async () => {
  await mftplus('POST', '/accounts', { slug: 'small', plan: 'starter' })
  const key = (await mftplus('POST', '/accounts/small/keys', { name: 'ci', scopes: ['read', 'write'] })).json.data.token
  const asked = { url: receiver.url, events: ['file.uploaded'] }
  for (const { status, json } of [
    await mftplus('POST', '/webhooks', { ...asked, accountId: 'small' }),
    await trueftp('POST', '/webhooks', asked, key),
  ]) {
    assert.equal(status, 403)
    assert.match(JSON.stringify(json), /the plan of the account does not include webhooks/)
  }
  assert.deepEqual((await trueftp('GET', '/webhooks', undefined, key)).json.data, [])
})

interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Reference, "Request Headers" and "Payload Format" of MFTPlus. */
function assertMftplusRequest({ headers, body }: Received, type: EventType, delivery: { id: string; eventId: string }): void {
  assert.equal(headers['content-type'], 'application/json', 'Content-Type: Always application/json')
  assert.equal(headers['user-agent'], 'MFTPlus-Webhook/1.0', 'User-Agent: MFTPlus-Webhook/1.0')
  assert.equal(headers['x-webhook-id'], delivery.id, 'X-Webhook-ID: Unique webhook delivery ID')
  assert.match(String(headers['x-webhook-timestamp']), /^\d{10}$/, 'X-Webhook-Timestamp: Unix timestamp of delivery attempt')
  assert.equal(headers['x-webhook-signature'], `sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`)
  const envelope = JSON.parse(body)
  assert.deepEqual(Object.keys(envelope), ['id', 'event', 'timestamp', 'data'])
  assert.match(envelope.id, /^whevt_[0-9a-z]{16}$/)
  assert.equal(envelope.id, delivery.eventId)
  assert.equal(envelope.event, type)
  assert.match(envelope.timestamp, /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/)
  assertDocumentedMembers(envelope.data, type)
}

/** "Payload", "Headers" and "Verifying the signature" of TrueFTP. */
function assertTrueftpRequest({ headers, body }: Received, type: EventType): void {
  assert.equal(headers['content-type'], 'application/json')
  assert.equal(headers['x-trueftp-event'], type, 'X-TrueFTP-Event: Event type')
  assert.match(String(headers['x-trueftp-timestamp']), /^\d{10}$/, 'X-TrueFTP-Timestamp: Unix seconds (signed)')
  const signed = `${headers['x-trueftp-timestamp']}.${body}`
  assert.equal(headers['x-trueftp-signature'], `sha256=${createHmac('sha256', SECRET).update(signed).digest('hex')}`)
  const envelope = JSON.parse(body)
  assert.deepEqual(Object.keys(envelope), ['event', 'delivery_id', 'timestamp', 'account_id', 'data'])
  assert.equal(envelope.event, type)
  assert.equal(envelope.delivery_id, headers['x-trueftp-delivery'], 'X-TrueFTP-Delivery: Unique delivery id')
  assertDocumentedMembers(envelope.data, type)
}

/** A payload that a page shows comes with exactly its members, in their order. */
function assertDocumentedMembers(data: object, type: EventType): void {
  if (CATALOGUE[type].documented) assert.deepEqual(Object.keys(data), Object.keys(SAMPLES[type]))
  assert.deepEqual(data, JSON.parse(JSON.stringify(SAMPLES[type])))
}

async function webhookFor(t: { after(end: () => Promise<unknown>): void }, dialect: string, secret: string | null = SECRET) {
  const { status, json } = await mftplus('POST', '/webhooks', {
    ...{ url: receiver.url, events: ['system.error'], dialect },
    ...(secret === null ? {} : { secret }),
  })
  assert.equal(status, 201, JSON.stringify(json))
  const { id } = json.data.webhook
  t.after(() => mftplus('DELETE', `/webhooks/${id}`))
  return id as string
}

function mftplus(method: string, path: string, body?: object) {
  return ask(method, `/api${path}`, server.adminToken, body)
}

let accountKey: string | undefined
async function trueftp(method: string, path: string, body?: object, key?: string) {
  accountKey ??= (await mftplus('POST', '/accounts/default/keys', { name: 'ci', scopes: ['read', 'write'] })).json.data.token
  return ask(method, `/api/ext/v1${path}`, key ?? accountKey!, body)
}

async function ask(method: string, path: string, token: string, body?: object) {
  const json = body === undefined ? {} : { 'content-type': 'application/json' }
  const answer = await fetch(`${server.http}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...json },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, json: text === '' ? undefined : JSON.parse(text) }
}

/** Answers 200 to everything and hands out what came, in order. */
async function startRecorder() {
  const waiting: Received[] = []
  const arrivals = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    waiting.push({ headers: request.headers, body: Buffer.concat(chunks).toString() })
    response.end('OK')
    arrivals.emit('received')
  })
  arrivals.listen(0, '127.0.0.1')
  await once(arrivals, 'listening')
  return {
    url: `http://127.0.0.1:${(arrivals.address() as AddressInfo).port}/webhooks`,
    async next(): Promise<Received> {
      if (waiting.length === 0) await once(arrivals, 'received', { signal: AbortSignal.timeout(20_000) })
      return waiting.shift()!
    },
    stop() {
      arrivals.closeAllConnections()
      arrivals.close()
    },
  }
}
