import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { codeOf } from '../base/error.ts'
import { MIB } from '../base/units.ts'
import { PARTIAL_SYNC_BYTES } from './partials.ts'
import { get, list, openSession, openWorld, PUT, put, RESUME, type World } from './testing.ts'
import { RANGES_MAX } from './upload.ts'

const b = (text: string) => Buffer.from(text)
const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest('hex')
const temporaries = (world: World) => readdirSync(join(world.folder, '.landfall/uploads'))
const refused = (code: string) => (error: unknown) => codeOf(error) === code

function withWorld(name: string, body: (world: World) => Promise<void>): void {
  test(name, async () => {
    const world = await openWorld()
    try {
      await body(world)
    } finally {
      await world.end()
    }
    assert.equal(world.rows.intents.size, 0)
  })
}

withWorld('an upload is said once, with size, user, address and hash, and nothing is left behind', async (world) => {
  await put(world.space, '/ä.csv', 'hello')
  assert.deepEqual(world.lastData('file.uploaded'), {
    ...{ path: '/ä.csv', size: 5, username: 'pipeline', client_ip: '203.0.113.5', sha256: sha256('hello') },
  })
  assert.deepEqual(temporaries(world), [])
  assert.deepEqual(world.rows.usage, { bytes: 5, files: 1 })
  const entry = world.rows.audit.find(({ action }) => action === 'upload')
  assert.deepEqual([entry?.actor, entry?.address, entry?.target, entry?.result], ['pipeline', '203.0.113.5', '/ä.csv', 'ok'])
})

withWorld('a name that is not UTF-8 keeps its bytes', async (world) => {
  const name = Buffer.from('/caf\xe9 "x"\r\n', 'latin1')
  await put(world.space, name, 'x')
  assert.equal((await get(world.space, name)).toString(), 'x')
  assert.equal(world.lastData('file.uploaded')?.path_bytes, name.toString('base64'))
  assert.ok(readdirSync(Buffer.from(world.home), { encoding: 'buffer' }).some((entry) => entry.equals(name.subarray(1))))
})

withWorld('an empty file is an upload', async (world) => {
  const handle = await world.space.openWrite(b('/empty'), PUT)
  await handle.close()
  assert.deepEqual(world.said(), ['file.uploaded /empty'])
  assert.equal(world.lastData('file.uploaded')?.sha256, sha256(''))
})

withWorld('the old version stays readable until the new one is closed, and after a cut', async (world) => {
  await put(world.space, '/a', 'old')
  const cut = await world.space.openWrite(b('/a'), PUT)
  await cut.write([b('new and cut')], 0)
  assert.equal((await get(world.space, '/a')).toString(), 'old')
  await cut.abandon('the connection was lost')
  assert.equal((await get(world.space, '/a')).toString(), 'old')
  const { error, resumable, size } = world.lastData('file.upload_failed')!
  assert.deepEqual({ error, resumable, size }, { error: 'the connection was lost', resumable: true, size: 11 })
  await put(world.space, '/a', 'new')
  assert.equal((await get(world.space, '/a')).toString(), 'new')
  assert.deepEqual(world.rows.usage, { bytes: 3, files: 1 })
})

withWorld('writes out of order and in parallel are hashed all the same', async (world) => {
  // More than is hashed on this thread.
  const content = randomBytes(3_000_000)
  const handle = await world.space.openWrite(b('/a'), PUT)
  const blocks = Array.from({ length: 30 }, (_, n) => (n * 7) % 30)
  await Promise.all(blocks.map((n) => handle.write([content.subarray(n * 100_000, (n + 1) * 100_000)], n * 100_000)))
  await handle.close()
  assert.deepEqual(await get(world.space, '/a'), content)
  assert.equal(world.lastData('file.uploaded')?.sha256, sha256(content))
})

withWorld('a close with a hole is refused, and what is before the hole is kept', async (world) => {
  const handle = await world.space.openWrite(b('/a'), PUT)
  await handle.write([b('0123456789')], 0)
  await handle.write([b('after')], 20)
  await assert.rejects(handle.close(), refused('upload_incomplete'))
  assert.deepEqual(world.said(), ['file.upload_failed /a'])
  assert.equal((await world.space.attributes(b('/a'), { follow: true })).size, 10)
  assert.equal(existsSync(join(world.home, 'a')), false)
})

withWorld('a cut upload shows at its path, is resumed across a restart, and says where from', async (world) => {
  const first = await world.space.openWrite(b('/a'), PUT)
  await first.write([b('0123456789')], 0)
  await first.write([b('lost')], 50)
  await world.space.close()
  await world.restart()
  assert.deepEqual(await list(world.space, '/'), ['a'])
  assert.equal((await world.space.attributes(b('/a'), { follow: true })).size, 10)
  await assert.rejects(world.space.openRead(b('/a')), refused('file_not_found'))
  const again = await world.space.openWrite(b('/a'), RESUME)
  assert.equal((await again.attributes()).size, 10)
  await again.write([b('abc')], 10)
  await again.close()
  assert.equal((await get(world.space, '/a')).toString(), '0123456789abc')
  assert.equal(world.lastData('file.uploaded')?.resumed_from, 10)
  assert.equal(world.lastData('file.uploaded')?.sha256, sha256('0123456789abc'))
  assert.deepEqual([world.rows.partials.size, temporaries(world)], [0, []])
})

withWorld('a partial of another user is neither seen nor taken over', async (world) => {
  const handle = await world.space.openWrite(b('/a'), PUT)
  await handle.write([b('mine')], 0)
  await handle.abandon('cut')
  world.user = { ...world.user, id: 'usr_2' }
  const other = openSession(world)
  await assert.rejects(other.attributes(b('/a'), { follow: true }), refused('file_not_found'))
  await put(other, '/a', 'x', RESUME)
  assert.equal((await get(other, '/a')).toString(), 'x')
})

withWorld('a new upload and a removal make what was kept for the path go', async (world) => {
  const cut = async () => {
    const handle = await world.space.openWrite(b('/a'), PUT)
    await handle.write([b('cut')], 0)
    await handle.abandon('cut')
  }
  await cut()
  await put(world.space, '/a', 'whole')
  await world.space.remove(b('/a'))
  await assert.rejects(world.space.attributes(b('/a'), { follow: true }), refused('file_not_found'))
  await cut()
  await world.space.remove(b('/a'))
  assert.deepEqual([world.rows.partials.size, temporaries(world)], [0, []])
})

withWorld('a resumed handle that writes nothing gives the partial back', async (world) => {
  const handle = await world.space.openWrite(b('/a'), PUT)
  await handle.write([b('cut')], 0)
  await handle.abandon('cut')
  await (await world.space.openWrite(b('/a'), RESUME)).close()
  assert.equal((await world.space.attributes(b('/a'), { follow: true })).size, 3)
  assert.deepEqual(world.said(), ['file.upload_failed /a'])
})

withWorld('the prefix is saved while the upload runs, and cut back to after a crash', async (world) => {
  const handle = await world.space.openWrite(b('/big'), PUT)
  const block = Buffer.alloc(MIB, 7)
  for (let n = 0; n * MIB < PARTIAL_SYNC_BYTES; n++) await handle.write([block], n * MIB)
  await handle.write([b('beyond a hole')], 20 * MIB)
  await handle.sync()
  while (world.rows.partials.size === 0) await new Promise((resolve) => setImmediate(resolve))
  const [row] = world.rows.partials.values()
  assert.equal(row?.prefixBytes, PARTIAL_SYNC_BYTES)
  // The process is gone: nobody closes or abandons anything, the row alone remains.
  const before = structuredClone([...world.rows.partials])
  await handle.abandon('only for the test to end')
  world.rows.partials = new Map(before)
  await world.restart()
  const again = await world.space.openWrite(b('/big'), RESUME)
  assert.equal((await again.attributes()).size, PARTIAL_SYNC_BYTES)
  await again.write([b('!')], PARTIAL_SYNC_BYTES)
  await again.close()
  const content = readFileSync(join(world.home, 'big'))
  assert.equal(content.length, PARTIAL_SYNC_BYTES + 1)
  assert.ok(content.subarray(0, PARTIAL_SYNC_BYTES).every((byte) => byte === 7))
})

const changesOfAFile = [
  {
    name: 'writing in the middle keeps the rest',
    options: RESUME,
    act: [{ at: 2, text: 'XY' }],
    content: '01XY456789',
  },
  {
    name: 'append ignores the offset',
    options: { ...RESUME, append: true },
    act: [
      { at: 0, text: 'ab' },
      { at: 0, text: 'cd' },
    ],
    content: '0123456789abcd',
  },
  { name: 'truncation by the open', options: PUT, act: [{ at: 0, text: 'new' }], content: 'new' },
  { name: 'truncation by size', options: RESUME, act: [{ size: 4 }], content: '0123' },
  { name: 'extension by size fills with zeros', options: RESUME, act: [{ size: 12 }], content: '0123456789\0\0' },
  { name: 'size, then a write after it', options: RESUME, act: [{ size: 2 }, { at: 2, text: 'z' }], content: '01z' },
  { name: 'the same size again', options: RESUME, act: [{ size: 10 }], content: '0123456789' },
] as const
for (const { name, options, act, content } of changesOfAFile) {
  withWorld(`an existing file: ${name}`, async (world) => {
    await put(world.space, '/a', '0123456789')
    chmodSync(join(world.home, 'a'), 0o640)
    const handle = await world.space.openWrite(b('/a'), options)
    // Sent without waiting, as clients do; the order of calls counts.
    await Promise.all(
      act.map((step) => ('size' in step ? handle.setAttributes({ size: step.size }) : handle.write([b(step.text)], step.at))),
    )
    await handle.close()
    assert.equal((await get(world.space, '/a')).toString(), content)
    assert.equal(statSync(join(world.home, 'a')).mode & 0o777, 0o640)
    const { size, sha256: digest } = world.lastData('file.uploaded')!
    assert.deepEqual([size, digest], [content.length, sha256(content)])
    assert.deepEqual(world.rows.usage, { bytes: content.length, files: 1 })
  })
}

withWorld('a handle that writes nothing into an existing file is no upload', async (world) => {
  await world.space.attributes(b('/'), { follow: true })
  writeFileSync(join(world.home, 'a'), 'as it is')
  const handle = await world.space.openWrite(b('/a'), RESUME)
  await handle.setAttributes({ times: { accessedAt: 1000, modifiedAt: 2000 } })
  await handle.close()
  assert.deepEqual(world.said(), [])
  assert.equal(statSync(join(world.home, 'a')).mtimeMs, 2_000_000)
})

withWorld('mode and times of the handle survive the placing', async (world) => {
  const handle = await world.space.openWrite(b('/a'), PUT)
  await handle.setAttributes({ mode: 0o100600, times: { accessedAt: 1, modifiedAt: -5 } })
  await handle.write([b('x')], 0)
  await handle.close()
  const { mode, modifiedAt } = await world.space.attributes(b('/a'), { follow: true })
  assert.deepEqual([mode, modifiedAt], [0o600, -5])
})

withWorld('the size of a path is set through an upload', async (world) => {
  await put(world.space, '/a', '0123456789')
  await world.space.setAttributes(b('/a'), { size: 3, mode: 0o600 }, { follow: true })
  assert.equal((await get(world.space, '/a')).toString(), '012')
  assert.equal(world.said().filter((said) => said === 'file.uploaded /a').length, 2)
})

const opens = [
  { name: 'exclusive on a file', path: '/file', options: { ...PUT, exclusive: true }, code: 'file_exists' },
  { name: 'without create on nothing', path: '/none', options: { ...PUT, create: false }, code: 'file_not_found' },
  { name: 'a folder', path: '/folder', options: PUT, code: 'is_a_directory' },
  { name: 'the home', path: '/', options: PUT, code: 'is_a_directory' },
  { name: 'below a missing folder', path: '/none/a', options: PUT, code: 'file_not_found' },
  { name: 'below a file', path: '/file/a', options: PUT, code: 'not_a_directory' },
] as const
for (const { name, path, options, code } of opens) {
  withWorld(`opening for writing is refused: ${name}`, async (world) => {
    await put(world.space, '/file', 'x')
    await world.space.makeDirectory(b('/folder'), 0o755)
    await assert.rejects(world.space.openWrite(b(path), options), refused(code))
    assert.equal(world.rows.audit.at(-1)?.result, code)
    assert.deepEqual(temporaries(world), [])
  })
}

withWorld('an exclusive upload loses to a file that came meanwhile', async (world) => {
  const handle = await world.space.openWrite(b('/a'), { ...PUT, exclusive: true })
  await put(world.space, '/a', 'first')
  await handle.write([b('second')], 0)
  await assert.rejects(handle.close(), refused('file_exists'))
  assert.equal((await get(world.space, '/a')).toString(), 'first')
})

withWorld('two uploads of one path never mix: the last close wins, both are said', async (world) => {
  const [one, two] = [await world.space.openWrite(b('/a'), PUT), await openSession(world).openWrite(b('/a'), PUT)]
  await one.write([b('1111')], 0)
  await two.write([b('22')], 0)
  await one.write([b('1111')], 4)
  await two.close()
  await one.close()
  assert.equal((await get(world.space, '/a')).toString(), '11111111')
  assert.equal(world.said().filter((said) => said.startsWith('file.uploaded')).length, 2)
  assert.deepEqual(world.rows.usage, { bytes: 8, files: 1 })
})

withWorld('an own upload in progress shows at its path, takes attributes, and is read back', async (world) => {
  const handle = await world.space.openWrite(b('/a'), PUT)
  await handle.write([b('so far')], 0)
  assert.equal((await world.space.attributes(b('/a'), { follow: true })).size, 6)
  assert.deepEqual(await list(world.space, '/'), ['a'])
  await world.space.setAttributes(b('/a'), { mode: 0o604 }, { follow: true })
  const into = Buffer.alloc(6)
  assert.equal(await handle.read(into, 0), 6)
  assert.equal(into.toString(), 'so far')
  await handle.close()
  assert.equal(statSync(join(world.home, 'a')).mode & 0o777, 0o604)
})

withWorld('a handle that has ended answers conflict', async (world) => {
  const handle = await world.space.openWrite(b('/a'), PUT)
  await handle.close()
  for (const call of [() => handle.write([b('x')], 0), () => handle.close(), () => handle.sync(), () => handle.abandon('x')]) {
    await assert.rejects(call(), refused('conflict'))
  }
})

withWorld('separate ranges are bounded', async (world) => {
  const handle = await world.space.openWrite(b('/a'), PUT)
  for (let n = 0; n < RANGES_MAX; n += 64) {
    await Promise.all(Array.from({ length: 64 }, (_, m) => handle.write([b('x')], (n + m) * 2)))
  }
  await assert.rejects(handle.write([b('x')], RANGES_MAX * 2), refused('limit_reached'))
})

withWorld('a write beyond what can be counted is refused', async (world) => {
  const handle = await world.space.openWrite(b('/a'), PUT)
  await assert.rejects(handle.write([b('x')], Number.MAX_SAFE_INTEGER), refused('invalid'))
})

withWorld('an upload into a folder that went away fails, and is kept', async (world) => {
  await world.space.makeDirectory(b('/d'), 0o755)
  const handle = await world.space.openWrite(b('/d/a'), PUT)
  await handle.write([b('x')], 0)
  await world.space.rename(b('/d'), b('/e'), { replace: false })
  await assert.rejects(handle.close(), refused('file_not_found'))
  assert.deepEqual(await list(world.space, '/e'), [])
  assert.equal(world.rows.partials.size, 1)
})

withWorld('a partial whose temporary is shorter than its row is cut back to what is there', async (world) => {
  const handle = await world.space.openWrite(b('/a'), PUT)
  await handle.write([b('0123456789')], 0)
  await handle.abandon('cut')
  truncateSync(join(world.folder, '.landfall/uploads', temporaries(world)[0]!), 4)
  const again = await world.space.openWrite(b('/a'), RESUME)
  assert.equal((await again.attributes()).size, 4)
})

withWorld('a sweep leaves what is in use or kept, and takes the rest', async (world) => {
  const live = await world.space.openWrite(b('/live'), PUT)
  const cut = await world.space.openWrite(b('/cut'), PUT)
  await cut.write([b('x')], 0)
  await cut.abandon('cut')
  writeFileSync(join(world.folder, '.landfall/uploads/stray'), 'x')
  assert.equal(await world.files.sweep(), 1)
  assert.equal(temporaries(world).length, 2)
  await live.close()
})
