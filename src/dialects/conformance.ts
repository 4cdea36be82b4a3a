import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { newId } from '../base/id.ts'
import { EVENT_TYPES } from '../events/catalogue.ts'
import type { RecordedEvent } from '../events/event.ts'
import type { AttemptFacts, Dialect, EnvelopeOptions } from './dialect.ts'

/** A request as a receiver sees it. */
export interface Received {
  readonly headers: Headers
  readonly body: Uint8Array
}

/** What a receiver of a dialect knows, independently of the dialect's own code. */
export interface Receiver {
  /** Recomputes the signature; `secret` as configured. */
  verify(received: Received, secret: string): boolean
  /** Type and data of the event. */
  read(received: Received): { type: unknown; data: unknown }
  readonly contentType?: string
  /** By which it drops duplicates. */
  readonly id?: 'event' | 'delivery'
  readonly options?: EnvelopeOptions
  /** Secrets as they are configured; absent: any text. */
  readonly secrets?: fc.Arbitrary<string>
  /** How this receiver is told from another of the same dialect. */
  readonly name?: string
}

/** What every dialect must do. */
export function dialectConformance(dialect: Dialect, receiver: Receiver): void {
  const { verify, read, options, contentType = 'application/json', id = 'delivery', name = dialect.name } = receiver
  const someSecret = receiver.secrets ?? someText24
  const someAttempt = attempts(dialect, receiver)

  function received(event: RecordedEvent, deliveryId: string, changes: Partial<AttemptFacts> = {}): Received {
    const body = Buffer.from(dialect.body(event, deliveryId, options))
    const facts = { deliveryId, eventId: event.id, eventType: event.type, startedAt: event.occurredAt, body }
    const headers = dialect.headers({ ...facts, secret: 'a secret of any kind', secretBefore: null, ...changes })
    return { headers: new Headers({ ...headers, ...dialect.fixedHeaders(event, options) }), body }
  }

  test(`${name}: the body is one JSON object in valid UTF-8 that carries the data unchanged`, () => {
    fc.assert(
      fc.property(someEvent, someDeliveryId, (event, deliveryId) => {
        const body = dialect.body(event, deliveryId, options)
        assert.ok(body.isWellFormed())
        const parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(body)))
        assert.equal(JSON.stringify(parsed), body, 'parsing and writing again gives the same bytes')
        const { type, data } = read(received(event, deliveryId))
        assert.deepEqual(data, repaired(JSON.parse(JSON.stringify(event.data))))
        assert.equal(type, event.type)
      }),
    )
  })

  test(`${name}: the same delivery has the same body each time`, () => {
    fc.assert(
      fc.property(someEvent, someDeliveryId, (event, deliveryId) => {
        assert.equal(dialect.body(structuredClone(event), deliveryId, options), dialect.body(event, deliveryId, options))
      }),
    )
  })

  test(`${name}: headers are ones that HTTP can carry, whatever the event holds`, () => {
    fc.assert(
      fc.property(someEvent, someAttempt, (event, attempt) => {
        const headers = { ...dialect.headers(attempt), ...dialect.fixedHeaders(event, options) }
        for (const [name, value] of Object.entries(headers)) {
          assert.match(name, /^[A-Za-z0-9-]+$/)
          // RFC 9110 section 5.5, visible ASCII and inner spaces only.
          assert.match(value, /^[!-~]+(?: [!-~]+)*$/)
        }
        assert.equal(new Headers(headers).get('content-type'), contentType)
      }),
    )
  })

  test(`${name}: the signature verifies over the exact bytes and over no others`, () => {
    fc.assert(
      fc.property(someAttempt, someSecret, someSecret, fc.nat(), (attempt, secret, other, at) => {
        fc.pre(secret !== other)
        const headers = new Headers(dialect.headers({ ...attempt, secret }))
        assert.ok(verify({ headers, body: attempt.body }, secret))
        const changed = Uint8Array.from(attempt.body)
        changed[at % changed.length]! ^= 1
        assert.ok(!verify({ headers, body: changed }, secret))
        assert.ok(!verify({ headers, body: attempt.body }, other))
      }),
    )
  })

  test(`${name}: during a rotation ${dialect.signsWithBoth ? 'either secret verifies' : 'only the secret before verifies'}`, () => {
    fc.assert(
      fc.property(someAttempt, someSecret, someSecret, (attempt, secret, secretBefore) => {
        fc.pre(secret !== secretBefore)
        const headers = new Headers(dialect.headers({ ...attempt, secret, secretBefore }))
        assert.ok(verify({ headers, body: attempt.body }, secretBefore))
        assert.equal(verify({ headers, body: attempt.body }, secret), dialect.signsWithBoth)
      }),
    )
  })

  test(`${name}: the secret is in no header`, () => {
    fc.assert(
      fc.property(someAttempt, someSecret, (attempt, secret) => {
        const headers = dialect.headers({ ...attempt, secret })
        assert.ok(Object.entries(headers).every((header) => !header.join(': ').includes(secret)))
      }),
    )
  })

  test(`${name}: a later attempt has a newer time, the same id and the same names in the same order`, () => {
    fc.assert(
      fc.property(someAttempt, fc.integer({ min: 1, max: 10_000 }), (attempt, seconds) => {
        const [first, later] = [attempt.startedAt, attempt.startedAt + seconds * 1000].map((startedAt) =>
          dialect.headers({ ...attempt, startedAt }),
        ) as [Record<string, string>, Record<string, string>]
        assert.deepEqual(Object.keys(later), Object.keys(first))
        const changed = Object.keys(first).filter((name) => first[name] !== later[name] && !/-signature$/i.test(name))
        assert.equal(changed.length, 1)
        assert.equal(Number(later[changed[0]!]) - Number(first[changed[0]!]), seconds)
        assert.ok(Object.values(later).includes(id === 'event' ? attempt.eventId : attempt.deliveryId))
      }),
    )
  })

  test(`${name}: what another dialect may add is all but content type and user agent`, () => {
    fc.assert(
      fc.property(someAttempt, (attempt) => {
        const { 'Content-Type': _type, 'User-Agent': _agent, ...rest } = dialect.headers(attempt)
        assert.deepEqual(dialect.signatureHeaders(attempt), rest)
      }),
    )
  })

  test(`${name}: delays grow, and the deadline is a positive time`, () => {
    const { delaysMs, deadlineMs } = dialect.retry
    assert.ok(delaysMs.length > 0)
    assert.deepEqual(
      delaysMs.toSorted((a, b) => a - b),
      delaysMs,
    )
    assert.ok(deadlineMs > 0)
  })

  test(`${name}: ${dialect.secretRequired ? 'without a secret nothing can be sent' : 'without a secret nothing is signed'}`, () => {
    fc.assert(
      fc.property(someAttempt, (attempt) => {
        const unsigned = () => dialect.headers({ ...attempt, secret: null })
        if (dialect.secretRequired) assert.throws(unsigned, /always signed/)
        else assert.ok(Object.keys(unsigned()).every((name) => !/signature/i.test(name)))
      }),
    )
  })
}

const someTime = fc.integer({ min: 0, max: Date.UTC(9999, 0) })
const someDeliveryId = someTime.map((at) => newId('delivery', at))
// At least 24 characters, so that no header holds one by chance.
const someText24 = fc.oneof(fc.string({ minLength: 24 }), fc.string({ minLength: 24, unit: 'grapheme' }))
// Any code units: names and messages are not always text, and fast-check's strings never hold half a surrogate pair.
const someUnits = fc.uint16Array({ maxLength: 10 }).map((units) => String.fromCharCode(...units))
const someHalves = fc.array(fc.constantFrom('\ud83d', '\ude00', '\\', 'ud800', 'a')).map((parts) => parts.join(''))
const someText = fc.oneof(someUnits, someHalves, fc.string({ unit: 'grapheme' }))
const someData = fc.dictionary(
  fc.string({ unit: 'grapheme', minLength: 1 }).filter((name) => name !== '__proto__' && !/^\d+$/.test(name)),
  fc.oneof(
    someText,
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(someText),
    fc.record({ path: someText, size: fc.nat() }),
  ),
)
const someEvent: fc.Arbitrary<RecordedEvent> = fc.record({
  id: someTime.map((at) => newId('event', at)),
  type: fc.constantFrom(...EVENT_TYPES),
  accountId: fc.option(someTime.map((at) => newId('account', at))),
  occurredAt: someTime,
  data: someData,
})

function attempts(dialect: Dialect, { options, secrets = someText24 }: Receiver): fc.Arbitrary<AttemptFacts> {
  return fc.record({ event: someEvent, deliveryId: someDeliveryId, startedAt: someTime, secret: secrets }).map((chosen) => ({
    deliveryId: chosen.deliveryId,
    eventId: chosen.event.id,
    secretBefore: null,
    eventType: chosen.event.type,
    startedAt: chosen.startedAt,
    body: Buffer.from(dialect.body(chosen.event, chosen.deliveryId, options)),
    secret: chosen.secret,
  }))
}

/** The value with every string made well-formed, as a receiver should see it. */
function repaired(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed()
  if (Array.isArray(value)) return value.map(repaired)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, repaired(member)]))
}
