import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Attributes } from './attributes.ts'
import { ProtocolError } from './bytes.ts'
import { decodeFileSystem, decodeLimits, decodeReply, type Reply } from './client.ts'
import {
  EXTENSION,
  LENGTH_BYTES,
  NAME_ENTRIES_MAX,
  NAME_REPLY_BYTES,
  PACKET_BYTES_MAX,
  STATUS,
  STATUS_MESSAGE_CHARS_MAX,
} from './constants.ts'
import {
  DATA_HEAD_BYTES,
  encodeAttributes,
  encodeFileSystem,
  encodeHandle,
  encodeLimits,
  encodePath,
  encodeStatus,
  encodeVersion,
  finishData,
  NameBatch,
  type NameEntry,
} from './reply.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

function decodeWhole(packet: Buffer): Reply {
  assert.equal(packet.readUInt32BE(0), packet.length - LENGTH_BYTES)
  return decodeReply(packet.subarray(LENGTH_BYTES))
}

function extendedData(packet: Buffer): Buffer {
  const reply = decodeWhole(packet)
  assert.ok(reply.kind === 'extended')
  return reply.data
}

// Written out by hand from the draft, so that encoder and decoder cannot be wrong together.
const vectors = [
  {
    name: 'STATUS OK',
    packet: encodeStatus(1, STATUS.OK, 'Ok'),
    bytes: hex('00000013 65 00000001 00000000 00000002 4f6b 00000000'),
  },
  {
    name: 'STATUS with a message in UTF-8',
    packet: encodeStatus(1, 4, 'é'),
    bytes: hex('00000013 65 00000001 00000004 00000002 c3a9 00000000'),
  },
  { name: 'HANDLE', packet: encodeHandle(2, hex('00000007')), bytes: hex('0000000d 66 00000002 00000004 00000007') },
  { name: 'ATTRS', packet: encodeAttributes(3, { size: 2 ** 32 }), bytes: hex('00000011 69 00000003 00000001 0000000100000000') },
  {
    name: 'NAME of a path',
    packet: encodePath(4, Buffer.from('/')),
    bytes: hex('00000017 68 00000004 00000001 00000001 2f 00000001 2f 00000000'),
  },
  { name: 'VERSION alone', packet: encodeVersion([]), bytes: hex('00000005 02 00000003') },
  {
    name: 'limits',
    packet: encodeLimits(5, { packetBytes: 262144, readBytes: 261120, writeBytes: 261120, openHandles: 100 }),
    bytes: hex('00000025 c9 00000005 0000000000040000 000000000003fc00 000000000003fc00 0000000000000064'),
  },
] as const
for (const { name, packet, bytes } of vectors) {
  test(`replies: the draft's bytes of ${name}`, () => assert.equal(packet.toString('hex'), bytes.toString('hex')))
}

test('replies: VERSION carries the extensions', () => {
  const extensions = [EXTENSION.POSIX_RENAME, EXTENSION.STATVFS]
  assert.deepEqual(decodeWhole(encodeVersion(extensions)), { kind: 'version', version: 3, extensions })
})

test('replies: STATUS comes back with any message', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 0xffffffff }),
      fc.constantFrom(...Object.values(STATUS)),
      fc.string({ unit: 'grapheme' }),
      (id, code, message) => {
        assert.deepEqual(decodeWhole(encodeStatus(id, code, message)), { kind: 'status', id, code, message, language: '' })
      },
    ),
  )
})

test('replies: an endless STATUS message is cut', () => {
  const reply = decodeWhole(encodeStatus(1, STATUS.FAILURE, 'm'.repeat(100_000)))
  assert.ok(reply.kind === 'status')
  assert.equal(reply.message.length, STATUS_MESSAGE_CHARS_MAX)
})

const fills = [
  { name: 'all read', dataBytes: 1000, isView: true },
  { name: 'half read', dataBytes: 500, isView: true },
  { name: 'little read', dataBytes: 10, isView: false },
  { name: 'nothing read', dataBytes: 0, isView: false },
] as const
for (const { name, dataBytes, isView } of fills) {
  test(`replies: DATA with ${name} is ${isView ? 'finished in place' : 'copied, so that it holds what it counts'}`, () => {
    const room = Buffer.alloc(DATA_HEAD_BYTES + 1000, 'd')
    const packet = finishData(room, 9, dataBytes)
    assert.deepEqual(decodeWhole(packet), { kind: 'data', id: 9, data: Buffer.alloc(dataBytes, 'd') })
    assert.equal(packet.buffer === room.buffer, isView)
  })
}

const times = [
  { name: 'before 1970', given: -1, said: 0 },
  { name: '2038', given: 2 ** 31, said: 2 ** 31 },
  { name: 'the last second', given: 2 ** 32 - 1, said: 2 ** 32 - 1 },
  { name: 'after 2106', given: 2 ** 32, said: 2 ** 32 - 1 },
  { name: 'a fraction', given: 1.9, said: 1 },
] as const
for (const { name, given, said } of times) {
  test(`replies: a time of ${name} is said as ${said}`, () => {
    const reply = decodeWhole(encodeAttributes(1, { atime: given, mtime: given }))
    assert.deepEqual(reply, { kind: 'attributes', id: 1, attributes: { atime: said, mtime: said } })
  })
}

test('replies: half an owner or half a time is a bug of the caller', () => {
  for (const half of [{ uid: 1 }, { gid: 1 }, { atime: 1 }, { mtime: 1 }] as Attributes[]) {
    assert.throws(() => encodeAttributes(1, half), assert.AssertionError)
  }
})

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
const word = fc.nat({ max: 0xffffffff })
// Decoded records have the usual prototype, and deepEqual compares it.
const plain = { noNullPrototype: true } as const
const fileAttributes = fc.record(
  { size: fc.maxSafeNat(), uid: word, gid: word, permissions: word, atime: word, mtime: word },
  plain,
)
const entry: fc.Arbitrary<NameEntry> = fc.record({ filename: bytes, longname: bytes, attributes: fileAttributes }, plain)

test('NameBatch: a listing of any size comes back whole, in order, in bounded replies', () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 350 }), (listing) => {
      const received: NameEntry[] = []
      let batch = new NameBatch()
      const send = () => {
        const packet = batch.finish(5)
        assert.ok(packet.length <= NAME_REPLY_BYTES)
        const reply = decodeWhole(packet)
        assert.ok(reply.kind === 'name' && reply.id === 5 && reply.entries.length === batch.count)
        received.push(...reply.entries)
        batch = new NameBatch()
      }
      for (const file of listing) {
        if (batch.add(file)) continue
        send()
        assert.ok(batch.add(file))
      }
      send()
      assert.deepEqual(received, listing)
    }),
    { numRuns: 30 },
  )
})

const small: NameEntry = { filename: Buffer.from('f'), longname: Buffer.from('l'), attributes: {} }

test('NameBatch: is full at NAME_ENTRIES_MAX entries', () => {
  const batch = new NameBatch()
  for (let n = 0; n < NAME_ENTRIES_MAX; n++) assert.ok(batch.add(small))
  assert.equal(batch.add(small), false)
})

test('NameBatch: an entry above the target goes alone, one above the packet limit is a RangeError', () => {
  const large = { ...small, filename: Buffer.alloc(NAME_REPLY_BYTES, 'n') }
  const batch = new NameBatch()
  assert.ok(batch.add(small))
  assert.equal(batch.add(large), false)
  const alone = new NameBatch()
  assert.ok(alone.add(large))
  assert.equal(alone.add(small), false)
  assert.deepEqual(decodeWhole(alone.finish(1)), { kind: 'name', id: 1, entries: [large] })
  assert.throws(() => new NameBatch().add({ ...small, filename: Buffer.alloc(PACKET_BYTES_MAX) }), RangeError)
})

test('NameBatch: a nearly empty reply does not hold the whole batch', () => {
  const batch = new NameBatch()
  batch.add(small)
  const packet = batch.finish(1)
  // A copy this small lies in the memory that Node shares among small buffers.
  assert.notEqual(packet.buffer.byteLength, NAME_REPLY_BYTES)
})

test('replies: limits and file system figures come back; what no uint64 can say is moved to the nearest end', () => {
  const limits = { packetBytes: 1, readBytes: 2, writeBytes: 3, openHandles: Number.MAX_SAFE_INTEGER }
  assert.deepEqual(decodeLimits(extendedData(encodeLimits(1, limits))), limits)
  const system = {
    blockBytes: 4096,
    fragmentBytes: 4096,
    blocks: 2 ** 40,
    blocksFree: 3,
    blocksAvailable: 4,
    files: 5,
    filesFree: 6,
    filesAvailable: 7,
    fileSystemId: 8,
    flags: 1,
    nameBytesMax: 255,
  }
  assert.deepEqual(decodeFileSystem(extendedData(encodeFileSystem(1, system))), system)
  const odd = extendedData(encodeLimits(1, { packetBytes: -1, readBytes: 2 ** 64, writeBytes: 2 ** 63, openHandles: 0 }))
  assert.equal(odd.toString('hex'), '0000000000000000ffffffffffffffff80000000000000000000000000000000')
})

test('decodeReply: random bytes give a reply or a ProtocolError', () => {
  const payload = fc.tuple(fc.constantFrom(2, 101, 102, 103, 104, 105, 201, 77), fc.uint8Array({ maxLength: 100 }))
  fc.assert(
    fc.property(payload, ([type, rest]) => {
      try {
        decodeReply(Buffer.from([type, ...rest]))
      } catch (error) {
        assert.ok(error instanceof ProtocolError, String(error))
      }
    }),
    { numRuns: 1000 },
  )
})
