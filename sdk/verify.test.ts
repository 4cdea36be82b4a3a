import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { Webhook as Svix } from 'svix'
import { type Dialect, type HeadersLike, type Secret, VerifyError, type VerifyOptions, verify } from './verify.ts'

// What is signed here is signed by hand, by the libraries of Standard Webhooks, or by the vectors of both contracts'
// digests, which were computed outside this project; test/contract/sdk.test.ts asks the server's own dialects.

const MFTPLUS_BODY =
  '{"id":"whevt_1a2b3c4d5e6f7g8h","event":"transfer.completed","timestamp":"2026-04-29T15:30:00Z","data":{"transferId":"trf_1a2b3c4d5e6f"}}'
const TRUEFTP_BODY =
  '{"event":"file.uploaded","delivery_id":"f1e2d3c4-0000-4000-8000-000000000002","timestamp":"2026-06-08T12:00:00Z","account_id":"acct-1","data":{"path":"/incoming/données.csv","size":20480,"username":"pipeline","client_ip":"203.0.113.5"}}'
const STANDARD_BODY =
  '{"type":"file.uploaded","timestamp":"2026-06-08T12:00:00.000Z","data":{"path":"/in/données.csv","size":20480,"username":"pipeline","client_ip":"203.0.113.5"}}'
const CLOUD_BODY =
  '{"specversion":"1.0","id":"whevt_1","source":"/landfall","type":"job.started","time":"2026-06-08T12:00:00.000Z","datacontenttype":"application/json","data":{"jobId":"job_1","jobName":"Nightly","agentId":"agent_1","schedule":"0 2 * * *","status":"running"}}'
const SECONDS = 1_780_920_000
const NOW = SECONDS * 1000
const SECRET = 'your-signing-secret'
const WHSEC = `whsec_${Buffer.from('a key of 24 bytes at least').toString('base64')}`
const MFTPLUS = { 'x-webhook-signature': 'sha256=01733fc5a852c75b9f512e117d23a16f07e4e2dd3429cf1e9d1f47bb51a431b5' }
const TRUEFTP = {
  'x-trueftp-timestamp': '1780920000',
  'x-trueftp-signature': 'sha256=30a9d0607ccbfd9a54e4ae8128b9d5d154309ebaf84af14f144f279cd96b7a4f',
}

const keys = generateKeyPairSync('ed25519')
const jwk = keys.publicKey.export({ format: 'jwk' }) as { kty: string; crv: string; x: string }
const whpk = `whpk_${Buffer.from(jwk.x, 'base64url').toString('base64')}`

function mac(key: string | Uint8Array, text: string | Uint8Array, encoding: 'hex' | 'base64' = 'hex'): string {
  return createHmac('sha256', key).update(text).digest(encoding)
}

function trueftpSigned(body: string, { secret = SECRET, at = String(SECONDS) } = {}) {
  return { 'x-trueftp-timestamp': at, 'x-trueftp-signature': `sha256=${mac(secret, `${at}.${body}`)}` }
}

function standardSigned(body: string, secret = WHSEC): Record<string, string> {
  const headers = { 'webhook-id': 'whevt_1', 'webhook-timestamp': String(SECONDS) }
  return { ...headers, 'webhook-signature': new Webhook(secret).sign('whevt_1', new Date(NOW), body) }
}

function asymmetricallySigned(body: string): Record<string, string> {
  const signature = sign(null, Buffer.from(`whevt_1.${SECONDS}.${body}`), keys.privateKey).toString('base64')
  return { 'webhook-id': 'whevt_1', 'webhook-timestamp': String(SECONDS), 'webhook-signature': `v1a,${signature}` }
}

function problemOf(headers: HeadersLike, body: unknown, secret: Secret | readonly Secret[], options: VerifyOptions): VerifyError {
  try {
    verify(headers, body as string, secret, { now: NOW, ...options })
  } catch (error) {
    assert(error instanceof VerifyError, String(error))
    return error
  }
  assert.fail('it verified')
}

describe('genuine deliveries', () => {
  const genuine: { name: string; headers: HeadersLike; body: string; secret: Secret | readonly Secret[]; dialect: Dialect }[] = [
    { name: 'mftplus', headers: MFTPLUS, body: MFTPLUS_BODY, secret: SECRET, dialect: 'mftplus' },
    { name: 'trueftp, UTF-8', headers: TRUEFTP, body: TRUEFTP_BODY, secret: 'test-secret', dialect: 'trueftp' },
    { name: 'standard', headers: standardSigned(STANDARD_BODY), body: STANDARD_BODY, secret: WHSEC, dialect: 'standard' },
    {
      name: 'standard, signed by svix',
      headers: {
        ...standardSigned(STANDARD_BODY),
        'webhook-signature': new Svix(WHSEC).sign('whevt_1', new Date(NOW), STANDARD_BODY),
      },
      body: STANDARD_BODY,
      secret: WHSEC,
      dialect: 'standard',
    },
    {
      name: 'standard, a secret that is text',
      headers: {
        ...standardSigned(STANDARD_BODY),
        'webhook-signature': `v1,${mac(SECRET, `whevt_1.${SECONDS}.${STANDARD_BODY}`, 'base64')}`,
      },
      body: STANDARD_BODY,
      secret: SECRET,
      dialect: 'standard',
    },
    {
      name: 'standard, the second of two signatures',
      headers: {
        ...standardSigned(STANDARD_BODY),
        'webhook-signature': `v1,AAAA ${standardSigned(STANDARD_BODY)['webhook-signature']}`,
      },
      body: STANDARD_BODY,
      secret: WHSEC,
      dialect: 'standard',
    },
    { name: 'v1a, whpk_', headers: asymmetricallySigned(STANDARD_BODY), body: STANDARD_BODY, secret: whpk, dialect: 'standard' },
    {
      name: 'v1a, JSON Web Key',
      headers: asymmetricallySigned(STANDARD_BODY),
      body: STANDARD_BODY,
      secret: jwk,
      dialect: 'standard',
    },
    {
      name: 'v1a, one of a key set',
      headers: asymmetricallySigned(STANDARD_BODY),
      body: STANDARD_BODY,
      secret: { keys: [{ kty: 'RSA' }, jwk] },
      dialect: 'standard',
    },
    { name: 'cloudevents', headers: standardSigned(CLOUD_BODY), body: CLOUD_BODY, secret: WHSEC, dialect: 'cloudevents' },
    { name: 'the old secret of a rotation', headers: MFTPLUS, body: MFTPLUS_BODY, secret: ['new', SECRET], dialect: 'mftplus' },
    { name: 'fetch headers', headers: new Headers(TRUEFTP), body: TRUEFTP_BODY, secret: 'test-secret', dialect: 'trueftp' },
    {
      name: 'header names in any case, values in arrays',
      headers: { 'X-WEBHOOK-Signature': [MFTPLUS['x-webhook-signature']] },
      body: MFTPLUS_BODY,
      secret: SECRET,
      dialect: 'mftplus',
    },
  ]
  for (const { name, headers, body, secret, dialect } of genuine) {
    test(name, () => {
      const event = verify(headers, body, secret, { dialect, now: NOW })
      const id = dialect === 'standard' ? { id: 'whevt_1' } : {}
      assert.deepEqual(event, { ...id, ...JSON.parse(body) })
      for (const bytes of [Buffer.from(body), new TextEncoder().encode(body), new TextEncoder().encode(body).buffer]) {
        assert.deepEqual(verify(headers, bytes, secret, { dialect, now: NOW }), event)
      }
    })
  }

  test('cloudevents in binary mode: attributes come from the headers', () => {
    const data = '{"path":"/in/ü.csv","username":"pipeline","client_ip":"203.0.113.5"}'
    const headers = {
      ...standardSigned(data),
      ...{ 'ce-specversion': '1.0', 'ce-id': 'whevt_1', 'ce-source': '/landfall', 'ce-type': 'dir.created' },
      ...{ 'ce-subject': '/in/%C3%BC.csv', 'ce-time': '2026-06-08T12:00:00.000Z', 'content-type': 'application/json' },
    }
    const event = verify(headers, data, WHSEC, { dialect: 'cloudevents', now: NOW })
    assert.deepEqual(event, {
      specversion: '1.0',
      id: 'whevt_1',
      source: '/landfall',
      type: 'dir.created',
      subject: '/in/ü.csv',
      time: '2026-06-08T12:00:00.000Z',
      datacontenttype: 'application/json',
      data: JSON.parse(data),
    })
  })

  test('the type says what the data is', () => {
    const event = verify(TRUEFTP, TRUEFTP_BODY, 'test-secret', { dialect: 'trueftp', now: NOW })
    assert(event.event === 'file.uploaded')
    // Compiles only where the union is told apart by the type.
    const path: string = event.data.path
    assert.equal(path, '/incoming/données.csv')
  })

  test('another envelope than that of the signature, as alsoSign makes it', () => {
    const headers = standardSigned(MFTPLUS_BODY)
    const event = verify(headers, MFTPLUS_BODY, WHSEC, { dialect: 'standard', envelope: 'mftplus', now: NOW })
    assert.equal(event.event, 'transfer.completed')
    const problem = problemOf(headers, MFTPLUS_BODY, WHSEC, { dialect: 'standard' })
    assert.equal(problem.code, 'body_not_event')
    assert.match(problem.message, /envelope: 'mftplus'/)
  })

  test('300 s either way are tolerated, and what is asked instead', () => {
    const options = { dialect: 'trueftp' } as const
    for (const off of [-300_000, 0, 300_000]) verify(TRUEFTP, TRUEFTP_BODY, 'test-secret', { ...options, now: NOW + off })
    verify(TRUEFTP, TRUEFTP_BODY, 'test-secret', { ...options, now: NOW + 3_000_000, toleranceSeconds: 3_000 })
  })
})

describe('what is said of a delivery that does not verify', () => {
  const parsed = JSON.parse(TRUEFTP_BODY)
  const ascii = TRUEFTP_BODY.replace('é', '\\u00e9')
  const trueftp = { dialect: 'trueftp' } as const
  const standard = { dialect: 'standard' } as const
  const base = {
    headers: TRUEFTP as HeadersLike,
    body: TRUEFTP_BODY as unknown,
    secret: 'test-secret' as Secret | readonly Secret[],
  }
  const cases: (typeof base & { name: string; options: VerifyOptions; code: VerifyError['code']; says: RegExp })[] = [
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
      name: 'no id',
      headers: { 'webhook-signature': 'v1,AAAA', 'webhook-timestamp': '1780920000' },
      options: standard,
      code: 'id_missing',
      says: /webhook-id/,
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
    {
      ...base,
      name: 'whsec_ without its prefix where it is decoded',
      headers: standardSigned(STANDARD_BODY),
      body: STANDARD_BODY,
      secret: WHSEC.slice(6),
      options: standard,
      code: 'secret_encoding',
      says: /with the prefix whsec_/,
    },
    {
      ...base,
      name: 'quotes around whsec_',
      headers: standardSigned(STANDARD_BODY),
      body: STANDARD_BODY,
      secret: `"${WHSEC}"`,
      options: standard,
      code: 'secret_encoding',
      says: /remove/,
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
    {
      ...base,
      name: 'the headers of another dialect',
      options: { dialect: 'mftplus' },
      code: 'wrong_dialect',
      says: /dialect: 'trueftp'/,
    },
    {
      ...base,
      name: 'the headers of two dialects, one of them right',
      headers: { ...TRUEFTP, ...MFTPLUS },
      options: { dialect: 'mftplus' },
      code: 'wrong_dialect',
      says: /that of trueftp does/,
    },
    {
      ...base,
      name: 'base64 for hex',
      headers: { 'x-webhook-signature': `sha256=${mac(SECRET, MFTPLUS_BODY, 'base64')}` },
      body: MFTPLUS_BODY,
      secret: SECRET,
      options: { dialect: 'mftplus' },
      code: 'signature_encoding',
      says: /base64 behind `sha256=`/,
    },
    {
      ...base,
      name: 'upper-case hex without a prefix',
      headers: { 'x-webhook-signature': mac(SECRET, MFTPLUS_BODY).toUpperCase() },
      body: MFTPLUS_BODY,
      secret: SECRET,
      options: { dialect: 'mftplus' },
      code: 'signature_encoding',
      says: /upper-case hex without a prefix/,
    },
    {
      ...base,
      name: 'hex for base64',
      headers: {
        ...standardSigned(STANDARD_BODY),
        'webhook-signature': `v1,${mac(Buffer.from(WHSEC.slice(6), 'base64'), `whevt_1.${SECONDS}.${STANDARD_BODY}`)}`,
      },
      body: STANDARD_BODY,
      secret: WHSEC,
      options: standard,
      code: 'signature_encoding',
      says: /hex behind `v1,`/,
    },
    {
      ...base,
      name: 'a signature cut short',
      headers: { 'x-webhook-signature': 'sha256=01733fc5' },
      body: MFTPLUS_BODY,
      secret: SECRET,
      options: { dialect: 'mftplus' },
      code: 'signature_malformed',
      says: /has 15 characters/,
    },
    {
      ...base,
      name: 'a shared secret for v1a',
      headers: asymmetricallySigned(STANDARD_BODY),
      body: STANDARD_BODY,
      secret: WHSEC,
      options: standard,
      code: 'wrong_key',
      says: /public one/,
    },
    {
      ...base,
      name: 'a public key for v1',
      headers: standardSigned(STANDARD_BODY),
      body: STANDARD_BODY,
      secret: whpk,
      options: standard,
      code: 'wrong_key',
      says: /shared secret \(v1\)/,
    },
    { ...base, name: 'a public key for trueftp', secret: jwk, options: trueftp, code: 'wrong_key', says: /as text/ },
    { ...base, name: 'half a public key', secret: 'whpk_AAAA', options: standard, code: 'secret_malformed', says: /32 bytes/ },
    { ...base, name: 'a private key', secret: 'whsk_AAAA', options: standard, code: 'secret_malformed', says: /private key/ },
    {
      ...base,
      name: 'v1a over another body',
      headers: asymmetricallySigned('{}'),
      body: STANDARD_BODY,
      secret: whpk,
      options: standard,
      code: 'signature_mismatch',
      says: /changed/,
    },
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
  ]
  for (const { name, headers, body, secret, options, code, says } of cases) {
    test(name, () => {
      const problem = problemOf(headers, body, secret, options)
      assert.equal(problem.code, code, problem.message)
      assert.match(problem.message, says)
    })
  }

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
      const start = performance.now()
      assert.equal(problemOf(trueftpSigned('{}'), body, SECRET, { dialect: 'trueftp' }).code, 'signature_mismatch')
      // A search that grows with the square of the length takes seconds.
      assert.ok(performance.now() - start < 1000)
    })
  }

  test('a long body costs one look', () => {
    const long = `${JSON.stringify({ text: 'x'.repeat(70_000) })}\n`
    const problem = problemOf(trueftpSigned(long.trimEnd()), long, SECRET, { dialect: 'trueftp' })
    assert.equal(problem.code, 'signature_mismatch')
    assert.match(problem.message, /65536 bytes/)
  })
})

test('no header and no body makes it accept, break or tell a secret', () => {
  const someHeader = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.base64String(), fc.constant('1780920000'))
  const someHeaders = fc.record(
    {
      'x-webhook-signature': someHeader,
      'x-trueftp-signature': someHeader,
      'x-trueftp-timestamp': someHeader,
      'webhook-id': someHeader,
      'webhook-timestamp': someHeader,
      'webhook-signature': someHeader.map((text) => `v1,${text} v1a,${text}`),
      'content-length': someHeader,
    },
    { requiredKeys: [] },
  )
  const someBody = fc.oneof(fc.json(), fc.string({ unit: 'grapheme' }), fc.uint8Array())
  const someDialect = fc.constantFrom<Dialect>('mftplus', 'trueftp', 'standard', 'cloudevents')
  const secret = 'a secret that no text holds by chance'
  fc.assert(
    fc.property(someHeaders, someBody, someDialect, (headers, body, dialect) => {
      for (const one of [secret, WHSEC, whpk].slice(0, dialect === 'mftplus' || dialect === 'trueftp' ? 2 : 3)) {
        assert.ok(!problemOf(headers as HeadersLike, body, one, { dialect }).message.includes(one))
      }
    }),
  )
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
