import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { PostResult } from './exchange.ts'
import { routeOf } from './route.ts'
import { cert, handClock, key, post, posterOf, receiver, resolvingTo, summary, tcpReceiver, tlsReceiver } from './testing.ts'

interface RecordingProxy {
  url: string
  port: number
  /** What it was asked for, with the credentials. */
  asked: { authority: string; authorization: string | undefined }[]
}

/** A real proxy for CONNECT; `login` is what it wants to be told. */
async function proxyOf(
  t: TestContext,
  { login, isSecure = false }: { login?: string; isSecure?: boolean } = {},
): Promise<RecordingProxy> {
  const asked: RecordingProxy['asked'] = []
  const sockets = new Set<Socket>()
  const server = isSecure ? createTlsServer({ key, cert }) : createServer()
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    const { 'proxy-authorization': authorization, host } = request.headers
    assert.equal(host, request.url)
    asked.push({ authority: request.url!, authorization })
    socket.on('error', () => {})
    if (login !== undefined && authorization !== `Basic ${Buffer.from(login).toString('base64')}`) {
      socket.end(
        'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 2\r\n\r\nno',
      )
      return
    }
    const { hostname, port } = new URL(`http://${request.url}`)
    const onward = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) }, () => {
      socket.write('HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n')
      onward.pipe(socket).pipe(onward)
    })
    sockets.add(onward)
    onward.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'))
  })
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port } = server.address() as AddressInfo
  return { url: `${isSecure ? 'https' : 'http'}://127.0.0.1:${port}`, port, asked }
}

test('the proxy is asked for the checked address, and the name is for TLS inside', async (t) => {
  const { port, requests } = await tlsReceiver(t, cert)
  const proxy = await proxyOf(t)
  const guard = resolvingTo(['127.0.0.1'])
  const route = routeOf({ proxy: { url: proxy.url } })
  const good = await post(t, { url: `https://hook.example.com:${port}/a`, route }, { guard, ca: cert })
  assert.deepEqual(summary(good), { kind: 'answered', status: 200 })
  assert.equal(requests[0]!.headers.host, `hook.example.com:${port}`)
  // The same certificate is not for this name, which only the name in TLS can tell.
  const other = await post(t, { url: `https://other.example.com:${port}/a`, route }, { guard, ca: cert })
  assert.deepEqual(summary(other), { kind: 'unreachable', message: 'certificate is for another host name' })
  const authority = `127.0.0.1:${port}`
  assert.deepEqual(proxy.asked, [
    { authority, authorization: undefined },
    { authority, authorization: undefined },
  ])
})

test('a name that stands for a private address is refused before the proxy hears of it', async (t) => {
  const proxy = await proxyOf(t)
  const route = routeOf({ proxy: { url: proxy.url } })
  const result = await post(t, { url: 'https://hook.example.com/', route }, { guard: resolvingTo(['127.0.0.1', '10.0.0.1']) })
  assert.ok(result.kind === 'refused')
  assert.match(result.reason, /^hook\.example\.com is at 10\.0\.0\.1.*LANDFALL_EGRESS_ALLOW can open it/)
  assert.equal(proxy.asked.length, 0)
})

test('plain http, and IPv6, go by CONNECT too', async (t) => {
  const { port, requests } = await receiver(t, (_request, response) => response.end('ok'))
  const proxy = await proxyOf(t)
  const route = routeOf({ proxy: { url: proxy.url } })
  assert.deepEqual(summary(await post(t, { url: `http://127.0.0.1:${port}/`, route })), { kind: 'answered', status: 200 })
  assert.equal(requests[0]!.method, 'POST')
  const six = await post(t, { url: 'http://[::1]:9/', route })
  assert.ok(six.kind === 'unreachable')
  assert.deepEqual(
    proxy.asked.map(({ authority }) => authority),
    [`127.0.0.1:${port}`, '[::1]:9'],
  )
})

test('a proxy over TLS, and a tunnel used again', async (t) => {
  const { port } = await tlsReceiver(t, cert)
  const proxy = await proxyOf(t, { isSecure: true })
  const route = routeOf({ proxy: { url: proxy.url }, tls: { ca: cert } })
  const poster = posterOf(t, { connectionsPerOriginMax: 1 })
  const send = () => poster.post({ url: `https://127.0.0.1:${port}/`, headers: {}, body: 'x', deadlineMs: 10_000, route })
  assert.deepEqual(summary(await send()), { kind: 'answered', status: 200 })
  assert.deepEqual(summary(await send()), { kind: 'answered', status: 200 })
  assert.equal(proxy.asked.length, 1)
  const untrusted = await post(t, { url: `https://127.0.0.1:${port}/`, route: routeOf({ proxy: { url: proxy.url } }) })
  assert.deepEqual(summary(untrusted), { kind: 'unreachable', message: 'proxy: certificate is self-signed' })
})

test('the credentials of the proxy go to the proxy alone', async (t) => {
  const { port, requests } = await receiver(t, (_request, response) => response.end('ok'))
  const proxy = await proxyOf(t, { login: 'me:pass:wörd' })
  const send = (more: object) =>
    post(t, { url: `http://127.0.0.1:${port}/`, route: routeOf({ proxy: { url: proxy.url, ...more } }) })
  assert.deepEqual(summary(await send({ username: 'me', password: 'pass:wörd' })), { kind: 'answered', status: 200 })
  assert.equal(requests[0]!.headers['proxy-authorization'], undefined)
  assert.deepEqual(summary(await send({})), {
    kind: 'unreachable',
    message: 'proxy: it asks for a user name and password (status 407)',
  })
  assert.deepEqual(summary(await send({ username: 'me', password: 'wrong' })), {
    kind: 'unreachable',
    message: 'proxy: it does not take the user name and password (status 407)',
  })
})

test('the address of the proxy is judged by the same rules', async (t) => {
  const via = async (proxyUrl: string, egressAllow: string[] | null = null) => {
    const guard = resolvingTo(['93.184.215.14'])
    return post(t, { url: 'https://hook.example.com/', route: routeOf({ proxy: { url: proxyUrl }, egressAllow }) }, { guard })
  }
  for (const [url, reason] of [
    ['http://10.0.0.1:3128', /^proxy: 10\.0\.0\.1 is in 10\.0\.0\.0\/8.*LANDFALL_EGRESS_ALLOW can open it/],
    ['http://169.254.169.254', /^proxy: .*metadata/],
    ['http://user@proxy.example.com', /^proxy: .*user information/],
  ] as const) {
    const result = await via(url)
    assert.ok(result.kind === 'refused', url)
    assert.match(result.reason, reason)
  }
  const named = await post(
    t,
    { url: 'https://127.0.0.1:9/', route: routeOf({ proxy: { url: 'http://proxy.example.com:3128' } }) },
    { guard: resolvingTo(['192.168.1.1']) },
  )
  assert.ok(named.kind === 'refused')
  assert.match(named.reason, /^proxy: proxy\.example\.com is at 192\.168\.1\.1/)
})

const answers: { name: string; act: (socket: Socket) => void; says: RegExp }[] = [
  {
    name: 'status 502',
    act: (socket) => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\nno route'),
    says: /did not connect \(status 502\)/,
  },
  { name: 'what is not HTTP', act: (socket) => socket.end('SSH-2.0-x\r\n\r\n'), says: /not valid HTTP/ },
  { name: 'nothing, and a close', act: (socket) => socket.end(), says: /closed the connection/ },
  { name: 'half an answer', act: (socket) => socket.end('HTTP/1.1 200 OK\r\n'), says: /closed the connection/ },
  { name: 'a reset', act: (socket) => socket.resetAndDestroy(), says: /closed the connection/ },
  {
    name: 'more than an answer',
    act: (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n'),
    says: /more than an answer/,
  },
  {
    name: 'more than an answer, which ends as an answer does',
    act: (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n'),
    says: /more than an answer/,
  },
  { name: 'headers without end', act: pour, says: /answer is too large/ },
]
for (const { name, act, says } of answers) {
  test(`a proxy that answers with ${name}`, async (t) => {
    const port = await tcpReceiver(t, (socket) => socket.once('data', () => act(socket)))
    const route = routeOf({ proxy: { url: `http://127.0.0.1:${port}` } })
    const result = await post(t, { url: 'https://127.0.0.1:1/', route })
    assert.ok(result.kind === 'unreachable', JSON.stringify(result))
    assert.equal(result.code, 'PROXY_FAILED')
    assert.match(result.message, says)
  })
}

test('a proxy where nobody listens', async (t) => {
  const result = await post(t, { url: 'https://127.0.0.1:1/', route: routeOf({ proxy: { url: 'http://127.0.0.1:1' } }) })
  assert.deepEqual(summary(result), { kind: 'unreachable', message: 'proxy: connection refused' })
})

test('a proxy that takes the request and says nothing is given up after 10 s', async (t) => {
  const clock = handClock()
  const asked = Promise.withResolvers<Socket>()
  const port = await tcpReceiver(t, (socket) => socket.once('data', () => asked.resolve(socket)))
  const route = routeOf({ proxy: { url: `http://127.0.0.1:${port}` } })
  const request = { url: 'https://127.0.0.1:1/', headers: {}, body: 'x', deadlineMs: 20_000, route }
  const result = posterOf(t, { clock }).post(request)
  const closed = once(await asked.promise, 'close')
  clock.move(10_000)
  assert.deepEqual(await result, { kind: 'timed_out', afterMs: 10_000, phase: 'connect' } satisfies PostResult)
  await closed
})

function pour(socket: Socket): void {
  const more = () => {
    while (!socket.destroyed && socket.write(`x-flood: ${'y'.repeat(1000)}\r\n`));
  }
  socket.write('HTTP/1.1 200 OK\r\n')
  socket.on('drain', more)
  more()
}
