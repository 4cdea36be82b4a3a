import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isTold, jwk, NOW, problemOf, SECONDS, SECRET, TRUEFTP, TRUEFTP_BODY, trueftpSigned, verifies, WHSEC } from './testing.ts'
import { verify } from './verify.ts'

const trueftp = { dialect: 'trueftp' } as const
const base = { headers: TRUEFTP, body: TRUEFTP_BODY, secret: 'test-secret' }
const parsed = JSON.parse(TRUEFTP_BODY)
const ascii = TRUEFTP_BODY.replace('é', '\\u00e9')

verifies('trueftp', {}, [
  { name: 'trueftp, UTF-8', headers: TRUEFTP, body: TRUEFTP_BODY, secret: 'test-secret' },
  { name: 'fetch headers', headers: new Headers(TRUEFTP), body: TRUEFTP_BODY, secret: 'test-secret' },
])

isTold('trueftp', [
  {
    ...base,
    name: 'no signature',
    headers: {},
    options: trueftp,
    code: 'signature_missing',
    says: /no header x-trueftp-signature/,
  },
  {
    ...base,
    name: 'no timestamp',
    headers: { 'x-trueftp-signature': TRUEFTP['x-trueftp-signature'] },
    options: trueftp,
    code: 'timestamp_missing',
    says: /x-trueftp-timestamp/,
  },
  {
    ...base,
    name: 'another timestamp',
    headers: { ...TRUEFTP, 'x-trueftp-timestamp': '1780920001' },
    options: trueftp,
    code: 'signature_mismatch',
    says: /another secret/,
  },
  { ...base, name: 'another secret', secret: 'other', options: trueftp, code: 'signature_mismatch', says: /another secret/ },
  {
    ...base,
    name: 'an old secret',
    secret: 'new',
    options: { ...trueftp, oldSecrets: ['older', 'test-secret'] },
    code: 'old_secret',
    says: /the 2\. of oldSecrets/,
  },
  { ...base, name: 'an empty secret', secret: '', options: trueftp, code: 'secret_malformed', says: /variable/ },
  { ...base, name: 'no secret at all', secret: [], options: trueftp, code: 'secret_malformed', says: /variable/ },
  {
    ...base,
    name: 'a line end in the secret',
    secret: 'test-secret\n',
    options: trueftp,
    code: 'secret_encoding',
    says: /line end around/,
  },
  {
    ...base,
    name: 'quotes around the secret',
    secret: '"test-secret"',
    options: trueftp,
    code: 'secret_encoding',
    says: /quotes/,
  },
  {
    ...base,
    name: "a line end in the sender's secret",
    headers: trueftpSigned(TRUEFTP_BODY, { secret: 'test-secret\n' }),
    options: trueftp,
    code: 'secret_encoding',
    says: /the sender has it with a line end/,
  },
  {
    ...base,
    name: 'whsec_ decoded where it is text',
    headers: trueftpSigned(TRUEFTP_BODY, { secret: WHSEC }),
    secret: WHSEC.slice(6),
    options: trueftp,
    code: 'secret_encoding',
    says: /lacks its prefix whsec_/,
  },
  { ...base, name: 'an object', body: parsed, options: trueftp, code: 'body_parsed', says: /express\.raw/ },
  { ...base, name: 'no body', body: undefined, options: trueftp, code: 'body_parsed', says: /undefined/ },
  {
    ...base,
    name: 'spaces',
    body: JSON.stringify(parsed, null, 2),
    options: trueftp,
    code: 'body_reserialised',
    says: /other spacing\./,
  },
  { ...base, name: 'escapes', body: ascii, options: trueftp, code: 'body_reserialised', says: /unicode escapes\./ },
  {
    ...base,
    name: 'escaped slashes and spaces',
    body: TRUEFTP_BODY.replaceAll('/', '\\/').replace(',', ', '),
    options: trueftp,
    code: 'body_reserialised',
    says: /other spacing and escaped slashes/,
  },
  {
    ...base,
    name: 'sorted members',
    body: JSON.stringify({
      account_id: 'acct-1',
      data: { client_ip: '203.0.113.5', path: '/incoming/données.csv', size: 20480, username: 'pipeline' },
      ...{ delivery_id: parsed.delivery_id, event: 'file.uploaded', timestamp: parsed.timestamp },
    }),
    options: trueftp,
    code: 'body_reserialised',
    says: /order of members/,
  },
  {
    ...base,
    name: 'a line end',
    body: `${TRUEFTP_BODY}\n`,
    options: trueftp,
    code: 'body_reserialised',
    says: /line end or spaces behind/,
  },
  {
    ...base,
    name: 'a byte order mark',
    body: `\uFEFF${TRUEFTP_BODY}`,
    options: trueftp,
    code: 'body_reserialised',
    says: /byte order mark/,
  },
  {
    ...base,
    name: 'UTF-8 read as Latin-1',
    body: Buffer.from(TRUEFTP_BODY).toString('latin1'),
    options: trueftp,
    code: 'body_reserialised',
    says: /Latin-1/,
  },
  {
    ...base,
    name: 'CRLF',
    headers: trueftpSigned('{"event":\n"x"}'),
    body: '{"event":\r\n"x"}',
    secret: SECRET,
    options: trueftp,
    code: 'body_reserialised',
    says: /CRLF/,
  },
  {
    ...base,
    name: 'a body cut short',
    headers: { ...TRUEFTP, 'content-length': '300' },
    body: TRUEFTP_BODY.slice(0, 100),
    options: trueftp,
    code: 'body_changed',
    says: /declared 300 bytes and 100 were passed/,
  },
  { ...base, name: 'a public key for trueftp', secret: jwk, options: trueftp, code: 'wrong_key', says: /as text/ },
  {
    ...base,
    name: 'too old',
    options: { ...trueftp, now: NOW + 301_000 },
    code: 'timestamp_too_old',
    says: /right, but x-trueftp-timestamp is 301 s ago, and 300 s are tolerated/,
  },
  { ...base, name: 'from ahead', options: { ...trueftp, now: NOW - 400_000 }, code: 'timestamp_too_new', says: /400 s ahead/ },
  {
    ...base,
    name: 'milliseconds',
    headers: trueftpSigned(TRUEFTP_BODY, { at: String(NOW) }),
    secret: SECRET,
    options: trueftp,
    code: 'timestamp_in_milliseconds',
    says: /is in milliseconds/,
  },
  {
    ...base,
    name: 'now in seconds',
    options: { ...trueftp, now: SECONDS },
    code: 'timestamp_in_milliseconds',
    says: /`now` was given in seconds/,
  },
  {
    ...base,
    name: 'a timestamp that is a date',
    headers: trueftpSigned(TRUEFTP_BODY, { at: '2026-06-08T12:00:00Z' }),
    secret: SECRET,
    options: trueftp,
    code: 'timestamp_malformed',
    says: /whole number of seconds/,
  },
  {
    ...base,
    name: 'not an event',
    headers: trueftpSigned('[]'),
    body: '[]',
    secret: SECRET,
    options: trueftp,
    code: 'body_not_event',
    says: /not a JSON object/,
  },
])

test('the type says what the data is', () => {
  const event = verify(TRUEFTP, TRUEFTP_BODY, 'test-secret', { dialect: 'trueftp', now: NOW })
  assert(event.event === 'file.uploaded')
  // Compiles only where the union is told apart by the type.
  const path: string = event.data.path
  assert.equal(path, '/incoming/données.csv')
})

test('300 s either way are tolerated, and what is asked instead', () => {
  const options = { dialect: 'trueftp' } as const
  for (const off of [-300_000, 0, 300_000]) verify(TRUEFTP, TRUEFTP_BODY, 'test-secret', { ...options, now: NOW + off })
  verify(TRUEFTP, TRUEFTP_BODY, 'test-secret', { ...options, now: NOW + 3_000_000, toleranceSeconds: 3_000 })
})

test('how far the time is off, as a number', () => {
  assert.equal(problemOf(TRUEFTP, TRUEFTP_BODY, 'test-secret', { dialect: 'trueftp', now: NOW + 400_000 }).offSeconds, 400)
  assert.equal(problemOf(TRUEFTP, TRUEFTP_BODY, 'test-secret', { dialect: 'trueftp', now: NOW - 400_000 }).offSeconds, -400)
})

const hostile = [
  { name: 'spaces without an end', body: `${' '.repeat(60_000)}x` },
  { name: 'quotes without an end', body: '"'.repeat(60_001) },
  { name: 'brackets in brackets', body: '['.repeat(30_000) + ']'.repeat(30_000) },
  { name: 'a number without an end', body: '9'.repeat(60_000) },
]
for (const { name, body } of hostile) {
  test(`${name}: searched in a moment`, () => {
    const before = process.cpuUsage()
    assert.equal(problemOf(trueftpSigned('{}'), body, SECRET, { dialect: 'trueftp' }).code, 'signature_mismatch')
    // A search that grows with the square of the length takes seconds of the processor, whatever else that has to do.
    const { user } = process.cpuUsage(before)
    assert.ok(user < 1_000_000, `${user} µs`)
  })
}

test('a long body costs one look', () => {
  const long = `${JSON.stringify({ text: 'x'.repeat(70_000) })}\n`
  const problem = problemOf(trueftpSigned(long.trimEnd()), long, SECRET, { dialect: 'trueftp' })
  assert.equal(problem.code, 'signature_mismatch')
  assert.match(problem.message, /65536 bytes/)
})

test('a parsed and re-written body is always found out', () => {
  const someData = fc.dictionary(
    fc.string({ unit: 'grapheme' }).filter((name) => name !== '__proto__' && !/^\d+$/.test(name)),
    fc.jsonValue(),
  )
  fc.assert(
    fc.property(someData, fc.integer({ min: 1, max: 8 }), (data, indent) => {
      const event = { event: 'x', delivery_id: 'dlv_1', timestamp: 't', account_id: '', data: { ...data, last: 1 } }
      const sent = JSON.stringify(event)
      const problem = problemOf(trueftpSigned(sent), JSON.stringify(JSON.parse(sent), null, indent), SECRET, {
        dialect: 'trueftp',
      })
      assert.equal(problem.code, 'body_reserialised')
    }),
  )
})
