import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idTime, newId, randomText } from './id.ts'

test('an id is its prefix, 8 characters of time and 8 random ones', () => {
  assert.match(newId('event', 1_780_920_000_000), /^whevt_[0-9a-z]{16}$/)
  assert.equal(newId('event', 0).slice(6, 14), '00000000')
})

test('transfers have 12 characters, as the contract shows them, and thousands of one ms differ', () => {
  assert.match(newId('transfer', 1_780_920_000_000), /^trf_[0-9a-z]{12}$/)
  const ids = Array.from({ length: 20_000 }, () => newId('transfer', 1_780_920_000_000))
  assert.equal(new Set(ids).size, ids.length)
})

test('an id tells when it was made', () => {
  for (const at of [0, 36, 1_780_920_000_000]) assert.equal(idTime('event', newId('event', at)), at)
})

test('ids made later sort later', () => {
  const times = [0, 35, 36, 1_780_920_000_000, 1_780_920_000_001, 2_821_109_907_455]
  const ids = times.map((time) => newId('delivery', time))
  assert.deepEqual([...ids].sort(), ids)
})

test('random text is of the length asked for, and no two alike', () => {
  const texts = Array.from({ length: 2_000 }, () => randomText(8))
  assert(texts.every((text) => /^[0-9a-z]{8}$/.test(text)))
  assert.equal(new Set(texts).size, texts.length)
  assert.equal(randomText(5_000).length, 5_000)
})

test('bytes that would favour the first letters are passed over', () => {
  const bytes = [255, 252, 251, 0]
  let next = 0
  assert.equal(
    randomText(2, (into) =>
      into.forEach((_, index) => {
        into[index] = bytes[next++ % bytes.length]!
      }),
    ),
    'z0',
  )
})
