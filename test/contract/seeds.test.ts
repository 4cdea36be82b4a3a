import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import type { Dialect } from '../../src/dialects/dialect.ts'
import { mftplus } from '../../src/dialects/mftplus.ts'
import { trueftp } from '../../src/dialects/trueftp.ts'
import { EVENT_TYPES, type EventType } from '../../src/events/catalogue.ts'
import type { RecordedEvent } from '../../src/events/event.ts'
import { SAMPLES } from '../../src/events/samples.ts'
import { createEgressGuard } from '../../src/http/guard.ts'
import { createPoster } from '../../src/http/post.ts'
import { type SampleReceiver, startSampleReceiver, whySkipped } from './harness.ts'
import { SAMPLE_KINDS, type SampleKind } from './samples.ts'

// Do the receivers that the pages themselves publish accept what our dialects say? Here the bytes and headers come
// straight from the dialects, over a POST of the client that the server uses; end-to-end.test.ts asks the running server.

const SECRET = 'your-signing-secret'
const AT = Date.UTC(2026, 5, 8, 12)
const dialectOf = (kind: SampleKind): Dialect => (kind === 'trueftp-node' ? trueftp : mftplus)

function eventOf(type: EventType, data: RecordedEvent['data'] = SAMPLES[type]): RecordedEvent {
  return { id: `whevt_${type}`, type, accountId: 'acc_1', occurredAt: AT, data }
}

interface Sent {
  event: RecordedEvent
  secret?: string
  /** Changes the body after it was signed, as somebody on the way would. */
  tampered?: (body: string) => string
  startedAt?: number
}

const poster = createPoster({ guard: createEgressGuard({ allow: [], loopback: true }), clock: systemClock })
after(() => poster.close())

async function send(receiver: SampleReceiver, dialect: Dialect, { event, secret = SECRET, tampered, startedAt = AT }: Sent) {
  const deliveryId = 'dlv_1a2b3c4d5e6f7g8h'
  const body = dialect.body(event, deliveryId)
  const headers = dialect.headers({
    deliveryId,
    eventId: event.id,
    eventType: event.type,
    startedAt,
    body: Buffer.from(body),
    secret,
    secretBefore: null,
  })
  const sent = tampered?.(body) ?? body
  const result = await poster.post({ url: receiver.url, headers, body: Buffer.from(sent), deadlineMs: dialect.retry.deadlineMs })
  assert(result.kind === 'answered', result.kind)
  return { headers, status: result.status, answer: result.bodyExcerpt.toString() }
}

const accepted = [
  { name: 'a documented payload', event: eventOf('file.uploaded') },
  { name: 'a name in UTF-8', event: eventOf('file.uploaded', { ...SAMPLES['file.uploaded'], path: '/incoming/données.csv' }) },
  {
    name: 'names beyond the first plane',
    event: eventOf('file.uploaded', { ...SAMPLES['file.uploaded'], path: '/incoming/📦.csv' }),
  },
  {
    name: 'half a surrogate pair',
    event: eventOf('file.uploaded', { ...SAMPLES['file.uploaded'], path: '/incoming/\ud83d.csv' }),
  },
]

for (const kind of SAMPLE_KINDS) {
  const skip = whySkipped(kind) ?? false
  const dialect = dialectOf(kind)

  test(`${kind}: accepts what is signed with its secret`, { skip }, async (t) => {
    const receiver = await started(kind, t)
    for (const { name, event } of accepted) {
      assert.equal((await send(receiver, dialect, { event: { ...event, id: `whevt_${name}` } })).status, 200, name)
    }
    const arrived = await receiver.arrived(accepted.length)
    for (const [index, { event, name }] of accepted.entries()) {
      assert.deepEqual(arrived[index]?.passedOn, [passedOnBy(kind, { ...event, id: `whevt_${name}` })], name)
    }
  })

  test(`${kind}: answers 401 to another secret and to a changed body`, { skip }, async (t) => {
    const receiver = await started(kind, t)
    const event = eventOf('file.uploaded')
    assert.equal((await send(receiver, dialect, { event, secret: `${SECRET}x` })).status, 401)
    assert.equal((await send(receiver, dialect, { event, tampered: (body) => body.replace('order', 'other') })).status, 401)
    const [first] = await receiver.arrived(2)
    assert.deepEqual(first?.passedOn, [])
  })

  test(`${kind}: hears the dialect's headers in their order and case`, { skip }, async (t) => {
    const receiver = await started(kind, t)
    const { headers } = await send(receiver, dialect, { event: eventOf('file.uploaded') })
    const [received] = await receiver.arrived(1)
    const names = Object.keys(headers)
    assert.deepEqual(
      received?.headerNames.filter((name) => names.includes(name)),
      names,
    )
  })

  test(`${kind}: accepts a later attempt of the same delivery`, { skip }, async (t) => {
    const receiver = await started(kind, t)
    const event = eventOf('file.uploaded')
    await send(receiver, dialect, { event })
    const again = await send(receiver, dialect, { event, startedAt: AT + 60_000 })
    assert.equal(again.status, 200)
    const [first, second] = await receiver.arrived(2)
    assert.equal(second?.body, first?.body)
    // The page's handler drops duplicates by the body's `id`; the other samples leave that to their reader.
    if (kind === 'mftplus-node') assert.deepEqual([again.answer, second?.passedOn], ['Duplicate', []])
  })
}

for (const kind of ['mftplus-node', 'trueftp-node'] as const) {
  test(`${kind}: accepts every event type`, { skip: whySkipped(kind) ?? false }, async (t) => {
    const receiver = await started(kind, t)
    for (const type of EVENT_TYPES)
      assert.equal((await send(receiver, dialectOf(kind), { event: eventOf(type) })).status, 200, type)
  })
}

async function started(kind: SampleKind, t: { after(stop: () => Promise<void>): void }): Promise<SampleReceiver> {
  const receiver = await startSampleReceiver(kind, SECRET)
  t.after(() => receiver.stop())
  return receiver
}

/** What each sample hands on of an event that it trusts. */
function passedOnBy(kind: SampleKind, event: RecordedEvent): unknown {
  const data = Object.fromEntries(
    Object.entries(event.data).map(([name, value]) => [name, typeof value === 'string' ? value.toWellFormed() : value]),
  )
  if (kind === 'trueftp-node') return data.path
  if (kind === 'mftplus-node') return { event: event.type, data }
  return { id: event.id, event: event.type, timestamp: '2026-06-08T12:00:00Z', data }
}
