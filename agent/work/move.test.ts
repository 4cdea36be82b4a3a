import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { Arrival, PostAction, TransferWork, WorkReport } from '../../src/wire/agent/work.ts'
import { eventually } from '../../test/eventually.ts'
import type { Client, PartialFile } from '../clients/client.ts'
import { openClient } from '../clients/open.ts'
import { Journal } from './journal.ts'
import { moveFile } from './move.ts'
import { bytesOf, filesBelow, freshGround, localWork, sha256Of, workBench } from './testing.ts'
import type { ChildWork } from './testing-child.ts'

const MIB = 1024 * 1024
/** Tries of what takes longer than a moment: another process, a second. */
const WAITS = 1_000_000
const PART = 'out/.b.trf_0123456789ab.part'

/** `in/a` with these bytes, to be moved to `out/b`. */
async function ground(t: TestContext, bytes: Uint8Array = bytesOf(3 * MIB)) {
  const folder = await freshGround(t)
  await mkdir(join(folder, 'in'))
  const source = join(folder, 'in/a')
  await writeFile(source, bytes)
  return { folder, source, destination: join(folder, 'out/b'), bytes }
}

function endOf(reports: readonly WorkReport[]) {
  return reports.at(-1) as WorkReport & { errorCode?: string; error?: string } & Partial<Arrival>
}

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

test('progress is said at most once a second and at each tenth, never twice, never of the end', async (t) => {
  const { folder, source, destination } = await ground(t, bytesOf(8 * MIB))
  const bench = workBench(folder)
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

/** The destination's client with one call changed. */
function withPart(change: (part: PartialFile) => Partial<PartialFile>): { open: typeof openClient } {
  return {
    async open(endpoint, context) {
      const client = await openClient(endpoint, context)
      return {
        ...client,
        async write(path, options) {
          const part = await client.write(path, options)
          return { ...part, ...change(part) }
        },
      } satisfies Client
    },
  }
}

/** The destination fails once it has taken so many bytes. */
function failingAfter(bytes: number, code: 'CONNECTION_LOST' | 'DISK_FULL') {
  let taken = 0
  return withPart((part) => ({
    async append(chunk) {
      taken += chunk.length
      if (taken > bytes) throw new TransferFailure(code, 'It broke.')
      await part.append(chunk)
    },
  }))
}

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

test('a source that changes while it is read fails the transfer, and the old file stays', async (t) => {
  const changes = [
    { name: 'grows', change: (source: string) => writeFile(source, 'more', { flag: 'a' }) },
    { name: 'is rewritten', change: (source: string) => writeFile(source, bytesOf(3 * MIB, 2)) },
    { name: 'is gone', change: (source: string) => rm(source) },
  ]
  for (const { name, change } of changes) {
    const { folder, source, destination } = await ground(t)
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

const stops = [
  { reason: 'cancelled', said: ['cancelled'], keeps: false },
  { reason: 'stopping', said: [], keeps: true },
  { reason: 'contact lost', said: [], keeps: true },
  { reason: 'lease lost', said: [], keeps: true },
] as const
for (const { reason, said, keeps } of stops) {
  test(`${reason} in the middle: stopped within a second, the part is ${keeps ? 'kept' : 'gone'}`, async (t) => {
    const { folder, source, destination } = await ground(t)
    const bench = workBench(folder)
    const moving = moveFile(localWork(source, destination, { bytesPerSecond: 512 * 1024 }), bench.context)
    await eventually(async () => assert.ok((await stat(join(folder, PART))).size > 0))
    const stoppedAt = performance.now()
    bench.stop(reason)
    await moving
    assert.ok(performance.now() - stoppedAt < 1000)
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
  const stoppedAt = performance.now()
  bench.stop('cancelled')
  await eventually(async () => assert.deepEqual(bench.said(), ['cancelled']), WAITS)
  assert.ok(performance.now() - stoppedAt < 1000)
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

test('a disk that gets full on the way is DISK_FULL, and nothing stays on it', async (t) => {
  const { folder, source, destination } = await ground(t)
  const bench = workBench(folder, failingAfter(MIB, 'DISK_FULL'))
  await moveFile(localWork(source, destination), bench.context)
  assert.equal(endOf(bench.reports).errorCode, 'DISK_FULL')
  assert.deepEqual(Object.keys(await filesBelow(folder)), ['in/a'])
})

function startChild(work: ChildWork) {
  return fork(join(import.meta.dirname, 'testing-child.ts'), [JSON.stringify(work)])
}

test('killed in the middle, the next process goes on from the last checkpoint', { timeout: 60_000 }, async (t) => {
  const { folder, source, destination, bytes } = await ground(t, bytesOf(60 * MIB))
  const child = startChild({ folder, source, destination, bytesPerSecond: 12 * MIB, postAction: { kind: 'keep' } })
  t.after(() => child.kill('SIGKILL'))
  const journal = new Journal(join(folder, '.agent'))
  await eventually(async () => assert.ok((await journal.read('trf_0123456789ab')) !== undefined), WAITS)
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

test('memory does not grow with the file', { timeout: 60_000 }, async (t) => {
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
  assert.ok(most - before < 100 * MIB, `grew by ${Math.round((most - before) / MIB)} MiB`)
})
