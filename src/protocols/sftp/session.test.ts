import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { KIB, MIB } from '../../base/units.ts'
import { decodeFileSystem, decodeLimits, packet, string } from '../../wire/sftp/client.ts'
import { DATA_BYTES_MAX, OPEN_FLAG, PACKET, STATUS } from '../../wire/sftp/constants.ts'
import { type Ask, RawClient, type ReplyOf, startSession, type TestSession } from './client-testing.ts'
import { REPLY_BYTES_MAX, REQUEST_BYTES_MAX } from './flow.ts'
import { type FolderSpace, folderSpace } from './testing.ts'

let folder: string
let space: FolderSpace
let started: TestSession
let client: RawClient

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'landfall-sftp-'))
  space = folderSpace(folder)
  started = startSession(space)
  client = started.client
})
afterEach(async () => {
  started.session.cut()
  await started.session.over
  await rm(folder, { recursive: true, force: true })
})

const path = (text: string) => Buffer.from(text)
const NEW = OPEN_FLAG.WRITE | OPEN_FLAG.CREATE | OPEN_FLAG.TRUNCATE
const open = (name: string, flags: number): Ask => ({ kind: 'open', path: path(name), flags, attributes: {} })
const writeAt = (handle: Buffer, offset: number, data: Buffer): Ask => ({ kind: 'write', handle, offset, data })
const readAt = (handle: Buffer, offset: number, length: number): Ask => ({ kind: 'read', handle, offset, length })
const close = (handle: Buffer): Ask => ({ kind: 'close', handle })

for (const version of [3, 4, 5, 6, 99]) {
  test(`version ${version} is answered with 3 and the extensions`, async () => {
    const reply = await client.init(version)
    assert.equal(reply.version, 3)
    const names = reply.extensions.map(({ name }) => name)
    assert.ok(names.includes('limits@openssh.com') && names.includes('posix-rename@openssh.com') && names.includes('copy-data'))
    assert.ok(!names.includes('hardlink@openssh.com'))
  })
}

const breaches: { name: string; send: () => void; says: RegExp }[] = [
  { name: 'version 2', send: () => void client.init(2), says: /SFTP 2 is not offered/ },
  {
    name: 'a first packet that is not INIT',
    send: () => void client.ask({ kind: 'realpath', path: path('.') }),
    says: /not INIT/,
  },
  { name: 'a packet of length 0', send: () => void client.raw(1, Buffer.alloc(4)), says: /packet length: 0/ },
  { name: 'a packet above 256 KiB', send: () => void client.raw(1, Buffer.from([0, 4, 0, 1])), says: /packet length: 262145/ },
]
for (const { name, send, says } of breaches) {
  test(`${name} ends the session with a sentence and status 1`, async () => {
    send()
    await started.session.over
    assert.match(started.stderr(), says)
    assert.equal(started.exit(), 1)
  })
}

test('a second INIT ends the session', async () => {
  await client.init()
  void client.init()
  await started.session.over
  assert.match(started.stderr(), /INIT came twice/)
  assert.equal(started.exit(), 1)
})

test('buffers that are used again hold the bytes of one packet at a time, in both directions', async (t) => {
  const { pipe, session } = startSession(space, { reads: false })
  t.after(() => session.cut())
  const cut = (bytes: Buffer) => {
    for (let at = 0; at < bytes.length; at += 32 * KIB) pipe.write(bytes.subarray(at, at + 32 * KIB))
    return true
  }
  // Slowly, so that replies wait in the channel while others are made.
  const take = async (listener: (chunk: Buffer) => void) => {
    for await (const chunk of pipe) {
      listener(chunk)
      await turns(5)
    }
  }
  const client = new RawClient({ write: cut, on: (_, listener) => void take(listener) })
  await client.init()
  const data = randomBytes(16 * MIB)
  const sizes = [200_000, 33_000, 70_000, DATA_BYTES_MAX, 5_000, 20_000]
  const parts: { offset: number; length: number }[] = []
  for (let offset = 0; offset < data.length; offset += parts.at(-1)!.length) {
    parts.push({ offset, length: Math.min(sizes[parts.length % sizes.length]!, data.length - offset) })
  }
  const handle = await client.handle(open('/x', NEW | OPEN_FLAG.READ))
  const write = async ({ offset, length }: { offset: number; length: number }) => {
    const reply = await client.ask(writeAt(handle, offset, data.subarray(offset, offset + length)))
    assert.equal(reply.kind === 'status' && reply.code, STATUS.OK)
  }
  const read = async ({ offset, length }: { offset: number; length: number }) => {
    const reply = await client.ask(readAt(handle, offset, length))
    assert.ok(reply.kind === 'data' && reply.data.equals(data.subarray(offset, offset + length)), `at ${offset}`)
  }
  // The second half is written while the first is read, through the same buffers.
  const half = parts.findIndex(({ offset }) => offset >= data.length / 2)
  await Promise.all(parts.slice(0, half).map(write))
  await Promise.all(parts.flatMap((part, index) => (index < half ? [read(part)] : [write(part)])))
  await Promise.all(parts.map(read))
})

test('what is written in any order is read back', async () => {
  await client.init()
  const data = randomBytes(1_000_000)
  const handle = await client.handle(open('/x', NEW))
  const offsets = Array.from({ length: 10 }, (_, index) => index * 100_000)
  const statuses = await Promise.all(
    offsets.toReversed().map((at) => client.status(writeAt(handle, at, data.subarray(at, at + 100_000)))),
  )
  assert.deepEqual(new Set(statuses.map(({ code }) => code)), new Set([STATUS.OK]))
  assert.equal((await client.status(close(handle))).code, STATUS.OK)
  assert.ok((await readFile(join(folder, 'x'))).equals(data))

  const reader = await client.handle(open('/x', OPEN_FLAG.READ))
  const parts = await Promise.all(offsets.map((at) => client.ask(readAt(reader, at, 100_000))))
  assert.ok(Buffer.concat(parts.map((part) => (part as ReplyOf<'data'>).data)).equals(data))
})

test('requests on one handle keep their order without waiting for replies', async () => {
  await client.init()
  const handle = await client.handle(open('/x', NEW | OPEN_FLAG.READ))
  const first = client.ask({ kind: 'fstat', handle })
  const writes = Array.from({ length: 64 }, (_, index) => client.status(writeAt(handle, index * 1000, Buffer.alloc(1000, index))))
  const second = client.ask({ kind: 'fstat', handle })
  const read = client.ask(readAt(handle, 63_000, 1000))
  const last = client.status(writeAt(handle, 63_000, Buffer.alloc(1000, 255)))
  const closed = client.status(close(handle))
  const looked = client.ask({ kind: 'stat', path: path('/x') })
  assert.equal(((await first) as ReplyOf<'attributes'>).attributes.size, 0)
  assert.equal(((await second) as ReplyOf<'attributes'>).attributes.size, 64_000)
  assert.deepEqual(((await read) as ReplyOf<'data'>).data, Buffer.alloc(1000, 63))
  await Promise.all([...writes, last])
  assert.equal((await closed).code, STATUS.OK)
  // The CLOSE puts the file in its place, so a STAT that came behind it sees it.
  assert.equal(((await looked) as ReplyOf<'attributes'>).attributes.size, 64_000)
})

test('requests that name a path keep their order without waiting for replies', async () => {
  await client.init()
  const answers = await Promise.all([
    client.status({ kind: 'mkdir', path: path('/a'), attributes: {} }),
    client.status({ kind: 'rename', from: path('/a'), to: path('/b') }),
    client.status({ kind: 'rmdir', path: path('/b') }),
    client.status({ kind: 'rmdir', path: path('/b') }),
  ])
  assert.deepEqual(
    answers.map(({ code }) => code),
    [STATUS.OK, STATUS.OK, STATUS.OK, STATUS.NO_SUCH_FILE],
  )
})

test('a CLOSE that takes its time holds up what looks at paths, but not the OPEN of the next file', async () => {
  await client.init()
  const handle = await client.handle(open('/x', NEW))
  const disk = Promise.withResolvers<void>()
  space.stall = disk.promise
  const written = client.status(writeAt(handle, 0, Buffer.alloc(10)))
  const closed = client.status(close(handle))
  // Answered while the disk stands still: an empty beginning needs nothing of the file before it.
  await client.handle(open('/y', NEW))
  let looked = false
  const appended = client.handle(open('/x', OPEN_FLAG.WRITE | OPEN_FLAG.APPEND)).then(() => {
    looked = true
  })
  await turns(10)
  assert.equal(looked, false)
  disk.resolve()
  assert.deepEqual([(await written).code, (await closed).code], [STATUS.OK, STATUS.OK])
  await appended
})

test('contiguous writes that wait are joined, and each is answered', async () => {
  await client.init()
  const handle = await client.handle(open('/x', NEW))
  const disk = Promise.withResolvers<void>()
  space.stall = disk.promise
  const answers = Array.from({ length: 96 }, (_, index) =>
    client.status(writeAt(handle, index * 16 * KIB, Buffer.alloc(16 * KIB, index))),
  )
  const apart = client.status(writeAt(handle, 10 * MIB, Buffer.alloc(10)))
  await waitUntil(() => started.flow.requests === 97)
  disk.resolve()
  assert.deepEqual(new Set((await Promise.all(answers)).map(({ code }) => code)), new Set([STATUS.OK]))
  await apart
  // The first began at once; what came meanwhile went in calls of at most 1 MiB; a hole begins a new one.
  assert.deepEqual(space.writes, [16 * KIB, 64 * 16 * KIB, 31 * 16 * KIB, 10])
})

test('a disk that stands still stops the client, and its memory is bounded', async () => {
  await client.init()
  const handle = await client.handle(open('/x', NEW))
  const disk = Promise.withResolvers<void>()
  space.stall = disk.promise
  const data = Buffer.alloc(32 * KIB)
  const answers = Array.from({ length: 2048 }, (_, index) => client.status(writeAt(handle, index * data.length, data)))
  await waitUntil(() => !started.flow.hasRoom)
  await turns(10)
  const overshoot = data.length + 2 * KIB
  assert.ok(started.flow.bytes <= REQUEST_BYTES_MAX + overshoot, `${started.flow.bytes} bytes are held`)
  assert.ok(started.pipe.writableLength > 64 * MIB - REQUEST_BYTES_MAX - MIB, 'the rest waits with the client')
  disk.resolve()
  assert.deepEqual(new Set((await Promise.all(answers)).map(({ code }) => code)), new Set([STATUS.OK]))
  assert.equal(started.flow.bytes, 0)
})

test('a client that reads no replies is not read either', async () => {
  started.session.cut()
  await started.session.over
  await writeFile(join(folder, 'x'), Buffer.alloc(MIB))
  started = startSession(space, { reads: false })
  const { client: deaf, flow, pipe } = started
  void deaf.init()
  void deaf.ask(open('/x', OPEN_FLAG.READ))
  const handle = await firstHandle(pipe)
  for (let index = 0; index < 1000; index++) void deaf.ask(readAt(handle, 0, DATA_BYTES_MAX))
  await waitUntil(() => !flow.hasRoom && flow.requests === 0)
  await turns(10)
  assert.ok(flow.bytes <= REPLY_BYTES_MAX + DATA_BYTES_MAX + KIB, `${flow.bytes} bytes are held`)
})

test('bytes that the network has not taken stop the client too', async () => {
  started.session.cut()
  await started.session.over
  const wire = { writableLength: REPLY_BYTES_MAX, cork() {}, uncork() {} }
  started = startSession(space, { wire })
  const greeted = started.client.init()
  await turns(10)
  assert.equal(started.client.unanswered, 1)
  wire.writableLength = 0
  started.flow.room()
  assert.equal((await greeted).version, 3)
})

const ends = [
  { name: 'past the end', at: 11, length: 10, answer: { kind: 'status', code: STATUS.EOF } },
  { name: 'of nothing', at: 0, length: 0, answer: { kind: 'data', bytes: 0 } },
  { name: 'across the end', at: 5, length: 100, answer: { kind: 'data', bytes: 6 } },
  { name: 'of 4 GiB', at: 0, length: 0xffffffff, answer: { kind: 'data', bytes: 11 } },
] as const
for (const { name, at, length, answer } of ends) {
  test(`a read ${name}`, async () => {
    await client.init()
    await writeFile(join(folder, 'x'), 'hello world')
    const reply = await client.ask(readAt(await client.handle(open('/x', OPEN_FLAG.READ)), at, length))
    assert.equal(reply.kind, answer.kind)
    if (reply.kind === 'status' && answer.kind === 'status') assert.equal(reply.code, answer.code)
    if (reply.kind === 'data' && answer.kind === 'data') assert.equal(reply.data.length, answer.bytes)
  })
}

test('a read is cut to 255 KiB', async () => {
  await client.init()
  await writeFile(join(folder, 'x'), Buffer.alloc(MIB))
  const reply = await client.ask(readAt(await client.handle(open('/x', OPEN_FLAG.READ)), 0, MIB))
  assert.equal((reply as ReplyOf<'data'>).data.length, 261_120)
})

test('handles: bounded, used once, of one session', async () => {
  await client.init()
  await writeFile(join(folder, 'x'), 'x')
  const handles: Buffer[] = []
  for (let index = 0; index < 16; index++) handles.push(await client.handle(open('/x', OPEN_FLAG.READ)))
  const one = await client.status(open('/x', OPEN_FLAG.READ))
  assert.equal(one.code, STATUS.FAILURE)
  assert.match(one.message, /too many open handles: 16 of 16/)
  assert.equal((await client.status(close(handles[0]!))).code, STATUS.OK)
  assert.equal((await client.status(close(handles[0]!))).code, STATUS.FAILURE)
  assert.notDeepEqual(await client.handle(open('/x', OPEN_FLAG.READ)), handles[0])

  const other = startSession(folderSpace(folder))
  await other.client.init()
  const foreign = await other.client.status(readAt(handles[1]!, 0, 1))
  assert.match(foreign.message, /no such handle/)
  other.session.cut()
})

test('an OPEN that failed takes no handle', async () => {
  await client.init()
  for (let index = 0; index < 20; index++)
    assert.equal((await client.status(open('/none', OPEN_FLAG.READ))).code, STATUS.NO_SUCH_FILE)
})

const wrong: { name: string; ask: (handle: Buffer) => Ask; code: number; says: RegExp }[] = [
  {
    name: 'writing to a handle for reading',
    ask: (handle) => writeAt(handle, 0, Buffer.alloc(1)),
    code: STATUS.PERMISSION_DENIED,
    says: /reading only/,
  },
  { name: 'listing a file', ask: (handle) => ({ kind: 'readdir', handle }), code: STATUS.NO_SUCH_FILE, says: /of a file/ },
  {
    name: 'a handle of 256 unknown bytes',
    ask: () => readAt(Buffer.alloc(256), 0, 1),
    code: STATUS.FAILURE,
    says: /no such handle/,
  },
  { name: 'a handle of 257 bytes', ask: () => readAt(Buffer.alloc(257), 0, 1), code: STATUS.BAD_MESSAGE, says: /257 bytes/ },
  {
    name: 'a hard link',
    ask: () => ({ kind: 'hardlink', targetPath: path('/x'), linkPath: path('/y') }),
    code: STATUS.OP_UNSUPPORTED,
    says: /not offered/,
  },
  {
    name: 'making a file by a reading OPEN',
    ask: () => open('/y', OPEN_FLAG.READ | OPEN_FLAG.CREATE),
    code: STATUS.FAILURE,
    says: /flags: 9/,
  },
  {
    name: 'renaming over a file',
    ask: () => ({ kind: 'rename', from: path('/x'), to: path('/z') }),
    code: STATUS.FAILURE,
    says: /there already/,
  },
  {
    name: 'the home of another user',
    ask: () => ({ kind: 'home_directory', username: path('root') }),
    code: STATUS.NO_SUCH_FILE,
    says: /another user/,
  },
]
for (const { name, ask, code, says } of wrong) {
  test(`refused: ${name}`, async () => {
    await client.init()
    await writeFile(join(folder, 'x'), 'x')
    await writeFile(join(folder, 'z'), 'z')
    const status = await client.status(ask(await client.handle(open('/x', OPEN_FLAG.READ))))
    assert.equal(status.code, code)
    assert.match(status.message, says)
  })
}

test('an unknown extension, packet type and malformed request are answered, and the session goes on', async () => {
  await client.init()
  const codes = [
    await client.raw(1, packet(PACKET.EXTENDED, 1, string(Buffer.from('nonsense@example.com')))),
    await client.raw(2, packet(77, 2)),
    await client.raw(3, packet(PACKET.OPEN, 3, Buffer.from([0, 0, 0, 9]))),
  ].map((reply) => (reply as ReplyOf<'status'>).code)
  assert.deepEqual(codes, [STATUS.OP_UNSUPPORTED, STATUS.OP_UNSUPPORTED, STATUS.BAD_MESSAGE])
  assert.equal((await client.ask({ kind: 'realpath', path: path('a/../b') })).kind, 'name')
})

test('a fault of ours is answered as one, without its text', async () => {
  space.attributes = async () => {
    throw new Error('/secret/path went wrong')
  }
  await client.init()
  assert.deepEqual(await client.status({ kind: 'stat', path: path('/x') }), { code: STATUS.FAILURE, message: 'internal error' })
})

test('a folder is listed in parts, once, and then ended', async () => {
  await client.init()
  const names = Array.from({ length: 450 }, (_, index) => `file-${index}-${'x'.repeat(index % 200)}`)
  for (const name of names) await writeFile(join(folder, name), '')
  const handle = await client.handle({ kind: 'opendir', path: path('/') })
  const found: string[] = []
  let parts = 0
  for (;;) {
    const reply = await client.ask({ kind: 'readdir', handle })
    if (reply.kind !== 'name') break
    parts++
    assert.ok(reply.entries.length <= 100)
    found.push(...reply.entries.map(({ filename }) => filename.toString()))
  }
  assert.deepEqual(found.toSorted(), names.toSorted())
  assert.ok(parts >= 5)
  assert.equal((await client.status({ kind: 'readdir', handle })).code, STATUS.EOF)
})

test('the extensions do what they say', async () => {
  await client.init()
  await writeFile(join(folder, 'x'), 'hello world')
  const source = await client.handle(open('/x', OPEN_FLAG.READ))
  const target = await client.handle(open('/y', NEW | OPEN_FLAG.READ))
  const copy = { kind: 'copy_data', readHandle: source, readOffset: 6, length: 0, writeHandle: target, writeOffset: 0 } as const
  const ok: Ask[] = [
    copy,
    { kind: 'fsync', handle: target },
    close(target),
    { kind: 'posix_rename', from: path('/y'), to: path('/x') },
    { kind: 'lsetstat', path: path('/x'), attributes: { atime: 1000, mtime: 2000 } },
    { kind: 'setstat', path: path('/x'), attributes: {} },
  ]
  for (const request of ok) assert.equal((await client.status(request)).code, STATUS.OK, request.kind)
  assert.equal(await readFile(join(folder, 'x'), 'utf8'), 'world')
  const attributes = (await client.ask({ kind: 'lstat', path: path('/x') })) as ReplyOf<'attributes'>
  assert.equal(attributes.attributes.mtime, 2000)

  const limits = decodeLimits(((await client.ask({ kind: 'limits' })) as ReplyOf<'extended'>).data)
  assert.deepEqual(limits, { packetBytes: 262_144, readBytes: 261_120, writeBytes: 261_120, openHandles: 16 })
  const system = decodeFileSystem(((await client.ask({ kind: 'fstatvfs', handle: source })) as ReplyOf<'extended'>).data)
  assert.ok(system.blocks > 0 && system.fileSystemId === 0)
  for (const [text, home] of [
    ['~', '/'],
    ['~/a', '/a'],
    ['~pipeline/b', '/b'],
    ['c', '/c'],
  ] as const) {
    const reply = (await client.ask({ kind: 'expand_path', path: path(text) })) as ReplyOf<'name'>
    assert.equal(reply.entries[0]?.filename.toString(), home, text)
  }
})

test('a copy within one file refuses ranges that overlap', async () => {
  await client.init()
  const handle = await client.handle(open('/x', NEW | OPEN_FLAG.READ))
  await client.status(writeAt(handle, 0, Buffer.from('0123456789')))
  const copy = (readOffset: number, length: number, writeOffset: number) =>
    client.status({ kind: 'copy_data', readHandle: handle, readOffset, length, writeHandle: handle, writeOffset })
  assert.match((await copy(0, 5, 3)).message, /overlap/)
  assert.match((await copy(0, 0, 100)).message, /overlap/)
  assert.equal((await copy(0, 5, 5)).code, STATUS.OK)
  assert.deepEqual(((await client.ask(readAt(handle, 0, 20))) as ReplyOf<'data'>).data.toString(), '0123401234')
})

test('the end of input is answered with status 0, after what is under way', async () => {
  await client.init()
  const handle = await client.handle(open('/x', NEW))
  const left = await client.handle(open('/left', NEW))
  void client.status(writeAt(left, 0, Buffer.from('partial')))
  const written = client.status(writeAt(handle, 0, Buffer.from('whole')))
  const closed = client.status(close(handle))
  started.pipe.end()
  assert.equal((await written).code, STATUS.OK)
  assert.equal((await closed).code, STATUS.OK)
  await started.session.over
  assert.equal(started.exit(), 0)
  assert.equal(await readFile(join(folder, 'x'), 'utf8'), 'whole')
  assert.deepEqual(space.abandoned, ['/left'])
})

test('a cut abandons what is open and answers nothing more', async () => {
  await client.init()
  const handle = await client.handle(open('/x', NEW))
  await client.status(writeAt(handle, 0, Buffer.from('half')))
  started.session.cut()
  await started.session.over
  assert.deepEqual(space.abandoned, ['/x'])
  assert.equal(started.exit(), undefined)
})

test('names are bytes', async () => {
  await client.init()
  const name = Buffer.from([0x2f, 0xc3, 0xa9, 0x20, 0x22, 0x0a, 0x2d])
  await client.status(close(await client.handle({ kind: 'open', path: name, flags: NEW, attributes: { permissions: 0o100600 } })))
  const handle = await client.handle({ kind: 'opendir', path: path('/') })
  const listed = (await client.ask({ kind: 'readdir', handle })) as ReplyOf<'name'>
  assert.deepEqual(listed.entries[0]?.filename, name.subarray(1))
  assert.equal(listed.entries[0]?.attributes.permissions, 0o100600)
})

async function waitUntil(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turns(1)
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Reads just VERSION and the reply to the first OPEN, then nothing any more. */
async function firstHandle(pipe: TestSession['pipe']): Promise<Buffer> {
  let seen = Buffer.alloc(0)
  for (;;) {
    const chunk = pipe.read() as Buffer | null
    if (chunk !== null) seen = Buffer.concat([seen, chunk])
    const version = seen.length >= 4 ? seen.readUInt32BE(0) + 4 : Number.POSITIVE_INFINITY
    // Length, type, id, length of the handle, handle.
    if (seen.length >= version + 13 + 12) return seen.subarray(version + 13, version + 25)
    await turns(1)
  }
}
