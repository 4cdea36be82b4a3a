import { DEFAULT_ACCOUNT_SLUG } from './account.ts'
import type { Passwords } from './password.ts'
import type { AccountStore } from './port.ts'
import type { User } from './user.ts'

/** Who is at the door of a file protocol. Whether a user is disabled is for the caller to see: a public key needs it too. */
export interface Authenticator {
  /** By login: `slug:name`, or `name` in the account `default`. Undefined when there is none, also for a malformed login. */
  findUser(login: string): Promise<User | undefined>
  /**
   * False for a wrong password, an absent user, one without a password and one that is disabled, all in the same time.
   * Throws `limit_reached` when too many checks wait already.
   */
  checkPassword(user: User | undefined, password: string): Promise<boolean>
}

/** Longest login that is looked up: a slug of 32, the colon, a name of 64. */
const LOGIN_CHARS_MAX = 97

export function createAuthenticator(needs: { store: Pick<AccountStore, 'findUser'>; passwords: Passwords }): Authenticator {
  return {
    async findUser(login) {
      const parts = login.length <= LOGIN_CHARS_MAX ? splitLogin(login) : undefined
      return parts === undefined ? undefined : needs.store.findUser(parts)
    },
    checkPassword(user, password) {
      const hash = user === undefined || user.disabled ? null : user.passwordHash
      return needs.passwords.verify(hash, password)
    },
  }
}

/** The parts of a login; undefined when one is missing or there are more than two. */
export function splitLogin(login: string): { accountSlug: string; name: string } | undefined {
  const parts = login.split(':')
  const [name, accountSlug] = parts.length === 1 ? [parts[0], DEFAULT_ACCOUNT_SLUG] : [parts[1], parts[0]]
  return parts.length <= 2 && name && accountSlug ? { accountSlug, name } : undefined
}
