import { type RandomBytes, randomText } from '../base/id.ts'

const PREFIX = 'mft_enr_'
/** 165 bits, far beyond guessing, so that a plain hash protects them. */
const RANDOM_CHARS = 32
/** Of the authority's SHA-256: 128 bits, which nobody makes a second certificate for. */
const FINGERPRINT_CHARS = 32
const PATTERN = new RegExp(`^${PREFIX}[0-9a-z]{${RANDOM_CHARS}}\\.[0-9a-f]{${FINGERPRINT_CHARS}}$`)

/**
 * An enrolment token names the authority that the agent is going to pin, so that it need not trust the connection over which it gets the
 * certificate: whoever gives the token to the agent vouches for the server as well.
 */
export function newEnrolmentToken(authorityFingerprint: string, random?: RandomBytes): string {
  return `${PREFIX}${randomText(RANDOM_CHARS, random)}.${authorityFingerprint.slice(0, FINGERPRINT_CHARS)}`
}

export function isEnrolmentToken(text: string): boolean {
  return PATTERN.test(text)
}
