/** How an event is said and signed. cloudevents has an envelope of its own and the signature of standard. */
export type Dialect = 'mftplus' | 'trueftp' | 'standard' | 'cloudevents'

/** An Ed25519 public key as a JSON Web Key (RFC 8037). */
export interface Jwk {
  readonly kty?: string
  readonly crv?: string
  readonly x?: string
}

/**
 * What proves a delivery: the secret as configured, a public key (`whpk_…`), or the keys that the server publishes
 * (a JSON Web Key or a set of them).
 */
export type Secret = string | Jwk | { readonly keys: readonly Jwk[] }
