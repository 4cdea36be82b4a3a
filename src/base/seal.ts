import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const NONCE_BYTES = 12
const TAG_BYTES = 16
export const MASTER_KEY_BYTES = 32

/** Seals secrets for storage and opens them again (AES-256-GCM, NIST SP 800-38D). */
export interface Seal {
  /** Text form `v1.<base64url of nonce, ciphertext, tag>`. `purpose` binds it to its place: opening needs the same. */
  seal(secret: string, purpose: string): string
  /** Throws `SealError` when the text was altered, belongs to another purpose or another master key. */
  open(sealed: string, purpose: string): string
}

/** A seal with several master keys: the first one seals, any opens. While one key takes over from another there are two. */
export interface KeyRing extends Seal {
  readonly keys: readonly Uint8Array[]
  /** From now on these. */
  use(keys: readonly Uint8Array[]): void
  /** Whether the first key opens it: nothing of the others is needed for this text. */
  isOfFirst(sealed: string, purpose: string): boolean
}

/** Always the same message: why a text does not open says something about the key. */
export class SealError extends Error {
  override name = 'SealError'
  constructor() {
    super('a stored secret does not open: it was sealed under another master key, or altered')
  }
}

export function createSeal(...masterKeys: readonly Uint8Array[]): KeyRing {
  let keys = checked(masterKeys)
  return {
    get keys() {
      return keys
    },
    use(others) {
      keys = checked(others)
    },
    seal: (secret, purpose) => sealWith(keys[0]!, secret, purpose),
    open(sealed, purpose) {
      for (const key of keys) {
        const secret = openWith(key, sealed, purpose)
        if (secret !== undefined) return secret
      }
      throw new SealError()
    },
    isOfFirst: (sealed, purpose) => openWith(keys[0]!, sealed, purpose) !== undefined,
  }
}

function sealWith(key: Uint8Array, secret: string, purpose: string): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(purpose))
  const sealed = Buffer.concat([nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return `v1.${sealed.toString('base64url')}`
}

function openWith(key: Uint8Array, sealed: string, purpose: string): string | undefined {
  const bytes = Buffer.from(sealed.replace(/^v1\./, ''), 'base64url')
  if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(purpose)).setAuthTag(bytes.subarray(-TAG_BYTES))
  try {
    return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
  } catch {
    return undefined
  }
}

function checked(keys: readonly Uint8Array[]): readonly Uint8Array[] {
  if (keys.length === 0) throw new RangeError('there is no master key')
  const wrong = keys.find((key) => key.length !== MASTER_KEY_BYTES)
  if (wrong !== undefined) throw new RangeError(`master key has ${wrong.length} bytes, not ${MASTER_KEY_BYTES}`)
  return keys
}
