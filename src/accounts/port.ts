import type { AuditEntry } from '../audit/entry.ts'
import type { Page, PageRequest } from '../base/page.ts'
import type { EventDraft } from '../events/event.ts'
import type { Account, AccountUsage } from './account.ts'
import type { AdminToken, ApiKey } from './key.ts'
import type { User } from './user.ts'

/**
 * What accounts need of the store. Every write is one transaction with its audit entry. A name that is taken throws
 * `already_exists`, a missing row on update or removal `not_found`, a full limit `limit_reached`.
 */
export interface AccountStore {
  createAccount(account: Account, audit: AuditEntry): Promise<void>
  /** `webhooksOff` turns its active webhooks inactive for this reason; `egressAllow` holds for all of them from their next attempt on. */
  updateAccount(
    id: string,
    changes: Partial<Pick<Account, 'name' | 'plan' | 'egressAllow' | 'quotaBytes'>> & { webhooksOff?: string; updatedAt: number },
    audit: AuditEntry,
  ): Promise<Account>
  findAccount(by: { id: string } | { slug: string }): Promise<Account | undefined>
  listAccounts(page: PageRequest): Promise<Page<Account>>
  accountUsage(accountId: string): Promise<AccountUsage>

  /** Records `ftp_user.created` in the same transaction. `usersMax` is checked inside it. */
  createUser(user: User, limits: { usersMax: number }, event: EventDraft, audit: AuditEntry): Promise<void>
  /** Replaces all members but id, account and creation time; public keys as a whole. */
  updateUser(user: User, audit: AuditEntry): Promise<void>
  removeUser(id: string, audit: AuditEntry): Promise<void>
  findUser(by: { id: string } | { accountSlug: string; name: string }): Promise<User | undefined>
  listUsers(accountId: string, page: PageRequest): Promise<Page<User>>

  createApiKey(key: ApiKey, tokenHash: string, limits: { apiKeysMax: number }, audit: AuditEntry): Promise<void>
  /** A revoked key is found too: the caller says so. */
  findApiKey(tokenHash: string): Promise<ApiKey | undefined>
  listApiKeys(accountId: string, page: PageRequest): Promise<Page<ApiKey>>
  revokeApiKey(accountId: string, id: string, at: number, audit: AuditEntry): Promise<void>

  createAdminToken(token: AdminToken, tokenHash: string, audit: AuditEntry): Promise<void>
  /** Makes this the only token of its name: a given `LANDFALL_ADMIN_TOKEN` replaces the stored one. */
  replaceAdminToken(token: AdminToken, tokenHash: string, audit: AuditEntry): Promise<void>
  findAdminToken(tokenHash: string): Promise<AdminToken | undefined>
  listAdminTokens(page: PageRequest): Promise<Page<AdminToken>>
  revokeAdminToken(id: string, at: number, audit: AuditEntry): Promise<void>
}
