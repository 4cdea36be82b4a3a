import type { PlanName } from './plan.ts'

/** A tenant. `slug` is the part before the colon of a login, unique, of `[a-z0-9-]`. */
export interface Account {
  readonly id: string
  readonly slug: string
  readonly name: string
  readonly plan: PlanName
  /** Networks (CIDR) that its webhooks may reach, in place of those of the server's setting; null: those of the setting. */
  readonly egressAllow: readonly string[] | null
  /** Bytes that its files may take together; null: as many as there is room for. */
  readonly quotaBytes: number | null
  readonly createdAt: number
  readonly updatedAt: number
}

export interface AccountUsage {
  /** Bytes and number of the files that came through Landfall and are still there. */
  readonly bytes: number
  readonly files: number
}

export const DEFAULT_ACCOUNT_SLUG = 'default'
