import { AppError } from '../../base/error.ts'
import { type RandomBytes, randomText } from '../../base/id.ts'
import type { Seal } from '../../base/seal.ts'
import type { DialectName } from '../../dialects/dialect.ts'
import {
  HMAC_KEY_BYTES_MAX,
  HMAC_KEY_BYTES_MIN,
  HMAC_PREFIX,
  hmacKeyBytes,
  isPrivateKey,
  PRIVATE_KEY_PREFIX,
} from '../../dialects/key.ts'
import { SECRET_CHARACTERS_MAX, SECRET_CHARACTERS_MIN } from '../admin/input.ts'
import { invalid } from '../invalid.ts'
import { isRotating } from '../opened-secrets.ts'
import { MASKED } from '../redact.ts'
import { isSecretRequired } from '../sign.ts'
import { type Webhook, type WebhookOptions, webhookSecretPurpose } from '../webhook.ts'

export type SecretColumns = Pick<Webhook, 'sealedSecret' | 'sealedSecretBefore' | 'secretBeforeUntil'>

/** What its secret is for. */
export type SecretUse = Pick<Webhook, 'id' | 'dialect'> & { readonly options: Pick<WebhookOptions, 'alsoSign'> }

const MADE_CHARACTERS = 32
const MADE_KEY_BYTES = 32
const HMAC_DIALECTS: readonly DialectName[] = ['mftplus', 'trueftp']
/** Those that sign as Standard Webhooks says. */
const STANDARD_DIALECTS: readonly DialectName[] = ['standard', 'cloudevents']

/**
 * The secret of a webhook as it is to be stored: a given one, the one there is, or a new one where the webhook cannot do
 * without. A given one and null count at once and end a rotation; the mask of a secret stands for the stored one. Throws `invalid`
 * for one that its dialects cannot use, also for a stored one when they have changed, and for a mask where nothing is stored.
 */
export function secretAfter(
  webhook: SecretUse,
  given: string | null | undefined,
  before: (SecretUse & SecretColumns) | null,
  { seal, now, random }: { seal: Seal; now: number; random?: RandomBytes | undefined },
): SecretColumns & { readonly madeSecret: string | null } {
  const purpose = webhookSecretPurpose(webhook.id)
  const only = (secret: string | null) => {
    const sealedSecret = secret === null ? null : seal.seal(secret, purpose)
    return { sealedSecret, sealedSecretBefore: null, secretBeforeUntil: null }
  }
  const isRequired = isSecretRequired(webhook.dialect, webhook.options)
  const stored = before?.sealedSecret ?? null
  if (typeof given === 'string' && !(given === MASKED && stored !== null)) {
    checkSecret(webhook, given)
    return { ...only(given), madeSecret: null }
  }
  if (given === null && isRequired && stored !== null)
    throw invalid(
      'secret',
      `secret cannot be null: deliveries in the dialect ${signersOf(webhook).join(' with ')} are always signed`,
    )
  if (given === null && !isRequired) return { ...only(null), madeSecret: null }
  if (before !== null && stored !== null) {
    const isNewUse = signersOf(webhook).join() !== signersOf(before).join()
    if (isNewUse) checkSecret(webhook, seal.open(stored, purpose))
    // One whose time is over signs nothing any more, and is in nobody's way.
    if (!isRotating(before, now))
      return { sealedSecret: stored, sealedSecretBefore: null, secretBeforeUntil: null, madeSecret: null }
    const { sealedSecretBefore, secretBeforeUntil } = before
    if (isNewUse) checkSecretBefore(webhook, seal.open(sealedSecretBefore!, purpose), secretBeforeUntil!)
    return { sealedSecret: stored, sealedSecretBefore, secretBeforeUntil, madeSecret: null }
  }
  if (!isRequired) return { ...only(null), madeSecret: null }
  const madeSecret = makeSecret(webhook.dialect, random)
  return { ...only(madeSecret), madeSecret }
}

/** A new secret in the form of the dialect. Each is a `whsec_` secret that Standard Webhooks can use. */
export function makeSecret(dialect: DialectName, random?: RandomBytes): string {
  // The contracts show secrets of letters and digits, and some receivers read no others.
  if (HMAC_DIALECTS.includes(dialect)) return HMAC_PREFIX + randomText(MADE_CHARACTERS, random)
  const key = new Uint8Array(MADE_KEY_BYTES)
  if (random === undefined) crypto.getRandomValues(key)
  else random(key)
  return HMAC_PREFIX + Buffer.from(key).toString('base64')
}

/** Throws `invalid` for a secret that these dialects cannot use. Its length is no secret; its text never enters a message. */
export function checkSecret(use: SecretUse, secret: string): void {
  if (secret === MASKED)
    throw invalid('secret', 'secret is the mask that stands for one where it is shown; give the secret itself')
  if (secret.length < SECRET_CHARACTERS_MIN || secret.length > SECRET_CHARACTERS_MAX)
    throw invalid(
      'secret',
      `secret must have ${SECRET_CHARACTERS_MIN} to ${SECRET_CHARACTERS_MAX} characters, not ${secret.length}`,
    )
  const signers = signersOf(use)
  const others = signers.filter((name) => HMAC_DIALECTS.includes(name))
  if (isPrivateKey(secret) && others.length > 0)
    throw invalid('secret', `secret is an Ed25519 key (whsk_), which cannot sign in the dialect ${others.join(', ')}`)
  if (isPrivateKey(secret)) return
  if (use.dialect === 'standard') checkStandardSecret(secret)
  const decoders = signers.filter((name) => STANDARD_DIALECTS.includes(name))
  if (decoders.length > 0) checkPrefix(secret, decoders.join(', '))
}

/** Of a rotation that runs: it signs too, until its time is over. */
function checkSecretBefore(use: SecretUse, secret: string, until: number): void {
  try {
    checkSecret(use, secret)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const when = new Date(until).toISOString()
    throw invalid('secret', `the secret before, which counts until ${when}, does not fit: ${error.message}`)
  }
}

function checkStandardSecret(secret: string): void {
  const bounds = `${HMAC_KEY_BYTES_MIN} to ${HMAC_KEY_BYTES_MAX} bytes`
  const bytes = hmacKeyBytes(secret)
  if (bytes === undefined)
    throw invalid(
      'secret',
      'secret must be, in the dialect standard, whsec_ and the base64 of ' +
        `${bounds}, or whsk_ and that of an Ed25519 key; the one of ${secret.length} characters is neither`,
    )
  if (bytes < HMAC_KEY_BYTES_MIN || bytes > HMAC_KEY_BYTES_MAX)
    throw invalid('secret', `secret must have, in the dialect standard, ${bounds} after whsec_, not ${bytes}`)
}

/** What a secret begins with tells receivers how to read the rest, so it must be readable. Any other text is a key as it is. */
function checkPrefix(secret: string, decoders: string): void {
  if (secret.startsWith(HMAC_PREFIX) && hmacKeyBytes(secret) === undefined)
    throw invalid(
      'secret',
      `secret begins with whsec_, so receivers of the dialect ${decoders} decode the rest: it must be base64, with its padding; ` +
        `the one of ${secret.length} characters is not`,
    )
  if (secret.startsWith(PRIVATE_KEY_PREFIX))
    throw invalid(
      'secret',
      `secret begins with whsk_, but what follows is not the base64 of an Ed25519 key, with which ${decoders} could sign`,
    )
}

function signersOf({ dialect, options: { alsoSign = [] } }: SecretUse): readonly DialectName[] {
  return [dialect, ...alsoSign]
}
