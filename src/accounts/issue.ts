import { type Caller, changeEntry, mayReach, SERVER_CALLER } from '../audit/caller.ts'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { newId, type RandomBytes } from '../base/id.ts'
import type { Page, PageRequest } from '../base/page.ts'
import type { Account } from './account.ts'
import { ADMIN_TOKEN_CHARS_MAX, checkAdminToken, checkHourlyLimit, checkLabel, checkScopes } from './check.ts'
import { type AdminToken, type ApiKey, HOURLY_LIMIT_DEFAULT } from './key.ts'
import { PLANS } from './plan.ts'
import type { AccountStore } from './port.ts'
import { hashToken, newAdminToken, newApiKeyToken } from './token.ts'

export interface ApiKeyInput {
  /** Defaults to the id. */
  name?: string
  scopes: readonly string[]
  hourlyLimit?: number
}

/** Hands out account keys and administrator tokens, and knows them again. Secrets are shown once and stored as hashes. */
export interface Issuer {
  createApiKey(caller: Caller, account: Account, input: ApiKeyInput): Promise<{ key: ApiKey; token: string }>
  listApiKeys(caller: Caller, account: Account, page: PageRequest): Promise<Page<ApiKey>>
  revokeApiKey(caller: Caller, account: Account, id: string): Promise<void>
  /** The key of this token, unless it is unknown or revoked. */
  findApiKey(token: string): Promise<ApiKey | undefined>

  createAdminToken(caller: Caller, input: { name?: string }): Promise<{ adminToken: AdminToken; token: string }>
  listAdminTokens(caller: Caller, page: PageRequest): Promise<Page<AdminToken>>
  revokeAdminToken(caller: Caller, id: string): Promise<void>
  /** The administrator of this token, unless it is unknown or revoked. */
  findAdminToken(token: string): Promise<AdminToken | undefined>

  /**
   * At start. A given token becomes the only one of the first administrator; without one, a token is made if no
   * administrator has any, and returned to be shown once. A start that dies before it was shown leaves it to the next.
   */
  ensureAdminToken(given: string, unshown: UnshownToken): Promise<string | undefined>
  /** At start: a new token for the command line on this machine; the one before it is worth nothing from then on. */
  renewLocalToken(): Promise<string>
}

/** Where a token is kept from before it counts until it has been shown: only its hash is stored. */
export interface UnshownToken {
  read(): Promise<string | undefined>
  /** There for good when it returns. */
  keep(token: string): Promise<void>
}

/** Names that the server itself gives its tokens. */
const FIRST_ADMIN = 'first-admin'
export const LOCAL_ADMIN = 'local'
/** Tokens looked through for one that still works. */
const TOKENS_SEEN_MAX = 1_000

export function createIssuer(needs: { store: AccountStore; clock: Clock; random?: RandomBytes | undefined }): Issuer {
  const { store, clock, random } = needs

  function record(caller: Caller, change: Parameters<typeof changeEntry>[2]) {
    return changeEntry(caller, clock.now(), change, random)
  }

  function adminToken(name?: string): AdminToken {
    const now = clock.now()
    const id = newId('adminToken', now, random)
    return { id, name: name ?? id, createdAt: now, revokedAt: null }
  }

  async function replaceServerToken(name: string, token: string): Promise<void> {
    const made = adminToken(name)
    const entry = record(SERVER_CALLER, { accountId: null, action: 'token.create', target: made.id, detail: name })
    await store.replaceAdminToken(made, hashToken(token), entry)
  }

  async function findAdminToken(token: string): Promise<AdminToken | undefined> {
    if (token.length > ADMIN_TOKEN_CHARS_MAX) return undefined
    const found = await store.findAdminToken(hashToken(token))
    return found?.revokedAt === null ? found : undefined
  }

  return {
    async createApiKey(caller, account, input) {
      reach(caller, account.id)
      const now = clock.now()
      const id = newId('apiKey', now, random)
      const key: ApiKey = {
        id,
        accountId: account.id,
        name: checkLabel(input.name ?? id),
        scopes: checkScopes(input.scopes),
        hourlyLimit: checkHourlyLimit(input.hourlyLimit ?? HOURLY_LIMIT_DEFAULT),
        createdAt: now,
        revokedAt: null,
      }
      const token = newApiKeyToken(random)
      const entry = record(caller, { accountId: account.id, action: 'key.create', target: key.id, detail: key.name })
      await store.createApiKey(key, hashToken(token), PLANS[account.plan], entry)
      return { key, token }
    },
    async listApiKeys(caller, account, page) {
      reach(caller, account.id)
      return store.listApiKeys(account.id, page)
    },
    async revokeApiKey(caller, account, id) {
      reach(caller, account.id)
      const entry = record(caller, { accountId: account.id, action: 'key.revoke', target: id })
      await store.revokeApiKey(account.id, id, clock.now(), entry)
    },
    async findApiKey(token) {
      if (token.length > ADMIN_TOKEN_CHARS_MAX) return undefined
      const key = await store.findApiKey(hashToken(token))
      return key?.revokedAt === null ? key : undefined
    },

    async createAdminToken(caller, { name }) {
      reach(caller, null)
      if (name === FIRST_ADMIN || name === LOCAL_ADMIN) {
        throw new AppError('invalid', `name is "${name}", which the server keeps for itself`, { field: 'name' })
      }
      const made = adminToken(name === undefined ? undefined : checkLabel(name))
      const token = newAdminToken(random)
      const entry = record(caller, { accountId: null, action: 'token.create', target: made.id, detail: made.name })
      await store.createAdminToken(made, hashToken(token), entry)
      return { adminToken: made, token }
    },
    async listAdminTokens(caller, page) {
      reach(caller, null)
      return store.listAdminTokens(page)
    },
    async revokeAdminToken(caller, id) {
      reach(caller, null)
      await store.revokeAdminToken(id, clock.now(), record(caller, { accountId: null, action: 'token.revoke', target: id }))
    },
    findAdminToken,

    async ensureAdminToken(given, unshown) {
      if (given !== '') {
        const known = await findAdminToken(checkAdminToken(given))
        if (known === undefined) await replaceServerToken(FIRST_ADMIN, given)
        return undefined
      }
      const kept = await unshown.read()
      if (kept !== undefined && (await findAdminToken(kept)) !== undefined) return kept
      const { rows } = await store.listAdminTokens({ limit: TOKENS_SEEN_MAX, offset: 0 })
      if (rows.some(({ name, revokedAt }) => revokedAt === null && name !== LOCAL_ADMIN)) return undefined
      const token = newAdminToken(random)
      await unshown.keep(token)
      await replaceServerToken(FIRST_ADMIN, token)
      return token
    },
    async renewLocalToken() {
      const token = newAdminToken(random)
      await replaceServerToken(LOCAL_ADMIN, token)
      return token
    },
  }
}

/** To a caller who may not see the account, it does not exist. */
function reach(caller: Caller, accountId: string | null): void {
  if (!mayReach(caller, accountId)) throw new AppError('not_found', 'no such account')
}
