import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const NONCE_BYTES = 12
const TAG_BYTES = 16
export const MASTER_KEY_BYTES = 32

/** Seals secrets for storage and opens them again (AES-256-GCM, NIST SP 800-38D). */
export interface Seal {
  /** Text form `v1.<base64url of nonce, ciphertext, tag>`. `purpose` binds it to its place: opening needs the same. */
  seal(secret: string, purpose: string): string
  /** Throws when the text was altered, belongs to another purpose or another master key. */
  open(sealed: string, purpose: string): string
}

export function createSeal(masterKey: Uint8Array): Seal {
  if (masterKey.length !== MASTER_KEY_BYTES)
    throw new RangeError(`master key has ${masterKey.length} bytes, not ${MASTER_KEY_BYTES}`)
  return {
    seal(secret, purpose) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', masterKey, nonce).setAAD(Buffer.from(purpose))
      const sealed = Buffer.concat([nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return `v1.${sealed.toString('base64url')}`
    },
    open(sealed, purpose) {
      const bytes = Buffer.from(sealed.replace(/^v1\./, ''), 'base64url')
      const decipher = createDecipheriv('aes-256-gcm', masterKey, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
      decipher.setAAD(Buffer.from(purpose)).setAuthTag(bytes.subarray(-TAG_BYTES))
      return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
    },
  }
}
