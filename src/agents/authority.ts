import { createPrivateKey, generateKeyPairSync, KeyObject, randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { newId } from '../base/id.ts'
import { type Seal, SealError } from '../base/seal.ts'
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { SERVER_NAME } from '../wire/agent/work.ts'
import type { Authority, Certificate } from './agent.ts'
import type { AgentStore } from './port.ts'
import { hashOf, publicKeyHashOf, readRequest } from './request.ts'
import { loadX509 } from './x509.ts'

/** Days that the certificate of an agent counts. */
export const AGENT_CERTIFICATE_DAYS = 365
/** Days that the server's own certificate for the agent port counts; it is renewed while the server runs. */
export const SERVER_CERTIFICATE_DAYS = 90
/** Agents pin the authority once and for all, so it outlives them. */
const AUTHORITY_DAYS = 20 * 365
/** Certificates begin this long before they are made, so that clocks which are a little slow take them, ms. */
const CLOCK_SKEW_MS = 5 * MINUTE_MS
const SERIAL_BYTES = 16

/** Landfall's own certificate authority: the one that agents pin and that the agent port trusts, and no other. */
export interface CertificateAuthority {
  /** PEM. */
  readonly certificate: string
  /** SHA-256 of it (DER), lower-case hex. */
  readonly fingerprint: string
  /**
   * A certificate for this agent, from a request (PKCS #10, PEM). Only the key is taken from it, and only with proof that the private key
   * is there; `invalid` for anything but P-256.
   */
  issueToAgent(request: string, agentId: string): Promise<IssuedCertificate>
  /** For the agent port, with a new key. */
  issueToServer(): Promise<ServerCertificate>
}

export interface IssuedCertificate {
  /** PEM. */
  readonly certificate: string
  /** What is stored of it. */
  readonly facts: Certificate
  /** SHA-256 of its public key (SubjectPublicKeyInfo, DER), lower-case hex. */
  readonly publicKeyHash: string
}

/** Both PEM. */
export interface ServerCertificate {
  readonly key: string
  readonly certificate: string
  readonly expiresAt: number
}

export interface AuthorityParts {
  readonly store: Pick<AgentStore, 'findAuthority' | 'ensureAuthority' | 'replaceAuthority'>
  readonly seal: Seal
  readonly clock: Pick<Clock, 'now'>
  /** A key that opens under no master key: a new authority takes its place, and every agent has to be enrolled anew. */
  readonly acceptsLostKey?: boolean
}

/**
 * The authority of this database, made if there is none. Several nodes that start at the same time agree on one.
 * @throws AppError `setting_invalid` where its key opens under no master key.
 */
export async function createAuthority({
  store,
  seal,
  clock,
  acceptsLostKey = false,
}: AuthorityParts): Promise<CertificateAuthority> {
  const stored = (await store.findAuthority()) ?? (await store.ensureAuthority(await makeAuthority(seal, clock.now())))
  const key = openKey(stored, seal)
  if (key !== undefined) return withKey(stored, key, clock)
  if (!acceptsLostKey)
    throw new AppError(
      'setting_invalid',
      'the master key does not open the key of the authority that issues certificates to agents: it was sealed under another ' +
        'one. If that is lost for good, LANDFALL_MASTER_KEY_LOST=accept makes a new authority, and agents have to be enrolled anew',
      { field: 'masterKey' },
    )
  const replacing = await store.replaceAuthority(stored, await makeAuthority(seal, clock.now()))
  return withKey(replacing, seal.open(replacing.sealedKey, authorityPurpose(replacing.id)), clock)
}

export function authorityPurpose(id: string): string {
  return `authority:${id}`
}

function openKey({ id, sealedKey }: Authority, seal: Seal): string | undefined {
  try {
    return seal.open(sealedKey, authorityPurpose(id))
  } catch (error) {
    if (error instanceof SealError) return undefined
    throw error
  }
}

function withKey({ certificate }: Authority, key: string, clock: Pick<Clock, 'now'>): CertificateAuthority {
  const own = new X509Certificate(certificate)

  async function issue(publicKey: KeyObject, subject: string, days: number, purpose: Purpose): Promise<Issued> {
    const x509 = await loadX509()
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    const serial = newSerial()
    const issuedAt = clock.now()
    // Certificates tell time in whole seconds; what is stored of one is what it says.
    const expiresAt = Math.floor((issuedAt + days * DAY_MS) / SECOND_MS) * SECOND_MS
    const made = await x509.X509CertificateGenerator.create({
      serialNumber: serial,
      subject: `CN=${subject}`,
      issuer: new x509.X509Certificate(certificate).subject,
      notBefore: new Date(issuedAt - CLOCK_SKEW_MS),
      notAfter: new Date(expiresAt),
      publicKey: spki,
      signingKey: await signingKey(key),
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage[purpose]], true),
        await x509.SubjectKeyIdentifierExtension.create(await imported(spki)),
        await x509.AuthorityKeyIdentifierExtension.create(new x509.X509Certificate(certificate)),
        ...(purpose === 'serverAuth' ? [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: subject }])] : []),
      ],
    })
    return { certificate: `${made.toString('pem')}\n`, serial, fingerprint: hashOf(made.rawData), issuedAt, expiresAt }
  }

  return {
    certificate,
    fingerprint: hashOf(own.raw),
    async issueToAgent(request, agentId) {
      const publicKey = await readRequest(request)
      const { certificate: issued, ...facts } = await issue(publicKey, agentId, AGENT_CERTIFICATE_DAYS, 'clientAuth')
      const id = newId('certificate', facts.issuedAt)
      const nothingYet = { revokedAt: null, replacedAt: null, expiringSaidAt: null, expiredSaidAt: null }
      return {
        certificate: issued,
        facts: { id, agentId, ...facts, ...nothingYet },
        publicKeyHash: publicKeyHashOf(publicKey),
      }
    },
    async issueToServer() {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const { certificate: issued, expiresAt } = await issue(publicKey, SERVER_NAME, SERVER_CERTIFICATE_DAYS, 'serverAuth')
      return { key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), certificate: issued, expiresAt }
    },
  }
}

type Purpose = 'clientAuth' | 'serverAuth'
type Issued = { certificate: string } & Pick<Certificate, 'serial' | 'fingerprint' | 'issuedAt' | 'expiresAt'>

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

async function makeAuthority(seal: Seal, now: number): Promise<Authority> {
  const x509 = await loadX509()
  const id = newId('authority', now)
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: `CN=Landfall ${id}`,
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: new Date(now + AUTHORITY_DAYS * DAY_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      // It issues to agents and servers only, never to another authority.
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString()
  const sealedKey = seal.seal(key, authorityPurpose(id))
  return { id, certificate: `${certificate.toString('pem')}\n`, sealedKey, createdAt: now }
}

function signingKey(pem: string) {
  const der = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' })
  return webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign'])
}

function imported(spki: Buffer) {
  return webcrypto.subtle.importKey('spki', new Uint8Array(spki), ALGORITHM, true, ['verify'])
}

/** 16 random bytes, but for the first two bits: a serial is a positive number, and all are equally long (RFC 5280 §4.1.2.2). */
function newSerial(): string {
  const bytes = randomBytes(SERIAL_BYTES)
  bytes[0] = (bytes[0]! & 0x3f) | 0x40
  return bytes.toString('hex')
}
