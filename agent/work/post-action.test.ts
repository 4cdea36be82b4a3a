import assert from 'node:assert/strict'
import { link, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openClient } from '../clients/open.ts'
import { moveFile } from './move.ts'
import { bytesOf, endOf, filesBelow, ground, localWork, sha256Of, workBench } from './testing.ts'

// Where the source goes after arrival is an archive: nothing in it is ever replaced.

const ID = 'trf_0123456789ab'
const TAKEN = 'done/a.csv'
const BESIDE = `done/a.${ID}.csv`

async function archive(t: TestContext, there?: Uint8Array) {
  const made = await ground(t)
  const to = join(made.folder, TAKEN)
  if (there !== undefined) {
    await mkdir(dirname(to))
    await writeFile(to, there)
  }
  return { ...made, work: localWork(made.source, made.destination, { postAction: { kind: 'move', to } }) }
}

/** The first attempt dies after `arrived`, or once the source was moved. */
function dyingAfter(folder: string, state: 'arrived' | 'completed') {
  return workBench(folder, { answers: (report) => report.state !== state })
}

test('an archived file of the same name stays, and the source goes beside it', async (t) => {
  const { folder, work, bytes } = await archive(t, Buffer.from('of yesterday'))
  const bench = workBench(folder)
  await moveFile(work, bench.context)
  assert.deepEqual(bench.said(), ['arrived', 'completed'])
  const yesterday = sha256Of(Buffer.from('of yesterday'))
  assert.deepEqual(await filesBelow(folder), { 'out/b': sha256Of(bytes), [TAKEN]: yesterday, [BESIDE]: sha256Of(bytes) })
})

for (const there of [undefined, Buffer.from('of yesterday')]) {
  test(`a repeat finds it done, the name ${there ? 'taken' : 'free'}, also once what arrived was taken away`, async (t) => {
    const { folder, work, bytes, destination } = await archive(t, there)
    await moveFile(work, dyingAfter(folder, 'completed').context)
    await rm(destination)
    const again = workBench(folder)
    await moveFile({ ...work, hasArrived: true }, again.context)
    assert.deepEqual(again.said(), ['completed'])
    const archived = await filesBelow(folder)
    assert.deepEqual(archived, {
      ...(there && { [TAKEN]: sha256Of(there) }),
      [there ? BESIDE : TAKEN]: sha256Of(bytes),
    })
  })
}

test('a source that is gone is not done because another file has its archived name', async (t) => {
  for (const size of ['same', 'other']) {
    const { folder, work, source, bytes } = await archive(t, size === 'same' ? bytesOf(3 * 1024 * 1024, 7) : Buffer.from('old'))
    await moveFile(work, dyingAfter(folder, 'arrived').context)
    await rm(source)
    const again = workBench(folder)
    await moveFile({ ...work, hasArrived: true }, again.context)
    assert.equal(endOf(again.reports).errorCode, 'NOT_FOUND', size)
    assert.match(endOf(again.reports).error!, /was to be moved to .* and is at neither/)
    assert.equal((await filesBelow(folder))['out/b'], sha256Of(bytes))
  }
})

test('a move that died between its two steps is ended, not made a second time', async (t) => {
  const { folder, work, source, bytes } = await archive(t)
  await moveFile(work, dyingAfter(folder, 'arrived').context)
  await mkdir(join(folder, 'done'))
  await link(source, join(folder, TAKEN))
  const again = workBench(folder)
  await moveFile({ ...work, hasArrived: true }, again.context)
  assert.deepEqual(again.said(), ['completed'])
  assert.deepEqual(await filesBelow(folder), { 'out/b': sha256Of(bytes), [TAKEN]: sha256Of(bytes) })
})

test('with both names taken by others the source stays', async (t) => {
  const { folder, work, source } = await archive(t, Buffer.from('of yesterday'))
  await writeFile(join(folder, BESIDE), 'mine')
  const bench = workBench(folder)
  await moveFile(work, bench.context)
  assert.equal(endOf(bench.reports).errorCode, 'UNSUPPORTED')
  await stat(source)
  assert.equal(await readFile(join(folder, BESIDE), 'utf8'), 'mine')
})

test('moved where it is, a file goes beside itself', async (t) => {
  const { folder, source, destination } = await ground(t)
  await utimes(source, 1_700_000_000, 1_700_000_000)
  await moveFile(localWork(source, destination, { postAction: { kind: 'move', to: source } }), workBench(folder).context)
  assert.deepEqual(await readdir(join(folder, 'in')), [`a.${ID}`])
})

test('where moving is copying, another time of the copy is no other file', async (t) => {
  const { folder, work } = await archive(t)
  const open: typeof openClient = async (endpoint, context) => ({ ...(await openClient(endpoint, context)), movesByCopy: true })
  const dying = workBench(folder, { open, answers: ({ state }) => state !== 'completed' })
  await moveFile(work, dying.context)
  await utimes(join(folder, TAKEN), 1_800_000_000, 1_800_000_000)
  const again = workBench(folder, { open })
  await moveFile({ ...work, hasArrived: true }, again.context)
  assert.deepEqual(again.said(), ['completed'])
})
