import { createHash } from 'node:crypto'
import type { Seal } from '../../base/seal.ts'
import { publicKeyOf, publicKeyText } from '../../dialects/key.ts'
import { openSecrets } from '../opened-secrets.ts'
import type { Webhook } from '../webhook.ts'

/** A public key by which receivers verify `v1a` signatures, as a JSON Web Key (RFC 8037) and as text. */
export interface PublicKey {
  readonly jwk: {
    readonly kty: 'OKP'
    readonly crv: 'Ed25519'
    readonly x: string
    /** Its thumbprint (RFC 7638): always the same for the same key. */
    readonly kid: string
    readonly use: 'sig'
    readonly alg: 'EdDSA'
  }
  /** `whpk_` and its base64. */
  readonly text: string
}

/** Of the secrets that count now, newest first; none for shared secrets, which have no public half. */
export function publicKeysOf(
  webhook: Pick<Webhook, 'id' | 'sealedSecret' | 'sealedSecretBefore' | 'secretBeforeUntil'>,
  seal: Pick<Seal, 'open'>,
  now: number,
): PublicKey[] {
  const { secret, secretBefore } = openSecrets({ ...webhook, sealedOptions: null }, seal, now)
  return [secret, secretBefore].flatMap((one) => {
    const key = one === null ? undefined : publicKeyOf(one)
    return key === undefined ? [] : [asPublicKey(key)]
  })
}

function asPublicKey(key: Buffer): PublicKey {
  const x = key.toString('base64url')
  // RFC 7638 section 3: the required members, by name in order, without spaces.
  const kid = createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url')
  return { jwk: { kty: 'OKP', crv: 'Ed25519', x, kid, use: 'sig', alg: 'EdDSA' }, text: publicKeyText(key) }
}
