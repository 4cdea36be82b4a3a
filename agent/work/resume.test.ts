import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { open, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import { eventually } from '../../test/eventually.ts'
import type { PartialFile } from '../clients/client.ts'
import { Journal } from './journal.ts'
import { moveFile } from './move.ts'
import {
  bytesOf,
  endOf,
  failingAfter,
  filesBelow,
  ground,
  localWork,
  MIB,
  PART,
  sha256Of,
  withPart,
  workBench,
} from './testing.ts'
import type { ChildWork } from './testing-child.ts'

test('a break is gone on with: only the rest is moved', async (t) => {
  const { folder, source, destination, bytes } = await ground(t, bytesOf(20 * MIB))
  const broken = workBench(folder, failingAfter(12 * MIB, 'CONNECTION_LOST'))
  await moveFile(localWork(source, destination), broken.context)
  assert.equal(endOf(broken.reports).errorCode, 'CONNECTION_LOST')
  assert.deepEqual(Object.keys(await filesBelow(folder)).sort(), ['in/a', PART])

  const bench = workBench(folder)
  await moveFile(localWork(source, destination), bench.context)
  const end = endOf(bench.reports)
  assert.equal(end.state, 'completed')
  assert.equal(end.bytesTransferred, 8 * MIB)
  assert.equal(end.sha256, sha256Of(bytes))
  assert.deepEqual(await filesBelow(folder), { 'in/a': sha256Of(bytes), 'out/b': sha256Of(bytes) })
})

const untrusted: { name: string; spoil: (at: { folder: string; source: string }) => Promise<unknown> }[] = [
  { name: 'a part that was tampered with', spoil: ({ folder }) => spoilByte(join(folder, PART), 1000) },
  { name: 'a part that is too short for its checkpoint', spoil: ({ folder }) => writeFile(join(folder, PART), bytesOf(5)) },
  {
    name: 'a journal that cannot be read',
    spoil: ({ folder }) => writeFile(join(folder, '.agent/work/trf_0123456789ab.json'), '{'),
  },
  { name: 'a source that changed its time', spoil: ({ source }) => utimes(source, 5, 5) },
]
for (const { name, spoil } of untrusted) {
  test(`${name} is not trusted: the file is moved anew`, async (t) => {
    const { folder, source, destination, bytes } = await ground(t)
    const broken = workBench(folder, failingAfter(2 * MIB, 'CONNECTION_LOST'))
    await moveFile(localWork(source, destination), broken.context)
    await spoil({ folder, source })
    const bench = workBench(folder)
    await moveFile(localWork(source, destination), bench.context)
    assert.equal(endOf(bench.reports).bytesTransferred, bytes.length)
    assert.deepEqual(await filesBelow(folder), { 'in/a': sha256Of(bytes), 'out/b': sha256Of(bytes) })
  })
}

async function spoilByte(path: string, position: number): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(Buffer.from([7, 7, 7]), 0, 3, position)
  await file.close()
}

test('a part that grew a torn end is cut back to what is proven', async (t) => {
  const { folder, source, destination, bytes } = await ground(t)
  await moveFile(localWork(source, destination), workBench(folder, failingAfter(2 * MIB, 'CONNECTION_LOST')).context)
  await writeFile(join(folder, PART), Buffer.alloc(100_000), { flag: 'a' })
  const bench = workBench(folder)
  await moveFile(localWork(source, destination), bench.context)
  assert.equal(endOf(bench.reports).bytesTransferred, MIB)
  assert.equal((await filesBelow(folder))['out/b'], sha256Of(bytes))
})

test('a far side is resumed by the hash of its part, and begun anew where it tells none or another', async (t) => {
  const cases = [
    { told: (part: PartialFile) => part.hash(), moved: MIB },
    { told: async () => undefined, moved: 3 * MIB },
    { told: () => Promise.reject(new TransferFailure('PERMISSION_DENIED', 'It may not be read.')), moved: 3 * MIB },
    { told: async () => sha256Of(Buffer.from('something else')), moved: 3 * MIB },
  ]
  for (const { told, moved } of cases) {
    const { folder, source, destination, bytes } = await ground(t)
    await moveFile(localWork(source, destination), workBench(folder, failingAfter(2 * MIB, 'CONNECTION_LOST')).context)
    const far = withPart((part) => ({ atHand: undefined as never, hash: () => told(part) }))
    const bench = workBench(folder, far)
    await moveFile(localWork(source, destination), bench.context)
    assert.equal(endOf(bench.reports).bytesTransferred, moved)
    assert.equal((await filesBelow(folder))['out/b'], sha256Of(bytes))
  }
})

test('a break before the part is come to leaves it and its journal to the next attempt', async (t) => {
  const { folder, source, destination } = await ground(t)
  await moveFile(localWork(source, destination), workBench(folder, failingAfter(2 * MIB, 'CONNECTION_LOST')).context)
  const unreachable = workBench(folder, {
    open: async () => {
      throw new TransferFailure('CONNECTION_REFUSED', 'Nobody is there.')
    },
  })
  await moveFile(localWork(source, destination), unreachable.context)
  assert.equal(endOf(unreachable.reports).errorCode, 'CONNECTION_REFUSED')
  const bench = workBench(folder)
  await moveFile(localWork(source, destination), bench.context)
  assert.equal(endOf(bench.reports).bytesTransferred, MIB)
})

function startChild(work: ChildWork) {
  return fork(join(import.meta.dirname, 'testing-child.ts'), [JSON.stringify(work)])
}

test('killed in the middle, the next process goes on from the last checkpoint', async (t) => {
  const { folder, source, destination, bytes } = await ground(t, bytesOf(60 * MIB))
  const child = startChild({ folder, source, destination, bytesPerSecond: 4 * MIB, postAction: { kind: 'keep' } })
  t.after(() => child.kill('SIGKILL'))
  const journal = new Journal(join(folder, '.agent'))
  await eventually(async () => assert.ok((await journal.read('trf_0123456789ab')) !== undefined))
  child.kill('SIGKILL')
  await once(child, 'exit')
  const left = (await journal.read('trf_0123456789ab'))!.checkpoints.at(-1)!.bytes
  assert.deepEqual(Object.keys(await filesBelow(folder)).sort(), ['in/a', PART])

  const bench = workBench(folder)
  await moveFile(localWork(source, destination), bench.context)
  assert.equal(endOf(bench.reports).bytesTransferred, bytes.length - left)
  assert.deepEqual(await filesBelow(folder), { 'in/a': sha256Of(bytes), 'out/b': sha256Of(bytes) })
})

for (const [killedAt, hasArrived] of [
  ['arrived', false],
  ['arrived', true],
  ['completed', true],
] as const) {
  test(`killed with ${killedAt} on the way, ${hasArrived ? 'after' : 'before'} the server knew of the arrival`, async (t) => {
    const { folder, source, destination, bytes } = await ground(t)
    const postAction = { kind: 'delete' } as const
    const child = startChild({ folder, source, destination, bytesPerSecond: null, postAction, killedAt })
    await once(child, 'exit')
    assert.equal((await filesBelow(folder))['out/b'], sha256Of(bytes))
    const bench = workBench(folder)
    await moveFile(localWork(source, destination, { postAction, hasArrived }), bench.context)
    assert.deepEqual(bench.said(), hasArrived ? ['completed'] : ['arrived', 'completed'])
    assert.equal(endOf(bench.reports).sha256, sha256Of(bytes))
    assert.deepEqual(await filesBelow(folder), { 'out/b': sha256Of(bytes) })
    assert.deepEqual(await readdir(join(folder, '.agent/work')), [])
  })
}
