import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAuthenticator, splitLogin } from './authenticate.ts'
import { createPasswords } from './password.ts'
import type { User } from './user.ts'

const passwords = createPasswords()
const pipeline: User = {
  id: 'usr_1',
  accountId: 'acc_1',
  accountSlug: 'default',
  name: 'pipeline',
  passwordHash: await passwords.hash('correct horse'),
  publicKeys: [],
  home: '/default/pipeline',
  permissions: ['list'],
  disabled: false,
  createdAt: 0,
  updatedAt: 0,
}
const lookups: unknown[] = []
const authenticator = createAuthenticator({
  passwords,
  store: {
    async findUser(by) {
      lookups.push(by)
      return 'name' in by && by.name === 'pipeline' && by.accountSlug === 'default' ? pipeline : undefined
    },
  },
})

const logins = [
  { login: 'pipeline', parts: { accountSlug: 'default', name: 'pipeline' } },
  { login: 'acme:pipeline', parts: { accountSlug: 'acme', name: 'pipeline' } },
  { login: '', parts: undefined },
  { login: ':pipeline', parts: undefined },
  { login: 'acme:', parts: undefined },
  { login: 'a:b:c', parts: undefined },
]
for (const { login, parts } of logins) {
  test(`splitLogin: ${JSON.stringify(login)}`, () => assert.deepEqual(splitLogin(login), parts))
}

test('findUser: by name in default, by slug, and never with an over-long login', async () => {
  assert.equal(await authenticator.findUser('pipeline'), pipeline)
  assert.equal(await authenticator.findUser('default:pipeline'), pipeline)
  assert.equal(await authenticator.findUser('acme:pipeline'), undefined)
  const before = lookups.length
  assert.equal(await authenticator.findUser('x'.repeat(98)), undefined)
  assert.equal(lookups.length, before)
})

const checks: { name: string; user: User | undefined; password: string; holds: boolean }[] = [
  { name: 'the right one', user: pipeline, password: 'correct horse', holds: true },
  { name: 'a wrong one', user: pipeline, password: 'correct horsf', holds: false },
  { name: 'an empty one', user: pipeline, password: '', holds: false },
  { name: 'no such user', user: undefined, password: 'correct horse', holds: false },
  { name: 'a user without a password', user: { ...pipeline, passwordHash: null }, password: 'correct horse', holds: false },
  { name: 'a disabled user', user: { ...pipeline, disabled: true }, password: 'correct horse', holds: false },
]
for (const { name, user, password, holds } of checks) {
  test(`checkPassword: ${name}`, async () => assert.equal(await authenticator.checkPassword(user, password), holds))
}
