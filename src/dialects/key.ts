import { createHmac, createPrivateKey, createPublicKey, sign } from 'node:crypto'

/** How Standard Webhooks writes secrets: base64 after a prefix that names the scheme. */
export const HMAC_PREFIX = 'whsec_'
export const PRIVATE_KEY_PREFIX = 'whsk_'
const PUBLIC_KEY_PREFIX = 'whpk_'
/** Bounds of the specification for a symmetric secret, bytes. */
export const HMAC_KEY_BYTES_MIN = 24
export const HMAC_KEY_BYTES_MAX = 64

const SEED_BYTES = 32
const PUBLIC_KEY_BYTES = 32
/** DER of an Ed25519 private key in PKCS #8 up to its 32 bytes (RFC 8410 section 7). */
const PKCS8_START = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * One signature as Standard Webhooks writes it: `v1a,` with Ed25519 for a `whsk_` key, else `v1,` with HMAC-SHA256. The
 * HMAC key is what follows `whsec_`, decoded; of any other text, such as the secret of an older dialect, its UTF-8.
 */
export function standardSignature(secret: string, content: Uint8Array): string {
  const seed = seedOf(secret)
  if (seed !== undefined) return `v1a,${sign(null, content, privateKeyOf(seed)).toString('base64')}`
  return `v1,${createHmac('sha256', hmacKeyOf(secret)).update(content).digest('base64')}`
}

/** Bytes of the key in a `whsec_` secret; undefined where it is none, or its base64 is not well formed. */
export function hmacKeyBytes(secret: string): number | undefined {
  return decoded(secret, HMAC_PREFIX)?.length
}

/** Whether it is an Ed25519 private key: base64 of its 32 bytes, or of those and of the 32 of its public key. */
export function isPrivateKey(secret: string): boolean {
  return seedOf(secret) !== undefined
}

/** The 32 bytes of the public key of a `whsk_` secret; undefined for any other secret. */
export function publicKeyOf(secret: string): Buffer | undefined {
  const seed = seedOf(secret)
  return seed === undefined ? undefined : publicBytesOf(seed)
}

/** The public key as Standard Webhooks writes it. */
export function publicKeyText(publicKey: Buffer): string {
  return PUBLIC_KEY_PREFIX + publicKey.toString('base64')
}

/** What only begins with `whsec_` is refused where a secret is given; a stored one signs as its receiver knows it, by its text. */
function hmacKeyOf(secret: string): Buffer {
  const key = decoded(secret, HMAC_PREFIX)
  return key === undefined || key.length === 0 ? Buffer.from(secret) : key
}

/** The specification does not say which of the two usual forms of a private key it means, so both are read. */
function seedOf(secret: string): Buffer | undefined {
  const bytes = decoded(secret, PRIVATE_KEY_PREFIX)
  if (bytes?.length === SEED_BYTES) return bytes
  if (bytes?.length !== SEED_BYTES + PUBLIC_KEY_BYTES) return undefined
  const seed = bytes.subarray(0, SEED_BYTES)
  return publicBytesOf(seed).equals(bytes.subarray(SEED_BYTES)) ? seed : undefined
}

function privateKeyOf(seed: Buffer) {
  return createPrivateKey({ key: Buffer.concat([PKCS8_START, seed]), format: 'der', type: 'pkcs8' })
}

function publicBytesOf(seed: Buffer): Buffer {
  // The key is the end of its DER form (RFC 8410 section 4).
  return createPublicKey(privateKeyOf(seed)).export({ format: 'der', type: 'spki' }).subarray(-PUBLIC_KEY_BYTES)
}

/** Only base64 that is exactly as it would be written: other decoders refuse the rest, or read it differently. */
function decoded(secret: string, prefix: string): Buffer | undefined {
  if (!secret.startsWith(prefix)) return undefined
  const text = secret.slice(prefix.length)
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}
