import type { AccountStore } from '../accounts/port.ts'
import type { User } from '../accounts/user.ts'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import type { Running } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import { Rounds } from '../base/rounds.ts'
import { SECOND_MS } from '../base/units.ts'
import type { SshServer } from '../protocols/ssh/server.ts'

/** Time between two looks at the users of live sessions, ms: how long a change made on another node may go unseen. */
const LOOK_EVERY_MS = 5 * SECOND_MS

/**
 * The user of a session about to open, read once more: a change that came between login and session is seen here, and one that
 * comes later finds the session among the live ones.
 */
export async function currentUser(store: Pick<AccountStore, 'findUser'>, user: User): Promise<User> {
  const now = await store.findUser({ id: user.id })
  if (now === undefined || now.disabled || now.updatedAt !== user.updatedAt) {
    throw new AppError('permission_denied', 'the user was changed meanwhile; log in again')
  }
  return now
}

/** Ends the sessions of users whom another node disabled, changed or removed; changes made here end them at once by themselves. */
export function watchUsers(parts: { store: Pick<AccountStore, 'findUser'>; ssh: SshServer; clock: Clock; log: Log }): Running {
  const { store, ssh, clock, log } = parts
  const looks = new Rounds({
    clock,
    round: endChanged,
    everyMs: LOOK_EVERY_MS,
    failed: (error) => log.warn({ err: error }, 'the users of live sessions could not be read; tried again'),
  })
  looks.start(LOOK_EVERY_MS)

  async function endChanged(): Promise<void> {
    const users = new Map(ssh.users.map((user) => [user.id, user]))
    for (const user of users.values()) {
      const isCurrent = await currentUser(store, user).then(
        () => true,
        (error: unknown) => {
          if (error instanceof AppError && error.code === 'permission_denied') return false
          throw error
        },
      )
      if (!isCurrent) ssh.disconnectUser(user.id)
    }
  }

  return looks
}
