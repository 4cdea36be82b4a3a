import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { Births } from './births.ts'
import { Lanes } from './lanes.ts'
import { deliveryOf } from './testing.ts'

function birthsIn(lanes: Lanes): Births {
  return new Births({ node: 'node_1', lanes, mayClaim: () => true, arrived: () => {}, doubt: () => {}, idle: () => {} })
}

/** The room that the store is told for one event, which then brings so many deliveries. */
async function roomFor(births: Births, brings: number): Promise<number | undefined> {
  let told: number | undefined
  await births.record(1, async (room) => {
    told = room?.most
    return { deliveries: Array.from({ length: brings }, (_, number) => deliveryOf(number)), isComplete: true }
  })
  return told
}

test('births: there is room for as many as an event brought lately, whatever lanes are there', async () => {
  const births = birthsIn(new Lanes(16, systemClock))
  assert.equal(await roomFor(births, 32), 32)
  assert.equal(await roomFor(births, 64), 64)
  assert.equal(await roomFor(births, 96), 96)
  // Events for fewer make it smaller again, one by one.
  assert.equal(await roomFor(births, 1), 128)
  assert.equal(await roomFor(births, 1), 127)
})

test('births: the room of a record is taken until it answers, and no longer', async () => {
  const lanes = new Lanes(16, systemClock)
  const births = birthsIn(lanes)
  let during: number | undefined
  await births.record(2, async () => {
    during = lanes.used
    return { deliveries: [], isComplete: true }
  })
  assert.deepEqual([during, lanes.used], [64, 0])
})
