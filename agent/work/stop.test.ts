import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { SECOND_MS } from '../../src/base/units.ts'
import { eventually } from '../../test/eventually.ts'
import { moveFile } from './move.ts'
import { endOf, failingAfter, filesBelow, ground, localWork, MIB, PART, withPart, workBench } from './testing.ts'

/** What the file takes where nothing stops it, and a stop that takes a part of that waits for something that it should not, ms. */
const PACE = { bytesPerSecond: 64 * 1024 }
const UNSTOPPED_MS = 48 * SECOND_MS
const STOPPED_MS_MAX = UNSTOPPED_MS / 4

const stops = [
  { reason: 'cancelled', said: ['cancelled'], keeps: false },
  { reason: 'stopping', said: [], keeps: true },
  { reason: 'contact lost', said: [], keeps: true },
  { reason: 'lease lost', said: [], keeps: true },
] as const
for (const { reason, said, keeps } of stops) {
  test(`${reason} in the middle: stopped at once, the part is ${keeps ? 'kept' : 'gone'}`, async (t) => {
    const { folder, source, destination } = await ground(t)
    const bench = workBench(folder)
    const moving = moveFile(localWork(source, destination, PACE), bench.context)
    await eventually(async () => assert.ok((await stat(join(folder, PART))).size > 0))
    const stoppedAt = performance.now()
    bench.stop(reason)
    await moving
    assert.ok(performance.now() - stoppedAt < STOPPED_MS_MAX)
    assert.deepEqual(bench.said(), said)
    assert.deepEqual(Object.keys(await filesBelow(folder)).sort(), keeps ? ['in/a', PART] : ['in/a'])
  })
}

test('a side that hangs does not hold up the report of being cancelled', async (t) => {
  const { folder, source, destination } = await ground(t)
  const released = Promise.withResolvers<void>()
  const bench = workBench(
    folder,
    withPart((part) => ({
      append: () => new Promise(() => {}),
      discard: () => released.promise.then(() => part.discard()),
    })),
  )
  const moving = moveFile(localWork(source, destination), bench.context)
  await eventually(async () => assert.ok(await stat(join(folder, PART))))
  bench.stop('cancelled')
  await eventually(async () => assert.deepEqual(bench.said(), ['cancelled']))
  released.resolve()
  await moving
  assert.deepEqual(Object.keys(await filesBelow(folder)), ['in/a'])
})

test('an answer of no stops the work and reports no more', async (t) => {
  const { folder, source, destination } = await ground(t)
  const bench = workBench(folder, { answers: () => false })
  await moveFile(localWork(source, destination, { bytesPerSecond: 10 * MIB }), bench.context)
  assert.deepEqual(bench.said(), [])
  assert.equal(bench.reports.length, 1)
  await assert.rejects(stat(destination))
})

test('what takes too long is DEADLINE_EXCEEDED and leaves nothing', async (t) => {
  const { folder, source, destination } = await ground(t)
  const bench = workBench(folder)
  await moveFile(localWork(source, destination, { bytesPerSecond: 512 * 1024, deadlineMs: 200 }), bench.context)
  assert.equal(endOf(bench.reports).errorCode, 'DEADLINE_EXCEEDED')
  assert.deepEqual(Object.keys(await filesBelow(folder)), ['in/a'])
})

test('cancelled before it has begun, a transfer takes the part of an earlier attempt with it', async (t) => {
  const { folder, source, destination } = await ground(t)
  await moveFile(localWork(source, destination), workBench(folder, failingAfter(2 * MIB, 'CONNECTION_LOST')).context)
  await stat(join(folder, PART))
  const bench = workBench(folder)
  bench.stop('cancelled')
  await moveFile(localWork(source, destination), bench.context)
  assert.deepEqual(bench.said(), ['cancelled'])
  assert.deepEqual(Object.keys(await filesBelow(folder)), ['in/a'])
  assert.deepEqual(await readdir(join(folder, '.agent/work')), [])
})
