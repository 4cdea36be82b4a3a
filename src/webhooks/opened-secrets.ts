import type { Seal } from '../base/seal.ts'
import { type SecretOptions, type Webhook, webhookOptionsPurpose, webhookSecretPurpose } from './webhook.ts'

/** What a webhook keeps sealed, opened for an attempt. */
export interface Secrets {
  /** Null: deliveries are not signed. */
  readonly secret: string | null
  /** The one before, while it still counts; null outside a rotation. */
  readonly secretBefore: string | null
  /** Null: its options hold nothing secret. */
  readonly options: SecretOptions | null
}

/** The members of a webhook that hold something sealed. */
type Sealed = Pick<Webhook, 'id' | 'sealedSecret' | 'sealedSecretBefore' | 'secretBeforeUntil' | 'sealedOptions'>

/** Throws what `seal.open` throws: such a webhook cannot be delivered to until its master key is back. */
export function openSecrets(webhook: Sealed, seal: Pick<Seal, 'open'>, now: number): Secrets {
  const { id, sealedSecret, sealedOptions } = webhook
  const before = sealedBeforeOf(webhook, now)
  return {
    secret: sealedSecret === null ? null : seal.open(sealedSecret, webhookSecretPurpose(id)),
    secretBefore: before === null ? null : seal.open(before, webhookSecretPurpose(id)),
    options: sealedOptions === null ? null : JSON.parse(seal.open(sealedOptions, webhookOptionsPurpose(id))),
  }
}

/** Opens again only when a sealed text has changed or the secret before has come to its end. */
export class OpenedSecrets {
  #sealed: readonly (string | null)[] = []
  #secrets: Secrets | undefined

  of(webhook: Sealed, seal: Pick<Seal, 'open'>, now: number): Secrets {
    const sealed = [webhook.sealedSecret, sealedBeforeOf(webhook, now), webhook.sealedOptions]
    if (this.#secrets === undefined || sealed.some((text, index) => text !== this.#sealed[index])) {
      this.#secrets = openSecrets(webhook, seal, now)
      this.#sealed = sealed
    }
    return this.#secrets
  }
}

/** Whether a secret before still counts. */
export function isRotating(
  { sealedSecretBefore, secretBeforeUntil }: Pick<Sealed, 'sealedSecretBefore' | 'secretBeforeUntil'>,
  now: number,
): boolean {
  return sealedSecretBefore !== null && secretBeforeUntil !== null && now < secretBeforeUntil
}

function sealedBeforeOf(webhook: Sealed, now: number): string | null {
  return isRotating(webhook, now) ? webhook.sealedSecretBefore : null
}
