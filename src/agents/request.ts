import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { AppError } from '../base/error.ts'
import { KIB } from '../base/units.ts'
import { loadX509 } from './x509.ts'

/** Longest certificate request that is read. One of a P-256 key has some 500 bytes. */
export const CSR_BYTES_MAX = 8 * KIB

/**
 * The public key of a certificate request (PKCS #10 in PEM), once its signature has proven that whoever sent it has the private key. Names and
 * extensions that it asks for are nobody's: they are not looked at. `invalid` for what is no request, for keys other than P-256 and without proof.
 */
export async function readRequest(pem: string): Promise<KeyObject> {
  const bytes = Buffer.byteLength(pem)
  if (bytes > CSR_BYTES_MAX) refuse(`has ${bytes} bytes, at most ${CSR_BYTES_MAX} are taken`)
  const body =
    /^\s*-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END (?:NEW )?CERTIFICATE REQUEST-----\s*$/.exec(pem)
  if (body === null) refuse('is not one certificate request in PEM, from -----BEGIN CERTIFICATE REQUEST----- to its end')
  const { Pkcs10CertificateRequest } = await loadX509()
  try {
    const request = new Pkcs10CertificateRequest(Buffer.from(body[1]!, 'base64'))
    const publicKey = createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: 'der', type: 'spki' })
    checkKind(publicKey)
    if (!(await request.verify())) refuse('is not signed with the private key of its public key')
    return publicKey
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    return refuse('is not a certificate request that can be read', cause)
  }
}

/** SHA-256 of a public key (SubjectPublicKeyInfo, DER), lower-case hex. */
export function publicKeyHashOf(publicKey: KeyObject): string {
  return hashOf(publicKey.export({ type: 'spki', format: 'der' }))
}

export function hashOf(bytes: ArrayBuffer | Uint8Array): string {
  return createHash('sha256').update(new Uint8Array(bytes)).digest('hex')
}

function checkKind({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): void {
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return
  const what = details?.namedCurve ?? (details?.modulusLength === undefined ? '' : `${details.modulusLength} bits`)
  refuse(`has a key of the kind ${`${type} ${what}`.trim()}; it must be an elliptic curve key, P-256`)
}

function refuse(why: string, cause?: unknown): never {
  throw new AppError('invalid', `csr ${why}`, { field: 'csr', cause })
}
