import assert from 'node:assert/strict'
import { mkdir, open, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { movingClock } from '../../src/base/testing.ts'
import type { PostAction, TransferWork, WorkReport } from '../../src/wire/agent/work.ts'
import { openClient } from '../clients/open.ts'
import { moveFile } from './move.ts'
import {
  bytesOf,
  endOf,
  failingAfter,
  filesBelow,
  freshGround,
  ground,
  localWork,
  MIB,
  sha256Of,
  withPart,
  workBench,
} from './testing.ts'

for (const size of [0, 1, 100 * MIB]) {
  test(`a file of ${size} bytes arrives with its time, verified, and nothing is left beside it`, async (t) => {
    const { folder, source, destination, bytes } = await ground(t, bytesOf(size))
    await utimes(source, 1_700_000_000, 1_700_000_000.5)
    const bench = workBench(folder)
    await moveFile(localWork(source, destination), bench.context)
    assert.deepEqual(bench.said(), ['arrived', 'completed'])
    assert.deepEqual(await filesBelow(folder), { 'in/a': sha256Of(bytes), 'out/b': sha256Of(bytes) })
    const { sha256, bytesTransferred, size: told } = endOf(bench.reports)
    assert.deepEqual({ sha256, bytesTransferred, told }, { sha256: sha256Of(bytes), bytesTransferred: size, told: size })
    assert.equal((await stat(destination)).mtimeMs, 1_700_000_000_500)
    assert.deepEqual(await readdir(join(folder, '.agent/work')).catch(() => []), [])
  })
}

test('progress is said at each tenth, never twice, never of the end', async (t) => {
  const { folder, source, destination } = await ground(t, bytesOf(8 * MIB))
  // No second passes, which would be another reason to say it.
  const bench = workBench(folder, { clock: movingClock().clock })
  await moveFile(localWork(source, destination), bench.context)
  const running = bench.reports.filter((report) => report.state === 'running')
  const tenths = running.map(({ bytesTransferred }) => Math.floor((bytesTransferred * 10) / (8 * MIB)))
  assert.ok(running.length > 0)
  assert.deepEqual(
    tenths,
    [...new Set(tenths)].sort((one, other) => one - other),
  )
  assert.ok(tenths.every((tenth) => tenth >= 1 && tenth <= 9))
})

const refusals: {
  name: string
  code: string
  prepare?: (at: { t: TestContext; folder: string; source: string; destination: string }) => Promise<unknown>
  work?: (at: { folder: string; source: string; destination: string }) => Partial<TransferWork>
}[] = [
  { name: 'no source', code: 'NOT_FOUND', prepare: ({ source }) => rm(source) },
  { name: 'a folder as source', code: 'NOT_A_FILE', work: ({ folder }) => ({ source: at(join(folder, 'in')) }) },
  {
    name: 'a folder at the destination',
    code: 'NOT_A_FILE',
    prepare: ({ destination }) => mkdir(destination, { recursive: true }),
  },
  { name: 'itself as the destination', code: 'UNSUPPORTED', work: ({ source }) => ({ destination: at(`/.${source}`) }) },
  { name: 'a source outside the roots', code: 'PERMISSION_DENIED', work: () => ({ source: at('/etc/passwd') }) },
  {
    name: 'a destination outside the roots',
    code: 'PERMISSION_DENIED',
    work: () => ({ destination: at('/tmp/landfall-escaped') }),
  },
  {
    name: 'dots that lead out',
    code: 'PERMISSION_DENIED',
    work: ({ folder }) => ({ destination: at(`${folder}/out/../../landfall-escaped`) }),
  },
  {
    name: 'a link that leads out as source',
    code: 'PERMISSION_DENIED',
    prepare: async ({ source }) => {
      await rm(source)
      await symlink('/etc/passwd', source)
    },
  },
  {
    name: 'a link that leads out above the destination',
    code: 'PERMISSION_DENIED',
    prepare: async ({ folder, t }) => symlink(await freshGround(t), join(folder, 'out')),
  },
  { name: 'a relative path', code: 'NOT_FOUND', work: () => ({ source: at('in/a') }) },
  { name: 'another size than listed', code: 'SOURCE_CHANGED', work: () => ({ expected: { size: 5, modifiedAt: null } }) },
  { name: 'another time than listed', code: 'SOURCE_CHANGED', work: () => ({ expected: { size: 3 * MIB, modifiedAt: 5 } }) },
]
for (const { name, code, prepare, work } of refusals) {
  test(`${name} is ${code}, and nothing is written`, async (t) => {
    const { folder, source, destination } = await ground(t)
    await prepare?.({ t, folder, source, destination })
    const before = await filesBelow(folder)
    const bench = workBench(folder)
    await moveFile(localWork(source, destination, work?.({ folder, source, destination })), bench.context)
    assert.deepEqual(bench.said(), ['failed'])
    assert.equal(endOf(bench.reports).errorCode, code)
    assert.deepEqual(await filesBelow(folder), before)
    await assert.rejects(stat('/tmp/landfall-escaped'))
  })
}

function at(path: string) {
  return { endpoint: { protocol: 'local' }, path } as const
}

test('a source that changes while it is read fails the transfer, and the old file stays', async (t) => {
  const changes = [
    { name: 'grows', change: (source: string) => writeFile(source, 'more', { flag: 'a' }) },
    { name: 'is rewritten', change: (source: string) => writeFile(source, bytesOf(3 * MIB, 2)) },
    { name: 'is gone', change: (source: string) => rm(source) },
  ]
  for (const { name, change } of changes) {
    const { folder, source, destination } = await ground(t)
    // Systems count the time of a file in steps of some ms, within which a change shows nowhere.
    await utimes(source, 1_700_000_000, 1_700_000_000)
    await mkdir(join(folder, 'out'))
    await writeFile(destination, 'old')
    let isChanged = false
    const bench = workBench(folder, {
      ...withPart((part) => ({
        async append(chunk) {
          if (!isChanged) await change(source)
          isChanged = true
          await part.append(chunk)
        },
      })),
    })
    await moveFile(localWork(source, destination), bench.context)
    assert.equal(endOf(bench.reports).errorCode, 'SOURCE_CHANGED', name)
    assert.deepEqual(await readdir(join(folder, 'out')), ['b'])
    assert.equal(await readFile(destination, 'utf8'), 'old')
  }
})

const actions: { name: string; action: PostAction; left: string[] }[] = [
  { name: 'keep', action: { kind: 'keep' }, left: ['in/a', 'out/b'] },
  { name: 'delete', action: { kind: 'delete' }, left: ['out/b'] },
  { name: 'move', action: { kind: 'move', to: 'done/2026/a' }, left: ['done/2026/a', 'out/b'] },
]
for (const { name, action, left } of actions) {
  test(`${name}: the source is touched only once its arrival is recorded, and doing it twice is the same`, async (t) => {
    const { folder, source, destination } = await ground(t)
    const postAction = action.kind === 'move' ? { ...action, to: join(folder, action.to) } : action
    let atArrival: string[] = []
    const bench = workBench(folder)
    const { report } = bench.context
    const context = {
      ...bench.context,
      async report(one: WorkReport) {
        if (one.state === 'arrived') atArrival = Object.keys(await filesBelow(folder)).sort()
        return report(one)
      },
    }
    await moveFile(localWork(source, destination, { postAction }), context)
    assert.deepEqual(atArrival, ['in/a', 'out/b'])
    assert.deepEqual(Object.keys(await filesBelow(folder)).sort(), left)
    const again = workBench(folder)
    await moveFile(localWork(source, destination, { postAction, hasArrived: true }), again.context)
    assert.deepEqual(again.said(), ['completed'])
    assert.deepEqual(Object.keys(await filesBelow(folder)).sort(), left)
  })
}

test('a post action that is left over deletes what arrived, and never a file that took its place', async (t) => {
  const { folder, source, destination, bytes } = await ground(t)
  await utimes(source, 1_700_000_000, 1_700_000_000)
  const postAction = { kind: 'delete' } as const
  const cut = workBench(folder, { answers: ({ state }) => state !== 'arrived' })
  await moveFile(localWork(source, destination, { postAction }), cut.context)
  await stat(source)

  await writeFile(source, bytesOf(bytes.length, 2))
  const replaced = workBench(folder)
  await moveFile(localWork(source, destination, { postAction, hasArrived: true }), replaced.context)
  assert.equal(endOf(replaced.reports).errorCode, 'SOURCE_CHANGED')
  await stat(source)

  const { destination: other, source: mine, folder: second } = await ground(t)
  await moveFile(
    localWork(mine, other, { postAction }),
    workBench(second, { answers: ({ state }) => state !== 'arrived' }).context,
  )
  const bench = workBench(second)
  await moveFile(localWork(mine, other, { postAction, hasArrived: true }), bench.context)
  assert.equal(endOf(bench.reports).sha256, sha256Of(bytes))
  assert.deepEqual(Object.keys(await filesBelow(second)), ['out/b'])
})

test('a post action that is left over ends also where nobody can tell the hash of what arrived', async (t) => {
  const { folder, source, destination } = await ground(t)
  const open: typeof openClient = async (endpoint, context) => ({
    ...(await openClient(endpoint, context)),
    hash: async () => undefined,
  })
  await moveFile(localWork(source, destination), workBench(folder, { open }).context)
  const bench = workBench(folder, { open })
  const { size, mtimeMs } = await stat(source)
  const expected = { size, modifiedAt: Math.trunc(mtimeMs) }
  await moveFile(localWork(source, destination, { postAction: { kind: 'delete' }, hasArrived: true, expected }), bench.context)
  assert.deepEqual(bench.reports, [{ state: 'completed', size, bytesTransferred: 0, speed: 0 }])
  assert.deepEqual(Object.keys(await filesBelow(folder)), ['out/b'])
})

test('a disk that gets full on the way is DISK_FULL, and nothing stays on it', async (t) => {
  const { folder, source, destination } = await ground(t)
  const bench = workBench(folder, failingAfter(MIB, 'DISK_FULL'))
  await moveFile(localWork(source, destination), bench.context)
  assert.equal(endOf(bench.reports).errorCode, 'DISK_FULL')
  assert.deepEqual(Object.keys(await filesBelow(folder)), ['in/a'])
})

test('memory does not grow with the file', async (t) => {
  const { folder, source, destination } = await ground(t, new Uint8Array())
  const file = await open(source, 'w')
  await file.truncate(1024 * MIB)
  await file.close()
  const before = process.memoryUsage().rss
  let most = 0
  const bench = workBench(folder, {
    answers() {
      most = Math.max(most, process.memoryUsage().rss)
      return true
    },
    ...withPart((part) => ({
      // The disk of the test is spared: what is counted is what is held on the way.
      append: () => new Promise((resolve) => setImmediate(resolve)),
      commit: () => part.discard(),
      hash: () => part.hash(),
    })),
  })
  await moveFile(localWork(source, destination), bench.context)
  assert.equal(endOf(bench.reports).state, 'completed')
  assert.ok(most > 0)
  assert.ok(most - before < 256 * MIB, `grew by ${Math.round((most - before) / MIB)} MiB`)
})
