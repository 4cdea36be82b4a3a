import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Attributes } from './attributes.ts'
import { type EncodableRequest, encodeRequest, packet, string, uint32, uint64 } from './client.ts'
import { EXTENDED_ATTRIBUTES_MAX, EXTENSION_NAME_CHARS_MAX, EXTENSIONS_MAX, LENGTH_BYTES, PACKET } from './constants.ts'
import { decodeRequest, type Request } from './request.ts'

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
const path = bytes
const handle = fc.uint8Array({ maxLength: 256 }).map((array) => Buffer.from(array))
const id = fc.nat({ max: 0xffffffff })
const word = id
const offset = fc.maxSafeNat()
// Decoded records have the usual prototype, and deepEqual compares it.
const plain = { noNullPrototype: true } as const
const owner = fc.record({ uid: word, gid: word }, plain)
const times = fc.record({ atime: word, mtime: word }, plain)
const single = fc.record(
  { size: offset, permissions: word, extended: fc.array(fc.record({ type: bytes, data: bytes }, plain), { maxLength: 3 }) },
  { ...plain, requiredKeys: [] },
)
const attributes: fc.Arbitrary<Attributes> = fc
  .tuple(single, fc.option(owner), fc.option(times))
  .map(([some, ids, stamps]) => ({ ...some, ...ids, ...stamps }))
const latin1 = bytes.map((buffer) => buffer.toString('latin1'))

/** What each request has besides kind and id. A new kind does not compile until it is here. */
const members: Record<Exclude<EncodableRequest['kind'], 'init'>, Record<string, fc.Arbitrary<unknown>>> = {
  open: { path, flags: word, attributes },
  close: { handle },
  read: { handle, offset, length: word },
  write: { handle, offset, data: bytes },
  lstat: { path },
  fstat: { handle },
  setstat: { path, attributes },
  fsetstat: { handle, attributes },
  opendir: { path },
  readdir: { handle },
  remove: { path },
  mkdir: { path, attributes },
  rmdir: { path },
  realpath: { path },
  stat: { path },
  rename: { from: path, to: path },
  readlink: { path },
  symlink: { targetPath: path, linkPath: path },
  posix_rename: { from: path, to: path },
  hardlink: { targetPath: path, linkPath: path },
  statvfs: { path },
  fstatvfs: { handle },
  fsync: { handle },
  limits: {},
  lsetstat: { path, attributes },
  expand_path: { path },
  copy_data: { readHandle: handle, readOffset: offset, length: offset, writeHandle: handle, writeOffset: offset },
  home_directory: { username: path },
}
const init = fc.record(
  {
    kind: fc.constant('init'),
    version: word,
    extensions: fc.array(fc.record({ name: latin1, data: latin1 }, plain), { maxLength: 5 }),
  },
  plain,
)
const others = Object.entries(members).map(([kind, more]) => fc.record({ kind: fc.constant(kind), id, ...more }, plain))
const anyRequest = fc.oneof(init, ...others) as fc.Arbitrary<unknown> as fc.Arbitrary<EncodableRequest>

function payloadOf(whole: Buffer): Buffer {
  assert.equal(whole.readUInt32BE(0), whole.length - LENGTH_BYTES)
  return whole.subarray(LENGTH_BYTES)
}

/** Buffers of a decoded request, however deep. */
function buffersIn(value: unknown): Buffer[] {
  if (Buffer.isBuffer(value)) return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).flatMap(buffersIn)
}

test('requests: every request comes back as it was sent', () => {
  fc.assert(
    fc.property(anyRequest, (sent) => assert.deepEqual(decodeRequest(payloadOf(encodeRequest(sent))), sent)),
    { numRuns: 1000 },
  )
})

test('requests: bytes behind the last member are ignored', () => {
  const withTail = anyRequest.filter(({ kind }) => kind !== 'init')
  fc.assert(
    fc.property(withTail, bytes, (sent, tail) => {
      assert.deepEqual(decodeRequest(Buffer.concat([payloadOf(encodeRequest(sent)), tail])), sent)
    }),
  )
})

test('requests: one cut anywhere is malformed under its id, or under none when the id is cut', () => {
  const withMembers = anyRequest.filter(({ kind }) => kind !== 'init')
  fc.assert(
    fc.property(withMembers, fc.nat(), (sent, seed) => {
      const payload = payloadOf(encodeRequest(sent))
      const cut = payload.subarray(0, 1 + (seed % (payload.length - 1)))
      const decoded = decodeRequest(cut)
      assert.equal(decoded.kind, 'malformed')
      assert.equal('id' in decoded ? decoded.id : undefined, cut.length >= 5 && 'id' in sent ? sent.id : undefined)
    }),
  )
})

test('requests: random and damaged bytes never throw, and decoded buffers are views on the packet', () => {
  const damaged = fc
    .tuple(anyRequest, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 8 }))
    .map(([sent, edits]) => {
      const payload = payloadOf(encodeRequest(sent))
      for (const [at, value] of edits) payload[at % payload.length] = value
      return payload
    })
  const random = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array))
  fc.assert(
    fc.property(fc.oneof(damaged, random), (payload) => {
      for (const buffer of buffersIn(decodeRequest(payload))) assert.equal(buffer.buffer, payload.buffer)
    }),
    { numRuns: 2000 },
  )
})

const empty = string(Buffer.alloc(0))
const h = string(Buffer.from('h'))
const refused: readonly { name: string; payload: Buffer; answer: Request }[] = [
  {
    name: 'a type without id',
    payload: Buffer.from([PACKET.STAT, 0, 0]),
    answer: { kind: 'malformed', id: undefined, type: PACKET.STAT, reason: 'id: needs 4 bytes, the packet has 2 left' },
  },
  {
    name: 'INIT without version',
    payload: Buffer.from([PACKET.INIT]),
    answer: { kind: 'malformed', id: undefined, type: PACKET.INIT, reason: 'version: needs 4 bytes, the packet has 0 left' },
  },
  {
    name: 'a string longer than its packet',
    payload: payloadOf(packet(PACKET.STAT, 7, uint32(0xffffffff), Buffer.from('abc'))),
    answer: { kind: 'malformed', id: 7, type: PACKET.STAT, reason: 'path: needs 4294967295 bytes, the packet has 3 left' },
  },
  {
    name: 'a handle of 257 bytes',
    payload: payloadOf(packet(PACKET.CLOSE, 7, string(Buffer.alloc(257)))),
    answer: { kind: 'malformed', id: 7, type: PACKET.CLOSE, reason: 'handle: 257 bytes are more than 256' },
  },
  {
    name: 'WRITE at 2^53',
    payload: payloadOf(packet(PACKET.WRITE, 7, h, uint64(2 ** 53), empty)),
    answer: { kind: 'malformed', id: 7, type: PACKET.WRITE, reason: 'offset: 9007199254740992 is above 9007199254740991' },
  },
  {
    name: 'READ at 2^63',
    payload: payloadOf(packet(PACKET.READ, 7, h, uint64(2 ** 63), uint32(1))),
    answer: { kind: 'malformed', id: 7, type: PACKET.READ, reason: 'offset: 9223372036854776000 is above 9007199254740991' },
  },
  {
    name: 'SETSTAT without attributes',
    payload: payloadOf(packet(PACKET.SETSTAT, 7, h)),
    answer: { kind: 'malformed', id: 7, type: PACKET.SETSTAT, reason: 'attribute flags: needs 4 bytes, the packet has 0 left' },
  },
  {
    name: 'too many extended attributes',
    payload: payloadOf(packet(PACKET.SETSTAT, 7, h, uint32(0x80000000), uint32(EXTENDED_ATTRIBUTES_MAX + 1))),
    answer: { kind: 'malformed', id: 7, type: PACKET.SETSTAT, reason: 'extended attribute count: 65 is above 64' },
  },
  {
    name: 'too many extensions in INIT',
    payload: payloadOf(packet(PACKET.INIT, 3, ...Array.from({ length: 2 * (EXTENSIONS_MAX + 1) }, () => empty))),
    answer: { kind: 'malformed', id: undefined, type: PACKET.INIT, reason: 'extensions: more than 64' },
  },
  {
    name: 'LINK of version 6',
    payload: payloadOf(packet(21, 7, h, h)),
    answer: { kind: 'unsupported', id: 7, type: 21 },
  },
  {
    name: 'a reply',
    payload: payloadOf(packet(PACKET.STATUS, 7, uint32(0), empty, empty)),
    answer: { kind: 'unsupported', id: 7, type: PACKET.STATUS },
  },
  {
    name: 'an unknown extension',
    payload: payloadOf(packet(PACKET.EXTENDED, 7, string(Buffer.from('check-file-name')), h, h)),
    answer: { kind: 'unknown_extension', id: 7, name: 'check-file-name' },
  },
  {
    name: 'an extension with an endless name',
    payload: payloadOf(packet(PACKET.EXTENDED, 7, string(Buffer.alloc(200_000, 'n')))),
    answer: { kind: 'unknown_extension', id: 7, name: 'n'.repeat(EXTENSION_NAME_CHARS_MAX) },
  },
]
for (const { name, payload, answer } of refused) {
  test(`requests: ${name} is ${answer.kind}`, () => assert.deepEqual(decodeRequest(payload), answer))
}

for (const version of [0, 2, 3, 4, 6, 0xffffffff]) {
  test(`requests: INIT of version ${version} is read as it is`, () => {
    assert.deepEqual(decodeRequest(payloadOf(packet(PACKET.INIT, version))), { kind: 'init', version, extensions: [] })
  })
}

// Written out by hand from the draft, so that encoder and decoder cannot be wrong together.
const vectors: readonly { name: string; hex: string; decoded: Request }[] = [
  {
    name: 'INIT 3',
    hex: '01 00000003',
    decoded: { kind: 'init', version: 3, extensions: [] },
  },
  {
    name: 'OPEN for writing, creating and truncating, mode 0644',
    hex: '03 00000001 00000002 2f61 0000001a 00000004 000001a4',
    decoded: { kind: 'open', id: 1, path: Buffer.from('/a'), flags: 0x1a, attributes: { permissions: 0o644 } },
  },
  {
    name: 'WRITE of 3 bytes at 2^32 + 1',
    hex: '06 00000002 00000004 00000007 0000000100000001 00000003 616263',
    decoded: { kind: 'write', id: 2, handle: Buffer.from([0, 0, 0, 7]), offset: 2 ** 32 + 1, data: Buffer.from('abc') },
  },
  {
    name: 'READ',
    hex: '05 00000003 00000001 68 0000000000000010 00008000',
    decoded: { kind: 'read', id: 3, handle: Buffer.from('h'), offset: 16, length: 32768 },
  },
  {
    name: 'SETSTAT of all attributes',
    hex: '09 00000004 00000001 61 0000000f 0000000000000005 000003e8 000003e9 000081a4 00000001 ffffffff',
    decoded: {
      kind: 'setstat',
      id: 4,
      path: Buffer.from('a'),
      attributes: { size: 5, uid: 1000, gid: 1001, permissions: 0o100644, atime: 1, mtime: 0xffffffff },
    },
  },
  {
    name: 'SETSTAT with a flag that version 3 does not know',
    hex: '09 00000004 00000001 61 00000014 000001a4',
    decoded: { kind: 'setstat', id: 4, path: Buffer.from('a'), attributes: { permissions: 0o644 } },
  },
  {
    name: 'SYMLINK as OpenSSH sends `ln -s target link`',
    hex: '14 00000005 00000006 746172676574 00000004 6c696e6b',
    decoded: { kind: 'symlink', id: 5, targetPath: Buffer.from('target'), linkPath: Buffer.from('link') },
  },
  {
    name: 'copy-data up to the end',
    hex: 'c8 00000006 00000009 636f70792d64617461 00000001 72 0000000000000000 0000000000000000 00000001 77 0000000000000009',
    decoded: {
      kind: 'copy_data',
      id: 6,
      readHandle: Buffer.from('r'),
      readOffset: 0,
      length: 0,
      writeHandle: Buffer.from('w'),
      writeOffset: 9,
    },
  },
]
for (const { name, hex, decoded } of vectors) {
  test(`requests: the draft's bytes of ${name}`, () => {
    assert.deepEqual(decodeRequest(Buffer.from(hex.replaceAll(' ', ''), 'hex')), decoded)
  })
}
