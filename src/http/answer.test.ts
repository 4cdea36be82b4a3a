import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { MIB } from '../base/units.ts'
import { BODY_EXCERPT_BYTES_MAX, RESPONSE_HEADERS_KEPT_MAX } from './exchange.ts'
import { inflated } from './inflate.ts'
import { INTERIM_MAX } from './interim.ts'
import { handClock, post, posterOf, receiver, tcpReceiver } from './testing.ts'

const text = '{"error":"no such order","path":"/données.csv"}'
const long = Array.from({ length: 20_000 }, (_, index) => `${index}\n`).join('')
const zeros = Buffer.alloc(10 * MIB)
const noise = Buffer.from(Array.from({ length: 100 }, (_, index) => (index * 73 + 11) % 256))
const ones = Buffer.alloc(100, 0xff)

const compressed: { name: string; coding: string; body: Buffer; excerpt: Buffer | string }[] = [
  { name: 'gzip', coding: 'gzip', body: gzipSync(text), excerpt: text },
  { name: 'its old name, in capitals', coding: 'X-GZIP', body: gzipSync(text), excerpt: text },
  { name: 'deflate', coding: 'deflate', body: deflateSync(text), excerpt: text },
  { name: 'deflate without its header', coding: 'deflate', body: deflateRawSync(text), excerpt: text },
  { name: 'br', coding: 'br', body: brotliCompressSync(text), excerpt: text },
  { name: 'zstd', coding: 'zstd', body: zstdCompressSync(text), excerpt: text },
  { name: 'a long text', coding: 'gzip', body: gzipSync(long), excerpt: long.slice(0, BODY_EXCERPT_BYTES_MAX) },
  { name: 'a gzip bomb', coding: 'gzip', body: gzipSync(zeros), excerpt: zeros.subarray(0, BODY_EXCERPT_BYTES_MAX) },
  { name: 'a br bomb', coding: 'br', body: brotliCompressSync(zeros), excerpt: zeros.subarray(0, BODY_EXCERPT_BYTES_MAX) },
  { name: 'a zstd bomb', coding: 'zstd', body: zstdCompressSync(zeros), excerpt: zeros.subarray(0, BODY_EXCERPT_BYTES_MAX) },
  { name: 'what was cut short', coding: 'gzip', body: gzipSync(text).subarray(0, -8), excerpt: text },
  { name: 'noise', coding: 'gzip', body: noise, excerpt: noise },
  { name: 'noise as br', coding: 'br', body: ones, excerpt: ones },
  { name: 'noise as zstd', coding: 'zstd', body: noise, excerpt: noise },
  { name: 'a text that is not compressed', coding: 'gzip', body: Buffer.from(text), excerpt: text },
  { name: 'nothing', coding: 'gzip', body: Buffer.alloc(0), excerpt: '' },
  { name: 'a coding that is not known', coding: 'compress', body: noise, excerpt: noise },
  { name: 'identity', coding: 'identity', body: Buffer.from(text), excerpt: text },
  { name: 'several codings', coding: 'gzip, gzip', body: gzipSync(gzipSync(text)), excerpt: gzipSync(gzipSync(text)) },
  { name: 'the name of a member of every object', coding: 'constructor', body: noise, excerpt: noise },
]
for (const { name, coding, body, excerpt } of compressed) {
  for (const status of [200, 500]) {
    test(`a compressed answer of status ${status}: ${name}`, async (t) => {
      const { url } = await receiver(t, (_request, response) =>
        response.writeHead(status, { 'content-encoding': coding }).end(body),
      )
      const result = await post(t, { url })
      assert.ok(result.kind === 'answered', JSON.stringify(result))
      assert.equal(result.status, status)
      assert.ok(result.bodyExcerpt.equals(Buffer.from(excerpt)), result.bodyExcerpt.subarray(0, 100).toString())
    })
  }
}

test('any bytes under any coding come to an end within the bound', async () => {
  const coding = fc.constantFrom('gzip', 'deflate', 'br', 'zstd')
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 500 }), coding, async (bytes, name) => {
      const excerpt = await inflated(Buffer.from(bytes), name, 1_000)
      return excerpt !== undefined && excerpt.length <= 1_000
    }),
  )
})

test('what a receiver is sent asks for nothing compressed', async (t) => {
  const { url, requests } = await receiver(t, (_request, response) => response.end())
  await post(t, { url })
  assert.equal(requests[0]!.headers['accept-encoding'], undefined)
})

const OK = 'HTTP/1.1 200 OK\r\n'
/** What a raw receiver writes, and what becomes of the post: a status, a failure, or the phase in which time runs out. */
const raws: { name: string; act: (socket: Socket) => void; expected: string }[] = [
  { name: 'a few informational answers', act: (socket) => informing(socket, INTERIM_MAX), expected: '200 ok' },
  {
    name: 'a flood of informational answers',
    act: (socket) => informing(socket, INTERIM_MAX + 1),
    expected: 'answer does not come to its final status',
  },
  {
    name: 'informational answers without end',
    act: (socket) => pouring(socket, 'HTTP/1.1 102 Processing\r\n\r\n'),
    expected: 'answer does not come to its final status',
  },
  {
    name: 'a status of 100 that was not asked for',
    act: (socket) => void socket.write(`HTTP/1.1 100 Continue\r\n\r\n${OK}content-length: 2\r\n\r\nok`),
    expected: '200 ok',
  },
  {
    name: 'a status of 100 and no other',
    act: (socket) => void socket.write('HTTP/1.1 100 Continue\r\n\r\n'),
    expected: 'timed out headers',
  },
  {
    name: 'a status of 100 and its end',
    act: (socket) => void socket.end('HTTP/1.1 100 Continue\r\n\r\n'),
    expected: 'failed',
  },
  {
    name: 'an informational answer of 16 KiB',
    act: (socket) => void socket.write(`HTTP/1.1 100 Continue\r\nx-a: ${'y'.repeat(16_384)}\r\n\r\n${OK}\r\n`),
    expected: 'answer headers are too large',
  },
  {
    name: 'an informational answer of 16 KiB without an end',
    act: (socket) => void socket.write(`HTTP/1.1 100 Continue\r\nx-a: ${'y'.repeat(16_384)}`),
    expected: 'answer headers are too large',
  },
  { name: 'empty lines without end', act: (socket) => pouring(socket, '\r\n'), expected: 'answer headers are too large' },
  {
    name: 'a status of 000',
    act: (socket) => void socket.write('HTTP/1.1 000 None\r\n\r\n'),
    expected: 'answer is not valid HTTP',
  },
  {
    name: 'an informational answer of line feeds only',
    act: (socket) => void socket.write(`HTTP/1.1 100 Continue\n\n${OK}content-length: 2\r\n\r\nok`),
    expected: 'failed',
  },
  { name: 'headers that drip', act: (socket) => void socket.write(`${OK}x-a: 1\r\n`), expected: 'timed out headers' },
  { name: 'a status line that drips', act: (socket) => void socket.write('HTT'), expected: 'timed out headers' },
  {
    name: 'a body that drips',
    act: (socket) => void socket.write(`${OK}content-length: 10\r\n\r\nabc`),
    expected: 'timed out body',
  },
  {
    name: 'a chunk size that drips',
    act: (socket) => void socket.write(`${OK}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n000`),
    expected: 'timed out body',
  },
  {
    name: 'trailers',
    act: (socket) => void socket.write(`${OK}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-trailer: 1\r\n\r\n`),
    expected: '200 ok',
  },
  {
    name: 'trailers that drip',
    act: (socket) => void socket.write(`${OK}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-trailer: 1\r\n`),
    expected: 'timed out body',
  },
  {
    name: 'a flood of trailers',
    act: (socket) => pouring(socket, 'x-trailer: 1\r\n', `${OK}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n`),
    expected: 'answer headers are too large',
  },
  { name: 'an endless body', act: (socket) => pouring(socket, 'x'.repeat(1000), `${OK}\r\n`), expected: `200 ${'x'.repeat(20)}` },
  {
    name: 'an endless chunked body',
    act: (socket) => pouring(socket, '2\r\nxx\r\n', `${OK}transfer-encoding: chunked\r\n\r\n`),
    expected: `200 ${'x'.repeat(20)}`,
  },
  {
    name: 'both lengths',
    act: (socket) => void socket.write(`${OK}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`),
    expected: 'failed',
  },
  {
    name: 'two lengths',
    act: (socket) => void socket.write(`${OK}content-length: 2\r\ncontent-length: 3\r\n\r\nok`),
    expected: 'failed',
  },
  {
    name: 'a negative length',
    act: (socket) => void socket.write(`${OK}content-length: -2\r\n\r\nok`),
    expected: 'answer is not valid HTTP',
  },
  {
    name: 'a header with a NUL',
    act: (socket) => void socket.write(`${OK}x-a: \0\r\n\r\n`),
    expected: 'answer is not valid HTTP',
  },
  {
    name: 'a thousand and one headers',
    act: (socket) => void socket.write(`${OK}${many(1_001)}content-length: 0\r\n\r\n`),
    expected: 'answer has too many headers',
  },
  {
    name: 'a header of 16 KiB',
    act: (socket) => void socket.write(`${OK}x-a: ${'y'.repeat(16_384)}\r\n\r\n`),
    expected: 'answer headers are too large',
  },
  {
    name: 'a switch of protocols',
    act: (socket) => void socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    expected: 'failed',
  },
]
for (const { name, act, expected } of raws) {
  test(`a receiver that sends ${name}`, async (t) => {
    const clock = handClock()
    const [cut, acted, bodyBegun] = [0, 1, 2].map(() => Promise.withResolvers<void>())
    const port = await tcpReceiver(t, (socket) => {
      socket.once('close', cut!.resolve)
      socket.once('data', () => {
        act(socket)
        acted!.resolve()
      })
    })
    // Published by undici when it has read the first piece of a body.
    const begin = () => bodyBegun!.resolve()
    subscribe('undici:request:bodyChunkReceived', begin)
    t.after(() => unsubscribe('undici:request:bodyChunkReceived', begin))
    const poster = posterOf(t, { clock })
    const result = poster.post({ url: `http://127.0.0.1:${port}/`, headers: {}, body: 'x', deadlineMs: 10_000 })
    if (expected.startsWith('timed out')) {
      // The rest never comes; what has come of the headers is read, most likely, before another receiver has answered twice.
      await (expected === 'timed out body' ? bodyBegun! : acted!).promise
      const other = await receiver(t, (_request, response) => response.end())
      for (let n = 0; n < 2; n++) await poster.post({ url: other.url, headers: {}, body: 'x', deadlineMs: 10_000 })
      clock.move(10_000)
      await cut!.promise
    }
    const told = await result
    if (told.kind === 'answered') assert.equal(`${told.status} ${told.bodyExcerpt.subarray(0, 20)}`, expected)
    else if (told.kind === 'timed_out') assert.equal(`timed out ${told.phase}`, expected)
    else if (expected === 'failed') assert.equal(told.kind, 'unreachable')
    else assert.deepEqual([told.kind, told.kind === 'unreachable' && told.message], ['unreachable', expected])
  })
}

test('a hundred headers are kept of a thousand', async (t) => {
  const port = await tcpReceiver(t, (socket) =>
    socket.once('data', () => socket.write(`${OK}${many(999)}content-length: 0\r\n\r\n`)),
  )
  const result = await post(t, { url: `http://127.0.0.1:${port}/` })
  assert.ok(result.kind === 'answered')
  assert.equal(Object.keys(result.headers).length, RESPONSE_HEADERS_KEPT_MAX)
})

function many(count: number): string {
  return Array.from({ length: count }, (_, index) => `h${index}: v\r\n`).join('')
}

function informing(socket: Socket, times: number): void {
  socket.write(`${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(times)}${OK}content-length: 2\r\n\r\nok`)
}

function pouring(socket: Socket, piece: string, first = ''): void {
  const more = () => {
    while (!socket.destroyed && socket.write(piece));
  }
  socket.write(first)
  socket.on('drain', more)
  more()
}
