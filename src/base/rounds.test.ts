import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Rounds } from './rounds.ts'
import { movingClock } from './testing.ts'

const EVERY_MS = 100
const RETRY_MS = 10

/** Rounds that are noted with the time at which they began. */
function noted(work: () => Promise<number | undefined> = async () => undefined) {
  const time = movingClock()
  const begun: number[] = []
  const failures: unknown[] = []
  const rounds = new Rounds({
    clock: time.clock,
    round() {
      begun.push(time.clock.now())
      return work()
    },
    everyMs: EVERY_MS,
    retryMs: RETRY_MS,
    failed: (error) => failures.push(error),
  })
  return { ...time, begun, failures, rounds }
}

/** A round that does not end before it is told to. */
function held() {
  const ends: (() => void)[] = []
  const work = () => new Promise<undefined>((resolve) => ends.push(() => resolve(undefined)))
  return { work, end: () => ends.shift()!() }
}

const settled = () => new Promise(setImmediate)

test('rounds begin at once or after the first wait, and again after each', async () => {
  const now = noted()
  now.rounds.start()
  await now.pass(250)
  assert.deepEqual(now.begun, [0, 100, 200])

  const later = noted()
  later.rounds.start(30)
  await later.pass(250)
  assert.deepEqual(later.begun, [30, 130, 230])
})

test('a round may say when the next one comes', async () => {
  const { rounds, begun, pass } = noted(async () => (begun.length === 1 ? 5 : undefined))
  rounds.start()
  await pass(110)
  assert.deepEqual(begun, [0, 5, 105])
})

test('a round that throws is told of and followed by others', async () => {
  const lost = new Error('lost')
  const { rounds, begun, failures, pass } = noted(async () => {
    if (begun.length === 1) throw lost
    return undefined
  })
  rounds.start()
  await pass(120)
  assert.deepEqual(begun, [0, 10, 110])
  assert.deepEqual(failures, [lost])
})

test('one that is woken begins at once, or once more after the round under way', async () => {
  const { work, end } = held()
  const { rounds, begun, pass } = noted(work)
  rounds.wake()
  assert.deepEqual(begun, [], 'before the start nothing begins')
  rounds.start(EVERY_MS)
  rounds.wake()
  rounds.wake()
  assert.equal(begun.length, 1, 'never two at the same time')
  end()
  await settled()
  assert.equal(begun.length, 2, 'what woke it during a round may have come too late for it')
  end()
  await pass(EVERY_MS)
  assert.deepEqual(begun, [0, 0, EVERY_MS])
})

test('stop waits for the round under way, and none comes after it', async () => {
  const { work, end } = held()
  const { rounds, begun, timers, pass } = noted(work)
  rounds.start()
  rounds.wake()
  let isStopped = false
  const stopped = rounds.stop().then(() => {
    isStopped = true
  })
  await settled()
  assert.equal(isStopped, false)
  end()
  await stopped
  rounds.wake()
  await pass(10 * EVERY_MS)
  assert.equal(begun.length, 1)
  assert.equal(timers.size, 0)
})
