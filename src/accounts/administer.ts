import { type Caller, changeEntry, mayReach, SERVER_CALLER } from '../audit/caller.ts'
import type { Clock } from '../base/clock.ts'
import { AppError, codeOf } from '../base/error.ts'
import { newId, type RandomBytes } from '../base/id.ts'
import type { Page, PageRequest } from '../base/page.ts'
import type { Data } from '../events/payloads.ts'
import type { Recorder } from '../events/record.ts'
import { type Account, type AccountUsage, DEFAULT_ACCOUNT_SLUG } from './account.ts'
import {
  checkHome,
  checkLabel,
  checkPassword,
  checkPermissions,
  checkPlan,
  checkPublicKeys,
  checkQuota,
  checkSlug,
  checkUserName,
} from './check.ts'
import { type ApiKeyInput, createIssuer, type Issuer } from './issue.ts'
import type { AdminToken, ApiKey } from './key.ts'
import type { Passwords } from './password.ts'
import { PERMISSIONS } from './permission.ts'
import { PLAN_DEFAULT, PLANS, type PlanName } from './plan.ts'
import type { AccountStore } from './port.ts'
import type { User, UserKey } from './user.ts'

/**
 * Makes and changes accounts, users, keys and tokens. Whatever the caller may not see throws `not_found`; a value out of
 * its bounds throws `invalid`, with field, bound and value. Every change is one unit of work with its audit entry.
 */
export interface AccountAdmin extends Pick<Issuer, 'findApiKey' | 'findAdminToken' | 'ensureAdminToken' | 'renewLocalToken'> {
  createAccount(caller: Caller, input: AccountInput): Promise<Account>
  updateAccount(caller: Caller, account: string, changes: Partial<Omit<AccountInput, 'slug'>>): Promise<Account>
  /** `account` is an id or a slug, here and below. */
  getAccount(caller: Caller, account: string): Promise<Account>
  listAccounts(caller: Caller, page: PageRequest): Promise<Page<Account>>
  accountUsage(caller: Caller, account: string): Promise<AccountUsage>
  /** The account that is there from the first start; made if it is missing. */
  ensureDefaultAccount(): Promise<Account>

  createUser(caller: Caller, account: string, input: UserInput): Promise<User>
  /** What is absent stays as it is. Live sessions of the user end. */
  updateUser(caller: Caller, account: string, id: string, changes: Partial<UserInput>): Promise<User>
  /** Live sessions of the user end; its files stay. */
  removeUser(caller: Caller, account: string, id: string): Promise<void>
  getUser(caller: Caller, account: string, id: string): Promise<User>
  listUsers(caller: Caller, account: string, page: PageRequest): Promise<Page<User>>

  /** The token is in no other answer. */
  createApiKey(caller: Caller, account: string, input: ApiKeyInput): Promise<{ key: ApiKey; token: string }>
  listApiKeys(caller: Caller, account: string, page: PageRequest): Promise<Page<ApiKey>>
  revokeApiKey(caller: Caller, account: string, id: string): Promise<void>
  createAdminToken(caller: Caller, input: { name?: string }): Promise<{ adminToken: AdminToken; token: string }>
  listAdminTokens(caller: Caller, page: PageRequest): Promise<Page<AdminToken>>
  revokeAdminToken(caller: Caller, id: string): Promise<void>
}

export interface AccountInput {
  slug: string
  /** Defaults to the slug. */
  name?: string
  plan?: string
  /** Networks (CIDR) that its webhooks may reach in place of those of the server; null: those of the server. */
  egressAllow?: readonly string[] | null
  /** Bytes that its files may take together; null: no bound. */
  quotaBytes?: number | null
}

/** A user needs a password or a public key. */
export interface UserInput {
  name: string
  /** Null: no login by password. */
  password?: string | null
  /** Lines like `ssh-ed25519 AAAA… comment`; on update they replace all that were. */
  publicKeys?: readonly string[]
  /** Defaults to `/<account>/<user>`. Callers of an account stay in `/<account>`. */
  home?: string
  /** Defaults to all. */
  permissions?: readonly string[]
  disabled?: boolean
}

export interface AccountAdminNeeds {
  store: AccountStore
  recorder: Recorder
  clock: Clock
  passwords: Passwords
  /** Throws `invalid` for what is no network, or none that an account may be given. */
  checkEgressAllow(networks: readonly string[]): readonly string[]
  /** Ends the live sessions of a user that was changed or removed. */
  onUserChanged(userId: string): void
  random?: RandomBytes
}

export function createAccountAdmin(needs: AccountAdminNeeds): AccountAdmin {
  const { store, recorder, clock, passwords, checkEgressAllow, onUserChanged, random } = needs
  const issuer = createIssuer({ store, clock, random })
  const inOrder = createOrder()

  async function findAccount(caller: Caller, account: string): Promise<Account> {
    // An id has an underscore, a slug never.
    const found = await store.findAccount(account.includes('_') ? { id: account } : { slug: account })
    if (found === undefined || !mayReach(caller, found.id)) throw new AppError('not_found', 'no such account')
    return found
  }

  async function findUser(caller: Caller, account: string, id: string): Promise<User> {
    const { id: accountId } = await findAccount(caller, account)
    const found = await store.findUser({ id })
    if (found?.accountId !== accountId) throw new AppError('not_found', 'no such user')
    return found
  }

  function record(caller: Caller, change: Parameters<typeof changeEntry>[2]) {
    return changeEntry(caller, clock.now(), change, random)
  }

  /** Keys that the user has already keep their ids. */
  function identify(keys: readonly Omit<UserKey, 'id'>[], known: readonly UserKey[]): UserKey[] {
    return keys.map((key) => ({
      id: known.find(({ blob }) => blob === key.blob)?.id ?? newId('userKey', clock.now(), random),
      ...key,
    }))
  }

  async function hashOf(password: string | null): Promise<string | null> {
    return password === null ? null : passwords.hash(checkPassword(password))
  }

  function checkedEgress(networks: readonly string[] | null) {
    return networks === null ? null : checkEgressAllow(networks)
  }

  async function createAccount(caller: Caller, input: AccountInput): Promise<Account> {
    if (caller.accountId !== null) throw new AppError('forbidden', 'only an administrator makes accounts')
    const now = clock.now()
    const account: Account = {
      id: newId('account', now, random),
      slug: checkSlug(input.slug),
      name: checkLabel(input.name ?? input.slug),
      plan: checkPlan(input.plan ?? PLAN_DEFAULT),
      egressAllow: checkedEgress(input.egressAllow ?? null),
      quotaBytes: checkQuota(input.quotaBytes ?? null),
      createdAt: now,
      updatedAt: now,
    }
    await store.createAccount(account, record(caller, { accountId: account.id, action: 'account.create', target: account.id }))
    return account
  }

  return {
    ...issuer,
    createAccount,
    async updateAccount(caller, reference, changes) {
      if (caller.accountId !== null) throw new AppError('forbidden', 'only an administrator changes accounts')
      const { id } = await findAccount(caller, reference)
      const checked = {
        ...(changes.name === undefined ? {} : { name: checkLabel(changes.name) }),
        ...(changes.plan === undefined ? {} : planned(checkPlan(changes.plan))),
        ...(changes.egressAllow === undefined ? {} : { egressAllow: checkedEgress(changes.egressAllow) }),
        ...(changes.quotaBytes === undefined ? {} : { quotaBytes: checkQuota(changes.quotaBytes) }),
        updatedAt: clock.now(),
      }
      const detail = Object.keys(changes).join(', ')
      const entry = record(caller, { accountId: id, action: 'account.update', target: id, detail })
      return store.updateAccount(id, checked, entry)
    },
    getAccount: findAccount,
    async listAccounts(caller, page) {
      if (caller.accountId === null) return store.listAccounts(page)
      return { rows: page.offset === 0 ? [await findAccount(caller, caller.accountId)] : [], total: 1 }
    },
    async accountUsage(caller, reference) {
      return store.accountUsage((await findAccount(caller, reference)).id)
    },
    async ensureDefaultAccount() {
      const found = await store.findAccount({ slug: DEFAULT_ACCOUNT_SLUG })
      if (found !== undefined) return found
      try {
        return await createAccount(SERVER_CALLER, { slug: DEFAULT_ACCOUNT_SLUG })
      } catch (error) {
        // Another node that starts at the same time was first.
        if (codeOf(error) !== 'already_exists') throw error
        return findAccount(SERVER_CALLER, DEFAULT_ACCOUNT_SLUG)
      }
    },

    async createUser(caller, reference, input) {
      const account = await findAccount(caller, reference)
      const name = checkUserName(input.name)
      const now = clock.now()
      const user: User = {
        id: newId('user', now, random),
        accountId: account.id,
        accountSlug: account.slug,
        name,
        publicKeys: identify(checkPublicKeys(input.publicKeys ?? []), []),
        home: checkHome(input.home ?? `/${account.slug}/${name}`, homeBound(caller, account.slug)),
        permissions: checkPermissions(input.permissions ?? PERMISSIONS),
        disabled: input.disabled ?? false,
        // Last of all: the only check that costs something.
        passwordHash: await hashOf(input.password ?? null),
        createdAt: now,
        updatedAt: now,
      }
      checkCredentials(user)
      const event = recorder.draft('ftp_user.created', account.id, userCreated(user, caller))
      const entry = record(caller, { accountId: account.id, action: 'user.create', target: user.id, detail: user.name })
      await store.createUser(user, PLANS[account.plan], event, entry)
      return user
    },
    updateUser(caller, reference, id, changes) {
      return inOrder(async () => {
        const user = await findUser(caller, reference, id)
        const { name, publicKeys, home, permissions, disabled, password } = changes
        const changed: User = {
          ...user,
          ...(name === undefined ? {} : { name: checkUserName(name) }),
          ...(publicKeys === undefined ? {} : { publicKeys: identify(checkPublicKeys(publicKeys), user.publicKeys) }),
          ...(home === undefined ? {} : { home: checkHome(home, homeBound(caller, user.accountSlug)) }),
          ...(permissions === undefined ? {} : { permissions: checkPermissions(permissions) }),
          ...(disabled === undefined ? {} : { disabled }),
          ...(password === undefined ? {} : { passwordHash: await hashOf(password) }),
          updatedAt: clock.now(),
        }
        checkCredentials(changed)
        const detail = Object.keys(changes).join(', ')
        await store.updateUser(changed, record(caller, { accountId: user.accountId, action: 'user.update', target: id, detail }))
        onUserChanged(id)
        return changed
      })
    },
    removeUser(caller, reference, id) {
      return inOrder(async () => {
        const user = await findUser(caller, reference, id)
        await store.removeUser(
          id,
          record(caller, { accountId: user.accountId, action: 'user.remove', target: id, detail: user.name }),
        )
        onUserChanged(id)
      })
    },
    getUser: findUser,
    async listUsers(caller, reference, page) {
      return store.listUsers((await findAccount(caller, reference)).id, page)
    },

    createApiKey: async (caller, reference, input) => issuer.createApiKey(caller, await findAccount(caller, reference), input),
    listApiKeys: async (caller, reference, page) => issuer.listApiKeys(caller, await findAccount(caller, reference), page),
    revokeApiKey: async (caller, reference, id) => issuer.revokeApiKey(caller, await findAccount(caller, reference), id),
  }
}

/** A caller of an account must not reach into the folders of another; an administrator may share folders. */
function homeBound(caller: Caller, accountSlug: string): string | null {
  return caller.accountId === null ? null : `/${accountSlug}`
}

/** An account without webhooks in its plan must have none that sends: nobody could turn it on again. */
function planned(plan: PlanName): { plan: PlanName; webhooksOff?: string } {
  return PLANS[plan].webhooks
    ? { plan }
    : { plan, webhooksOff: `the plan of the account does not include webhooks; it is ${plan}` }
}

function checkCredentials(user: User): void {
  if (user.passwordHash !== null || user.publicKeys.length > 0) return
  throw new AppError('invalid', 'password is missing; a user needs a password or at least one public key', { field: 'password' })
}

function userCreated(user: User, caller: Caller): Data<'ftp_user.created'> {
  const address = caller.address === null ? {} : { client_ip: caller.address }
  return { username: user.name, user_id: user.id, home_directory: user.home, permissions: [...user.permissions], ...address }
}

/**
 * One change of users after the other on this node: a change is read, altered and written as a whole, and two at the
 * same time must not lose one another's members.
 */
function createOrder() {
  let last: Promise<unknown> = Promise.resolve()
  return <Result>(work: () => Promise<Result>): Promise<Result> => {
    const turn = last.then(work, work)
    last = turn.catch(() => {})
    return turn
  }
}
