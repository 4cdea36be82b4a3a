import { createHmac, timingSafeEqual } from 'node:crypto'

export type SignedDialect = 'mftplus' | 'trueftp'

/** Why a delivery is not to be trusted; `undefined` from `verify` means that it is genuine. */
export type VerifyProblem = 'signature_missing' | 'signature_mismatch' | 'timestamp_missing' | 'timestamp_off'

/**
 * Checks the signature of a delivery over its raw body, before any parsing. mftplus signs the body alone; trueftp signs
 * `timestamp.body`, and its timestamp may be at most `toleranceSeconds` from `now`.
 */
export function verify(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  rawBody: Uint8Array,
  secret: string,
  options: { dialect: SignedDialect; toleranceSeconds?: number; now?: number },
): VerifyProblem | undefined {
  const { dialect, toleranceSeconds = 300, now = Date.now() } = options
  const names =
    dialect === 'mftplus'
      ? { signature: 'x-webhook-signature', timestamp: undefined }
      : { signature: 'x-trueftp-signature', timestamp: 'x-trueftp-timestamp' }
  const given = headers[names.signature]
  if (typeof given !== 'string') return 'signature_missing'
  const mac = createHmac('sha256', secret)
  if (names.timestamp !== undefined) {
    const timestamp = headers[names.timestamp]
    if (typeof timestamp !== 'string' || !/^\d+$/.test(timestamp)) return 'timestamp_missing'
    if (Math.abs(now / 1000 - Number(timestamp)) > toleranceSeconds) return 'timestamp_off'
    mac.update(`${timestamp}.`)
  }
  const expected = Buffer.from(`sha256=${mac.update(rawBody).digest('hex')}`)
  const actual = Buffer.from(given)
  return actual.length === expected.length && timingSafeEqual(actual, expected) ? undefined : 'signature_mismatch'
}
