import assert from 'node:assert/strict'
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  webcrypto,
  X509Certificate,
} from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { createRequest } from '../../agent/csr.ts'
import { createSeal, MASTER_KEY_BYTES } from '../base/seal.ts'
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { SERVER_NAME } from '../wire/agent/work.ts'
import { type CertificateAuthority, createAuthority } from './authority.ts'
import { CSR_BYTES_MAX, publicKeyHashOf, readRequest } from './request.ts'
import { aRequest, openAgents, START } from './testing.ts'
import { loadX509 } from './x509.ts'

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'

/** What stands in a certificate, as another library of this machine reads it. */
async function parsed(pem: string) {
  const x509 = await loadX509()
  const certificate = new x509.X509Certificate(pem)
  const extension = <One>(kind: new (...args: never[]) => One) => certificate.getExtension(kind as never) as One
  return {
    node: new X509Certificate(pem),
    certificate,
    basic: extension(x509.BasicConstraintsExtension),
    usages: extension(x509.KeyUsagesExtension).usages,
    purposes: [...(certificate.getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? [])],
    flags: x509.KeyUsageFlags,
    extensions: certificate.extensions.length,
  }
}

test('a certificate of an agent: our name in it, for clients only, 365 days, signed by the authority', async (t) => {
  const { authority } = await openAgents(t)
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { certificate, facts, publicKeyHash } = await authority.issueToAgent(createRequest(privateKey), 'agent_1')
  const { node, basic, usages, purposes, flags, extensions } = await parsed(certificate)
  const ca = new X509Certificate(authority.certificate)
  assert.ok(node.checkIssued(ca) && node.verify(ca.publicKey) && node.checkPrivateKey(privateKey))
  assert.deepEqual([node.subject, node.subjectAltName], ['CN=agent_1', undefined])
  assert.deepEqual([basic.ca, usages, purposes, extensions], [false, flags.digitalSignature, [CLIENT_AUTH], 5])
  assert.deepEqual([Date.parse(node.validFrom), Date.parse(node.validTo)], [START - 5 * MINUTE_MS, START + 365 * DAY_MS])
  assert.equal(node.serialNumber.toLowerCase(), facts.serial)
  assert.equal(facts.serial.length, 32)
  assert.equal(node.fingerprint256.replaceAll(':', '').toLowerCase(), facts.fingerprint)
  assert.deepEqual([facts.issuedAt, facts.expiresAt, facts.agentId], [START, START + 365 * DAY_MS, 'agent_1'])
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  assert.equal(publicKeyHash, Buffer.from(await webcrypto.subtle.digest('SHA-256', spki)).toString('hex'))
  const again = await authority.issueToAgent(createRequest(privateKey), 'agent_1')
  assert.notEqual(again.facts.serial, facts.serial)
})

test('the certificate of the server: one name, for servers only, another key each time', async (t) => {
  const { authority } = await openAgents(t)
  const [one, other] = await Promise.all([authority.issueToServer(), authority.issueToServer()])
  const { node, basic, purposes } = await parsed(one.certificate)
  const ca = new X509Certificate(authority.certificate)
  assert.ok(node.checkIssued(ca) && node.verify(ca.publicKey) && node.checkPrivateKey(createPrivateKey(one.key)))
  assert.deepEqual([basic.ca, purposes, node.subjectAltName], [false, [SERVER_AUTH], `DNS:${SERVER_NAME}`])
  assert.deepEqual([Date.parse(node.validTo), one.expiresAt], [START + 90 * DAY_MS, START + 90 * DAY_MS])
  assert.notEqual(one.key, other.key)
})

test('the authority: it issues certificates and nothing else, and lasts 20 years', async (t) => {
  const { authority } = await openAgents(t)
  const { node, basic, usages, flags } = await parsed(authority.certificate)
  assert.ok(node.ca && node.verify(node.publicKey))
  assert.deepEqual([basic.ca, basic.pathLength, usages], [true, 0, flags.keyCertSign])
  assert.equal(Date.parse(node.validTo), START + 20 * 365 * DAY_MS)
  assert.equal(node.fingerprint256.replaceAll(':', '').toLowerCase(), authority.fingerprint)
})

test('several nodes that start at once have one authority, and the next start has the same', async (t) => {
  const { store, seal, clock } = await openAgents(t)
  const nodes = await Promise.all([1, 2, 3].map(() => createAuthority({ store, seal, clock })))
  assert.equal(new Set(nodes.map(({ fingerprint }) => fingerprint)).size, 1)
  const stored = await store.findAuthority()
  assert.ok(!JSON.stringify(stored).includes('PRIVATE KEY'))
})

test('a key that no master key opens is refused, or given up where that is said', async (t) => {
  const { store, clock, authority } = await openAgents(t)
  const parts = { store, clock, seal: createSeal(randomBytes(MASTER_KEY_BYTES)) }
  await assert.rejects(createAuthority(parts), { code: 'setting_invalid', field: 'masterKey', message: /enrolled anew/ })
  const next = await createAuthority({ ...parts, acceptsLostKey: true })
  assert.notEqual(next.fingerprint, authority.fingerprint)
  assert.equal((await createAuthority(parts)).fingerprint, next.fingerprint)
  await next.issueToAgent(aRequest(), 'agent_1')
})

/** A request of the library, for keys that ours does not make. */
async function otherRequest(algorithm: object, sign: object = algorithm): Promise<string> {
  const { Pkcs10CertificateRequestGenerator } = await loadX509()
  const keys = (await webcrypto.subtle.generateKey(algorithm as never, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair
  return (await Pkcs10CertificateRequestGenerator.create({ name: 'CN=admin', keys, signingAlgorithm: sign as never })).toString(
    'pem',
  )
}

const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', publicExponent: new Uint8Array([1, 0, 1]), modulusLength: 2048 }
const refusedKeys = [
  { name: 'P-384', algorithm: { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' }, says: /kind ec secp384r1/ },
  { name: 'RSA', algorithm: RSA, says: /kind rsa 2048 bits/ },
  { name: 'Ed25519', algorithm: { name: 'Ed25519' }, says: /kind ed25519;/ },
]
for (const { name, algorithm, says } of refusedKeys) {
  test(`a request with a key of the kind ${name} is refused by its name`, async () => {
    await assert.rejects(readRequest(await otherRequest(algorithm)), { code: 'invalid', field: 'csr', message: says })
  })
}

test('what a request asks for besides its key is not looked at', async (t) => {
  const x509 = await loadX509()
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const greedy = await x509.Pkcs10CertificateRequestGenerator.create({
    ...{ name: 'CN=agent_other, O=Landfall', keys, signingAlgorithm: algorithm },
    extensions: [
      new x509.BasicConstraintsExtension(true, 3, true),
      new x509.ExtendedKeyUsageExtension([SERVER_AUTH]),
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: SERVER_NAME }]),
    ],
  })
  const { authority } = await openAgents(t)
  const { certificate } = await authority.issueToAgent(greedy.toString('pem'), 'agent_1')
  const { node, basic, purposes } = await parsed(certificate)
  assert.deepEqual([node.subject, node.subjectAltName, basic.ca, purposes], ['CN=agent_1', undefined, false, [CLIENT_AUTH]])
})

/** The bytes of a request that is signed with `signer` while it carries another key. */
function withForeignKey(signer: KeyObject): string {
  const victim = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const der = (pem: string) => Buffer.from(pem.split('\n').slice(1, -2).join(''), 'base64')
  const [own, other] = [der(createRequest(signer)), der(createRequest(victim))]
  // The point of a P-256 key is 65 bytes behind this beginning of its SubjectPublicKeyInfo.
  const head = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex')
  other.copy(own, own.indexOf(head), other.indexOf(head), other.indexOf(head) + head.length + 65)
  return `-----BEGIN CERTIFICATE REQUEST-----\n${own.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
}

const P256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const refusedTexts = [
  { name: 'no PEM', pem: 'hello', says: /not one certificate request in PEM/ },
  { name: 'two requests', pem: createRequest(P256) + createRequest(P256), says: /not one certificate request/ },
  {
    name: 'a certificate',
    pem: createRequest(P256).replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE'),
    says: /not one certificate/,
  },
  {
    name: 'no DER',
    pem: `-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----`,
    says: /not a certificate request that can be read/,
  },
  { name: 'too long', pem: 'x'.repeat(CSR_BYTES_MAX + 1), says: /has 8193 bytes, at most 8192/ },
  { name: 'the key of somebody else', pem: withForeignKey(P256), says: /not signed with the private key/ },
]
for (const { name, pem, says } of refusedTexts) {
  test(`a request is refused: ${name}`, () => assert.rejects(readRequest(pem), { code: 'invalid', field: 'csr', message: says }))
}

test('a request with any byte changed is refused as invalid, or still proves the key that it proved', async () => {
  const der = Buffer.from(createRequest(P256).split('\n').slice(1, -2).join(''), 'base64')
  const own = publicKeyHashOf(createPublicKey(P256))
  await fc.assert(
    fc.asyncProperty(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const bytes = Buffer.from(der)
      bytes[at] = bytes[at]! ^ change
      const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
      // The lengths around what is signed are not signed themselves.
      const hash = await readRequest(pem).then(publicKeyHashOf, (error) => error.code)
      assert.ok(hash === 'invalid' || hash === own, hash)
    }),
    { numRuns: 150 },
  )
})

test('time in a certificate is whole seconds, and what is stored of it is the same', async (t) => {
  const { store, seal } = await openAgents(t)
  const authority: CertificateAuthority = await createAuthority({ store, seal, clock: { now: () => START + 999 } })
  const { facts, certificate } = await authority.issueToAgent(aRequest(), 'agent_1')
  assert.equal(facts.expiresAt % SECOND_MS, 0)
  assert.equal(Date.parse(new X509Certificate(certificate).validTo), facts.expiresAt)
})
