import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { AppError } from '../base/error.ts'
import { failureOf } from './failure.ts'
import { type ClientTls, DIRECT, routeOf } from './route.ts'
import { cert, pem, post, posterOf, summary, tlsReceiver } from './testing.ts'
import { CERTIFICATES_MAX, checkTls, PEM_CHARACTERS_MAX } from './tls.ts'

const authority = pem('client-ca.cert.pem')
const certificate = pem('client.cert.pem')
const key = pem('client.key.pem')
const expired = pem('client-expired.cert.pem')
const otherKey = pem('localhost.key.pem')
const NOW = Date.UTC(2026, 10, 21)

/** A server that takes only clients of the authority. */
const strict = { ca: authority, requestCert: true, rejectUnauthorized: true }

test('checkTls takes a client certificate with its key, and authorities', () => {
  for (const tls of [
    {},
    { ca: authority },
    { certificate, key },
    { certificate: certificate + authority, key, ca: cert + authority },
  ])
    checkTls(tls, NOW)
})

const encrypted = generateKeyPairSync('ec', {
  namedCurve: 'prime256v1',
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
}).privateKey
const weak = generateKeyPairSync('rsa', { modulusLength: 512 }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
const mangled = `-----BEGIN CERTIFICATE-----\n${'A'.repeat(64)}\n-----END CERTIFICATE-----\n`
const refusals: { name: string; tls: ClientTls; field: string; says: RegExp }[] = [
  { name: 'no PEM', tls: { certificate: 'hello', key }, field: 'tls.certificate', says: /has no PEM certificate/ },
  {
    name: 'a certificate of noise',
    tls: { certificate: mangled, key },
    field: 'tls.certificate',
    says: /cannot be read, the 1\. of 1/,
  },
  { name: 'noise behind a certificate', tls: { ca: authority + mangled }, field: 'tls.ca', says: /cannot be read, the 2\. of 2/ },
  { name: 'no key', tls: { certificate }, field: 'tls.key', says: /is missing/ },
  { name: 'a key alone', tls: { key }, field: 'tls.certificate', says: /is missing/ },
  {
    name: 'the key of another',
    tls: { certificate, key: otherKey },
    field: 'tls.key',
    says: /is not the key of tls\.certificate/,
  },
  { name: 'a weak key of another', tls: { certificate, key: weak }, field: 'tls.key', says: /is not the key/ },
  { name: 'no key at all', tls: { certificate, key: 'secret words' }, field: 'tls.key', says: /is no PEM private key/ },
  { name: 'a certificate as key', tls: { certificate, key: certificate }, field: 'tls.key', says: /is no PEM private key/ },
  { name: 'an encrypted key', tls: { certificate, key: encrypted }, field: 'tls.key', says: /is encrypted/ },
  {
    name: 'a key among the certificates',
    tls: { certificate: certificate + key, key },
    field: 'tls.certificate',
    says: /holds a private key/,
  },
  {
    name: 'an expired certificate',
    tls: { certificate: expired, key },
    field: 'tls.certificate',
    says: /has expired on 2020-01-01T00:00:00/,
  },
  {
    name: 'too much',
    tls: { ca: 'x'.repeat(PEM_CHARACTERS_MAX + 1) },
    field: 'tls.ca',
    says: /has 65537 characters; at most 65536/,
  },
  { name: 'too many', tls: { ca: cert.repeat(CERTIFICATES_MAX + 1) }, field: 'tls.ca', says: /has 21 certificates; at most 20/ },
]
for (const { name, tls, field, says } of refusals) {
  test(`checkTls refuses ${name}`, () => {
    assert.throws(
      () => checkTls(tls, NOW),
      (error) =>
        error instanceof AppError &&
        error.code === 'invalid' &&
        error.field === field &&
        says.test(error.message) &&
        !error.message.includes('secret words'),
    )
  })
}

test('a receiver that requires a client certificate gets the one of the route', async (t) => {
  const { url } = await tlsReceiver(t, cert, strict)
  const mine = routeOf({ tls: { certificate, key, ca: cert } })
  assert.deepEqual(summary(await post(t, { url, route: mine })), { kind: 'answered', status: 200 })
})

test('without a client certificate, or with one that the receiver does not know, there is no answer', async (t) => {
  // Node's server closes without an alert; what a receiver says in one is the matter of the next test.
  const { url } = await tlsReceiver(t, cert, strict)
  for (const tls of [{ ca: cert }, { certificate: cert, key: otherKey, ca: cert }])
    assert.equal((await post(t, { url, route: routeOf({ tls }) })).kind, 'unreachable')
})

const alerts = [
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', /asks for a client certificate/],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', /does not know the authority of the client certificate/],
  ['ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED', /client certificate has expired/],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', /client certificate has expired/],
  ['ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE', /does not take the client certificate/],
  ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', /TLS handshake failed/],
] as const
for (const [code, says] of alerts) {
  test(`an alert of the receiver: ${code}`, () => {
    const failure = failureOf(Object.assign(new Error('alert'), { code }))
    assert.ok(failure.kind === 'unreachable')
    assert.match(failure.message, says)
  })
}

const inWords = [
  ['EE certificate key too weak', 'certificate has a key that is too weak (RSA needs 2048 bits)'],
  ['CA certificate key too weak', 'certificate issuer has a key that is too weak (RSA needs 2048 bits)'],
  ['CA signature digest algorithm too weak', 'certificate is signed with a hash that is too weak'],
  ['Suite B: certificate version invalid', 'certificate is refused: Suite B: certificate version invalid'],
] as const
for (const [words, message] of inWords) {
  test(`a certificate of which OpenSSL says: ${words}`, () => {
    const code = 'UNSPECIFIED'
    assert.deepEqual(failureOf(Object.assign(new Error(words), { code })), { kind: 'unreachable', code, message })
  })
}

test('a receiver whose key is too weak is told so', async (t) => {
  const weak = pem('weak.cert.pem')
  // It takes a server that allows it to have one.
  const { url } = await tlsReceiver(t, weak, { key: pem('weak.key.pem'), ciphers: 'DEFAULT@SECLEVEL=0' })
  const message = 'certificate has a key that is too weak (RSA needs 2048 bits)'
  assert.deepEqual(summary(await post(t, { url }, { ca: weak })), { kind: 'unreachable', message })
})

test('an expired client certificate is not even shown', async (t) => {
  const { url, sockets } = await tlsReceiver(t, cert, strict)
  const result = await post(t, { url, route: routeOf({ tls: { certificate: expired, key, ca: cert } }) })
  const message = 'the client certificate has expired on 2020-01-01T00:00:00.000Z'
  assert.deepEqual(summary(result), { kind: 'unreachable', message })
  assert.equal(sockets.size, 0)
})

test('a stored certificate that cannot be used is a failure with its reason, not ours', async (t) => {
  const result = await post(t, { url: 'https://127.0.0.1:9/', route: routeOf({ tls: { certificate, key: otherKey } }) })
  assert.ok(result.kind === 'unreachable')
  assert.match(result.message, /^the client certificate cannot be used: key values mismatch/)
})

test('own authorities stand beside those of the system, for their route alone', async (t) => {
  const { url } = await tlsReceiver(t, cert)
  const poster = posterOf(t)
  const send = (tls?: ClientTls) =>
    poster.post({ url, headers: {}, body: 'x', deadlineMs: 10_000, route: tls === undefined ? DIRECT : routeOf({ tls }) })
  assert.deepEqual(summary(await send({ ca: cert })), { kind: 'answered', status: 200 })
  assert.deepEqual(summary(await send({ ca: authority + cert })), { kind: 'answered', status: 200 })
  assert.deepEqual(summary(await send()), { kind: 'unreachable', message: 'certificate is self-signed' })
  assert.deepEqual(summary(await send({ ca: authority })), { kind: 'unreachable', message: 'certificate is self-signed' })
})

test('those of the system stay trusted beside own ones', async (t) => {
  // What the environment adds to the system's is read at the start of a process.
  const { url } = await tlsReceiver(t, cert)
  const program = `
    import { readFileSync } from 'node:fs'
    import { get } from 'node:https'
    import { openIdentity } from '${new URL('./tls.ts', import.meta.url)}'
    const ca = readFileSync(new URL('${new URL('./testdata/client-ca.cert.pem', import.meta.url)}'), 'utf8')
    get('${url}', { secureContext: openIdentity({ ca }, undefined).context }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1))
  `
  const NODE_EXTRA_CA_CERTS = fileURLToPath(new URL('./testdata/localhost.cert.pem', import.meta.url))
  const child = execFile(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS },
  })
  assert.deepEqual(await once(child, 'exit'), [0, null])
})

test('connections are shared within a route and never between two', async (t) => {
  const { url, sockets } = await tlsReceiver(t, cert, { ...strict, rejectUnauthorized: false })
  const poster = posterOf(t, { connectionsPerOriginMax: 1 })
  const send = (parts: Parameters<typeof routeOf>[0]) =>
    poster.post({ url, headers: {}, body: 'x', deadlineMs: 10_000, route: routeOf(parts) })
  const identity = { ca: cert, certificate, key }
  const routes = [
    { tls: { ca: cert } },
    { tls: identity },
    { tls: identity, egressAllow: [] },
    { tls: identity, egressAllow: ['10.0.0.0/8'] },
  ]
  for (const [index, route] of routes.entries()) {
    assert.deepEqual(summary(await send(route)), { kind: 'answered', status: 200 })
    assert.equal(sockets.size, index + 1)
    await send(structuredClone(route))
    assert.equal(sockets.size, index + 1, 'an equal route uses the same connection')
  }
})
