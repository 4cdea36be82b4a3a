import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { mock, test } from 'node:test'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { Webhook as SvixWebhook } from 'svix'
import type { RecordedEvent } from '../events/event.ts'
import { dialectConformance, type Received } from './conformance.ts'
import { hmacKeyBytes, isPrivateKey, publicKeyOf, publicKeyText, standardSignature } from './key.ts'
import { standard } from './standard.ts'

const whsec = fc.uint8Array({ minLength: 24, maxLength: 64 }).map((bytes) => `whsec_${Buffer.from(bytes).toString('base64')}`)

/** What the library says at the moment of the attempt: it refuses old timestamps. */
function accepts(webhook: Pick<Webhook, 'verify'>, { headers, body }: Received): boolean {
  mock.timers.enable({ apis: ['Date'], now: Number(headers.get('webhook-timestamp')) * 1000 })
  try {
    webhook.verify(Buffer.from(body).toString(), Object.fromEntries(headers))
    return true
  } catch {
    return false
  } finally {
    mock.timers.reset()
  }
}

/** The libraries throw at once for a secret that is no base64. */
function made(make: () => Pick<Webhook, 'verify'>): Pick<Webhook, 'verify'> {
  try {
    return make()
  } catch (error) {
    return { verify: () => assert.fail(error as Error) }
  }
}

const common = {
  id: 'event' as const,
  read: ({ body }: Received) => JSON.parse(Buffer.from(body).toString()) as { type: unknown; data: unknown },
}

dialectConformance(standard, {
  ...common,
  name: 'standard, by standardwebhooks',
  secrets: whsec,
  verify: (received, secret) =>
    accepts(
      made(() => new Webhook(secret)),
      received,
    ),
})

dialectConformance(standard, {
  ...common,
  name: 'standard, by svix',
  secrets: whsec,
  verify: (received, secret) =>
    accepts(
      made(() => new SvixWebhook(secret)),
      received,
    ),
})

// The secret of an older dialect: a receiver gives the library its bytes.
dialectConformance(standard, {
  ...common,
  name: 'standard, any text as secret',
  verify: (received, secret) =>
    accepts(
      made(() => new Webhook(Buffer.from(secret), { format: 'raw' })),
      received,
    ),
})

const keyPair = (seed: number) => `whsk_${Buffer.alloc(32, seed).toString('base64')}`

dialectConformance(standard, {
  ...common,
  name: 'standard, Ed25519 by node:crypto',
  secrets: fc.nat(255).map(keyPair),
  verify({ headers, body }, secret) {
    const publicKey = publicKeyOf(secret)
    if (publicKey === undefined) return false
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey.toString('base64url') }, format: 'jwk' })
    const signed = Buffer.concat([Buffer.from(`${headers.get('webhook-id')}.${headers.get('webhook-timestamp')}.`), body])
    return headers
      .get('webhook-signature')!
      .split(' ')
      .some((one) => one.startsWith('v1a,') && verify(null, signed, key, Buffer.from(one.slice(4), 'base64')))
  },
})

const created: RecordedEvent = {
  id: 'whevt_1a2b3c4d5e6f7g8h',
  type: 'file.uploaded',
  accountId: 'acct-1',
  occurredAt: Date.UTC(2026, 5, 8, 12, 0, 0, 999),
  data: { path: '/incoming/données.csv', size: 20480 },
}
const facts = {
  deliveryId: 'dlv_1',
  eventId: 'whevt_1',
  eventType: 'file.uploaded',
  startedAt: 1780920000_999,
  body: Buffer.from('{}'),
  secret: keyPair(1),
  secretBefore: null,
}

test('standard: the exact body', () => {
  assert.equal(
    standard.body(created, 'dlv_1'),
    '{"type":"file.uploaded","timestamp":"2026-06-08T12:00:00.999Z","data":{"path":"/incoming/données.csv","size":20480}}',
  )
  assert.equal(standard.fixedHeaders(created), null)
})

test('standard: the exact headers, in order', () => {
  const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
  assert.deepEqual(Object.entries(standard.headers({ ...facts, secret })), [
    ['Content-Type', 'application/json'],
    ['User-Agent', 'Landfall/1.0'],
    ['webhook-id', 'whevt_1'],
    ['webhook-timestamp', '1780920000'],
    // printf 'whevt_1.1780920000.{}' | openssl dgst -sha256 -mac hmac -macopt hexkey:0707… -binary | base64
    ['webhook-signature', 'v1,C9rGV65EwtuFwEoFccIEoqkjMmWyMGggdEdMhnjXGSw='],
  ])
})

test('standard: a rotation from a shared secret to a key pair sends v1a, then v1', () => {
  const secretBefore = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
  const signatures = standard.headers({ ...facts, secretBefore })['webhook-signature']!.split(' ')
  assert.deepEqual(
    signatures.map((signature) => signature.split(',')[0]),
    ['v1a', 'v1'],
  )
})

test('standard: the schedule of the specification, over 75 hours', () => {
  const seconds = standard.retry.delaysMs.map((ms) => ms / 1000)
  assert.deepEqual(seconds, [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400])
  assert.equal(
    seconds.reduce((a, b) => a + b),
    75 * 3600 + 35 * 60 + 5,
  )
  assert.equal(standard.retry.deadlineMs, 15_000)
})

const statuses = [
  { status: 301, retries: true, endsWebhook: false, throttles: false },
  { status: 400, retries: true, endsWebhook: false, throttles: false },
  { status: 401, retries: true, endsWebhook: false, throttles: false },
  { status: 410, retries: false, endsWebhook: true, throttles: false },
  { status: 429, retries: true, endsWebhook: false, throttles: true },
  { status: 500, retries: true, endsWebhook: false, throttles: false },
  { status: 502, retries: true, endsWebhook: false, throttles: true },
  { status: 503, retries: true, endsWebhook: false, throttles: false },
  { status: 504, retries: true, endsWebhook: false, throttles: true },
]
for (const { status, ...expected } of statuses) {
  test(`standard: status ${status}`, () => {
    const { retry } = standard
    assert.deepEqual(
      { retries: retry.retries(status), endsWebhook: retry.endsWebhook(status), throttles: retry.throttles(status) },
      expected,
    )
  })
}

// From the tests of the specification's own Go library, which is the one that signs with Ed25519.
test('v1a: the vector of the specification', () => {
  const secret = 'whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk='
  const content = Buffer.from('msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}')
  const expected = 'v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=='
  assert.equal(standardSignature(secret, content), expected)
  const headers = standard.headers({
    ...facts,
    secret,
    eventId: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    startedAt: 1614265330_000,
    body: Buffer.from('{"test": 2432232314}'),
  })
  assert.equal(headers['webhook-signature'], expected)
})

test('v1a: RFC 8032 section 7.1, tests 1 and 2, in both forms of the key', () => {
  const vectors = [
    {
      seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      publicKey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      message: '',
      signature:
        'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    },
    {
      seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      publicKey: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      message: '72',
      signature:
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    },
  ]
  for (const { seed, publicKey, message, signature } of vectors) {
    for (const key of [seed, seed + publicKey]) {
      const secret = `whsk_${Buffer.from(key, 'hex').toString('base64')}`
      assert.equal(publicKeyOf(secret)?.toString('hex'), publicKey)
      assert.equal(
        standardSignature(secret, Buffer.from(message, 'hex')),
        `v1a,${Buffer.from(signature, 'hex').toString('base64')}`,
      )
    }
  }
  const [first] = vectors
  assert.equal(
    publicKeyText(Buffer.from(first!.publicKey, 'hex')),
    `whpk_${Buffer.from(first!.publicKey, 'hex').toString('base64')}`,
  )
})

test('keys: the public key is that of the pair', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const seed = Buffer.from(privateKey.export({ format: 'jwk' }).d!, 'base64url')
  assert.equal(publicKeyOf(`whsk_${seed.toString('base64')}`)?.toString('base64url'), publicKey.export({ format: 'jwk' }).x)
})

const base64 = (bytes: number) => Buffer.alloc(bytes, 1).toString('base64')
const secrets = [
  { name: 'whsec_ of 24 bytes', secret: `whsec_${base64(24)}`, hmac: 24, isPrivate: false },
  { name: 'whsec_ without padding', secret: `whsec_${base64(25).replace(/=+$/, '')}`, hmac: undefined, isPrivate: false },
  { name: 'whsec_ with a line end', secret: `whsec_${base64(24)}\n`, hmac: undefined, isPrivate: false },
  { name: 'whsec_ in base64url', secret: 'whsec_____________________________________', hmac: undefined, isPrivate: false },
  { name: 'whsec_ alone', secret: 'whsec_', hmac: 0, isPrivate: false },
  { name: 'text', secret: 'your-signing-secret', hmac: undefined, isPrivate: false },
  { name: 'whsk_ of 32 bytes', secret: `whsk_${base64(32)}`, hmac: undefined, isPrivate: true },
  { name: 'whsk_ of 31 bytes', secret: `whsk_${base64(31)}`, hmac: undefined, isPrivate: false },
  { name: 'whsk_ with another public key', secret: `whsk_${base64(64)}`, hmac: undefined, isPrivate: false },
]
for (const { name, secret, hmac, isPrivate } of secrets) {
  test(`keys: ${name}`, () => {
    assert.equal(hmacKeyBytes(secret), hmac)
    assert.equal(isPrivateKey(secret), isPrivate)
    assert.equal(publicKeyOf(secret) === undefined, !isPrivate)
  })
}
