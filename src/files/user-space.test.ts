import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { codeOf } from '../base/error.ts'
import { get, list, openWorld, PUT, put } from './testing.ts'

const b = (text: string) => Buffer.from(text)
const refused = (code: string) => (error: unknown) => codeOf(error) === code
const ways = process.platform === 'linux' ? [true, false] : [false]

for (const byDescriptor of ways) {
  const how = byDescriptor ? 'through descriptors' : 'by path'

  test(`put, get, list, rename, delete (${how})`, async () => {
    const world = await openWorld({ byDescriptor })
    const { space } = world
    await space.makeDirectory(b('/in'), 0o755)
    await put(space, '/in/a.csv', 'hello')
    assert.equal(readFileSync(join(world.home, 'in/a.csv'), 'utf8'), 'hello')
    assert.equal(statSync(join(world.home, 'in/a.csv')).mode & 0o777, 0o644)
    assert.equal((await get(space, '/in/../in//a.csv')).toString(), 'hello')
    await space.rename(b('/in/a.csv'), b('/b.csv'), { replace: false })
    assert.deepEqual(await list(space, '/'), ['b.csv', 'in'])
    await space.removeDirectory(b('/in'))
    await space.remove(b('/b.csv'))
    assert.deepEqual(await list(space, '/'), [])
    await world.end()
    assert.deepEqual(world.said(), [
      'dir.created /in',
      'file.uploaded /in/a.csv',
      'file.downloaded /in/a.csv',
      'file.renamed /b.csv',
      'dir.deleted /in',
      'file.deleted /b.csv',
    ])
    assert.deepEqual(world.rows.usage, { bytes: 0, files: 0 })
    assert.equal(world.rows.intents.size, 0)
  })

  test(`a folder of 3,000 entries is listed in portions (${how})`, async () => {
    const world = await openWorld({ byDescriptor })
    await world.space.attributes(b('/'), { follow: true })
    mkdirSync(join(world.home, 'many'))
    for (let n = 0; n < 3000; n++) writeFileSync(join(world.home, 'many', `f${n}`), '')
    const folder = await world.space.openDirectory(b('/many'))
    const names = new Set<string>()
    for (let entries = await folder.next(100); entries.length > 0; entries = await folder.next(100)) {
      assert.ok(entries.length <= 100)
      for (const { name } of entries) names.add(name.toString())
    }
    assert.equal(names.size, 3000)
    assert.deepEqual(await folder.next(100), [])
    await folder.close()
    await world.end()
  })
}

test('a download is one only at its end, and once a handle', async () => {
  const world = await openWorld()
  await put(world.space, '/a', '0123456789')
  await put(world.space, '/empty', '')
  const part = await world.space.openRead(b('/a'))
  assert.equal(await part.read(Buffer.alloc(4), 2), 4)
  await part.close()
  assert.equal(world.lastData('file.downloaded'), undefined)
  const whole = await world.space.openRead(b('/a'))
  assert.equal(await whole.read(Buffer.alloc(20), 0), 10)
  assert.equal(await whole.read(Buffer.alloc(20), 10), 0)
  await whole.close()
  await get(world.space, '/empty')
  const cut = await world.space.openRead(b('/a'))
  await cut.read(Buffer.alloc(20), 0)
  await cut.abandon('the connection was lost')
  assert.deepEqual(
    world.said().filter((said) => said.startsWith('file.downloaded')),
    ['file.downloaded /a', 'file.downloaded /empty'],
  )
  assert.equal(world.rows.audit.filter(({ action }) => action === 'download').length, 4)
  await world.end()
})

const renames = [
  { name: 'onto another file', from: '/a', to: '/b', replace: false, code: 'file_exists' },
  { name: 'onto another file, replacing', from: '/a', to: '/b', replace: true, said: 'file.renamed /b' },
  { name: 'onto itself', from: '/a', to: '/./a', replace: false, said: undefined },
  { name: 'folder into its child', from: '/d', to: '/d/e', replace: false, code: 'invalid' },
  { name: 'folder deep into itself', from: '/d', to: '/d/sub/e', replace: true, code: 'invalid' },
  { name: 'file over folder', from: '/a', to: '/d', replace: true, code: 'is_a_directory' },
  { name: 'folder over file', from: '/d', to: '/a', replace: true, code: 'not_a_directory' },
  { name: 'folder to a new name', from: '/d', to: '/e', replace: false, said: 'file.renamed /e' },
  { name: 'what is not there', from: '/none', to: '/x', replace: false, code: 'file_not_found' },
  { name: 'into a missing folder', from: '/a', to: '/none/x', replace: false, code: 'file_not_found' },
  { name: 'the home', from: '/', to: '/x', replace: false, code: 'permission_denied' },
  { name: 'a name by its case', from: '/a', to: '/A', replace: false, said: 'file.renamed /A' },
] as const
for (const { name, from, to, replace, ...expected } of renames) {
  test(`rename: ${name}`, async () => {
    const world = await openWorld()
    await put(world.space, '/a', 'aaa')
    await put(world.space, '/b', 'b')
    await world.space.makeDirectory(b('/d'), 0o755)
    await world.space.makeDirectory(b('/d/sub'), 0o755)
    const before = world.said().length
    const renaming = world.space.rename(b(from), b(to), { replace })
    if ('code' in expected) await assert.rejects(renaming, refused(expected.code))
    else await renaming
    await world.end()
    assert.deepEqual(world.said().slice(before), 'said' in expected && expected.said !== undefined ? [expected.said] : [])
    assert.deepEqual(world.rows.usage, replace && 'said' in expected ? { bytes: 3, files: 1 } : { bytes: 4, files: 2 })
  })
}

test('rename: the event says both paths, what it was and whether something went', async () => {
  const world = await openWorld()
  await put(world.space, '/a', 'aaa')
  await put(world.space, '/b', 'b')
  await world.space.rename(b('/a'), b('/b'), { replace: true })
  await world.end()
  assert.deepEqual(world.lastData('file.renamed'), {
    ...{ path: '/b', previous_path: '/a', kind: 'file', overwritten: true, username: 'pipeline', client_ip: '203.0.113.5' },
  })
})

const refusals = [
  { name: 'remove a folder', act: 'remove', path: '/d', code: 'is_a_directory' },
  { name: 'remove nothing', act: 'remove', path: '/none', code: 'file_not_found' },
  { name: 'rmdir a file', act: 'removeDirectory', path: '/a', code: 'not_a_directory' },
  { name: 'rmdir what holds something', act: 'removeDirectory', path: '/d', code: 'directory_not_empty' },
  { name: 'rmdir the home', act: 'removeDirectory', path: '/', code: 'permission_denied' },
  { name: 'rmdir nothing', act: 'removeDirectory', path: '/none', code: 'file_not_found' },
  { name: 'mkdir over a file', act: 'makeDirectory', path: '/a', code: 'file_exists' },
  { name: 'mkdir below nothing', act: 'makeDirectory', path: '/none/x', code: 'file_not_found' },
  { name: 'list a file', act: 'openDirectory', path: '/a', code: 'not_a_directory' },
  { name: 'read a folder', act: 'openRead', path: '/d', code: 'is_a_directory' },
  { name: 'read nothing', act: 'openRead', path: '/none', code: 'file_not_found' },
] as const
for (const { name, act, path, code } of refusals) {
  test(`refused, audited and without an event: ${name}`, async () => {
    const world = await openWorld()
    await put(world.space, '/a', 'aaa')
    await world.space.makeDirectory(b('/d'), 0o755)
    await put(world.space, '/d/x', 'x')
    const before = world.said()
    await assert.rejects(world.space[act](b(path), 0o755), (error: Error) => {
      assert.equal(codeOf(error), code)
      assert.ok(!error.message.includes(world.folder), error.message)
      return true
    })
    assert.deepEqual([world.rows.audit.at(-1)?.result, world.rows.audit.at(-1)?.target], [code, path])
    await world.end()
    assert.deepEqual(world.said(), before)
  })
}

const needs = {
  list: [['list'], (space) => space.openDirectory(b('/d'))],
  read: [['read'], (space) => space.openRead(b('/a'))],
  write: [['write'], (space) => space.openWrite(b('/new'), PUT)],
  mkdir: [['write'], (space) => space.makeDirectory(b('/new'), 0o755)],
  rmdir: [['delete'], (space) => space.removeDirectory(b('/d'))],
  remove: [['delete'], (space) => space.remove(b('/a'))],
  rename: [['write', 'delete'], (space) => space.rename(b('/a'), b('/z'), { replace: false })],
  'set attributes': [['write'], (space) => space.setAttributes(b('/a'), { mode: 0o600 }, { follow: true })],
  link: [['write'], (space) => space.makeLink(b('a'), b('/l'))],
} satisfies Record<string, [string[], (space: import('./space.ts').Space) => Promise<unknown>]>
for (const [name, [permissions, act]] of Object.entries(needs)) {
  test(`permission: ${name} needs ${permissions.join(' and ')}, and an enabled user`, async () => {
    const world = await openWorld()
    await put(world.space, '/a', 'aaa')
    await world.space.makeDirectory(b('/d'), 0o755)
    const all = world.user.permissions
    for (const missing of permissions) {
      world.user = { ...world.user, permissions: all.filter((permission) => permission !== missing) }
      await assert.rejects(act(world.space), refused('permission_denied'))
    }
    world.user = { ...world.user, permissions: all, disabled: true }
    await assert.rejects(act(world.space), refused('permission_denied'))
    world.user = { ...world.user, permissions: permissions as typeof all, disabled: false }
    await act(world.space)
    await world.end()
  })
}

test('a user who is disabled in the middle of an upload cannot finish it', async () => {
  const world = await openWorld()
  const handle = await world.space.openWrite(b('/a'), PUT)
  await handle.write([b('x')], 0)
  world.user = { ...world.user, disabled: true }
  await assert.rejects(handle.write([b('y')], 1), refused('permission_denied'))
  await assert.rejects(handle.close(), refused('permission_denied'))
  await world.end()
  assert.deepEqual(world.said(), ['file.upload_failed /a'])
})

test('attributes: mode, times and owner of a path', async () => {
  const world = await openWorld()
  await put(world.space, '/a', 'x')
  await world.space.setAttributes(
    b('/a'),
    { mode: 0o107755, times: { accessedAt: 10, modifiedAt: 5_000_000_000 } },
    { follow: true },
  )
  const { mode, modifiedAt, uid, gid, kind } = await world.space.attributes(b('/a'), { follow: true })
  assert.deepEqual([mode, modifiedAt, kind], [0o755, 5_000_000_000, 'file'])
  await world.space.setAttributes(b('/a'), { owner: { uid, gid } }, { follow: true })
  const other = world.space.setAttributes(b('/a'), { owner: { uid: uid + 1, gid } }, { follow: true })
  await assert.rejects(other, refused('permission_denied'))
  await world.end()
  assert.deepEqual(world.said(), ['file.uploaded /a'])
})

test('fileSystem says blocks and bytes', async () => {
  const world = await openWorld()
  const { blockBytes, blocks, blocksAvailable, nameBytesMax } = await world.space.fileSystem(b('/'))
  assert.ok(blockBytes > 0 && blocks > 0 && blocksAvailable > 0 && nameBytesMax === 255)
  await world.end()
})
