/** What an agent is known by and how it is. */
export interface Agent {
  readonly id: string
  /** For people; the host's name where none was given. */
  readonly name: string
  readonly hostname: string
  readonly os: AgentOs
  readonly version: string | null
  readonly status: AgentStatus
  /** Runs inside this server. */
  readonly isBuiltin: boolean
  /** SHA-256 of its `mft_ak_` key, lower-case hex. */
  readonly keyHash: string
  /** SHA-256 of its public key (SubjectPublicKeyInfo, DER), lower-case hex: what makes an enrolment that is repeated the same one. Null: it has no certificate. */
  readonly publicKeyHash: string | null
  readonly ipAddress: string | null
  /** When it was last heard of, ms since 1970 UTC. */
  readonly lastSeenAt: number
  /** The node that holds its stream, and since when it does not; null: none has held one, or (since) one holds it now. */
  readonly streamNode: string | null
  readonly streamLostAt: number | null
  /** Transfers at the same time. */
  readonly concurrency: number
  /** Share of the processors, 0 to 1, and memory in MiB, as it said last. */
  readonly load: number | null
  readonly memory: number | null
  readonly createdAt: number
  readonly updatedAt: number
  /** It may not work any more until it is enrolled again. */
  readonly revokedAt: number | null
}

export type AgentOs = 'linux' | 'windows' | 'darwin'
/** `busy` and `error` are what an agent says of itself; `offline` is what we say of it. */
export type AgentStatus = 'online' | 'offline' | 'busy' | 'error'

/** A certificate that our own CA issued to an agent. */
export interface Certificate {
  readonly id: string
  readonly agentId: string
  /** Hex, as in the certificate. */
  readonly serial: string
  /** SHA-256 of the certificate (DER), lower-case hex. */
  readonly fingerprint: string
  readonly issuedAt: number
  readonly expiresAt: number
  readonly revokedAt: number | null
  /** Another one has taken its place: its end is nobody's concern. */
  readonly replacedAt: number | null
  readonly expiringSaidAt: number | null
  readonly expiredSaidAt: number | null
}

/** Lets agents in: given to whoever sets them up. */
export interface EnrolmentToken {
  readonly id: string
  readonly name: string
  readonly tokenHash: string
  readonly usesMax: number
  readonly uses: number
  readonly createdAt: number
  readonly expiresAt: number
  readonly revokedAt: number | null
}

/** Our own certificate authority: one of a database. */
export interface Authority {
  readonly id: string
  /** PEM. */
  readonly certificate: string
  /** PKCS #8 in PEM, sealed under the master key. */
  readonly sealedKey: string
  readonly createdAt: number
}

/** `mft_ak_` and 20 characters, as the contract shows it: 103 bits. Shown once, stored as SHA-256. */
export const AGENT_KEY_PREFIX = 'mft_ak_'
/** Transfers at the same time, for an agent that nobody has given another number. */
export const CONCURRENCY_DEFAULT = 4
export const CONCURRENCY_MAX = 64
