import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import fc from 'fast-check'
import { FinalAnswers, INTERIM_MAX } from './interim.ts'
import { routeOf } from './route.ts'
import { cert, key, posterOf, tcpReceiver } from './testing.ts'

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
const HINTS = 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'
const FINAL = 'HTTP/1.1 200 OK\r\ncontent-length: 25\r\n\r\n'

/** What comes through of an answer that arrives in these pieces. */
function passed(pieces: readonly string[]): string {
  const answers = new FinalAnswers()
  answers.begin()
  return pieces.map((piece) => answers.pass(Buffer.from(piece, 'latin1'))?.toString('latin1') ?? '').join('')
}

test('interim answers are left out wherever they are split, and a body that looks like one stays', () => {
  const someInterim = fc.array(fc.constantFrom(CONTINUE, HINTS, 'HTTP/1.0 199 x\r\n\r\n', '\r\n'), { maxLength: INTERIM_MAX })
  const someFinal = fc.constantFrom(
    FINAL + CONTINUE,
    'HTTP/1.1 101 Switching\r\n\r\n',
    'no HTTP at all',
    'HTTP/1.1 100 Cont\n\n',
    'HTTP/2 100\r\n\r\n',
  )
  fc.assert(
    fc.property(someInterim, someFinal, fc.array(fc.nat()), (interim, final, places) => {
      const text = interim.join('') + final
      const ends = [...places.map((place) => place % (text.length + 1)), text.length].sort((a, b) => a - b)
      const pieces = ends.map((end, index) => text.slice(ends[index - 1] ?? 0, end))
      assert.equal(passed(pieces), final)
    }),
  )
})

test('what is no interim answer is not held back for longer than it might be one', () => {
  assert.equal(passed(['HTTP/1.1 ']), '')
  assert.equal(passed(['HTTP/1.1 2']), 'HTTP/1.1 2')
  assert.equal(passed(['HTTP/1.1 10']), '')
  assert.equal(passed(['HTTP/1.1 101']), 'HTTP/1.1 101')
  assert.equal(passed(['x']), 'x')
})

test('their number and size have a bound, for all before one answer', () => {
  assert.equal(passed([CONTINUE.repeat(INTERIM_MAX) + FINAL]), FINAL)
  assert.throws(() => passed([CONTINUE.repeat(INTERIM_MAX + 1)]), { name: 'Error', message: /does not come to its final status/ })
  const large = HINTS.replace('</a>', 'x'.repeat(8_192))
  assert.throws(() => passed([large, large]), { message: 'answer headers are too large' })
  const dripping = [...large.repeat(2).slice(0, -4)]
  assert.throws(() => passed(dripping), { message: 'answer headers are too large' })
})

/** Answers each request: interim ones first, split anywhere. */
function answering(socket: Socket, answered: () => void): void {
  let request = ''
  socket.on('error', () => {})
  socket.on('data', (data) => {
    request += data
    if (!request.endsWith('body')) return
    request = ''
    answered()
    const text = CONTINUE + CONTINUE + HINTS + FINAL + CONTINUE
    const [a, b] = [30, CONTINUE.length * 2 + 9]
    socket.write(text.slice(0, a), () => socket.write(text.slice(a, b), () => socket.write(text.slice(b))))
  })
}

/** A proxy for CONNECT. */
async function proxyTo(t: TestContext, port: number): Promise<string> {
  const server = createServer()
  server.on('connect', (_request, socket: Socket) => {
    const onward = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      onward.pipe(socket).pipe(onward)
    })
    for (const end of [socket, onward]) end.on('error', () => {})
    t.after(() => [socket, onward].map((end) => end.destroy()))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function tlsReceiver(t: TestContext, onConnection: (socket: Socket) => void): Promise<number> {
  const sockets: Socket[] = []
  const server = createTlsServer({ key, cert }, (socket) => {
    sockets.push(socket)
    onConnection(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

for (const scheme of ['http', 'https']) {
  for (const isProxied of [false, true]) {
    test(`every answer of one connection comes through: ${scheme}${isProxied ? ' behind a proxy' : ''}`, async (t) => {
      let [connections, requests] = [0, 0]
      const onConnection = (socket: Socket) => {
        connections++
        answering(socket, () => requests++)
      }
      const port = await (scheme === 'http' ? tcpReceiver(t, onConnection) : tlsReceiver(t, onConnection))
      const proxy = isProxied ? await proxyTo(t, port) : undefined
      const route = routeOf(proxy === undefined ? {} : { proxy: { url: proxy } })
      const poster = posterOf(t, { ca: cert, connectionsPerOriginMax: 1 })
      for (let n = 1; n <= 3; n++) {
        const request = { url: `${scheme}://127.0.0.1:${port}/`, headers: {}, body: 'body', deadlineMs: 10_000, route }
        const result = await poster.post(request)
        assert.ok(result.kind === 'answered', JSON.stringify(result))
        assert.deepEqual([result.status, result.bodyExcerpt.toString()], [200, CONTINUE])
        assert.equal(requests, n)
      }
      // One, unless the machine stood still for longer than an idle connection is kept.
      assert.ok(connections < 3, 'no connection had a second answer')
    })
  }
}
