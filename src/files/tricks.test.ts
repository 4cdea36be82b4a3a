/** Path tricks: nothing outside the home is read, changed or even named, by path, by link or by race. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { codeOf } from '../base/error.ts'
import type { Space } from './space.ts'
import { get, list, openWorld, PUT, put, type World } from './testing.ts'

const b = (text: string) => Buffer.from(text)
const refused =
  (...codes: string[]) =>
  (error: unknown) =>
    codes.includes(codeOf(error))
const ways = process.platform === 'linux' ? [true, false] : [false]

/** A home with a file and a folder, and next to it another user's home with a secret. */
async function openTrickWorld(byDescriptor: boolean): Promise<World> {
  const world = await openWorld({ byDescriptor })
  await put(world.space, '/file', 'mine')
  await world.space.makeDirectory(b('/dir'), 0o755)
  await put(world.space, '/dir/inner', 'inner')
  mkdirSync(join(world.folder, 'acme/other'))
  writeFileSync(join(world.folder, 'acme/other/secret'), 'secret')
  return world
}

/** What is asked for, over links planted in the home by somebody with another way in. */
const tricks = [
  { name: '.. at the top stays there', path: '/../../file', reads: 'mine' },
  { name: '.. over a folder that exists', path: '/dir/../file', reads: 'mine' },
  { name: '.. over a folder that does not', path: '/none/../file', code: 'file_not_found' },
  { name: '.. over a file', path: '/file/../file', code: 'not_a_directory' },
  { name: 'host path of the neighbour', path: '/../other/secret', code: 'file_not_found' },
  { name: 'link to the neighbour', links: { l: '../other/secret' }, path: '/l', code: 'path_outside_space' },
  { name: 'link to the neighbour, deep', links: { 'dir/l': '../../other' }, path: '/dir/l/secret', code: 'path_outside_space' },
  { name: 'chain of links out', links: { a: 'b', b: 'c', c: '../other' }, path: '/a/secret', code: 'path_outside_space' },
  { name: 'link out and back in', links: { l: '../pipeline/file' }, path: '/l', code: 'path_outside_space' },
  { name: 'absolute link means the own tree', links: { l: '/dir/inner' }, path: '/l', reads: 'inner' },
  { name: 'link to /etc/passwd', links: { l: '/etc/passwd' }, path: '/l', code: 'file_not_found' },
  { name: 'link to /proc/self/environ', links: { l: '/proc/self/environ' }, path: '/l', code: 'file_not_found' },
  { name: 'link inside', links: { l: 'dir' }, path: '/l/inner', reads: 'inner' },
  { name: '.. after a link is the folder of its target', links: { 'dir/l': '/dir' }, path: '/dir/l/../file', reads: 'mine' },
  { name: 'dangling link', links: { l: 'nowhere' }, path: '/l', code: 'file_not_found' },
  { name: 'link to itself', links: { l: 'l' }, path: '/l', code: 'path_invalid' },
  { name: 'links to one another', links: { a: 'b/x', b: 'a/y' }, path: '/a', code: 'path_invalid' },
  { name: 'the uploads of the server', path: '/../../.landfall/uploads', code: 'file_not_found' },
  { name: 'link to the uploads of the server', links: { l: '../../.landfall' }, path: '/l/uploads', code: 'path_outside_space' },
  { name: 'a NUL byte', path: '/fi\0le', code: 'path_invalid' },
  { name: 'a name of 256 bytes', path: `/${'n'.repeat(256)}`, code: 'path_invalid' },
  { name: 'a path of 4,097 bytes', path: `${'/a'.repeat(2048)}/`, code: 'path_invalid' },
  { name: 'a backslash is a letter', path: '/..\\..\\file', code: 'file_not_found' },
] as const

for (const byDescriptor of ways) {
  const how = byDescriptor ? 'through descriptors' : 'by path'

  for (const trick of tricks) {
    const { name, path } = trick
    const links: Record<string, string> = 'links' in trick ? trick.links : {}

    test(`reading: ${name} (${how})`, async () => {
      const world = await openTrickWorld(byDescriptor)
      for (const [link, target] of Object.entries(links)) symlinkSync(target, join(world.home, link))
      if ('reads' in trick) assert.equal((await get(world.space, path)).toString(), trick.reads)
      else await assert.rejects(get(world.space, path), refused(trick.code))
      await world.end()
    })

    if ('reads' in trick) continue
    test(`changing: ${name} (${how})`, async () => {
      const world = await openTrickWorld(byDescriptor)
      for (const [link, target] of Object.entries(links)) symlinkSync(target, join(world.home, link))
      const outside = () => [
        readFileSync(join(world.folder, 'acme/other/secret'), 'utf8'),
        ...readdirSync(join(world.folder, 'acme/other')),
      ]
      const before = [outside(), readdirSync(world.folder), readdirSync(join(world.folder, 'acme'))]
      const { space } = world
      const calls = [
        () => put(space, path, 'x'),
        () => put(space, `${path}/new`, 'x'),
        () => space.makeDirectory(b(`${path}/new`), 0o755),
        () => space.removeDirectory(b(`${path}/new`)),
        () => space.remove(b(`${path}/secret`)),
        () => space.rename(b(`${path}/secret`), b('/stolen'), { replace: true }),
        () => space.rename(b('/file'), b(`${path}/given`), { replace: true }),
        () => space.makeLink(b('file'), b(`${path}/l`)),
        () => space.setAttributes(b(path), { mode: 0 }, { follow: true }),
        () => list(space, path),
        () => space.attributes(b(path), { follow: true }),
      ]
      // Some may succeed, inside; nothing may happen outside.
      await Promise.allSettled(calls.map((call) => call()))
      assert.deepEqual([outside(), readdirSync(world.folder), readdirSync(join(world.folder, 'acme'))], before)
      assert.equal(existsSync(join(world.home, 'stolen')), false)
      await world.end()
    })
  }

  const hardNames = [
    '-a',
    '"x"',
    "it's",
    'a\r\n226 done',
    ' lead',
    'trail ',
    'con',
    '~',
    '*',
    '\\',
    '😀',
    'e\u0301',
    '\u00e9',
    '...',
    '%2e%2e',
  ]
  test(`hard names are kept as they are (${how})`, async () => {
    const world = await openWorld({ byDescriptor })
    const names = [...hardNames.map(b), Buffer.from('caf\xe9', 'latin1'), Buffer.alloc(255, 'n')]
    for (const name of names) {
      const path = Buffer.concat([b('/'), name])
      await put(world.space, path, name)
      assert.deepEqual(await get(world.space, path), name)
      const moved = Buffer.concat([b('/'), name.subarray(0, 254), b('2')])
      await world.space.rename(path, moved, { replace: false })
      await world.space.rename(moved, path, { replace: false })
    }
    const there = readdirSync(b(world.home), { encoding: 'buffer' }).map((name) => name.toString('hex'))
    assert.deepEqual(there.sort(), names.map((name) => name.toString('hex')).sort())
    for (const name of names) await world.space.remove(Buffer.concat([b('/'), name]))
    await world.end()
    assert.deepEqual(world.rows.usage, { bytes: 0, files: 0 })
  })
}

// Through descriptors only: by path, a swap between check and use cannot be excluded (local-tree.ts).
test('a link swapped while it is used never leads out', async (t) => {
  const world = await openTrickWorld(true)
  mkdirSync(join(world.home, 'door'))
  writeFileSync(join(world.home, 'door/secret'), 'own')
  symlinkSync('../other', join(world.home, 'out'))
  let swaps = 0
  let running = true
  // Also when an assertion fails: a swap that goes on would keep the process alive, and the failure unsaid.
  t.after(() => {
    running = false
  })
  const swap = () => {
    if (!running) return
    // Three renames: the folder steps aside, the link takes its name, and back.
    renameSync(join(world.home, 'door'), join(world.home, 'aside'))
    renameSync(join(world.home, 'out'), join(world.home, 'door'))
    renameSync(join(world.home, 'door'), join(world.home, 'out'))
    renameSync(join(world.home, 'aside'), join(world.home, 'door'))
    swaps++
    setImmediate(swap)
  }
  swap()
  let read = 0
  for (let n = 0; n < 150; n++) {
    const content = await get(world.space, '/door/secret').catch(() => undefined)
    if (content !== undefined) read++
    assert.notEqual(content?.toString(), 'secret')
    await put(world.space, '/door/written', 'x').catch(() => {})
  }
  running = false
  assert.deepEqual(readdirSync(join(world.folder, 'acme/other')), ['secret'])
  t.diagnostic(`${swaps} swaps, ${read} of 150 reads got through`)
  await world.end()
})

const linkTargets = [
  { name: 'beside', target: 'file', at: '/l', allowed: true },
  { name: 'absolute', target: '/dir/inner', at: '/dir/l', allowed: true },
  { name: 'up, inside', target: '../file', at: '/dir/l', allowed: true },
  { name: 'dangling', target: 'not/yet', at: '/l', allowed: true },
  { name: 'above the home', target: '../other', at: '/l', allowed: false },
  { name: 'above the home from a folder', target: '../../other', at: '/dir/l', allowed: false },
  { name: 'absolute and up', target: '/../etc/passwd', at: '/l', allowed: false },
  { name: 'out and back', target: '../pipeline/file', at: '/l', allowed: false },
] as const
for (const { name, target, at, allowed } of linkTargets) {
  test(`making a link: ${name} is ${allowed ? 'made as it was sent' : 'refused'}`, async () => {
    const world = await openTrickWorld(true)
    const making = world.space.makeLink(b(target), b(at))
    if (allowed) {
      await making
      assert.equal(readlinkSync(join(world.home, at)), target)
      assert.equal((await world.space.readLink(b(at))).toString(), target)
      assert.equal(world.rows.audit.at(-1)?.action, 'link')
    } else {
      await assert.rejects(making, refused('path_outside_space'))
      assert.equal(existsSync(join(world.home, at)), false)
    }
    await world.end()
  })
}

test('links are removed and renamed as links, without an event; an upload through one writes its target', async () => {
  const world = await openTrickWorld(true)
  const { space } = world
  await space.makeLink(b('file'), b('/l'))
  await put(space, '/l', 'through')
  assert.equal(lstatSync(join(world.home, 'l')).isSymbolicLink(), true)
  assert.equal((await get(space, '/file')).toString(), 'through')
  assert.equal(world.lastData('file.uploaded')?.path, '/file')
  await space.rename(b('/l'), b('/m'), { replace: false })
  assert.equal((await space.attributes(b('/m'), { follow: false })).kind, 'symlink')
  await assert.rejects(put(space, '/m', 'x', { ...PUT, exclusive: true }), refused('file_exists'))
  await space.remove(b('/m'))
  assert.equal((await get(space, '/file')).toString(), 'through')
  await world.end()
  assert.equal(world.lastData('file.deleted'), undefined)
})

const realPaths = [
  ['/', '/'],
  ['', '/'],
  ['.', '/'],
  ['/..', '/'],
  ['/dir/./../file', '/file'],
  ['/l/inner', '/dir/inner'],
  ['/l/..', '/'],
  ['/l/none/../x', '/dir/x'],
  ['/none/a/b', '/none/a/b'],
  ['/file/x', '/file/x'],
] as const
for (const [path, real] of realPaths) {
  test(`realPath ${JSON.stringify(path)} is ${real}`, async () => {
    const world = await openTrickWorld(true)
    symlinkSync('/dir', join(world.home, 'l'))
    assert.equal((await world.space.realPath(b(path))).toString(), real)
    await world.end()
  })
}

test('a pipe in the home hangs nobody', { skip: process.platform === 'win32' }, async () => {
  const world = await openTrickWorld(true)
  execFileSync('mkfifo', [join(world.home, 'pipe')])
  await assert.rejects(world.space.openRead(b('/pipe')), refused('permission_denied'))
  await assert.rejects(world.space.openWrite(b('/pipe'), PUT), refused('permission_denied'))
  await world.space.remove(b('/pipe'))
  await world.end()
})

test('a home that is the whole storage does not show what the server keeps there', async () => {
  const world = await openWorld()
  world.user = { ...world.user, home: '/' }
  const space: Space = world.files.openSpace({ user: world.user, address: '203.0.113.5', door: 'sftp' })
  await put(space, '/a', 'x')
  assert.deepEqual(await list(space, '/'), ['a', 'acme'])
  for (const path of ['/.landfall', '/.landfall/uploads', '/.LANDFALL/uploads', '/acme/../.landfall']) {
    await assert.rejects(list(space, path), refused('file_not_found'))
    await assert.rejects(space.makeDirectory(b(path), 0o755), refused('file_not_found'))
    await assert.rejects(space.rename(b(path), b('/mine'), { replace: true }), refused('file_not_found'))
  }
  await world.end()
})

test('a home that is a link is refused', async () => {
  const world = await openTrickWorld(true)
  rmSync(world.home, { recursive: true })
  symlinkSync('other', world.home)
  const space = world.files.openSpace({ user: world.user, address: '203.0.113.5', door: 'sftp' })
  await assert.rejects(get(space, '/secret'), refused('not_a_directory'))
  await world.end()
})
