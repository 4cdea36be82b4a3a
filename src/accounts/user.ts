import type { Permission } from './permission.ts'

/** A transfer user. Logs in as `account-slug:name`, or `name` in the account `default`. */
export interface User {
  readonly id: string
  readonly accountId: string
  readonly accountSlug: string
  /** Unique in the account. */
  readonly name: string
  /** argon2id in PHC string form, or null: no login by password. */
  readonly passwordHash: string | null
  readonly publicKeys: readonly UserKey[]
  /** Path in the storage, `/account/user` by default; the user sees it as `/`. */
  readonly home: string
  readonly permissions: readonly Permission[]
  readonly disabled: boolean
  readonly createdAt: number
  readonly updatedAt: number
}

/** An SSH public key of a user. */
export interface UserKey {
  readonly id: string
  /** `ssh-ed25519`, `ssh-rsa`, ... */
  readonly type: string
  /** The key as in an authorized_keys line: base64 of the SSH wire form (RFC 4253 section 6.6). */
  readonly blob: string
  readonly comment: string
  /** `SHA256:` and unpadded base64, as `ssh-keygen -l` shows it. */
  readonly fingerprint: string
}
