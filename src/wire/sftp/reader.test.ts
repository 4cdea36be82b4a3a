import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ProtocolError } from './bytes.ts'
import { LENGTH_BYTES, PACKET_BYTES_MAX } from './constants.ts'
import { PacketReader } from './reader.ts'

/** A packet of any payload; the reader does not look into it. */
function framed(payload: Uint8Array): Buffer {
  const packet = Buffer.alloc(LENGTH_BYTES + payload.length)
  packet.writeUInt32BE(payload.length)
  packet.set(payload, LENGTH_BYTES)
  return packet
}

function drain(reader: PacketReader): Buffer[] {
  const payloads: Buffer[] = []
  for (let payload = reader.next(); payload !== undefined; payload = reader.next()) payloads.push(payload)
  return payloads
}

const payloads = fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 12 })

test('PacketReader: any cutting of the stream gives the same packets, drained after each chunk or at the end', () => {
  const cuts = fc.array(fc.nat({ max: 800 }), { maxLength: 30 })
  fc.assert(
    fc.property(payloads, cuts, fc.boolean(), (sent, at, drainsEachTime) => {
      const stream = Buffer.concat(sent.map(framed))
      const edges = [0, ...at.filter((edge) => edge < stream.length).sort((a, b) => a - b), stream.length]
      const reader = new PacketReader()
      const received: Buffer[] = []
      for (const [n, edge] of edges.entries()) {
        reader.push(stream.subarray(edges[n - 1] ?? 0, edge))
        if (drainsEachTime) received.push(...drain(reader))
      }
      received.push(...drain(reader))
      assert.deepEqual(
        received.map((payload) => payload.toString('hex')),
        sent.map((payload) => Buffer.from(payload).toString('hex')),
      )
      assert.equal(reader.bufferedBytes, 0)
    }),
  )
})

test('PacketReader: random bytes end in packets, in waiting or in a ProtocolError, and never hold more than one packet', () => {
  // Half of the streams begin with small lengths, so that some packets do come through.
  const chunk = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.uint8Array({ minLength: 1, maxLength: 40 }).map((payload) => framed(payload)),
  )
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 20 }), (chunks) => {
      const reader = new PacketReader()
      try {
        for (const bytes of chunks) {
          reader.push(Buffer.from(bytes))
          for (const payload of drain(reader)) assert.ok(payload.length >= 1 && payload.length <= PACKET_BYTES_MAX)
          assert.ok(reader.bufferedBytes < PACKET_BYTES_MAX + LENGTH_BYTES)
        }
      } catch (error) {
        assert.ok(error instanceof ProtocolError, String(error))
      }
    }),
  )
})

test('PacketReader: a packet whole in its chunk is a view on it', () => {
  const chunk = Buffer.concat([framed(Buffer.from('one')), framed(Buffer.from('two'))])
  const reader = new PacketReader()
  reader.push(chunk)
  const [one, two] = drain(reader)
  chunk.fill('x')
  assert.equal(one?.toString(), 'xxx')
  assert.equal(two?.toString(), 'xxx')
})

test('PacketReader: a cut packet has a buffer of its own, and no chunk is kept while it waits', () => {
  const stream = framed(Buffer.from('one packet'))
  const reader = new PacketReader()
  const first = Buffer.from(stream.subarray(0, 7))
  reader.push(first)
  assert.equal(reader.next(), undefined)
  assert.equal(reader.bufferedBytes, 7)
  first.fill(0)
  reader.push(stream.subarray(7))
  assert.equal(reader.next()?.toString(), 'one packet')
})

test('PacketReader: what is pushed during a pause waits and is counted', () => {
  const packet = framed(Buffer.from('abc'))
  const reader = new PacketReader()
  for (let n = 0; n < 3; n++) reader.push(packet)
  assert.equal(reader.bufferedBytes, 21)
  assert.equal(reader.next()?.toString(), 'abc')
  assert.equal(reader.bufferedBytes, 14)
})

test('PacketReader: the largest packet comes through, in 32 KiB chunks as over a channel', () => {
  const payload = Buffer.alloc(PACKET_BYTES_MAX, 'payload')
  const stream = framed(payload)
  const reader = new PacketReader()
  for (let at = 0; at < stream.length; at += 32 * 1024) {
    assert.equal(reader.next(), undefined)
    reader.push(stream.subarray(at, at + 32 * 1024))
  }
  assert.ok(reader.next()?.equals(payload))
})

const badLengths = [
  { name: 'zero', length: 0 },
  { name: 'one above the largest', length: PACKET_BYTES_MAX + 1 },
  { name: 'the largest a field can say', length: 0xffffffff },
  { name: 'the start of an SSH banner', length: Buffer.from('SSH-').readUInt32BE() },
] as const
for (const { name, length } of badLengths) {
  for (const cutAt of [0, 2]) {
    test(`PacketReader: length ${name} is refused for good, field cut at ${cutAt}`, () => {
      const field = Buffer.alloc(LENGTH_BYTES)
      field.writeUInt32BE(length)
      const reader = new PacketReader()
      reader.push(field.subarray(0, cutAt))
      assert.equal(reader.next(), undefined)
      reader.push(field.subarray(cutAt))
      assert.throws(() => reader.next(), new ProtocolError(`packet length: ${length} is not between 1 and 262144`))
      reader.push(framed(Buffer.from('fine')))
      assert.throws(() => reader.next(), ProtocolError)
    })
  }
}
