import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import type { RecordedEvent } from '../events/event.ts'
import { dialectConformance, type Received } from './conformance.ts'
import { DIALECT_NAMES, dialectOf, isDialectName } from './index.ts'
import { wellFormedJson } from './json.ts'
import { mftplus } from './mftplus.ts'
import { trueftp } from './trueftp.ts'
import mftplusVectors from './vectors/mftplus.json' with { type: 'json' }
import trueftpVectors from './vectors/trueftp.json' with { type: 'json' }

const hexDigest = (secret: string, signed: Uint8Array) =>
  `sha256=${createHmac('sha256', Buffer.from(secret)).update(signed).digest('hex')}`

const read = ({ body }: Received) => {
  const { event: type, data } = JSON.parse(Buffer.from(body).toString())
  return { type, data }
}

dialectConformance(mftplus, {
  read,
  verify: ({ headers, body }, secret) => headers.get('x-webhook-signature') === hexDigest(secret, body),
})

dialectConformance(trueftp, {
  read,
  verify({ headers, body }, secret) {
    const signed = Buffer.concat([Buffer.from(`${headers.get('x-trueftp-timestamp')}.`), body])
    return headers.get('x-trueftp-signature') === hexDigest(secret, signed)
  },
})

for (const [index, { secret, body, bytes, digest }] of mftplusVectors.entries()) {
  test(`mftplus: signature vector ${index + 1}`, () => {
    const headers = mftplus.headers({
      deliveryId: 'dlv_1',
      eventType: 'transfer.completed',
      startedAt: 0,
      body: Buffer.from(body),
      secret,
      eventId: 'whevt_1',
      secretBefore: null,
    })
    assert.equal(Buffer.byteLength(body), bytes)
    assert.equal(headers['X-Webhook-Signature'], `sha256=${digest}`)
  })
}

for (const [index, { secret, timestamp, body, bytes, digest }] of trueftpVectors.entries()) {
  test(`trueftp: signature vector ${index + 1}`, () => {
    const startedAt = Number(timestamp) * 1000 + 999
    const headers = trueftp.headers({
      deliveryId: 'dlv_1',
      eventType: 'file.uploaded',
      startedAt,
      body: Buffer.from(body),
      secret,
      eventId: 'whevt_1',
      secretBefore: null,
    })
    assert.equal(Buffer.byteLength(body), bytes)
    assert.equal(headers['X-TrueFTP-Timestamp'], timestamp)
    assert.equal(headers['X-TrueFTP-Signature'], `sha256=${digest}`)
  })
}

const uploaded: RecordedEvent = {
  id: 'whevt_1a2b3c4d5e6f7g8h',
  type: 'file.uploaded',
  accountId: 'acct-1',
  // 999 ms are cut off, never rounded up.
  occurredAt: Date.UTC(2026, 5, 8, 12, 0, 0, 999),
  data: { path: '/incoming/données.csv', size: 20480, username: 'pipeline', client_ip: '203.0.113.5' },
}

test('mftplus: the exact body', () => {
  assert.equal(
    mftplus.body(uploaded, 'dlv_1'),
    '{"id":"whevt_1a2b3c4d5e6f7g8h","event":"file.uploaded","timestamp":"2026-06-08T12:00:00Z",' +
      '"data":{"path":"/incoming/données.csv","size":20480,"username":"pipeline","client_ip":"203.0.113.5"}}',
  )
})

test('trueftp: the exact body is that of the third vector', () => {
  assert.equal(trueftp.body(uploaded, 'f1e2d3c4-0000-4000-8000-000000000002'), trueftpVectors[2]?.body)
})

test('trueftp: account_id of a server-wide event is empty', () => {
  assert.equal(JSON.parse(trueftp.body({ ...uploaded, accountId: null }, 'dlv_1')).account_id, '')
})

const facts = {
  deliveryId: 'dlv_1',
  eventId: 'whevt_1',
  secretBefore: null,
  eventType: 'file.uploaded',
  startedAt: 1780920000_999,
  body: Buffer.from('{}'),
  secret: 's',
}

test('mftplus: the exact headers, in order', () => {
  assert.deepEqual(Object.entries(mftplus.headers(facts)), [
    ['Content-Type', 'application/json'],
    ['User-Agent', 'MFTPlus-Webhook/1.0'],
    ['X-Webhook-ID', 'dlv_1'],
    ['X-Webhook-Timestamp', '1780920000'],
    // printf '{}' | openssl dgst -sha256 -hmac s
    ['X-Webhook-Signature', 'sha256=143ca8d517ba1b181025d732b1cf275d90104fca57bb02a565542978aa18c4b6'],
  ])
})

test('trueftp: the exact headers, in order', () => {
  assert.deepEqual(Object.entries(trueftp.headers(facts)), [
    ['Content-Type', 'application/json'],
    ['User-Agent', 'Landfall/1.0'],
    ['X-TrueFTP-Event', 'file.uploaded'],
    ['X-TrueFTP-Delivery', 'dlv_1'],
    ['X-TrueFTP-Timestamp', '1780920000'],
    // printf '1780920000.{}' | openssl dgst -sha256 -hmac s
    ['X-TrueFTP-Signature', 'sha256=36cca0681551aeff375d481702e24afce7a7b500687d471a6f980cb59c850c2f'],
  ])
})

test('mftplus: retries after 1 min, 5 min, 30 min and 2 h, then the webhook fails', () => {
  assert.deepEqual(mftplus.retry.delaysMs, [60_000, 300_000, 1_800_000, 7_200_000])
  assert.equal(mftplus.retry.exhaustionFailsWebhook, true)
  assert.equal(mftplus.retry.deadlineMs, 10_000)
})

test('trueftp: three attempts, 30 s and 60 s between, and the webhook stays', () => {
  assert.deepEqual(trueftp.retry.delaysMs, [30_000, 60_000])
  assert.equal(trueftp.retry.exhaustionFailsWebhook, false)
  assert.equal(trueftp.retry.deadlineMs, 10_000)
})

for (const status of [301, 400, 401, 403, 404, 408, 410, 422, 429, 500, 503]) {
  test(`status ${status} is ${status === 401 ? 'final on mftplus only' : 'tried again in both dialects'}`, () => {
    assert.equal(mftplus.retry.retries(status), status !== 401)
    assert.equal(trueftp.retry.retries(status), true)
  })
}

const texts = [
  { name: 'half a pair', value: { path: 'a\ud800b' }, json: '{"path":"a\ufffdb"}' },
  { name: 'the other half, last', value: { path: '\udfff' }, json: '{"path":"\ufffd"}' },
  { name: 'a backslash before the letters', value: { path: '\\ud800' }, json: '{"path":"\\\\ud800"}' },
  { name: 'a backslash before half a pair', value: { path: '\\\ud800' }, json: '{"path":"\\\\\ufffd"}' },
  { name: 'a whole pair', value: { path: '😀' }, json: '{"path":"😀"}' },
  { name: 'half a pair in a name', value: { '\udc00': 1 }, json: '{"\ufffd":1}' },
]
for (const { name, value, json } of texts) {
  test(`JSON: ${name}`, () => assert.equal(wellFormedJson(value), json))
}

test('each name has its dialect', () => {
  assert.deepEqual(DIALECT_NAMES, ['mftplus', 'trueftp', 'standard', 'cloudevents'])
  for (const name of DIALECT_NAMES) assert.equal(dialectOf(name).name, name)
  assert.ok(isDialectName('trueftp'))
  assert.ok(!isDialectName('toString'))
})
