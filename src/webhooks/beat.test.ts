import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '../base/log.ts'
import { movingClock } from '../base/testing.ts'
import { SECOND_MS } from '../base/units.ts'
import { BEAT_MS, BEAT_VALID_MS, Beat, type BeatParts, NODE_SILENT_MS } from './beat.ts'

function beatOf(store: Partial<BeatParts['store']>) {
  const { clock, pass } = movingClock()
  const beaten: boolean[] = []
  const freed: number[] = []
  const parts: BeatParts = {
    store: { beat: async () => {}, freeClaims: async () => 0, cancelOrphans: async () => 0, ...store },
    ...{ clock, node: 'node_1', log: silentLog },
    beaten: (wasTakenForDead) => beaten.push(wasTakenForDead),
    freed: () => freed.push(clock.now()),
  }
  return { beat: new Beat(parts), pass, beaten, freed }
}

test('beat: a node lives from its first committed beat on', async () => {
  const { beat, pass } = beatOf({})
  assert.equal(beat.isFresh(), false)
  beat.start()
  assert.equal(beat.isFresh(), false)
  await pass(0)
  assert.equal(beat.isFresh(), true)
})

test('beat: beats every two seconds until it is stopped', async () => {
  const { beat, pass, beaten } = beatOf({})
  beat.start()
  await pass(5 * BEAT_MS)
  assert.equal(beaten.length, 6)
  beat.stop()
  await pass(5 * BEAT_MS)
  assert.equal(beaten.length, 6)
})

test('beat: its age counts from when the last committed one began', async () => {
  const store = { fails: false }
  const { beat, pass } = beatOf({
    beat: async () => {
      if (store.fails) throw new Error('the database is gone')
    },
  })
  beat.start()
  await pass(0)
  store.fails = true
  await pass(BEAT_VALID_MS)
  assert.equal(beat.isFresh(), true)
  await pass(1)
  assert.equal(beat.isFresh(), false)
  store.fails = false
  await pass(SECOND_MS)
  assert.equal(beat.isFresh(), true)
})

for (const { silentMs, dead } of [
  { silentMs: NODE_SILENT_MS - 2 * SECOND_MS, dead: false },
  { silentMs: NODE_SILENT_MS + 2 * SECOND_MS, dead: true },
]) {
  test(`beat: after ${silentMs} ms of silence the node was ${dead ? '' : 'not '}taken for dead`, async () => {
    let failsUntil = 0
    const world = beatOf({
      beat: async (_node, at) => {
        if (at > 0 && at < failsUntil) throw new Error('the database is gone')
      },
    })
    failsUntil = silentMs
    world.beat.start()
    await world.pass(silentMs + SECOND_MS)
    assert.equal(world.beaten.length, 2)
    assert.equal(world.beaten[1], dead)
  })
}

test('beat: claims of dead nodes are freed at the start and every few seconds, with a word to the engine', async () => {
  let count = 2
  const { beat, pass, freed } = beatOf({ freeClaims: async () => count-- })
  beat.start()
  await pass(20 * SECOND_MS)
  assert.deepEqual(freed, [0, 5 * SECOND_MS])
})

test('beat: deliveries of removed webhooks are cancelled in small steps until none is left', async () => {
  const steps = [500, 500, 17]
  const asked: number[] = []
  const { beat, pass } = beatOf({
    cancelOrphans: async (limit) => {
      asked.push(limit)
      return steps.shift() ?? 0
    },
  })
  beat.start()
  await pass(SECOND_MS)
  assert.deepEqual(asked, [500, 500, 500])
})
