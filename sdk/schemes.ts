import { createHmac, createPublicKey, timingSafeEqual, verify as verifySignature } from 'node:crypto'
import type { Dialect, Jwk, Secret } from './dialect.ts'
import { VerifyError } from './error.ts'
import type { ReadHeader } from './headers.ts'

/** What is signed by which rule, and where the signature stands. */
export interface Scheme {
  readonly name: 'mftplus' | 'trueftp' | 'standard'
  readonly signatureHeader: string
  /** Headers whose values stand before the body in what is signed, each followed by a dot. */
  readonly signedHeaders: readonly string[]
  readonly timestampHeader: string | undefined
  /** How a signature looks, for people. */
  readonly form: string
  /** One signature by a shared secret. */
  readonly shape: RegExp
  text(digest: Buffer): string
  /** The key for a secret; throws VerifyError where it cannot be one. */
  keys(secret: Secret): readonly Key[]
}

export type Key = { readonly kind: 'shared'; readonly bytes: Buffer } | { readonly kind: 'public'; readonly point: Buffer }

const sha256Hex = {
  form: '`sha256=` and 64 lower-case hex digits',
  shape: /^sha256=[0-9a-f]{64}$/,
  text: (digest: Buffer) => `sha256=${digest.toString('hex')}`,
  keys: (secret: Secret): readonly Key[] => {
    if (typeof secret !== 'string') {
      throw new VerifyError('wrong_key', 'This dialect signs with a shared secret: pass it as text, not a public key.')
    }
    return [{ kind: 'shared', bytes: Buffer.from(secret) }]
  },
}

const mftplus: Scheme = {
  name: 'mftplus',
  signatureHeader: 'x-webhook-signature',
  signedHeaders: [],
  timestampHeader: undefined,
  ...sha256Hex,
}

const trueftp: Scheme = {
  name: 'trueftp',
  signatureHeader: 'x-trueftp-signature',
  signedHeaders: ['x-trueftp-timestamp'],
  timestampHeader: 'x-trueftp-timestamp',
  ...sha256Hex,
}

/** Standard Webhooks, https://www.standardwebhooks.com: `v1` is HMAC-SHA256, `v1a` Ed25519. */
const standard: Scheme = {
  name: 'standard',
  signatureHeader: 'webhook-signature',
  signedHeaders: ['webhook-id', 'webhook-timestamp'],
  timestampHeader: 'webhook-timestamp',
  form: '`v1,` and 44 characters of base64',
  shape: /^v1,[A-Za-z0-9+/]{43}=$/,
  text: (digest) => `v1,${digest.toString('base64')}`,
  keys: (secret) => {
    if (typeof secret !== 'string') return keysIn(secret).filter(isEd25519).map(publicKey)
    if (secret.startsWith('whsk_')) {
      throw new VerifyError(
        'secret_malformed',
        'whsk_… is the private key of the sender: a receiver takes its public key, whpk_….',
      )
    }
    if (secret.startsWith('whpk_')) return [publicKey({ x: secret.slice('whpk_'.length) })]
    const bytes = secret.startsWith('whsec_') ? fromBase64(secret.slice('whsec_'.length)) : undefined
    // What is no base64 counts as text, also for the server: a webhook may have kept the secret of an older dialect.
    return [{ kind: 'shared', bytes: bytes === undefined || bytes.length === 0 ? Buffer.from(secret) : bytes }]
  },
}

export const SCHEMES: Readonly<Record<Dialect, Scheme>> = { mftplus, trueftp, standard, cloudevents: standard }

/** One delivery as one scheme sees it. */
export interface Signed {
  readonly scheme: Scheme
  readonly signatures: readonly string[]
  /** What is signed before the body. */
  readonly before: string
}

/** The signed parts of the headers; undefined where one of them is absent. */
export function signedOf(scheme: Scheme, read: ReadHeader): Signed | undefined {
  const signature = read(scheme.signatureHeader)
  const values = scheme.signedHeaders.map(read)
  if (signature === undefined || values.includes(undefined)) return undefined
  // Standard Webhooks sends several signatures during a rotation, separated by spaces.
  const signatures = scheme.name === 'standard' ? signature.split(/\s+/) : [signature]
  return { scheme, signatures, before: values.map((value) => `${value}.`).join('') }
}

/** Whether one of the signatures is right for one of the keys, over exactly this body. */
export function isSigned(signed: Signed, keys: readonly Key[], body: Uint8Array): boolean {
  return keys.some((key) =>
    key.kind === 'shared'
      ? signed.signatures.some((given) => isSame(given, signed.scheme.text(digestOf(key.bytes, signed.before, body))))
      : signed.signatures.some((given) => given.startsWith('v1a,') && isSignedBy(key.point, signed.before, body, given.slice(4))),
  )
}

export function digestOf(key: Uint8Array, before: string, body: Uint8Array): Buffer {
  return createHmac('sha256', key).update(before).update(body).digest()
}

/** In a time that depends on lengths only. */
export function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function isSignedBy(point: Buffer, before: string, body: Uint8Array, signature: string): boolean {
  const bytes = fromBase64(signature)
  if (bytes?.length !== 64) return false
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: point.toString('base64url') }, format: 'jwk' })
  return verifySignature(null, Buffer.concat([Buffer.from(before), body]), key, bytes)
}

function keysIn(secret: Exclude<Secret, string>): readonly Jwk[] {
  if (!('keys' in secret)) return [secret]
  if (Array.isArray(secret.keys)) return secret.keys
  throw new VerifyError('secret_malformed', 'The JSON Web Key set has no list of keys: pass it as the server publishes it.')
}

function isEd25519(key: Jwk | null): boolean {
  return key?.kty === 'OKP' && key.crv === 'Ed25519'
}

function publicKey({ x }: Jwk): Key {
  // `whpk_` has base64, a JSON Web Key base64url: Buffer reads both.
  const point = Buffer.from(String(x), 'base64')
  if (point.length !== 32) {
    throw new VerifyError(
      'secret_malformed',
      'The public key is not 32 bytes in base64: copy it whole, with its prefix whpk_, or pass the JSON Web Key.',
    )
  }
  return { kind: 'public', point }
}

/** Only base64 exactly as it is written; undefined for the rest, over parts of which Buffer would pass in silence. */
export function fromBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}
