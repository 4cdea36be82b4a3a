import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect as connectPlain } from 'node:net'
import { after, before, test } from 'node:test'
import { connect } from 'node:tls'
import { eventually } from '../../../test/eventually.ts'
import { createAuthority } from '../../agents/authority.ts'
import { DAY_MS, SECOND_MS } from '../../base/units.ts'
import { anAudit } from '../../store/testing.ts'
import { BEAT_MS, LISTED_FILES_MAX, REPORT_BYTES_MAX, SERVER_NAME, type TransferWork } from '../../wire/agent/work.ts'
import { HELLO, makeRequest, NODE, openPort, type PortWorld } from './testing.ts'

let world: PortWorld
before(async () => {
  world = await openPort()
})
after(() => world.close())

const BEAT = { status: 'online', load: 0.25, memory: 40 }

/** An authority that exists nowhere else. */
function strangeAuthority(now: number) {
  const nothing = { findAuthority: async () => undefined, replaceAuthority: async () => assert.fail() }
  const store = { ...nothing, ensureAuthority: async <One>(one: One) => one }
  return createAuthority({ store, seal: world.seal, clock: { now: () => now } })
}

const refusedHandshakes = () => world.port.stats().refusedHandshakes

test('without a certificate there is no connection', async () => {
  const before = refusedHandshakes()
  await assert.rejects(world.call('POST', '/agent/v1/heartbeat', BEAT, {}), { code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' })
  assert.equal(refusedHandshakes(), before + 1)
  assert.match(world.logged.at(-1)!, /^handshake refused .*"address":"127\.0\.0\.1"/)
})

test('a certificate of another authority opens no connection', async () => {
  const before = refusedHandshakes()
  const { csr, key } = makeRequest()
  const { certificate } = await (await strangeAuthority(world.clock.now())).issueToAgent(csr, 'agent_x')
  await assert.rejects(world.call('POST', '/agent/v1/heartbeat', BEAT, { key, certificate }), { code: 'ECONNRESET' })
  assert.equal(refusedHandshakes(), before + 1)
})

test('a certificate that has ended opens no connection', async () => {
  const before = refusedHandshakes()
  const then = await createAuthority({
    store: world.store,
    seal: world.seal,
    clock: { now: () => world.clock.now() - 400 * DAY_MS },
  })
  const { csr, key } = makeRequest()
  const { certificate } = await then.issueToAgent(csr, 'agent_x')
  await assert.rejects(world.call('POST', '/agent/v1/heartbeat', BEAT, { key, certificate }), { code: 'ECONNRESET' })
  assert.equal(refusedHandshakes(), before + 1)
})

test('the certificate of the server itself is none of an agent', async () => {
  const { key, certificate } = await world.authority.issueToServer()
  await assert.rejects(world.call('POST', '/agent/v1/heartbeat', BEAT, { key, certificate }), { code: 'ECONNRESET' })
})

test('TLS 1.2 is not spoken', async () => {
  const machine = await world.enrol('old')
  const before = refusedHandshakes()
  await assert.rejects(
    world.call('POST', '/agent/v1/heartbeat', BEAT, machine, { maxVersion: 'TLSv1.2' }),
    /alert protocol version/,
  )
  assert.equal(refusedHandshakes(), before + 1)
})

test('bytes that are no TLS are refused, and the port goes on', async () => {
  const before = refusedHandshakes()
  const socket = connectPlain(world.address.port, world.address.host)
  socket.write('POST /agent/v1/heartbeat HTTP/1.1\r\nhost: x\r\n\r\n')
  await once(socket.resume(), 'close')
  assert.equal(refusedHandshakes(), before + 1)
})

test('the server shows a certificate of the authority, for its one name, and speaks TLS 1.3', async () => {
  const { key, certificate } = await world.enrol('looks')
  const socket = connect({ ...world.address, key, cert: certificate, ca: world.authority.certificate, servername: SERVER_NAME })
  await once(socket, 'secureConnect')
  assert.equal(socket.authorized, true)
  assert.equal(socket.getProtocol(), 'TLSv1.3')
  assert.equal(socket.getPeerX509Certificate()?.subjectAltName, `DNS:${SERVER_NAME}`)
  socket.destroy()
})

test('a heartbeat is a sign of life that says how the agent is', async () => {
  const { agent, ...machine } = await world.enrol('beats')
  await world.time.pass(10 * SECOND_MS)
  const { status, json } = await world.call('POST', '/agent/v1/heartbeat', { status: 'busy', load: 0.5, memory: 64 }, machine)
  assert.deepEqual([status, json], [200, {}])
  const stored = await world.store.findAgent(agent.id)
  assert.deepEqual(
    [stored?.status, stored?.load, stored?.memory, stored?.ipAddress, stored?.lastSeenAt],
    ['busy', 0.5, 64, '127.0.0.1', world.clock.now()],
  )
})

test('every request is a sign of life, before it is answered', async () => {
  const { agent, ...machine } = await world.enrol('reports')
  await world.time.pass(10 * SECOND_MS)
  await world.call('POST', '/agent/v1/work/lse_1', { state: 'cancelled', bytesTransferred: 0 }, machine)
  assert.equal((await world.store.findAgent(agent.id))?.lastSeenAt, world.clock.now())
})

test('the certificate stands in place of a key at the routes that are added', async () => {
  const { agent, ...machine } = await world.enrol('more')
  assert.deepEqual((await world.call('GET', '/api/more', undefined, machine)).json, { agent: agent.id })
})

test('a report goes to whoever handed the work out; one of a lost lease ends it', async () => {
  const { agent, ...machine } = await world.enrol('works')
  const report = { state: 'running', size: 10, bytesTransferred: 5, speed: 1.5 }
  assert.deepEqual((await world.call('POST', '/agent/v1/work/lse_7', report, machine)).json, { go: true })
  assert.deepEqual(world.work.reports.at(-1), { agentId: agent.id, lease: 'lse_7', report })
  assert.deepEqual((await world.call('POST', '/agent/v1/work/lost_7', report, machine)).json, { go: false })
})

test('the end of what had arrived before may leave out its hash, which the agent may not know any more', async () => {
  const { agent, ...machine } = await world.enrol('remembers')
  const report = { state: 'completed', size: 10, bytesTransferred: 0, speed: 0 }
  assert.deepEqual((await world.call('POST', '/agent/v1/work/lse_8', report, machine)).json, { go: true })
  assert.deepEqual(world.work.reports.at(-1), { agentId: agent.id, lease: 'lse_8', report })
})

const hash = 'a'.repeat(64)
const listed = { path: '/a', relativePath: 'a', size: 1, modifiedAt: null }
const WRONG = [
  { body: '{', says: 'the body is not JSON' },
  { body: '[]', says: 'the body must be a JSON object' },
  { body: {}, says: 'state is missing' },
  {
    body: { state: 'done' },
    says: 'state is "done", not one of running, arrived, completed, failed, cancelled, discarded, listed, host_key',
  },
  {
    body: { state: 'running', size: null, bytesTransferred: -1, speed: 0 },
    says: 'bytesTransferred is -1, not 0 to 9007199254740991',
  },
  { body: { state: 'running', size: 1.5, bytesTransferred: 0, speed: 0 }, says: 'size is 1.5, not a whole number or null' },
  { body: { state: 'arrived', size: 1, bytesTransferred: 1, speed: 1 }, says: 'sha256 is missing' },
  {
    body: { state: 'running', size: 9, bytesTransferred: 5, speed: 1e300 },
    says: 'speed is 1e+300, not 0 to 9007199254740991',
  },
  {
    body: { state: 'listed', files: [{ ...listed, modifiedAt: 9e15 }], isTruncated: false },
    says: 'files[0].modifiedAt is 9000000000000000, not -8640000000000000 to 8640000000000000',
  },
  {
    body: { state: 'arrived', size: 1, bytesTransferred: 1, speed: 1, sha256: 'a' },
    says: 'sha256 has 1 characters, not 64 to 64',
  },
  {
    body: { state: 'arrived', size: 1, bytesTransferred: 1, speed: 1, sha256: hash.replace('a', 'X') },
    says: 'sha256 is not 64 lower-case hex digits',
  },
  { body: { state: 'failed', errorCode: 'TIMEOUT', bytesTransferred: 0 }, says: 'error is missing' },
  {
    body: { state: 'listed', files: [{ ...listed, path: '' }], isTruncated: false },
    says: 'files[0].path has 0 characters, not 1 to 4096',
  },
  {
    body: { state: 'listed', files: Array(LISTED_FILES_MAX + 1).fill(listed), isTruncated: false },
    says: `files has ${LISTED_FILES_MAX + 1} entries, at most ${LISTED_FILES_MAX} are taken`,
  },
  { body: { state: 'listed', files: [], notQuiet: -1, isTruncated: false }, says: 'notQuiet is -1, not 0 to 9007199254740991' },
  { body: { state: 'host_key', hostKey: 'x'.repeat(257) }, says: 'hostKey has 257 characters, not 1 to 256' },
]
for (const { body, says } of WRONG) {
  test(`a report is refused: ${says}`, async () => {
    const machine = await world.enrol('garbage')
    const before = world.work.reports.length
    const { status, json } = await world.call('POST', '/agent/v1/work/lse_1', body, machine)
    assert.deepEqual([status, json.error, json.details.code], [400, says, 'invalid'])
    assert.equal(world.work.reports.length, before)
  })
}

test('a report of the longest listing is taken, a longer body is not', async () => {
  const machine = await world.enrol('lists')
  const files = Array(LISTED_FILES_MAX).fill({
    ...listed,
    path: `/${'x'.repeat(250)}`,
    relativePath: 'x'.repeat(250),
    sha256: hash,
  })
  const body = JSON.stringify({ state: 'listed', files, isTruncated: true })
  assert.ok(body.length > 6_000_000 && body.length < REPORT_BYTES_MAX)
  assert.equal((await world.call('POST', '/agent/v1/work/lse_1', body, machine)).status, 200)
  assert.equal(await announced('/agent/v1/work/lse_1', REPORT_BYTES_MAX + 1), `the body has more than ${REPORT_BYTES_MAX} bytes`)
  assert.equal(await announced('/agent/v1/heartbeat', 2 ** 20 + 1), 'the body has more than 1048576 bytes')

  /** What is said to somebody who is about to send so many bytes. */
  async function announced(path: string, bytes: number): Promise<string> {
    const request = world.dial('POST', path, undefined, machine)
    request.setHeader('content-type', 'application/json').setHeader('content-length', bytes).flushHeaders()
    const [answer] = (await once(request, 'response')) as [IncomingMessage]
    assert.equal(answer.statusCode, 413)
    return JSON.parse((await answer.toArray()).join('')).error
  }
})

test('headers that are too long are refused', async () => {
  const machine = await world.enrol('talks')
  const request = world.dial('POST', '/agent/v1/heartbeat', undefined, machine)
  request.setHeader('x-much', 'x'.repeat(20_000)).end()
  const [answer] = (await once(request, 'response')) as [IncomingMessage]
  assert.equal(answer.resume().statusCode, 431)
})

test('an agent has no more connections than it may have, others have theirs', async () => {
  const machine = await world.enrol('many')
  const open = async () => {
    const request = world.dial('POST', '/agent/v1/heartbeat', BEAT, machine)
    // The body does not end, so the connection stays.
    request.write('{')
    return request
  }
  // Those of the tests before are closed by now, or will be.
  const connections = (count: number) => eventually(async () => assert.equal(world.port.stats().connections, count))
  await connections(0)
  const requests = await Promise.all(Array.from({ length: 64 }, open))
  await connections(64)
  const { status, json } = await world.call('POST', '/agent/v1/heartbeat', BEAT, machine)
  assert.deepEqual(
    [status, json.details.code, json.error],
    [409, 'limit_reached', 'an agent may have 64 connections at the same time'],
  )
  assert.equal((await world.call('POST', '/agent/v1/heartbeat', BEAT, await world.enrol('other'))).status, 200)
  for (const request of requests) request.on('error', () => {}).destroy()
  await connections(0)
  assert.equal((await world.call('POST', '/agent/v1/heartbeat', BEAT, machine)).status, 200)
})

test('members that only a newer agent knows are passed over', async () => {
  const machine = await world.enrol('newer')
  const body = { state: 'cancelled', bytesTransferred: 1, mood: 'fine' }
  assert.equal((await world.call('POST', '/agent/v1/work/lse_1', body, machine)).status, 200)
})

test('a certificate is renewed over the connection of the one before, and both count', async () => {
  const { agent, key, certificate } = await world.enrol('renews')
  const next = makeRequest()
  const { status, json } = await world.call('POST', '/agent/v1/certificate', { csr: next.csr }, { key, certificate })
  assert.equal(status, 200)
  for (const machine of [
    { key: next.key, certificate: json.certificate },
    { key, certificate },
  ])
    assert.deepEqual((await world.call('GET', '/api/more', undefined, machine)).json, { agent: agent.id })
  const refused = await world.call('POST', '/agent/v1/certificate', { csr: 'nonsense' }, { key, certificate })
  assert.deepEqual([refused.status, refused.json.details.field], [400, 'csr'])
})

test('a revoked agent is refused at its next request, by a reason that says so', async () => {
  const { agent, ...machine } = await world.enrol('leaves')
  await revoke(agent.id)
  const { status, json } = await world.call('POST', '/agent/v1/heartbeat', BEAT, machine)
  assert.deepEqual(
    [status, json.details.code, json.error],
    [403, 'forbidden', 'this agent is revoked; it has to be enrolled again'],
  )
})

test('a certificate that is past its end by our clock is refused, though its connection was open before', async () => {
  const { agent } = await world.enrol('ages')
  const { csr, key } = makeRequest()
  const { certificate, facts } = await world.authority.issueToAgent(csr, agent.id)
  const expiresAt = world.clock.now() + 5 * SECOND_MS
  await world.store.addCertificate({ ...facts, expiresAt }, agent.publicKeyHash!, 20, anAudit('agent.certificate'))
  const opened = await world.stream({ agent, key, certificate })
  assert.equal((await opened.next())?.type, 'welcome')
  assert.equal((await world.call('GET', '/api/more', undefined, { key, certificate })).status, 200)
  await world.time.pass(5 * SECOND_MS)
  const { status, json } = await world.call('GET', '/api/more', undefined, { key, certificate })
  assert.equal(status, 403)
  assert.match(json.error, /^this certificate ended at 20/)
  // Its stream ends with the next beat, without a word: there may be a newer certificate.
  await world.time.pass(BEAT_MS)
  assert.equal(await opened.next(), undefined)
})

test('a stream welcomes, hands out what waits and tells what the hello did not name', async () => {
  const machine = await world.enrol('streams')
  world.work.waiting.push(aWork('lse_a'), aWork('lse_b'))
  const { next, answer } = await world.stream(machine, { leases: ['lse_kept'] })
  assert.equal(answer.headers['content-type'], 'application/x-ndjson')
  assert.deepEqual(await next(), {
    ...{ type: 'welcome', agentId: machine.agent.id, name: 'streams', concurrency: machine.agent.concurrency },
    ...{ heartbeatMs: 15 * SECOND_MS, renewBeforeMs: 45 * DAY_MS },
  })
  assert.deepEqual(await next(), { type: 'work', work: aWork('lse_a') })
  assert.deepEqual(await next(), { type: 'work', work: aWork('lse_b') })
  assert.deepEqual(world.work.kept.at(-1), ['lse_kept'])
  world.work.waiting.push(aWork('lse_c'))
  world.dispatcher.nudge(machine.agent.id)
  assert.deepEqual(await next(), { type: 'work', work: aWork('lse_c') })
})

test('a hello that is none opens no stream', async () => {
  const machine = await world.enrol('mumbles')
  const { status, json } = await world.call('POST', '/agent/v1/stream', { instance: 'x', leases: 'all' }, machine)
  assert.deepEqual([status, json.error], [400, 'version is missing'])
})

test('a stream beats', async () => {
  const { lines } = await world.stream(await world.enrol('hears'))
  await lines.next()
  for (let beats = 0; beats < 3; beats++) {
    await world.time.pass(BEAT_MS)
    assert.equal((await lines.next()).value, '{"type":"beat"}')
  }
})

test('a newer stream takes the place of the one before, and work goes to it', async () => {
  const machine = await world.enrol('twice')
  const first = await world.stream(machine)
  await first.next()
  const second = await world.stream(machine)
  assert.equal((await second.next())?.type, 'welcome')
  assert.equal(await first.next(), undefined)
  world.work.waiting.push(aWork('lse_2'))
  world.dispatcher.nudge(machine.agent.id)
  assert.equal((await second.next())?.type, 'work')
  assert.equal((await world.store.findAgent(machine.agent.id))?.streamNode, 'node_port')
})

test('a name or another number of transfers at a time reaches the agent at once', async () => {
  const machine = await world.enrol('renamed')
  const { next } = await world.stream(machine)
  await next()
  await world.store.updateAgent(
    machine.agent.id,
    { name: 'other', concurrency: 9, updatedAt: world.clock.now() },
    anAudit('agent.update'),
  )
  await world.presence.look(machine.agent.id)
  const orders = await next()
  assert.deepEqual(orders?.type === 'orders' && [orders.name, orders.concurrency], ['other', 9])
})

test('a revoked agent is told, and everything that it has open is closed', async () => {
  const machine = await world.enrol('thrown-out')
  const { next } = await world.stream(machine)
  await next()
  const begun = world.dial('POST', '/agent/v1/work/lse_1', {}, machine).setHeader('expect', '100-continue')
  begun.flushHeaders()
  await once(begun, 'continue')
  const gone = once(begun, 'error')
  begun.write('{"state":')
  await revoke(machine.agent.id)
  await world.presence.look(machine.agent.id)
  assert.deepEqual(await next(), { type: 'revoked' })
  assert.equal(await next(), undefined)
  await assert.rejects(
    gone.then(([error]) => Promise.reject(error)),
    { code: 'ECONNRESET' },
  )
  assert.equal((await world.stream(machine)).status, 403)
})

test('an agent that is disconnected loses its stream without a word, and may come back', async () => {
  const machine = await world.enrol('shaken')
  const { next } = await world.stream(machine)
  await next()
  await world.store.endStream(machine.agent.id, world.clock.now(), anAudit('agent.disconnect'))
  await world.presence.look(machine.agent.id)
  assert.equal(await next(), undefined)
  assert.equal((await (await world.stream(machine)).next())?.type, 'welcome')
})

test('a closed stream leaves the agent online until the grace is over, and offline then', async () => {
  const machine = await world.enrol('drops')
  const { id } = machine.agent
  // The disk that the loss is written to may be slow, and the reads that ask for it are not.
  const isLost = () => eventually(async () => assert.notEqual((await world.store.findAgent(id))?.streamLostAt, null))
  const status = async () => (await world.store.findAgent(id))?.status
  const { next, close } = await world.stream(machine)
  await next()
  close()
  await isLost()
  await live(8)
  assert.equal(await status(), 'online')
  const back = await world.stream(machine)
  await back.next()
  await live(20)
  assert.equal(await status(), 'online')
  back.close()
  await isLost()
  await live(14)
  assert.equal(await status(), 'offline')
  // Agents of the tests before may be lost meanwhile as well.
  const { rows } = await world.store.listEvents({ types: ['agent.disconnected'] }, { limit: 100, offset: 0 })
  assert.equal(rows.filter(({ data }) => data.agentId === id).length, 1)
})

/** Passes time in steps, in which the store answers what is asked of it: what a look reads and writes is read and written before the next one. */
async function live(seconds: number): Promise<void> {
  const { store, time, clock } = world
  for (let second = 0; second < seconds; second++) {
    await time.pass(SECOND_MS)
    await world.typesOfEvents()
    // Written one after the other: however slow the disk is, what was to be written before is written then.
    await store.beat({ id: NODE, startedAt: 0 }, clock.now())
    await world.typesOfEvents()
  }
}

test('an agent that does not read what it is handed is cut, before it costs much memory', async () => {
  const { agent, key, certificate: cert } = await world.enrol('naps')
  const socket = connect({ ...world.address, key, cert, ca: world.authority.certificate, servername: SERVER_NAME })
  await once(socket, 'secureConnect')
  const isLogged = (message: string) => world.logged.some((line) => line.startsWith(message) && line.includes(agent.id))
  const hello = JSON.stringify(HELLO)
  const head = `POST /agent/v1/stream HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${hello.length}`
  // Nobody listens to `data`: what comes is left where it is.
  socket.write(`${head}\r\n\r\n${hello}`)
  await eventually(async () => assert.ok(isLogged('stream opened')))
  const place = { endpoint: { protocol: 'local' } as const, path: `/${'x'.repeat(200_000)}` }
  world.work.waiting.push(...Array<TransferWork>(500).fill({ ...aWork('lse_big'), source: place }))
  await eventually(async () => {
    world.dispatcher.nudge(agent.id)
    await new Promise((resolve) => setTimeout(resolve, 1))
    assert.ok(isLogged('stream closed'))
  })
  assert.ok(world.work.waiting.splice(0).length > 0)
  await once(socket.resume(), 'close')
})

function aWork(lease: string): TransferWork {
  const place = { endpoint: { protocol: 'local' } as const, path: '/a' }
  return {
    ...{ kind: 'transfer', lease, transferId: 'trf_1', direction: 'pull', source: place, destination: place },
    ...{
      bytesPerSecond: null,
      postAction: { kind: 'keep' },
      hasArrived: false,
      expected: null,
      deadlineMs: null,
      isLastAttempt: false,
    },
  }
}

function revoke(id: string) {
  const event = {
    id: `whevt_${id}`,
    type: 'agent.disconnected',
    accountId: null,
    occurredAt: world.clock.now(),
    data: {},
  } as const
  return world.store.revokeAgent(id, world.clock.now(), event, anAudit('agent.revoke'))
}
