import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Turns } from './turns.ts'

test('calls for one key wait for each other, in order, whatever becomes of them; those for another do not', async () => {
  const turns = new Turns()
  const seen: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = turns.take('a', async () => {
    await gate.promise
    seen.push('a1')
    throw new Error('no')
  })
  const second = turns.take('a', async () => void seen.push('a2'))
  await turns.take('b', async () => void seen.push('b'))
  assert.deepEqual(seen, ['b'])
  let isOver = false
  const ended = turns.ended().then(() => {
    isOver = true
  })
  await new Promise(setImmediate)
  assert.equal(isOver, false)
  gate.resolve()
  await ended
  await assert.rejects(first, /no/)
  await second
  assert.equal(await turns.take('a', async () => 3), 3)
  assert.deepEqual(seen, ['b', 'a1', 'a2'])
})
