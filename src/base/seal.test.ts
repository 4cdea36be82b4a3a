import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createSeal, MASTER_KEY_BYTES, SealError } from './seal.ts'

const seal = createSeal(randomBytes(MASTER_KEY_BYTES))

test('what is sealed opens again, and no two sealed texts are alike', () => {
  const [first, second] = [seal.seal('your-signing-secret', 'webhook'), seal.seal('your-signing-secret', 'webhook')]
  assert.equal(seal.open(first, 'webhook'), 'your-signing-secret')
  assert.notEqual(first, second)
  assert(!first.includes('your-signing-secret'))
  assert.equal(seal.open(seal.seal('', 'p'), 'p'), '')
  assert.equal(seal.open(seal.seal('gültig 🔑', 'p'), 'p'), 'gültig 🔑')
})

test('another purpose, another master key or a changed byte does not open it', () => {
  const sealed = seal.seal('secret', 'webhook:1')
  assert.throws(() => seal.open(sealed, 'webhook:2'))
  assert.throws(() => createSeal(randomBytes(MASTER_KEY_BYTES)).open(sealed, 'webhook:1'))
  const bytes = Buffer.from(sealed.slice(3), 'base64url')
  for (let index = 0; index < bytes.length; index++) {
    const changed = Buffer.from(bytes)
    changed[index]! ^= 1
    assert.throws(() => seal.open(`v1.${changed.toString('base64url')}`, 'webhook:1'), `byte ${index}`)
  }
})

test('a master key of another length is refused', () => {
  assert.throws(() => createSeal(randomBytes(16)), /16 bytes, not 32/)
})

test('a ring seals with its first key and opens with any', () => {
  const [older, newer] = [randomBytes(MASTER_KEY_BYTES), randomBytes(MASTER_KEY_BYTES)]
  const ring = createSeal(older)
  const before = ring.seal('a secret', 'p')
  ring.use([newer, older])
  const after = ring.seal('a secret', 'p')
  assert.deepEqual([ring.open(before, 'p'), ring.open(after, 'p')], ['a secret', 'a secret'])
  assert.deepEqual([ring.isOfFirst(before, 'p'), ring.isOfFirst(after, 'p')], [false, true])
  assert.equal(createSeal(newer).open(after, 'p'), 'a secret')
  ring.use([newer])
  assert.throws(() => ring.open(before, 'p'), SealError)
  assert.throws(() => ring.use([]), /no master key/)
})

test('whatever does not open has the same message', () => {
  const sealed = seal.seal('a secret', 'p')
  const messages = ['', 'v1.', 'v1.AAAA', sealed.slice(0, -3), `${sealed}AAAA`].map((text) => {
    try {
      return seal.open(text, 'p')
    } catch (error) {
      return (error as Error).message
    }
  })
  assert.deepEqual([...new Set(messages)], ['a stored secret does not open: it was sealed under another master key, or altered'])
})
