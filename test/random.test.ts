import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Random, seeded } from './random.ts'

const draw = (random: Random, count: number) => Array.from({ length: count }, () => random.next())

test('a seed gives the same numbers every time, another seed others', () => {
  assert.deepEqual(draw(seeded(1), 10), draw(seeded(1), 10))
  assert.notDeepEqual(draw(seeded(1), 10), draw(seeded(2), 10))
})

test('a fork draws its own numbers and takes none of its origin', () => {
  const [origin, untouched] = [seeded(1), seeded(1)]
  const fork = origin.fork('part')
  assert.notDeepEqual(draw(fork, 10), draw(origin.fork('other part'), 10))
  assert.deepEqual(draw(origin, 10), draw(untouched, 10))
})

test('between reaches both of its ends and nothing beyond', () => {
  const random = seeded(3)
  const seen = new Set(Array.from({ length: 1000 }, () => random.between(2, 5)))
  assert.deepEqual([...seen].sort(), [2, 3, 4, 5])
})

test('shuffle keeps every item once', () => {
  const items = [1, 2, 3, 4, 5, 6, 7, 8]
  const mixed = seeded(4).shuffle(items)
  assert.notDeepEqual(mixed, items)
  assert.deepEqual(mixed.toSorted(), items)
})
