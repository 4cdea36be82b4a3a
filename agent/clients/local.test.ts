import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { renameSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, symlink, truncate, unlink, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { freshGround, sha256Of } from '../work/testing.ts'
import { openLocal } from './local.ts'
import { partPath } from './rename.ts'
import { failsWith } from './testing.ts'

const signal = new AbortController().signal
const options = { id: 'trf_1', resumes: false, size: null, modifiedAt: null }

async function rooted(t: TestContext) {
  const folder = await freshGround(t)
  const root = join(folder, 'root')
  const outside = join(folder, 'outside')
  await mkdir(root)
  await mkdir(outside)
  await writeFile(join(outside, 'secret'), 'secret')
  return { root, outside, client: await openLocal({ protocol: 'local' }, { roots: [root], signal }) }
}

const code = (expected: string) => (error: unknown) => {
  assert.equal((error as { code: string }).code, expected)
  return true
}

test('no call reaches what lies outside the roots, by no spelling and by no link', async (t) => {
  const { root, outside, client } = await rooted(t)
  await symlink(outside, join(root, 'folder'))
  await symlink(join(outside, 'secret'), join(root, 'file'))
  const outsiders = [
    ...[join(outside, 'secret'), `${root}/../outside/secret`, `${root}/x/../../outside/secret`, join(root, 'folder/secret')],
    ...[`${root}x/secret`, '/', join(root, '..')],
  ]
  for (const path of outsiders) {
    const calls = [
      () => client.stat(path),
      () => client.read(path, 0),
      () => client.hash(path),
      () => client.write(path, options),
      () => client.remove(path),
      () => client.move(path, join(root, 'mine')),
      async () => {
        await writeFile(join(root, 'mine'), '')
        await client.move(join(root, 'mine'), path)
      },
    ]
    for (const call of calls) await assert.rejects(call, code('PERMISSION_DENIED'), path)
  }
  // A link itself may be replaced or deleted, what it names is not touched.
  await assert.rejects(client.read(join(root, 'file'), 0), code('PERMISSION_DENIED'))
  const part = await client.write(join(root, 'file'), options)
  await part.append(Buffer.from('new'))
  await part.commit(3, sha256Of(Buffer.from('new')))
  assert.equal(await readFile(join(root, 'file'), 'utf8'), 'new')
  assert.equal(await readFile(join(outside, 'secret'), 'utf8'), 'secret')
})

test('a link within the roots is followed, and so is a root that is one', async (t) => {
  const { root, client } = await rooted(t)
  await writeFile(join(root, 'a'), 'abc')
  await symlink(join(root, 'a'), join(root, 'b'))
  assert.equal((await client.stat(join(root, 'b')))?.size, 3)
  const alias = `${root}-alias`
  await symlink(root, alias)
  const aliased = await openLocal({ protocol: 'local' }, { roots: [alias], signal })
  assert.equal((await aliased.stat(join(alias, 'a')))?.size, 3)
  assert.equal((await aliased.stat(join(root, 'a')))?.size, 3)
})

test('a named pipe is no file, and is not waited for', async (t) => {
  const { root, client } = await rooted(t)
  execFileSync('mkfifo', [join(root, 'pipe')])
  assert.equal((await client.stat(join(root, 'pipe')))?.kind, 'other')
  await assert.rejects(client.read(join(root, 'pipe'), 0), code('NOT_A_FILE'))
})

test('what is no file is not replaced by one', async (t) => {
  const { root, client } = await rooted(t)
  const socket = createServer().listen(join(root, 'socket'))
  t.after(() => socket.close())
  execFileSync('mkfifo', [join(root, 'pipe')])
  await mkdir(join(root, 'folder'))
  const kinds = { folder: 'a folder', pipe: 'a named pipe', socket: 'a socket' }
  for (const [name, kind] of Object.entries(kinds)) {
    const { message } = await failsWith('NOT_A_FILE', client.write(join(root, name), options))
    assert.equal(message, `The destination “${join(root, name)}” is ${kind}, which no file replaces.`)
  }
  assert.deepEqual((await readdir(root)).sort(), ['folder', 'pipe', 'socket'])
})

test('a part that somebody removes or cuts is missed, and its beginning does not come back as zeros', async (t) => {
  const { root, client } = await rooted(t)
  const path = join(root, 'a')
  const left = partPath(path, options.id)
  const first = await client.write(path, options)
  await first.append(Buffer.from('abc'))
  await unlink(left)
  await failsWith('CHECKSUM_MISMATCH', first.commit(3, sha256Of(Buffer.from('abc'))))
  await first.discard()
  for (const harm of [() => unlink(left), () => truncate(left, 2)]) {
    await writeFile(left, 'abc')
    const second = await client.write(path, { ...options, resumes: true })
    assert.equal(second.bytes, 3)
    await harm()
    await failsWith('CHECKSUM_MISMATCH', second.append(Buffer.from('def')))
    await second.discard()
  }
  assert.deepEqual(await readdir(root), [])
})

test('a commit of another size is CHECKSUM_MISMATCH, and the old file stays', async (t) => {
  const { root, client } = await rooted(t)
  const path = join(root, 'new/folder/a')
  const first = await client.write(path, options)
  await first.append(Buffer.from('old'))
  await first.commit(3, '')
  const part = await client.write(path, options)
  await part.append(Buffer.from('half'))
  await assert.rejects(part.commit(8, ''), code('CHECKSUM_MISMATCH'))
  await part.discard()
  assert.deepEqual(await readdir(join(root, 'new/folder')), ['a'])
  assert.equal(await readFile(path, 'utf8'), 'old')
})

test('moving makes folders and replaces nothing; removing twice is fine', async (t) => {
  const { root, client } = await rooted(t)
  await writeFile(join(root, 'a'), 'a')
  await mkdir(join(root, 'done'))
  await writeFile(join(root, 'done/a'), 'older')
  await symlink('nowhere', join(root, 'done/b'))
  for (const taken of ['done/a', 'done/b', 'done', 'a'])
    assert.equal(await client.move(join(root, 'a'), join(root, taken)), false)
  assert.equal(await readFile(join(root, 'done/a'), 'utf8'), 'older')
  assert.equal(await client.move(join(root, 'a'), join(root, 'x/y/a')), true)
  await assert.rejects(stat(join(root, 'a')))
  assert.equal(await readFile(join(root, 'x/y/a'), 'utf8'), 'a')
  await client.remove(join(root, 'x/y/a'))
  await client.remove(join(root, 'x/y/a'))
  await assert.rejects(stat(join(root, 'x/y/a')))
  await assert.rejects(client.move(join(root, 'none'), join(root, 'b')), code('NOT_FOUND'))
})

test('a disk without room is DISK_FULL: asked before, or met on the way', async (t) => {
  const folder = await freshGround(t)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    t.skip('mounting a small tmpfs needs root')
    return
  }
  try {
    const client = await openLocal({ protocol: 'local' }, { roots: [folder], signal })
    const size = 2 * 1024 * 1024
    await assert.rejects(client.write(join(folder, 'a'), { ...options, size }), code('DISK_FULL'))
    assert.deepEqual(await readdir(folder), [])
    const part = await client.write(join(folder, 'a'), options)
    await assert.rejects(async () => {
      await part.append(new Uint8Array(size))
      await part.commit(size, '')
    }, code('DISK_FULL'))
    await part.discard()
    assert.deepEqual(await readdir(folder), [])
  } finally {
    execFileSync('umount', [folder])
  }
})

test('a small file that is replaced while it is read is SOURCE_CHANGED, though the other one looks the same', async (t) => {
  const { root, client } = await rooted(t)
  const [path, other] = [join(root, 'a'), join(root, 'b')]
  await writeFile(path, 'one')
  await writeFile(other, 'two')
  const { atime, mtime } = await stat(path)
  await utimes(other, atime, mtime)
  const reading = client.readWhole!(path, 3)
  // Within this turn of the loop it is opened; what was read comes in a later one.
  for (let turn = 0; turn < 50; turn++) await undefined
  renameSync(other, path)
  await assert.rejects(reading, code('SOURCE_CHANGED'))
  assert.equal(Buffer.from((await client.readWhole!(path, 3))!.bytes).toString(), 'two')
})
