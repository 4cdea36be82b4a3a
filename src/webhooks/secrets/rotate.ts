import { type Caller, changeEntry, mayReach } from '../../audit/caller.ts'
import type { Clock } from '../../base/clock.ts'
import { AppError, codeOf } from '../../base/error.ts'
import type { RandomBytes } from '../../base/id.ts'
import type { Seal } from '../../base/seal.ts'
import { DAY_MS, SECOND_MS } from '../../base/units.ts'
import type { DialectName } from '../../dialects/dialect.ts'
import { dialectOf } from '../../dialects/index.ts'
import { invalid, shortened } from '../invalid.ts'
import { isRotating } from '../opened-secrets.ts'
import type { WebhookStore } from '../port.ts'
import { type Webhook, webhookSecretPurpose } from '../webhook.ts'
import { checkSecret, makeSecret } from './new-secret.ts'
import { type PublicKey, publicKeysOf } from './public-key.ts'

export const OVERLAP_SECONDS_DEFAULT = DAY_MS / SECOND_MS
export const OVERLAP_SECONDS_MAX = 30 * OVERLAP_SECONDS_DEFAULT

/** The rules, for the documentation of every face. */
export const ROTATION_RULES =
  'During the overlap the dialects standard and cloudevents send the signatures of both secrets; mftplus and trueftp have room ' +
  'for one and use the secret before until the cut-over, then the new one. During an overlap only overlapSeconds 0 is taken: ' +
  'the new secret given again ends it, the secret before takes it back, any other one counts at once.'

export interface RotationInput {
  /** Absent: one is made. */
  readonly secret?: string
  /** How long the secret before still counts. */
  readonly overlapSeconds?: number
}

export interface Rotation {
  readonly webhook: Webhook
  /** Only when one was made; it is never shown again. */
  readonly madeSecret: string | null
  /** From then on only the new secret counts. */
  readonly cutOverAt: number
  /** Which signatures are sent until then, for people. */
  readonly note: string
}

/** What everybody may know about the secret of a webhook. */
export interface SecretFacts {
  /** The newest public key as Standard Webhooks writes it; null where nothing is signed with a key pair. */
  readonly publicKey: string | null
  /** While the secret before still counts. */
  readonly rotation: { readonly cutOverAt: number } | null
}

export interface SecretAdmin {
  /**
   * A new secret, while the one before goes on for the overlap. Dialects that have room for one signature use the one
   * before until then, the others send both. During an overlap only `overlapSeconds: 0` is taken (`conflict`): the new secret given
   * again ends the overlap, the one before takes the rotation back, any other one counts at once.
   */
  rotate(id: string, input: RotationInput, caller: Caller): Promise<Rotation>
  /** Public keys of the secrets that count now, newest first; `not_found` where there is none, for whatever reason. */
  publicKeys(id: string): Promise<readonly PublicKey[]>
  factsOf(webhook: Webhook): SecretFacts
}

export interface SecretAdminParts {
  readonly store: Pick<WebhookStore, 'findWebhook' | 'updateWebhook'>
  readonly seal: Seal
  readonly clock: Pick<Clock, 'now'>
  readonly random?: RandomBytes
}

/** Tries to change a webhook that others change at the same time. */
const TRIES_MAX = 5

export function createSecretAdmin({ store, seal, clock, random }: SecretAdminParts): SecretAdmin {
  async function rotate(id: string, input: RotationInput, caller: Caller): Promise<Rotation> {
    for (let tries = 1; ; tries++) {
      const webhook = await store.findWebhook(id)
      if (webhook === undefined || !mayReach(caller, webhook.accountId))
        throw new AppError('not_found', `no webhook ${shortened(id)}`)
      const rotation = rotated(webhook, input, clock.now(), { seal, random })
      const { accountId } = webhook
      const audit = changeEntry(caller, clock.now(), { accountId, action: 'webhook.rotate_secret', target: id }, random)
      try {
        await store.updateWebhook(rotation.webhook, webhook, audit)
        return rotation
      } catch (error) {
        if (codeOf(error) !== 'conflict' || tries === TRIES_MAX) throw error
      }
    }
  }

  return {
    rotate,
    async publicKeys(id) {
      const webhook = await store.findWebhook(id)
      const keys = webhook === undefined ? [] : publicKeysOf(webhook, seal, clock.now())
      if (keys.length === 0) throw new AppError('not_found', `no webhook ${shortened(id)} that signs with a key pair`)
      return keys
    },
    factsOf(webhook) {
      const rotation = isRotating(webhook, clock.now()) ? { cutOverAt: webhook.secretBeforeUntil! } : null
      return { publicKey: newestPublicKey(webhook), rotation }
    },
  }

  /** A list of webhooks must come even where the master key is the wrong one. */
  function newestPublicKey(webhook: Webhook): string | null {
    try {
      return publicKeysOf({ ...webhook, sealedSecretBefore: null }, seal, clock.now())[0]?.text ?? null
    } catch {
      return null
    }
  }
}

/** Pure but for the secret that it may make. */
function rotated(
  before: Webhook,
  { secret: given, overlapSeconds = OVERLAP_SECONDS_DEFAULT }: RotationInput,
  now: number,
  { seal, random }: { seal: Seal; random: RandomBytes | undefined },
): Rotation {
  const purpose = webhookSecretPurpose(before.id)
  if (!(overlapSeconds >= 0 && overlapSeconds <= OVERLAP_SECONDS_MAX))
    throw invalid('overlapSeconds', `overlapSeconds must be 0 to ${OVERLAP_SECONDS_MAX}, not ${overlapSeconds}`)
  if (isRotating(before, now) && overlapSeconds > 0)
    throw new AppError(
      'conflict',
      `a rotation runs until ${new Date(before.secretBeforeUntil!).toISOString()}; with overlapSeconds 0 ` +
        'the new secret given again ends it, and the secret before takes it back',
    )
  if (given !== undefined) checkSecret(before, given)
  const secret = given ?? makeSecret(before.dialect, random)
  if (overlapSeconds > 0 && before.sealedSecret !== null && seal.open(before.sealedSecret, purpose) === secret)
    throw invalid('secret', 'secret is the one that the webhook has already')

  const cutOverAt = now + Math.round(overlapSeconds * SECOND_MS)
  const keepsOld = before.sealedSecret !== null && cutOverAt > now
  const webhook: Webhook = {
    ...before,
    sealedSecret: seal.seal(secret, purpose),
    sealedSecretBefore: keepsOld ? before.sealedSecret : null,
    secretBeforeUntil: keepsOld ? cutOverAt : null,
    // The store tells by it whether a webhook has changed since it was read, also within one ms.
    updatedAt: Math.max(now, before.updatedAt + 1),
  }
  return {
    webhook,
    madeSecret: given === undefined ? secret : null,
    cutOverAt: keepsOld ? cutOverAt : now,
    note: noteOf(webhook),
  }
}

function noteOf({ dialect, options: { alsoSign = [] }, secretBeforeUntil }: Webhook): string {
  if (secretBeforeUntil === null) return 'The new secret counts at once.'
  const until = new Date(secretBeforeUntil).toISOString()
  const names = (signsWithBoth: boolean) =>
    [dialect, ...alsoSign].filter((name: DialectName) => dialectOf(name).signsWithBoth === signsWithBoth).join(', ')
  const sentences = []
  if (names(true) !== '')
    sentences.push(
      `Until ${until} deliveries carry the signatures of both secrets (${names(true)}), then only that of the new one.`,
    )
  if (names(false) !== '')
    sentences.push(
      `Until ${until} deliveries are signed with the secret before (${names(false)}), from that moment on with the new one: ` +
        'the receiver must accept both around it.',
    )
  return sentences.join(' ')
}
