import assert from 'node:assert/strict'
import { test } from 'node:test'
import { STOP_AFTER_MS } from '../src/wire/agent/work.ts'
import { Contact } from './contact.ts'

/** Clocks that move on their own. */
function clocks() {
  const at = { wall: 1_000_000, monotonic: 5_000 }
  const clock = { now: () => at.wall, monotonic: () => at.monotonic, after: () => () => {} }
  const pass = (wall: number, monotonic = wall) => {
    at.wall += wall
    at.monotonic += monotonic
  }
  return { contact: new Contact(clock), pass }
}

test('it counts from the sending of the request that was answered, not from its answer', () => {
  const { contact, pass } = clocks()
  pass(50_000)
  const sent = contact.moment()
  pass(20_000)
  assert.equal(contact.isLost, true)
  contact.proved(sent)
  pass(STOP_AFTER_MS - 20_001)
  assert.equal(contact.isLost, false)
  pass(1)
  assert.equal(contact.isLost, true)
})

test('an earlier request that is answered later takes nothing back', () => {
  const { contact, pass } = clocks()
  const first = contact.moment()
  pass(30_000)
  const second = contact.moment()
  contact.proved(second)
  contact.proved(first)
  pass(STOP_AFTER_MS - 1)
  assert.equal(contact.isLost, false)
})

const jumps = [
  { name: 'a machine that slept: only wall time went on', wall: STOP_AFTER_MS, monotonic: 0, isLost: true },
  { name: 'a wall clock that was set back', wall: -3_600_000, monotonic: STOP_AFTER_MS, isLost: true },
  { name: 'a wall clock that was set back, in time', wall: -3_600_000, monotonic: STOP_AFTER_MS - 1, isLost: false },
] as const
for (const { name, wall, monotonic, isLost } of jumps)
  test(name, () => {
    const { contact, pass } = clocks()
    contact.proved(contact.moment())
    pass(wall, monotonic)
    assert.equal(contact.isLost, isLost)
  })
