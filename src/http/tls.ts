import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { AppError } from '../base/error.ts'
import { KIB } from '../base/units.ts'
import type { ClientTls } from './route.ts'

/** Bounds of what a webhook brings along: each text in characters, and the certificates in one. */
export const PEM_CHARACTERS_MAX = 64 * KIB
export const CERTIFICATES_MAX = 20

/** Who we are towards a receiver, and whom we believe. */
export interface Identity {
  readonly context: SecureContext
  /** End of the client certificate, ms since 1970; null where there is none. */
  readonly certificateUntil: number | null
}

/**
 * Opens an identity; its own authorities are trusted beside those of the system and `extraCa`. Throws what OpenSSL says
 * of a text that `checkTls` did not see.
 */
export function openIdentity(tls: ClientTls | null, extraCa: string | undefined): Identity {
  const context = createSecureContext({
    ...(tls?.certificate === undefined ? {} : { cert: tls.certificate }),
    ...(tls?.key === undefined ? {} : { key: tls.key }),
  })
  // The option `ca` stands in place of the system's, and to name those beside it reads each anew: 60 ms and 1 MiB for every
  // identity, where this takes half a millisecond and shares them.
  for (const pem of [extraCa, tls?.ca]) if (pem !== undefined) context.context.addCACert(pem)
  const certificateUntil = tls?.certificate === undefined ? null : new X509Certificate(tls.certificate).validToDate.getTime()
  return { context, certificateUntil }
}

/**
 * Refuses, with `invalid` and the field (`tls.certificate`, `tls.key`, `tls.ca`), what no connection could be opened
 * with. No message repeats a key.
 */
export function checkTls(tls: ClientTls, now: number): void {
  const { certificate, key, ca } = tls
  if (ca !== undefined) certificatesIn('tls.ca', ca)
  if (certificate === undefined && key !== undefined)
    throw invalid('tls.certificate', 'is missing; a key is of use only with its certificate')
  if (certificate === undefined) return
  const [own] = certificatesIn('tls.certificate', certificate) as [X509Certificate]
  if (own.validToDate.getTime() <= now) throw invalid('tls.certificate', `has expired on ${own.validToDate.toISOString()}`)
  if (key === undefined) throw invalid('tls.key', 'is missing; a client certificate needs its key')
  if (!own.checkPrivateKey(keyIn(key))) throw invalid('tls.key', 'is not the key of tls.certificate')
  try {
    openIdentity(tls, undefined)
  } catch (error) {
    throw new AppError('invalid', `tls.certificate cannot be used: ${sentenceOf(error)}`, {
      field: 'tls.certificate',
      cause: error,
    })
  }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

function certificatesIn(field: string, pem: string): X509Certificate[] {
  checkLength(field, pem)
  const blocks = pem.match(CERTIFICATE) ?? []
  if (blocks.length === 0) throw invalid(field, 'has no PEM certificate (-----BEGIN CERTIFICATE-----)')
  if (blocks.length > CERTIFICATES_MAX)
    throw invalid(field, `has ${blocks.length} certificates; at most ${CERTIFICATES_MAX} are taken`)
  if (/PRIVATE KEY-----/.test(pem)) throw invalid(field, 'holds a private key; that belongs into tls.key')
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block)
    } catch {
      throw invalid(field, `has a certificate that cannot be read, the ${index + 1}. of ${blocks.length}`)
    }
  })
}

function keyIn(pem: string): KeyObject {
  const field = 'tls.key'
  checkLength(field, pem)
  if (/ENCRYPTED/.test(pem)) throw invalid(field, 'is encrypted; give it without a passphrase, it is sealed here')
  try {
    return createPrivateKey(pem)
  } catch {
    throw invalid(field, 'is no PEM private key (-----BEGIN PRIVATE KEY-----)')
  }
}

function checkLength(field: string, pem: string): void {
  if (pem.length > PEM_CHARACTERS_MAX)
    throw invalid(field, `has ${pem.length} characters; at most ${PEM_CHARACTERS_MAX} are taken`)
}

/** Of an error of OpenSSL, `error:0A00018E:SSL routines::ca md too weak`, what people can read. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? (error.message.split(':').at(-1) ?? error.message).trim() : 'unknown fault'
}

function invalid(field: string, why: string): AppError {
  return new AppError('invalid', `${field} ${why}`, { field })
}
