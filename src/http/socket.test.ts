import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import { createEgressGuard } from './guard.ts'
import { CONNECT_MS_MAX } from './socket.ts'
import {
  addressList,
  cert,
  handClock,
  post,
  posterOf,
  receiver,
  resolvingTo,
  summary,
  tcpReceiver,
  tlsReceiver,
} from './testing.ts'

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === '::1'))

test('a receiver that takes the connection and never shakes hands is given up after 10 s, before the deadline', async (t) => {
  const clock = handClock()
  const connected = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  const port = await tcpReceiver(t, (socket) => {
    socket.once('close', closed.resolve)
    socket.once('data', () => connected.resolve())
  })
  const result = posterOf(t, { clock }).post({ url: `https://127.0.0.1:${port}/`, headers: {}, body: 'x', deadlineMs: 30_000 })
  await connected.promise
  clock.move(CONNECT_MS_MAX - 1)
  clock.move(1)
  assert.deepEqual(await result, { kind: 'timed_out', afterMs: 10_000, phase: 'connect' })
  await closed.promise
})

test('a name server that says nothing counts to the same 10 s', async (t) => {
  const clock = handClock()
  const asked = Promise.withResolvers<void>()
  const guard = createEgressGuard({ allow: [], loopback: true }, () => {
    asked.resolve()
    return new Promise(() => {})
  })
  const request = { url: 'https://hook.example.com/', headers: {}, body: 'x', deadlineMs: 30_000 }
  const result = posterOf(t, { clock, guard }).post(request)
  await asked.promise
  clock.move(CONNECT_MS_MAX)
  assert.deepEqual(await result, { kind: 'timed_out', afterMs: 10_000, phase: 'connect' })
})

test('a name that is answered after the time is over opens no socket', async (t) => {
  const clock = handClock()
  const answer = Promise.withResolvers<ReturnType<typeof addressList>>()
  const asked = Promise.withResolvers<void>()
  const { port, sockets } = await tlsReceiver(t, cert)
  const guard = createEgressGuard({ allow: [], loopback: true }, () => {
    asked.resolve()
    return answer.promise
  })
  const poster = posterOf(t, { clock, guard, ca: cert })
  const request = { headers: {}, body: 'x', deadlineMs: 30_000 }
  const result = poster.post({ ...request, url: `https://hook.example.com:${port}/` })
  await asked.promise
  clock.move(CONNECT_MS_MAX)
  assert.equal((await result).kind, 'timed_out')
  answer.resolve(addressList(['127.0.0.1']))
  // The next request on another origin has its answer after whatever the first one might still have dialled.
  assert.equal((await poster.post({ ...request, url: `https://127.0.0.1:${port}/` })).kind, 'answered')
  assert.equal(sockets.size, 1)
})

test('the next address is tried where the first one refuses', async (t) => {
  const { port, requests } = await tlsReceiver(t, cert)
  const guard = resolvingTo(['127.0.0.9', '127.0.0.1'])
  const result = await post(t, { url: `https://hook.example.com:${port}/` }, { guard, ca: cert })
  assert.deepEqual(summary(result), { kind: 'answered', status: 200 })
  assert.equal(requests.length, 1)
})

test('IPv6 loopback is dialled, as a literal and by name', { skip: !hasIpv6 && 'this machine has no ::1' }, async (t) => {
  const server = createServer((_request, response) => response.end('six')).listen(0, '::1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const literal = await post(t, { url: `http://[::1]:${port}/` })
  assert.ok(literal.kind === 'answered')
  assert.equal(literal.bodyExcerpt.toString(), 'six')
  const named = await post(t, { url: `http://localhost:${port}/` }, { guard: resolvingTo(['::1']) })
  assert.deepEqual(summary(named), { kind: 'answered', status: 200 })
})

test('a certificate is checked whatever the environment says', async (t) => {
  const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED
  t.after(() => {
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
  })
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  const { url } = await tlsReceiver(t, cert)
  assert.deepEqual(summary(await post(t, { url })), { kind: 'unreachable', message: 'certificate is self-signed' })
})

test('names being asked for at once are bounded, and what is beyond is nobody’s attempt', async (t) => {
  const guard = createEgressGuard({ allow: [], loopback: true }, () => new Promise(() => {}))
  for (let n = 0; n < 1_000; n++) void guard.addressesOf(`n${n}.example.com`).catch(() => {})
  await assert.rejects(guard.addressesOf('one-more.example.com'), { code: 'internal' })
  await assert.rejects(post(t, { url: 'https://one-more.example.com/' }, { guard }), { code: 'internal' })
})

test('a socket that is cut while connecting is a reset', async (t) => {
  const server = createTcpServer((socket) => socket.resetAndDestroy()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const result = await post(t, { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/` })
  assert.deepEqual(summary(result), { kind: 'unreachable', message: 'connection reset' })
})

test('receivers of one origin keep their connection open between requests', async (t) => {
  const { url, sockets } = await receiver(t, (_request, response) => response.end('ok'))
  const poster = posterOf(t, { connectionsPerOriginMax: 1 })
  for (let n = 0; n < 3; n++) await poster.post({ url, headers: {}, body: 'x', deadlineMs: 10_000 })
  assert.equal(sockets.size, 1)
})
