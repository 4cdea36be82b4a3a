import type { Scope } from './permission.ts'

/** An account's key for the TrueFTP face: `tftp_` and 32 characters, shown once, stored as SHA-256. */
export interface ApiKey {
  readonly id: string
  readonly accountId: string
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly hourlyLimit: number
  readonly createdAt: number
  readonly revokedAt: number | null
}

/** A bearer token of an administrator, stored as SHA-256. */
export interface AdminToken {
  readonly id: string
  readonly name: string
  readonly createdAt: number
  readonly revokedAt: number | null
}

export const API_KEY_PREFIX = 'tftp_'
export const ADMIN_TOKEN_PREFIX = 'lfadm_'

/** Requests per hour and key unless another limit is set (TrueFTP REST reference). */
export const HOURLY_LIMIT_DEFAULT = 1_000
