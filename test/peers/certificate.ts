import { createHash, webcrypto } from 'node:crypto'
import { loadX509 } from '../../src/agents/x509.ts'
import { DAY_MS } from '../../src/base/units.ts'

/** A certificate that vouches for itself, for addresses of loopback. */
export interface SelfMadeCertificate {
  readonly certificate: string
  readonly privateKey: string
  /** SHA-256 in lower-case hex. */
  readonly fingerprint: string
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export async function makeCertificate({
  address = '127.0.0.1',
  endsAt = Date.now() + DAY_MS,
} = {}): Promise<SelfMadeCertificate> {
  const x509 = await loadX509()
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=peer',
    keys,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(endsAt - 2 * DAY_MS),
    notAfter: new Date(endsAt),
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: address }])],
  })
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
  return {
    certificate: made.toString('pem'),
    privateKey: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`,
    fingerprint: createHash('sha256').update(Buffer.from(made.rawData)).digest('hex'),
  }
}
