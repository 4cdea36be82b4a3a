import { createHash } from 'node:crypto'
import { type RandomBytes, randomText } from '../base/id.ts'
import { ADMIN_TOKEN_PREFIX, API_KEY_PREFIX } from './key.ts'

/** Characters after the prefix: 165 bits, far beyond guessing, so that a plain hash protects them. */
const TOKEN_RANDOM_CHARS = 32

export function newApiKeyToken(random?: RandomBytes): string {
  return API_KEY_PREFIX + randomText(TOKEN_RANDOM_CHARS, random)
}

export function newAdminToken(random?: RandomBytes): string {
  return ADMIN_TOKEN_PREFIX + randomText(TOKEN_RANDOM_CHARS, random)
}

/** SHA-256, hexadecimal: what is stored and looked up. Looking up a hash tells nothing of the token by its time. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
