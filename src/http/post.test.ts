import assert from 'node:assert/strict'
import { subscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { BODY_EXCERPT_BYTES_MAX, RESPONSE_HEADERS_KEPT_MAX } from './exchange.ts'
import { createEgressGuard, type EgressGuard } from './guard.ts'
import { createPoster } from './post.ts'
import {
  addressList,
  cert,
  handClock,
  openGuard,
  pem,
  post,
  posterOf,
  type Receiver,
  receiver,
  resolvingTo,
  summary,
  tcpReceiver,
  tlsReceiver,
} from './testing.ts'

const expiredCert = pem('expired.cert.pem')

test('the body goes out byte for byte, the answer comes back as it is', async (t) => {
  const body = Buffer.from('{"name":"données.csv",  "n":1}\n')
  const { url, requests } = await receiver(t, (_request, response) => {
    response.writeHead(202, { 'x-answer': 'yes', 'set-cookie': ['a=1', 'b=2'] }).end('thanks')
  })
  const result = await post(t, {
    url: `${url}hook?a=b%20c`,
    body,
    headers: { 'content-type': 'application/json', 'X-Webhook-ID': 'dlv_1' },
  })
  assert.ok(result.kind === 'answered')
  assert.equal(result.status, 202)
  assert.equal(result.bodyExcerpt.toString(), 'thanks')
  assert.equal(result.headers['x-answer'], 'yes')
  assert.equal(result.headers['set-cookie'], 'a=1, b=2')
  assert.ok(!('retryAfter' in result))
  assert.ok(result.durationMs >= 0)
  const [request] = requests
  assert.equal(request?.method, 'POST')
  assert.equal(request?.url, '/hook?a=b%20c')
  assert.equal(request?.headers['content-length'], String(body.length))
  assert.equal(request?.headers['x-webhook-id'], 'dlv_1')
  assert.deepEqual(request?.body, body)
})

for (const status of [200, 204, 301, 302, 307, 308, 400, 401, 404, 408, 410, 429, 500, 503]) {
  test(`status ${status} is an answer, and the only one`, async (t) => {
    const { url, requests } = await receiver(t, (_request, response) => {
      response.writeHead(status, { location: '/elsewhere', 'retry-after': '120' }).end()
    })
    const result = await post(t, { url })
    assert.ok(result.kind === 'answered')
    assert.equal(result.status, status)
    assert.equal(result.retryAfter, '120')
    assert.equal(result.bodyExcerpt.length, 0)
    assert.equal(requests.length, 1)
  })
}

test('informational answers are passed over', async (t) => {
  const { url } = await receiver(t, (_request, response) => {
    response.writeProcessing()
    response.writeEarlyHints({ link: '</a>; rel=preload' })
    response.writeHead(201).end()
  })
  assert.deepEqual(summary(await post(t, { url })), { kind: 'answered', status: 201 })
})

test('an endless body is an answer once its first 16 KiB are read, and is then cut', async (t) => {
  const closed = Promise.withResolvers<void>()
  const { url } = await receiver(t, (_request, response) => {
    response.on('close', closed.resolve)
    const pour = () => {
      while (!response.destroyed && response.write('x'.repeat(1000)));
    }
    response.on('drain', pour)
    pour()
  })
  const result = await post(t, { url })
  assert.ok(result.kind === 'answered')
  assert.equal(result.status, 200)
  assert.equal(result.bodyExcerpt.length, BODY_EXCERPT_BYTES_MAX)
  await closed.promise
})

test('a body in thousands of one-byte pieces is put together', async (t) => {
  const text = Array.from({ length: 3000 }, (_, index) => index % 10).join('')
  const { url } = await receiver(t, (_request, response) => {
    for (const digit of text) response.write(digit)
    response.end()
  })
  const result = await post(t, { url })
  assert.ok(result.kind === 'answered')
  assert.equal(result.bodyExcerpt.toString(), text)
})

test('a body that drips past the deadline is timed out, and its connection cut', async (t) => {
  const clock = handClock()
  const closed = Promise.withResolvers<void>()
  const { url } = await receiver(t, (_request, response) => {
    response.on('close', closed.resolve)
    response.writeHead(200).write('a')
  })
  // Published by undici when it has read the first piece of the body.
  const bodyBegun = new Promise<void>((done) => subscribe('undici:request:bodyChunkReceived', () => done()))
  const result = posterOf(t, { clock }).post({ url, headers: {}, body: 'x', deadlineMs: 10_000 })
  await bodyBegun
  clock.move(10_000)
  assert.deepEqual(await result, { kind: 'timed_out', afterMs: 10_000, phase: 'body' })
  await closed.promise
})

test('a receiver that takes the request and says nothing is timed out', async (t) => {
  const clock = handClock()
  const asked = Promise.withResolvers<void>()
  const { url } = await receiver(t, () => asked.resolve())
  const result = posterOf(t, { clock }).post({ url, headers: {}, body: 'x', deadlineMs: 10_000 })
  await asked.promise
  clock.move(9_999)
  clock.move(1)
  assert.deepEqual(await result, { kind: 'timed_out', afterMs: 10_000, phase: 'headers' })
})

test('a name server that says nothing is timed out', async (t) => {
  const clock = handClock()
  const asked = Promise.withResolvers<void>()
  const guard = createEgressGuard({ allow: [], loopback: true }, () => {
    asked.resolve()
    return new Promise(() => {})
  })
  const result = posterOf(t, { clock, guard }).post({
    url: 'https://hook.example.com/',
    headers: {},
    body: 'x',
    deadlineMs: 10_000,
  })
  await asked.promise
  clock.move(10_000)
  assert.deepEqual(await result, { kind: 'timed_out', afterMs: 10_000, phase: 'connect' })
})

test('a request whose deadline passes while it waits for a connection is never sent', async (t) => {
  const clock = handClock()
  const held: ServerResponse[] = []
  const first = Promise.withResolvers<void>()
  const { url, requests } = await receiver(t, (request, response) => {
    if (request.url !== '/first') return response.end()
    held.push(response)
    first.resolve()
    return undefined
  })
  const poster = posterOf(t, { clock, connectionsPerOriginMax: 1 })
  const slow = poster.post({ url: `${url}first`, headers: {}, body: 'x', deadlineMs: 20_000 })
  await first.promise
  const late = poster.post({ url: `${url}late`, headers: {}, body: 'x', deadlineMs: 10_000 })
  clock.move(10_000)
  assert.deepEqual(await late, { kind: 'timed_out', afterMs: 10_000, phase: 'connect' })
  held[0]!.end()
  assert.equal((await slow).kind, 'answered')
  assert.equal((await poster.post({ url: `${url}next`, headers: {}, body: 'x', deadlineMs: 10_000 })).kind, 'answered')
  assert.deepEqual(
    requests.map((it) => it.url),
    ['/first', '/next'],
  )
})

test('the first hundred headers are kept', async (t) => {
  const { url } = await receiver(t, (_request, response) => {
    response.sendDate = false
    for (let index = 0; index < 200; index++) response.setHeader(`x-${index}`, 'v')
    response.end()
  })
  const result = await post(t, { url })
  assert.ok(result.kind === 'answered')
  assert.equal(Object.keys(result.headers).length, RESPONSE_HEADERS_KEPT_MAX)
  assert.equal(result.headers['x-99'], 'v')
})

/** What a raw receiver writes or does after it has read a request, and what becomes of the post. */
const rawAnswers: [name: string, act: (socket: Socket) => void, code: string, message: string][] = [
  ['a flood of headers', pourHeaders, 'UND_ERR_HEADERS_OVERFLOW', 'answer headers are too large'],
  ['what is not HTTP', (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'), 'HTTPParserError', 'answer is not valid HTTP'],
  ['nothing, and a close', (socket) => socket.end(), 'UND_ERR_SOCKET', 'connection closed before the answer was complete'],
  ['a reset', (socket) => socket.resetAndDestroy(), 'ECONNRESET', 'connection reset'],
  [
    'a body cut short',
    (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc'),
    'UND_ERR_SOCKET',
    'connection closed before the answer was complete',
  ],
  [
    'a cut chunk',
    (socket) => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nabc'),
    'UND_ERR_SOCKET',
    'connection closed before the answer was complete',
  ],
]
for (const [name, act, code, message] of rawAnswers) {
  test(`a receiver that sends ${name} is unreachable, after one request`, async (t) => {
    let asked = 0
    const port = await tcpReceiver(t, (socket) => {
      socket.once('data', () => {
        asked++
        act(socket)
      })
    })
    const result = await post(t, { url: `http://127.0.0.1:${port}/` })
    assert.ok(result.kind === 'unreachable', JSON.stringify(result))
    assert.deepEqual([result.code, result.message], [code, message])
    assert.equal(asked, 1)
  })
}

test('an answer without length ends with its connection', async (t) => {
  const port = await tcpReceiver(t, (socket) => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nall of it')))
  const result = await post(t, { url: `http://127.0.0.1:${port}/` })
  assert.ok(result.kind === 'answered')
  assert.equal(result.bodyExcerpt.toString(), 'all of it')
})

test('a port where nobody listens is unreachable', async (t) => {
  const result = await post(t, { url: 'http://127.0.0.1:1/' })
  assert.ok(result.kind === 'unreachable')
  assert.deepEqual([result.code, result.message], ['ECONNREFUSED', 'connection refused'])
})

test('a name that is not found is unreachable', async (t) => {
  const guard = createEgressGuard({ allow: [], loopback: true }, async () => {
    throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' })
  })
  const result = await post(t, { url: 'https://hook.example.com/' }, { guard })
  assert.ok(result.kind === 'unreachable')
  assert.deepEqual([result.code, result.message], ['ENOTFOUND', 'host name not found'])
})

test('https is verified', async (t) => {
  const { port } = await tlsReceiver(t, cert)
  const named = resolvingTo(['127.0.0.1'])
  const good = { ca: cert, guard: named }
  assert.deepEqual(summary(await post(t, { url: `https://127.0.0.1:${port}/` }, good)), { kind: 'answered', status: 200 })
  assert.deepEqual(summary(await post(t, { url: `https://hook.example.com:${port}/` }, good)), { kind: 'answered', status: 200 })
  assert.deepEqual(summary(await post(t, { url: `https://other.example.com:${port}/` }, good)), {
    kind: 'unreachable',
    message: 'certificate is for another host name',
  })
  assert.deepEqual(summary(await post(t, { url: `https://127.0.0.1:${port}/` })), {
    kind: 'unreachable',
    message: 'certificate is self-signed',
  })
})

test('an expired certificate is named as such', async (t) => {
  const { port } = await tlsReceiver(t, expiredCert)
  const result = await post(t, { url: `https://127.0.0.1:${port}/` }, { ca: expiredCert })
  assert.deepEqual(summary(result), { kind: 'unreachable', message: 'certificate has expired' })
})

test('https to a port that speaks http is a failed handshake', async (t) => {
  const { url } = await receiver(t, (_request, response) => response.end())
  const result = await post(t, { url: url.replace('http:', 'https:') })
  assert.deepEqual(summary(result), { kind: 'unreachable', message: 'TLS handshake failed' })
})

test('a url that the guard refuses is refused without a connection', async (t) => {
  const result = await post(t, { url: 'https://10.0.0.1/' })
  assert.ok(result.kind === 'refused')
  assert.match(result.reason, /10\.0\.0\.0\/8.*LANDFALL_EGRESS_ALLOW/)
})

test('a literal is refused when it is dialled, even if the form was let through', async (t) => {
  const careless: EgressGuard = { ...openGuard, checkUrl: (url) => ({ allowed: true, url: new URL(url) }) }
  for (const url of ['https://169.254.169.254/', 'https://[fd00::1]/', 'https://[::ffff:127.0.0.1]/']) {
    const result = await post(t, { url }, { guard: careless })
    assert.equal(result.kind, 'refused', url)
  }
})

test('the address of the open socket is checked again', async (t) => {
  const { port } = await tlsReceiver(t, cert)
  // A lookup that goes around the check, as a change in how names are dialled might.
  const strict = createEgressGuard({ allow: [], loopback: false })
  const bypassed: EgressGuard = {
    ...strict,
    addressesOf: async () => [{ address: '127.0.0.1', family: 4 }],
  }
  const result = await post(t, { url: `https://hook.example.com:${port}/` }, { guard: bypassed, ca: cert })
  assert.ok(result.kind === 'refused')
  assert.match(result.reason, /hook\.example\.com is at 127\.0\.0\.1, which is in 127\.0\.0\.0\/8/)
})

test('one refused address among several refuses them all', async (t) => {
  const { port, requests } = await tlsReceiver(t, cert)
  const guard = resolvingTo(['127.0.0.1', '10.0.0.1'])
  const result = await post(t, { url: `https://hook.example.com:${port}/` }, { guard, ca: cert })
  assert.ok(result.kind === 'refused')
  assert.match(result.reason, /hook\.example\.com is at 10\.0\.0\.1/)
  assert.equal(requests.length, 0)
})

test('a name that changes between check and dial: what is dialled was checked, and asked for once', async (t) => {
  const { port, requests } = await tlsReceiver(t, cert)
  const lists = [['127.0.0.1'], ['169.254.169.254']]
  let asked = 0
  const guard = createEgressGuard({ allow: [], loopback: true }, async () => addressList(lists[asked++]!))
  const poster = posterOf(t, { guard, ca: cert })
  const url = `https://hook.example.com:${port}/`
  const send = () => poster.post({ url, headers: { connection: 'close' }, body: 'x', deadlineMs: 10_000 })
  assert.deepEqual(summary(await send()), { kind: 'answered', status: 200 })
  assert.equal(asked, 1)
  assert.equal((await send()).kind, 'refused')
  assert.deepEqual([asked, requests.length], [2, 1])
})

test('plain http to localhost stays on loopback whatever the name says', async (t) => {
  const result = await post(t, { url: 'http://localhost:1/' }, { guard: resolvingTo(['8.8.8.8']) })
  assert.ok(result.kind === 'refused')
  assert.match(result.reason, /8\.8\.8\.8, which is not a loopback address/)
})

test('connections are used again, one request at a time, and no more than allowed', async (t) => {
  const { url, sockets } = await receiver(t, (_request, response) => response.end('ok'))
  const poster = posterOf(t, { connectionsPerOriginMax: 3 })
  const results = await Promise.all(
    Array.from({ length: 30 }, () => poster.post({ url, headers: {}, body: 'x', deadlineMs: 10_000 })),
  )
  assert.ok(results.every((result) => result.kind === 'answered'))
  assert.equal(sockets.size, 3)
})

test('beyond the allowed number of origins the one used longest ago closes its connections', async (t) => {
  const receivers = await Promise.all([1, 2, 3].map(() => receiver(t, (_request, response) => response.end('ok'))))
  const poster = posterOf(t, { originsMax: 2, connectionsPerOriginMax: 1 })
  const [first, second, third] = receivers as [Receiver, Receiver, Receiver]
  const send = ({ url }: Receiver) => poster.post({ url, headers: {}, body: 'x', deadlineMs: 10_000 })
  await send(first)
  await send(second)
  await send(first)
  const [lost] = second.sockets
  await Promise.all([once(lost!, 'close'), send(third)])
  await send(first)
  assert.equal(first.sockets.size, 1)
})

test('a kept connection that the receiver drops under the next request is replaced once, unseen', async (t) => {
  let served = 0
  const port = await tcpReceiver(t, (socket) => {
    // The first connection answers once and resets on the second request; later ones answer.
    const isFirst = served === 0
    let onThis = 0
    socket.on('data', () => {
      served++
      if (isFirst && ++onThis > 1) socket.resetAndDestroy()
      else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
    })
  })
  const poster = posterOf(t, { connectionsPerOriginMax: 1 })
  const send = () => poster.post({ url: `http://127.0.0.1:${port}/`, headers: {}, body: 'x', deadlineMs: 10_000 })
  assert.equal((await send()).kind, 'answered')
  assert.equal((await send()).kind, 'answered')
  assert.equal(served, 3)
})

test('a kept connection that fails after the answer began is not tried again', async (t) => {
  let served = 0
  const port = await tcpReceiver(t, (socket) => {
    socket.on('data', () => {
      if (++served === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
      else socket.end('HTTP/1.1 200 OK\r\ncontent-le')
    })
  })
  const poster = posterOf(t, { connectionsPerOriginMax: 1 })
  const send = () => poster.post({ url: `http://127.0.0.1:${port}/`, headers: {}, body: 'x', deadlineMs: 10_000 })
  assert.equal((await send()).kind, 'answered')
  assert.equal((await send()).kind, 'unreachable')
  assert.equal(served, 2)
})

test('close waits for what is under way and takes nothing new', async (t) => {
  const asked = Promise.withResolvers<ServerResponse>()
  const { url } = await receiver(t, (_request, response) => asked.resolve(response))
  const poster = posterOf(t)
  const request = { url, headers: {}, body: 'x', deadlineMs: 10_000 }
  const running = poster.post(request)
  const response = await asked.promise
  const closing = poster.close()
  await assert.rejects(poster.post(request), { code: 'stopping' })
  response.end('late but in time')
  assert.deepEqual(summary(await running), { kind: 'answered', status: 200 })
  await closing
})

test('what has not ended by the end of close is cut, and counts as nothing', async (t) => {
  const clock = handClock()
  const asked = Promise.withResolvers<void>()
  const { url } = await receiver(t, () => asked.resolve())
  const poster = createPoster({ guard: openGuard, clock })
  const running = poster.post({ url, headers: {}, body: 'x', deadlineMs: 10_000 })
  await asked.promise
  const closing = poster.close(3_000)
  clock.move(3_000)
  await assert.rejects(running, { code: 'stopping' })
  await closing
})

test('a request that cannot be built is our fault, not the receiver’s', async (t) => {
  await assert.rejects(post(t, { url: 'http://127.0.0.1:9/', headers: { 'x-bad': 'a\r\nb' } }), { code: 'internal' })
})

function pourHeaders(socket: Socket): void {
  socket.write('HTTP/1.1 200 OK\r\n')
  const pour = () => {
    while (!socket.destroyed && socket.write(`x-flood: ${'y'.repeat(1000)}\r\n`));
  }
  socket.on('drain', pour)
  pour()
}
