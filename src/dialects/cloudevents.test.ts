import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { CloudEvent, HTTP } from 'cloudevents'
import { Webhook } from 'standardwebhooks'
import type { RecordedEvent } from '../events/event.ts'
import { cloudevents } from './cloudevents.ts'
import { dialectConformance, type Received } from './conformance.ts'
import type { EnvelopeOptions } from './dialect.ts'
import { standard } from './standard.ts'

const MODES = ['structured', 'binary'] as const

/** What the official library reads from a request. */
function eventIn({ headers, body }: Received): CloudEvent<unknown> {
  const event = HTTP.toEvent({ headers: Object.fromEntries(headers), body: Buffer.from(body).toString() })
  assert.ok(event instanceof CloudEvent)
  event.validate()
  return event
}

for (const cloudEventsMode of MODES) {
  dialectConformance(cloudevents, {
    name: `cloudevents, ${cloudEventsMode}`,
    options: { cloudEventsMode },
    id: 'event',
    contentType: cloudEventsMode === 'binary' ? 'application/json' : 'application/cloudevents+json',
    read(received) {
      const { type, data } = eventIn(received)
      return { type, data }
    },
    verify({ headers, body }, secret) {
      // Such as the library writes it; that it also accepts it is a test of its own below.
      const content = Buffer.concat([Buffer.from(`${headers.get('webhook-id')}.${headers.get('webhook-timestamp')}.`), body])
      const expected = `v1,${createHmac('sha256', Buffer.from(secret)).update(content).digest('base64')}`
      return headers.get('webhook-signature')!.split(' ').includes(expected)
    },
  })
}

const uploaded: RecordedEvent = {
  id: 'whevt_1a2b3c4d5e6f7g8h',
  type: 'file.uploaded',
  accountId: 'acc_1',
  occurredAt: Date.UTC(2026, 5, 8, 12, 0, 0, 999),
  data: { path: '/incoming/Euro € 😀.csv', size: 20480 },
}

function received(event: RecordedEvent, options: EnvelopeOptions, secret: string | null = null): Received {
  const body = Buffer.from(cloudevents.body(event, 'dlv_1', options))
  const facts = { deliveryId: 'dlv_1', eventId: event.id, eventType: event.type, startedAt: Date.now(), body }
  const headers = cloudevents.headers({ ...facts, secret, secretBefore: null })
  return { headers: new Headers({ ...headers, ...cloudevents.fixedHeaders(event, options) }), body }
}

test('cloudevents: the exact structured body, which is the default', () => {
  const expected =
    '{"specversion":"1.0","id":"whevt_1a2b3c4d5e6f7g8h","source":"/landfall/accounts/acc_1","type":"file.uploaded",' +
    '"subject":"/incoming/Euro € 😀.csv","time":"2026-06-08T12:00:00.999Z","datacontenttype":"application/json",' +
    '"data":{"path":"/incoming/Euro € 😀.csv","size":20480}}'
  assert.equal(cloudevents.body(uploaded, 'dlv_1'), expected)
  assert.equal(cloudevents.body(uploaded, 'dlv_1', { cloudEventsMode: 'structured' }), expected)
  assert.equal(cloudevents.fixedHeaders(uploaded), null)
})

test('cloudevents: the exact binary headers and body', () => {
  const options = { cloudEventsMode: 'binary' } as const
  assert.equal(cloudevents.body(uploaded, 'dlv_1', options), '{"path":"/incoming/Euro € 😀.csv","size":20480}')
  assert.deepEqual(cloudevents.fixedHeaders(uploaded, options), {
    'Content-Type': 'application/json',
    'ce-specversion': '1.0',
    'ce-id': 'whevt_1a2b3c4d5e6f7g8h',
    'ce-source': '/landfall/accounts/acc_1',
    'ce-type': 'file.uploaded',
    // The example of the binding.
    'ce-subject': '/incoming/Euro%20%E2%82%AC%20%F0%9F%98%80.csv',
    'ce-time': '2026-06-08T12:00:00.999Z',
  })
})

for (const cloudEventsMode of MODES) {
  test(`cloudevents, ${cloudEventsMode}: the official library reads every attribute`, () => {
    const event = eventIn(received(uploaded, { cloudEventsMode }))
    // It does not undo the percent-encoding of headers, as the binding says a receiver must.
    const subject = cloudEventsMode === 'binary' ? decodeURIComponent(event.subject!) : event.subject
    assert.deepEqual(
      { ...JSON.parse(event.toString()), subject },
      {
        id: uploaded.id,
        specversion: '1.0',
        source: '/landfall/accounts/acc_1',
        type: 'file.uploaded',
        subject: '/incoming/Euro € 😀.csv',
        time: '2026-06-08T12:00:00.999Z',
        datacontenttype: 'application/json',
        data: uploaded.data,
      },
    )
  })

  test(`cloudevents, ${cloudEventsMode}: signed as Standard Webhooks is`, () => {
    const secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`
    const { headers, body } = received(uploaded, { cloudEventsMode }, secret)
    new Webhook(secret).verify(Buffer.from(body).toString(), Object.fromEntries(headers))
  })
}

const subjects = [
  { name: 'the narrowest member', data: { jobId: 'job_1', transferId: 'trf_1', path: '/a' }, subject: 'trf_1' },
  { name: 'none', data: { size: 1 }, subject: undefined },
  { name: 'an empty one is none', data: { path: '' }, subject: undefined },
  { name: 'one that is no text is none', data: { path: 7 }, subject: undefined },
  { name: 'control characters', data: { path: '/a\r\nb\u0085c\ufffe' }, subject: '/a\ufffd\ufffdb\ufffdc\ufffd' },
  { name: 'half a pair', data: { path: '/\ud800' }, subject: '/\ufffd' },
  { name: 'the longest', data: { path: `/${'a'.repeat(1023)}` }, subject: `/${'a'.repeat(1023)}` },
  { name: 'too long for a header', data: { path: `/${'a'.repeat(1024)}` }, subject: undefined },
  { name: 'too long once encoded', data: { path: `/${' '.repeat(342)}` }, subject: undefined },
]
for (const { name, data, subject } of subjects) {
  test(`cloudevents: subject, ${name}`, () => {
    const event = { ...uploaded, data }
    assert.equal(JSON.parse(cloudevents.body(event, 'dlv_1')).subject, subject)
    const header = cloudevents.fixedHeaders(event, { cloudEventsMode: 'binary' })?.['ce-subject']
    assert.equal(header === undefined ? undefined : decodeURIComponent(header), subject)
  })
}

test('cloudevents: the source of a server-wide event', () => {
  assert.equal(JSON.parse(cloudevents.body({ ...uploaded, accountId: null }, 'dlv_1')).source, '/landfall')
})

test('cloudevents: the retry rules of Standard Webhooks', () => assert.equal(cloudevents.retry, standard.retry))
