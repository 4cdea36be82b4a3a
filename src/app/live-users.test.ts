import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { User } from '../accounts/user.ts'
import type { Clock } from '../base/clock.ts'
import { silentLog } from '../base/log.ts'
import type { SshServer } from '../protocols/ssh/server.ts'
import { currentUser, watchUsers } from './live-users.ts'

const user = (id: string, more: Partial<User> = {}): User => ({
  ...{ id, accountId: 'acc_1', accountSlug: 'default', name: id, passwordHash: null, publicKeys: [] },
  ...{ home: `/default/${id}`, permissions: [], disabled: false, createdAt: 1, updatedAt: 1 },
  ...more,
})

/** A store whose rows the test changes, as another node would. */
function rowsOf(...users: User[]) {
  const rows = new Map(users.map((row) => [row.id, row]))
  let looked = () => {}
  return {
    rows,
    findUser: async (by: { id: string } | { accountSlug: string; name: string }) => {
      const found = 'id' in by ? rows.get(by.id) : undefined
      setImmediate(looked)
      return found
    },
    nextLook: () =>
      new Promise<void>((resolve) => {
        looked = resolve
      }),
  }
}

for (const [name, change] of Object.entries({ disabled: { disabled: true }, changed: { updatedAt: 2 } })) {
  test(`currentUser: a user who was ${name} between login and session gets none`, async () => {
    const store = rowsOf(user('a', change))
    await assert.rejects(currentUser(store, user('a')), /log in again/)
  })
}

test('currentUser: a removed user gets no session, an unchanged one does', async () => {
  await assert.rejects(currentUser(rowsOf(), user('a')), /log in again/)
  assert.equal((await currentUser(rowsOf(user('a')), user('a'))).id, 'a')
})

test('watchUsers: ends the sessions of whom another node changed, and of nobody else', async () => {
  const store = rowsOf(user('stays'), user('goes'))
  const ended: string[] = []
  const ssh = { users: [user('stays'), user('goes')], disconnectUser: (id: string) => ended.push(id) } as unknown as SshServer
  let look = () => {}
  const clock = {
    after: (_ms: number, call: () => void) => {
      look = call
      return () => {}
    },
  } as unknown as Clock
  const watch = watchUsers({ store, ssh, clock, log: silentLog })

  const first = store.nextLook()
  look()
  await first
  assert.deepEqual(ended, [])

  store.rows.delete('goes')
  look()
  await watch.stop()
  assert.deepEqual(ended, ['goes'])
})
