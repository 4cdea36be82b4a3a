import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { newId } from '../base/id.ts'
import { EVENT_TYPES } from '../events/catalogue.ts'
import type { RecordedEvent } from '../events/event.ts'
import type { AttemptFacts, Dialect } from './dialect.ts'

/**
 * What every dialect must do. `verify` recomputes the signature independently of the dialect's own code, from the
 * headers as a receiver sees them and the bytes received; `secret` as configured.
 */
export function dialectConformance(
  dialect: Dialect,
  verify: (received: { headers: Headers; body: Uint8Array }, secret: string) => boolean,
): void {
  test(`${dialect.name}: the body is one JSON object in valid UTF-8 that carries the data unchanged`, () => {
    fc.assert(
      fc.property(someEvent, someDeliveryId, (event, deliveryId) => {
        const body = dialect.body(event, deliveryId)
        assert.ok(body.isWellFormed())
        const parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(body)))
        assert.deepEqual(parsed.data, repaired(JSON.parse(JSON.stringify(event.data))))
        assert.equal(parsed.event, event.type)
        assert.equal(JSON.stringify(parsed), body, 'parsing and writing again gives the same bytes')
      }),
    )
  })

  test(`${dialect.name}: the same delivery has the same body each time`, () => {
    fc.assert(
      fc.property(someEvent, someDeliveryId, (event, deliveryId) => {
        assert.equal(dialect.body(structuredClone(event), deliveryId), dialect.body(event, deliveryId))
      }),
    )
  })

  test(`${dialect.name}: headers are ones that HTTP can carry, whatever the event holds`, () => {
    fc.assert(
      fc.property(someAttempt(dialect), (attempt) => {
        const headers = dialect.headers(attempt)
        for (const [name, value] of Object.entries(headers)) {
          assert.match(name, /^[A-Za-z0-9-]+$/)
          // RFC 9110 section 5.5, visible ASCII and inner spaces only.
          assert.match(value, /^[!-~]+(?: [!-~]+)*$/)
        }
        assert.equal(new Headers(headers).get('content-type'), 'application/json')
      }),
    )
  })

  test(`${dialect.name}: the signature verifies over the exact bytes and over no others`, () => {
    fc.assert(
      fc.property(someAttempt(dialect), someSecret, fc.nat(), (attempt, secret, at) => {
        const headers = new Headers(dialect.headers({ ...attempt, secret }))
        assert.ok(verify({ headers, body: attempt.body }, secret))
        const changed = Uint8Array.from(attempt.body)
        changed[at % changed.length]! ^= 1
        assert.ok(!verify({ headers, body: changed }, secret))
        assert.ok(!verify({ headers, body: attempt.body }, `${secret}x`))
      }),
    )
  })

  test(`${dialect.name}: the secret is in no header`, () => {
    fc.assert(
      fc.property(someAttempt(dialect), someSecret, (attempt, secret) => {
        const headers = dialect.headers({ ...attempt, secret })
        assert.ok(Object.entries(headers).every((header) => !header.join(': ').includes(secret)))
      }),
    )
  })

  test(`${dialect.name}: a later attempt has a newer time, the same id and the same names in the same order`, () => {
    fc.assert(
      fc.property(someAttempt(dialect), fc.integer({ min: 1, max: 10_000 }), (attempt, seconds) => {
        const [first, later] = [attempt.startedAt, attempt.startedAt + seconds * 1000].map((startedAt) =>
          dialect.headers({ ...attempt, startedAt }),
        ) as [Record<string, string>, Record<string, string>]
        assert.deepEqual(Object.keys(later), Object.keys(first))
        const changed = Object.keys(first).filter((name) => first[name] !== later[name] && !name.endsWith('-Signature'))
        assert.equal(changed.length, 1)
        assert.equal(Number(later[changed[0]!]) - Number(first[changed[0]!]), seconds)
        assert.ok(Object.values(later).includes(attempt.deliveryId))
      }),
    )
  })

  test(`${dialect.name}: delays grow, and the deadline is a positive time`, () => {
    const { delaysMs, deadlineMs } = dialect.retry
    assert.ok(delaysMs.length > 0)
    assert.deepEqual(
      delaysMs.toSorted((a, b) => a - b),
      delaysMs,
    )
    assert.ok(deadlineMs > 0)
  })

  test(`${dialect.name}: ${dialect.secretRequired ? 'without a secret nothing can be sent' : 'without a secret nothing is signed'}`, () => {
    fc.assert(
      fc.property(someAttempt(dialect), (attempt) => {
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
const someSecret = fc.oneof(fc.string({ minLength: 24 }), fc.string({ minLength: 24, unit: 'grapheme' }))
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

function someAttempt(dialect: Dialect): fc.Arbitrary<AttemptFacts> {
  return fc.record({ event: someEvent, deliveryId: someDeliveryId, startedAt: someTime, secret: someSecret }).map((chosen) => ({
    deliveryId: chosen.deliveryId,
    eventId: chosen.event.id,
    secretBefore: null,
    eventType: chosen.event.type,
    startedAt: chosen.startedAt,
    body: Buffer.from(dialect.body(chosen.event, chosen.deliveryId)),
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
