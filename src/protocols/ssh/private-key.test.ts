import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { eventually } from '../../../test/eventually.ts'
import { newKeyPair } from '../../../test/ssh-key.ts'
import { systemClock } from '../../base/clock.ts'
import { movingClock } from '../../base/testing.ts'
import { faultOfPrivateKey, OPEN_MS_MAX } from './private-key.ts'

const PLAIN = newKeyPair().private
const LOCKED = newKeyPair('right').private
const [RSA, LOCKED_PEM, PKCS8] = [
  { type: 'pkcs1', format: 'pem' } as const,
  { type: 'pkcs1', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'right' } as const,
  { type: 'pkcs8', format: 'pem' } as const,
].map((form) => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export(form) as string) as [string, string, string]

/** The same key asking for four billion rounds. They follow the salt of 16 bytes. */
function slow(key: string): string {
  const blob = Buffer.from(key.replace(/-----.*-----|\n/g, ''), 'base64')
  const options = blob.indexOf('bcrypt') + 'bcrypt'.length
  blob.writeUInt32BE(2 ** 32 - 1, options + 4 + 4 + 16)
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${blob.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`
}

const cases = [
  { name: 'one of OpenSSH', key: PLAIN, fault: undefined },
  { name: 'one of OpenSSH, with a passphrase that it does not need', key: PLAIN, passphrase: 'any', fault: undefined },
  { name: 'one with line ends of Windows', key: PLAIN.replaceAll('\n', '\r\n'), fault: undefined },
  { name: 'one in PEM', key: RSA, fault: undefined },
  { name: 'a locked one', key: LOCKED, fault: 'passphrase missing' },
  { name: 'a locked one and another passphrase', key: LOCKED, passphrase: 'wrong', fault: 'passphrase wrong' },
  { name: 'a locked one and its passphrase', key: LOCKED, passphrase: 'right', fault: undefined },
  { name: 'a locked one in PEM', key: LOCKED_PEM, fault: 'passphrase missing' },
  { name: 'a locked one in PEM and another passphrase', key: LOCKED_PEM, passphrase: 'wrong', fault: 'passphrase wrong' },
  { name: 'a locked one in PEM and its passphrase', key: LOCKED_PEM, passphrase: 'right', fault: undefined },
  { name: 'PKCS #8, which ssh2 does not read', key: PKCS8, fault: 'unreadable' },
  { name: 'half a key', key: PLAIN.slice(0, 200), fault: 'unreadable' },
  { name: 'a public key', key: newKeyPair().public, fault: 'unreadable' },
] as const
for (const { name, key, fault, ...more } of cases) {
  const passphrase = 'passphrase' in more ? more.passphrase : undefined
  test(`a private key: ${name}: ${fault ?? 'fine'}`, async () => {
    assert.equal(await faultOfPrivateKey(key, passphrase, systemClock), fault)
  })
}

test('a key that would take for ever to open is given up; the next one is opened', async () => {
  const { clock, timers, pass } = movingClock()
  const found = faultOfPrivateKey(slow(LOCKED), 'right', clock)
  await eventually(async () => assert.ok(timers.size > 0))
  await pass(OPEN_MS_MAX)
  assert.equal(await found, 'too slow')
  assert.equal(await faultOfPrivateKey(LOCKED, 'right', systemClock), undefined)
})

test('a damaged key is a fault, not an error', async () => {
  const damage = fc.array(fc.tuple(fc.nat(PLAIN.length - 1), fc.integer({ min: 32, max: 126 })), { minLength: 1, maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(PLAIN, RSA, LOCKED, LOCKED_PEM), damage, async (key, changes) => {
      const bytes = Buffer.from(key)
      for (const [at, value] of changes) bytes[at] = value
      const fault = await faultOfPrivateKey(bytes.toString(), undefined, systemClock)
      assert.ok(['unreadable', 'passphrase missing', undefined].includes(fault))
    }),
  )
})
