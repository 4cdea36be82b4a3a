import type { AuditEntry } from '../audit/entry.ts'
import { AppError } from '../base/error.ts'
import type { Page, PageRequest } from '../base/page.ts'
import type { EventDraft } from '../events/event.ts'
import type { Account } from './account.ts'
import type { AdminToken, ApiKey } from './key.ts'
import type { AccountStore } from './port.ts'
import type { User } from './user.ts'

type Hashed<Row> = Row & { hash: string }

/** An AccountStore in memory, for tests: the rules of the port, and everything it was given in reach. */
export function createAccountStoreDouble() {
  const accounts = new Map<string, Account>()
  const users = new Map<string, User>()
  const apiKeys = new Map<string, Hashed<ApiKey>>()
  const adminTokens = new Map<string, Hashed<AdminToken>>()
  const audit: AuditEntry[] = []
  const events: EventDraft[] = []
  const changes: Parameters<AccountStore['updateAccount']>[1][] = []

  const store: AccountStore = {
    async createAccount(account, entry) {
      refuseTaken([...accounts.values()].some(({ slug }) => slug === account.slug))
      accounts.set(account.id, account)
      audit.push(entry)
    },
    async updateAccount(id, asked, entry) {
      changes.push(asked)
      const { webhooksOff: _off, ...members } = asked
      const changed = { ...found(accounts, id), ...members }
      accounts.set(id, changed)
      audit.push(entry)
      return changed
    },
    findAccount: async (by) => ('id' in by ? accounts.get(by.id) : [...accounts.values()].find(({ slug }) => slug === by.slug)),
    listAccounts: async (page) => pageOf(accounts.values(), page),
    accountUsage: async () => ({ bytes: 0, files: 0 }),

    async createUser(user, { usersMax }, event, entry) {
      const others = [...users.values()].filter(({ accountId }) => accountId === user.accountId)
      refuseTaken(others.some(({ name }) => name === user.name))
      refuseFull(others.length >= usersMax)
      users.set(user.id, user)
      events.push(event)
      audit.push(entry)
    },
    async updateUser(user, entry) {
      found(users, user.id)
      users.set(user.id, user)
      audit.push(entry)
    },
    async removeUser(id, entry) {
      found(users, id)
      users.delete(id)
      audit.push(entry)
    },
    async findUser(by) {
      if ('id' in by) return users.get(by.id)
      return [...users.values()].find(({ accountSlug, name }) => accountSlug === by.accountSlug && name === by.name)
    },
    listUsers: async (accountId, page) =>
      pageOf(
        [...users.values()].filter((user) => user.accountId === accountId),
        page,
      ),

    async createApiKey(key, hash, { apiKeysMax }, entry) {
      refuseFull([...apiKeys.values()].filter(({ accountId }) => accountId === key.accountId).length >= apiKeysMax)
      apiKeys.set(key.id, { ...key, hash })
      audit.push(entry)
    },
    findApiKey: async (hash) => [...apiKeys.values()].find((key) => key.hash === hash),
    listApiKeys: async (accountId, page) =>
      pageOf([...apiKeys.values()].filter((key) => key.accountId === accountId).map(unhashed), page),
    async revokeApiKey(accountId, id, at, entry) {
      const key = found(apiKeys, id)
      if (key.accountId !== accountId) throw new AppError('not_found', 'no such key')
      apiKeys.set(id, { ...key, revokedAt: at })
      audit.push(entry)
    },

    async createAdminToken(token, hash, entry) {
      adminTokens.set(token.id, { ...token, hash })
      audit.push(entry)
    },
    async replaceAdminToken(token, hash, entry) {
      for (const { id, name } of adminTokens.values()) if (name === token.name) adminTokens.delete(id)
      adminTokens.set(token.id, { ...token, hash })
      audit.push(entry)
    },
    findAdminToken: async (hash) => [...adminTokens.values()].find((token) => token.hash === hash),
    listAdminTokens: async (page) => pageOf([...adminTokens.values()].map(unhashed), page),
    async revokeAdminToken(id, at, entry) {
      adminTokens.set(id, { ...found(adminTokens, id), revokedAt: at })
      audit.push(entry)
    },
  }
  return { store, accounts, users, apiKeys, adminTokens, audit, events, changes }
}

function found<Row>(rows: Map<string, Row>, id: string): Row {
  const row = rows.get(id)
  if (row === undefined) throw new AppError('not_found', 'no such row')
  return row
}

function refuseTaken(taken: boolean): void {
  if (taken) throw new AppError('already_exists', 'name is taken', { field: 'name' })
}

function refuseFull(full: boolean): void {
  if (full) throw new AppError('limit_reached', 'the plan holds no more')
}

function unhashed<Row>({ hash: _, ...row }: Hashed<Row>): Row {
  return row as unknown as Row
}

function pageOf<Row>(rows: Iterable<Row>, { limit, offset }: PageRequest): Page<Row> {
  const all = [...rows]
  return { rows: all.slice(offset, offset + limit), total: all.length }
}
