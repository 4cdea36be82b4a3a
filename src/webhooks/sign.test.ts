import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import type { DialectName } from '../dialects/dialect.ts'
import { DIALECT_NAMES, dialectOf } from '../dialects/index.ts'
import { checkAlsoSign, isSecretRequired, maskedSignatures, signedHeaders } from './sign.ts'
import { deliveryOf } from './testing.ts'

const facts = {
  deliveryId: 'dlv_1',
  eventId: 'whevt_1',
  eventType: 'file.uploaded',
  startedAt: Date.now(),
  body: Buffer.from('{"event":"file.uploaded"}'),
  secret: 'your-signing-secret',
  secretBefore: null,
}

test('signedHeaders: another dialect adds its signature over the same bytes and changes no header of the main one', () => {
  const alone = signedHeaders(deliveryOf(1), {}, facts)
  const both = signedHeaders(deliveryOf(1), { alsoSign: ['standard', 'trueftp'] }, facts)
  assert.deepEqual(Object.fromEntries(Object.entries(both).slice(0, Object.keys(alone).length)), alone)
  assert.deepEqual(Object.keys(both).slice(Object.keys(alone).length), [
    ...['webhook-id', 'webhook-timestamp', 'webhook-signature'],
    ...['X-TrueFTP-Event', 'X-TrueFTP-Delivery', 'X-TrueFTP-Timestamp', 'X-TrueFTP-Signature'],
  ])
  const receiver = new Webhook(Buffer.from('your-signing-secret'), { format: 'raw' })
  assert.deepEqual(receiver.verify(facts.body, both), { event: 'file.uploaded' })
})

test('signedHeaders: without a secret nothing is added', () => {
  const unsigned = { ...facts, secret: null }
  assert.deepEqual(signedHeaders(deliveryOf(1), { alsoSign: ['trueftp'] }, unsigned), dialectOf('mftplus').headers(unsigned))
})

test('signedHeaders: those fixed with the body win over those of the dialect', () => {
  const planned = deliveryOf(1, { dialect: 'cloudevents', headers: { 'Content-Type': 'application/json', 'ce-id': 'whevt_1' } })
  const headers = signedHeaders(planned, {}, facts)
  assert.deepEqual([headers['Content-Type'], headers['ce-id']], ['application/json', 'whevt_1'])
})

test('no two dialects that may sign together share a header', () => {
  for (const main of DIALECT_NAMES) {
    for (const name of DIALECT_NAMES.filter((name) => accepts(main, [name]))) {
      const own = Object.keys(dialectOf(main).headers(facts)).map((header) => header.toLowerCase())
      for (const header of Object.keys(dialectOf(name).signatureHeaders(facts)))
        assert.ok(!own.includes(header.toLowerCase()), `${main} and ${name}: ${header}`)
    }
  }
})

function accepts(main: DialectName, alsoSign: readonly string[]): boolean {
  try {
    checkAlsoSign(main, alsoSign)
    return true
  } catch {
    return false
  }
}

const choices: readonly { main: DialectName; alsoSign: string[]; accepted: boolean }[] = [
  { main: 'mftplus', alsoSign: [], accepted: true },
  { main: 'mftplus', alsoSign: ['standard'], accepted: true },
  { main: 'mftplus', alsoSign: ['trueftp', 'standard'], accepted: true },
  { main: 'mftplus', alsoSign: ['mftplus'], accepted: false },
  { main: 'mftplus', alsoSign: ['standard', 'standard'], accepted: false },
  { main: 'mftplus', alsoSign: ['cloudevents'], accepted: false },
  { main: 'mftplus', alsoSign: ['toString'], accepted: false },
  { main: 'standard', alsoSign: ['mftplus', 'trueftp'], accepted: true },
  { main: 'cloudevents', alsoSign: ['standard'], accepted: false },
  { main: 'cloudevents', alsoSign: ['mftplus'], accepted: true },
]
for (const { main, alsoSign, accepted } of choices) {
  test(`alsoSign: ${main} with [${alsoSign}] is ${accepted ? 'accepted' : 'refused'}`, () => {
    if (accepted) return checkAlsoSign(main, alsoSign)
    const names = /alsoSign: beside the dialect \w+ it may name each of .* once, not "\w+"/
    assert.throws(() => checkAlsoSign(main, alsoSign), { code: 'invalid', field: 'alsoSign', message: names })
  })
}

test('a secret is needed where the dialect says so and where others sign along', () => {
  assert.deepEqual(
    DIALECT_NAMES.filter((name) => isSecretRequired(name, {})),
    ['trueftp', 'standard'],
  )
  assert.ok(isSecretRequired('mftplus', { alsoSign: ['standard'] }))
})

test('maskedSignatures: the schemes stay, the signatures go', () => {
  const headers = {
    'X-Webhook-ID': 'dlv_1',
    'X-Webhook-Signature': 'sha256=0123',
    'webhook-signature': 'v1,abc= v1a,de/+f==',
  }
  assert.deepEqual(maskedSignatures(headers), {
    'X-Webhook-ID': 'dlv_1',
    'X-Webhook-Signature': 'sha256=********',
    'webhook-signature': 'v1,******** v1a,********',
  })
})
