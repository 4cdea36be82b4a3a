import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../base/error.ts'
import { createPasswords, PASSWORD_BYTES_MAX } from './password.ts'

test('a hash is argon2id in PHC form, salted, and verifies', async () => {
  const passwords = createPasswords()
  const hash = await passwords.hash('pässword')
  assert.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  assert.notEqual(await passwords.hash('pässword'), hash)
  assert.equal(await passwords.verify(hash, 'pässword'), true)
  assert.equal(await passwords.verify(hash, 'passwörd'), false)
})

test('a hash of other parameters verifies by its own', async () => {
  // From the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -e
  const hash = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
  assert.equal(await createPasswords().verify(hash, 'password'), true)
  assert.equal(await createPasswords().verify(hash, 'Password'), false)
})

test('an over-long password is wrong without being hashed', async () => {
  const passwords = createPasswords()
  assert.equal(
    await passwords.verify(await passwords.hash('x'.repeat(PASSWORD_BYTES_MAX)), 'x'.repeat(PASSWORD_BYTES_MAX + 1)),
    false,
  )
})

test('a stored hash of another form is a fault, not a wrong password', async () => {
  await assert.rejects(createPasswords().verify('$2b$10$abcdefghijklmnopqrstuv', 'x'), /not argon2id/)
})

test('a flood beyond the queue is refused at once; those in it are answered', async () => {
  const passwords = createPasswords({ atOnce: 2, waitingMax: 4 })
  const flood = Array.from({ length: 2 + 4 + 3 }, () => passwords.verify(null, 'any'))
  const results = await Promise.allSettled(flood)
  const refused = results.filter((result) => result.status === 'rejected')
  assert.equal(refused.length, 3)
  assert.ok(refused.every(({ reason }) => reason instanceof AppError && reason.code === 'limit_reached'))
  assert.equal(await passwords.verify(null, 'later'), false)
})
