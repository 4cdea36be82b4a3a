import assert from 'node:assert/strict'
import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { movingClock } from '../../src/base/testing.ts'
import { MINUTE_MS } from '../../src/base/units.ts'
import type { ListedFile, ListWork, WorkReport } from '../../src/wire/agent/work.ts'
import { eventually } from '../../test/eventually.ts'
import type { Client, Entry } from '../clients/client.ts'
import { openClient } from '../clients/open.ts'
import { listFiles } from './list.ts'
import { freshGround, sha256Of, workBench } from './testing.ts'
import { DEPTH_MAX, isPlainName } from './walk.ts'

function listWork(path: string, members: Partial<ListWork> = {}): ListWork {
  return {
    kind: 'list',
    lease: 'lease',
    runId: 'run_1',
    source: { endpoint: { protocol: 'local' }, path },
    quietMs: 0,
    wantsHash: false,
    filesMax: 100,
    ...members,
  }
}

async function tree(t: TestContext, paths: readonly string[]): Promise<string> {
  const folder = await freshGround(t)
  for (const path of paths) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), path)
  }
  return folder
}

const NO_BACKSLASH = process.platform === 'win32' && 'no name on Windows has a backslash'

function listed(reports: readonly WorkReport[]) {
  const end = reports.at(-1)!
  assert.ok(end.state === 'listed', JSON.stringify(end))
  return end
}

const TREE = [
  ...['out/a.csv', 'out/b.txt', 'out/x/c.csv', 'out/x/y/d.csv', 'out/z/e.csv', 'in/f.csv'],
  ...['out/.hidden.csv', 'out/.secret/g.csv', 'out/.a.csv.trf_0123456789ab.part'],
  ...['out/h.csv.filepart', 'out/i.csv.partial', 'out/j.csv.tmp', 'out/k.csv~', 'out/.in.l.csv', 'out/m.ocTransferId12.part'],
]
const globs = [
  { glob: 'out/*.csv', found: ['a.csv'] },
  { glob: 'out/*', found: ['a.csv', 'b.txt'] },
  { glob: 'out/**', found: ['a.csv', 'b.txt', 'x/c.csv', 'x/y/d.csv', 'z/e.csv'] },
  { glob: 'out/**/*.csv', found: ['a.csv', 'x/c.csv', 'x/y/d.csv', 'z/e.csv'] },
  { glob: 'out/*/*.csv', found: ['x/c.csv', 'z/e.csv'] },
  { glob: 'out/x/**', found: ['c.csv', 'y/d.csv'] },
  { glob: 'o?t/x/*.csv', found: ['out/x/c.csv'] },
  { glob: '*/f.csv', found: ['in/f.csv'] },
  { glob: 'out/.h*', found: ['.hidden.csv'] },
  { glob: 'out/.*/*', found: ['.secret/g.csv'] },
  { glob: 'out/a.csv', found: ['a.csv'] },
  { glob: 'out/nothing.csv', found: [] },
]
for (const { glob, found } of globs) {
  test(`${glob} finds ${found.length === 0 ? 'nothing' : found.join(', ')}`, async (t) => {
    const folder = await tree(t, TREE)
    const bench = workBench(folder)
    await listFiles(listWork(join(folder, glob)), bench.context)
    const { files, isTruncated } = listed(bench.reports)
    assert.deepEqual(files.map(({ relativePath }) => relativePath).sort(), found)
    assert.equal(isTruncated, false)
    for (const file of files) assert.ok(file.path.startsWith(folder) && file.path.endsWith(`/${file.relativePath}`))
  })
}

test('sizes, times and, where asked for, hashes are told', async (t) => {
  const folder = await tree(t, ['out/a.csv'])
  await utimes(join(folder, 'out/a.csv'), 5, 1_700_000_000)
  const bench = workBench(folder)
  await listFiles(listWork(join(folder, 'out/*'), { wantsHash: true }), bench.context)
  const expected: ListedFile = {
    path: join(folder, 'out/a.csv'),
    relativePath: 'a.csv',
    size: 9,
    modifiedAt: 1_700_000_000_000,
    sha256: sha256Of(Buffer.from('out/a.csv')),
  }
  assert.deepEqual(listed(bench.reports).files, [expected])
})

test('a file that grows as fast as it is read is hashed as it was listed', { timeout: MINUTE_MS }, async (t) => {
  const folder = await tree(t, ['out/a.csv'])
  const grows = async function* () {
    for (yield Buffer.from('out/a.'); ; await setImmediate()) yield Buffer.from('csv and more')
  }
  const bench = workBench(folder, {
    open: async (endpoint, context) => ({
      ...(await openClient(endpoint, context)),
      hash: async () => undefined,
      read: async () => Readable.from(grows()),
    }),
  })
  await listFiles(listWork(join(folder, 'out/*'), { wantsHash: true }), bench.context)
  const hashes = listed(bench.reports).files.map(({ sha256 }) => sha256)
  assert.deepEqual(hashes, [sha256Of(Buffer.from('out/a.csv'))])
})

test('a folder that is not there is NOT_FOUND, one outside the roots PERMISSION_DENIED, one in place of a file NOT_A_FILE', async (t) => {
  const folder = await tree(t, ['out/a'])
  for (const [path, code] of [
    [join(folder, 'none/*'), 'NOT_FOUND'],
    ['/etc/*', 'PERMISSION_DENIED'],
    [join(folder, 'out'), 'NOT_A_FILE'],
  ] as const) {
    const bench = workBench(folder)
    await listFiles(listWork(path), bench.context)
    const end = bench.reports.at(-1)!
    assert.equal(end.state === 'failed' && end.errorCode, code)
  }
})

test('links are not followed, so that no listing goes in circles', async (t) => {
  const folder = await tree(t, ['out/a.csv'])
  await symlink(join(folder, 'out'), join(folder, 'out/loop'))
  const bench = workBench(folder)
  await listFiles(listWork(join(folder, 'out/**')), bench.context)
  assert.deepEqual(
    listed(bench.reports).files.map(({ relativePath }) => relativePath),
    ['a.csv'],
  )
})

test('more than filesMax is said', async (t) => {
  const folder = await tree(t, ['out/a', 'out/b', 'out/c'])
  const bench = workBench(folder)
  await listFiles(listWork(join(folder, 'out/*'), { filesMax: 2 }), bench.context)
  const { files, isTruncated } = listed(bench.reports)
  assert.deepEqual([files.length, isTruncated], [2, true])
})

/** A server that lists what it is told to. */
function serving(list: (folder: string) => readonly Partial<Entry>[]): { open: typeof openClient } {
  return {
    open: async (endpoint, context) => ({
      ...(await openClient(endpoint, context)),
      async *list(folder) {
        for (const entry of list(folder)) yield { kind: 'file', name: 'a', size: 1, modifiedAt: 1, ...entry } as Entry
      },
    }),
  }
}

test('names that would lead out of the folder are passed over, whatever a server sends', async (t) => {
  const folder = await freshGround(t)
  const hostile = ['', '.', '..', '../x', '/etc/passwd', 'a/b', 'x\0', '/', 'x/..', '..//']
  const bench = workBench(
    folder,
    serving((at) => (at === '/out' ? [...hostile, 'good.csv'].flatMap((name) => [{ name }, { name, kind: 'folder' }]) : [])),
  )
  await listFiles(listWork('/out/**'), bench.context)
  assert.deepEqual(
    listed(bench.reports).files.map(({ relativePath }) => relativePath),
    ['good.csv'],
  )
})

test('names that are names there, but not everywhere, are told: the server refuses them', async (t) => {
  const odd = ['back\\slash', 'up\\..', 'new\nline', 'return\r', 'C:', 'tab\t']
  const folder = await freshGround(t)
  const bench = workBench(
    folder,
    serving((at) => (at === '/out' ? [...odd.map((name) => ({ name })), { name: 'a\\b', kind: 'folder' }] : [{ name: 'c' }])),
  )
  await listFiles(listWork('/out/**'), bench.context)
  const found = listed(bench.reports).files.map(({ relativePath }) => relativePath)
  assert.deepEqual(found.sort(), [...odd, 'a\\b/c'].sort())
})

test('a file with a backslash in its name is found by its path', { skip: NO_BACKSLASH }, async (t) => {
  const folder = await tree(t, ['out/back\\slash'])
  for (const path of ['out/back\\slash', 'out/*']) {
    const bench = workBench(folder)
    await listFiles(listWork(join(folder, path)), bench.context)
    const found = listed(bench.reports).files.map(({ relativePath }) => relativePath)
    assert.deepEqual(found, ['back\\slash'])
  }
})

test('a plain name joined to a folder is below it, where paths have slashes', () => {
  const hostile = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('.', '/', '\\', '\0', 'a', ' ') }))
  fc.assert(
    fc.property(hostile, (name) => {
      if (isPlainName(name)) assert.equal(posix.dirname(posix.join('/base', name)), '/base')
    }),
  )
})

test('a tree without an end is walked to a depth and said to be truncated', async (t) => {
  const folder = await freshGround(t)
  let folders = 0
  const endless = serving(() => {
    folders++
    return [{ name: 'deeper', kind: 'folder' }]
  })
  const bench = workBench(folder, endless)
  await listFiles(listWork('/out/**'), bench.context)
  assert.deepEqual(listed(bench.reports), { state: 'listed', files: [], notQuiet: 0, isTruncated: true })
  assert.equal(folders, DEPTH_MAX)
})

test('only folders that can hold what is looked for are looked into', async (t) => {
  const folder = await freshGround(t)
  const seen: string[] = []
  const bench = workBench(
    folder,
    serving((at) => {
      seen.push(at)
      return [{ name: '2026', kind: 'folder' }, { name: '2025', kind: 'folder' }, { name: 'a.csv' }]
    }),
  )
  await listFiles(listWork('/out/2026/*/2025/*.csv'), bench.context)
  assert.deepEqual(
    seen.sort(),
    ['/out/2026', '/out/2026/2025', '/out/2026/2025/2025', '/out/2026/2026', '/out/2026/2026/2025'].sort(),
  )
})

test('what still grows between two looks is left for the next time', async (t) => {
  const { clock, timers, pass } = movingClock()
  let look = 0
  const bench = workBench(await freshGround(t), {
    clock,
    ...serving(() => {
      look++
      return [
        { name: 'still', size: 7 },
        { name: 'grows', size: look },
        { name: 'touched', modifiedAt: look },
        ...(look === 1 ? [{ name: 'gone' }] : [{ name: 'new' }]),
      ]
    }),
  })
  const listing = listFiles(listWork('/out/*', { quietMs: 60_000 }), bench.context)
  await eventually(async () => assert.ok(timers.size > 0))
  await pass(59_999)
  assert.equal(look, 1)
  await pass(1)
  await eventually(async () => assert.equal(bench.reports.length, 1))
  // Closing the side has a timer of its own, which is not waited for.
  await listing
  assert.deepEqual(
    listed(bench.reports).files.map(({ relativePath }) => relativePath),
    ['still'],
  )
  assert.equal(listed(bench.reports).notQuiet, 3, 'grows, touched and new; gone is gone')
})

for (const [becomes, facts, found, notQuiet] of [
  ['stays as it is', { size: 7 }, ['a.csv'], 0],
  ['grows', { size: 8 }, [], 1],
  ['goes away', undefined, [], 0],
] as const) {
  test(`one file that is named and ${becomes} between two looks: ${found.length} found, ${notQuiet} not quiet`, async (t) => {
    const { clock, timers, pass } = movingClock()
    const looks = [{ size: 7 }, facts]
    const bench = workBench(await freshGround(t), {
      clock,
      async open(endpoint, context): Promise<Client> {
        const client = await openClient(endpoint, context)
        const stat = async () => {
          const seen = looks.shift()
          return seen && { kind: 'file' as const, modifiedAt: 1, ...seen }
        }
        return { ...client, stat }
      },
    })
    const listing = listFiles(listWork('/out/a.csv', { quietMs: 60_000 }), bench.context)
    await eventually(async () => assert.ok(timers.size > 0))
    await pass(60_000)
    await eventually(async () => assert.equal(bench.reports.length, 1))
    await listing
    const end = listed(bench.reports)
    assert.deepEqual([end.files.map(({ relativePath }) => relativePath), end.notQuiet], [found, notQuiet])
  })
}

test('a listing that is cancelled says so, one that is stopped says nothing', async (t) => {
  for (const [reason, said] of [
    ['cancelled', ['cancelled']],
    ['stopping', []],
    ['contact lost', []],
  ] as const) {
    const { clock, timers } = movingClock()
    const bench = workBench(await freshGround(t), { clock, ...serving(() => [{ name: 'a' }]) })
    const listing = listFiles(listWork('/out/*', { quietMs: 60_000 }), bench.context)
    await eventually(async () => assert.ok(timers.size > 0))
    bench.stop(reason)
    await listing
    assert.deepEqual(bench.said(), said)
  }
})

test('a failure of the other side is reported with its code', async (t) => {
  const folder = await freshGround(t)
  const bench = workBench(folder, {
    open: async (endpoint, context): Promise<Client> => ({
      ...(await openClient(endpoint, context)),
      list: () => {
        throw Object.assign(new Error('reset'), { code: 'ECONNRESET' })
      },
    }),
  })
  await listFiles(listWork('/out/*'), bench.context)
  const end = bench.reports.at(-1)!
  assert.equal(end.state === 'failed' && end.errorCode, 'CONNECTION_LOST')
})
