import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { chmod, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, beforeEach, test } from 'node:test'
import { type Clock, systemClock } from '../src/base/clock.ts'
import { silentLog } from '../src/base/log.ts'
import { movingClock } from '../src/base/testing.ts'
import { MINUTE_MS, SECOND_MS } from '../src/base/units.ts'
import { eventually } from '../test/eventually.ts'
import { type AgentEnd, type AgentWork, runAgent } from './main.ts'
import type { AgentNews } from './news.ts'
import { enrolledFolder, ORDERS, type Peer, removeTemporaryFolders, startPeer, temporaryFolder, transferWork } from './testing.ts'
import type { WorkContext } from './work/context.ts'

// A whole agent against a scripted server: real TLS and sockets; time is moved where a test waits long.

let peer: Peer
let started: { stop(): Promise<AgentEnd> }[] = []
beforeEach(async () => {
  peer = await startPeer()
  started = []
})
afterEach(async () => {
  for (const agent of started) await agent.stop()
  await peer.stop()
})
after(removeTemporaryFolders)

interface Begun {
  readonly lease: string
  readonly context: WorkContext
  /** Ends the work without a report. */
  readonly end: () => void
  readonly isOver: boolean
}

/** An agent whose work ends when it is told to, or a moment after it was stopped. */
function start(folder: string, clock: Clock = systemClock) {
  const begun: Begun[] = []
  const news: AgentNews[] = []
  const stop = new AbortController()
  const moveFile: AgentWork['moveFile'] = (work, context) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const one = { lease: work.lease, context, end: resolve, isOver: false }
    begun.push(one)
    context.signal.addEventListener('abort', () => setImmediate(resolve))
    return promise.finally(() => {
      one.isOver = true
    })
  }
  const listFiles: AgentWork['listFiles'] = async (_work, context) => {
    await context.report({ state: 'listed', files: [], isTruncated: false })
  }
  const work = { moveFile, listFiles }
  const options = { folder, version: '1.2.3', clock, log: silentLog, tell: (one: AgentNews) => void news.push(one) }
  const ended = runAgent({ ...options, signal: stop.signal, random: () => 1, work })
  // Looked at where a test expects it.
  ended.catch(() => undefined)
  const agent = {
    begun,
    news,
    ended,
    of: (type: AgentNews['type']) => news.filter((one) => one.type === type),
    stop() {
      stop.abort()
      return ended
    },
  }
  started.push(agent)
  return agent
}

const soon = (check: () => void) => eventually(async () => check())
const hellos = (count: number) => soon(() => assert.equal(peer.hellos.length, count))

/** Time that stands until it is moved, beginning now. */
const moving = () => movingClock(Date.now())
/** The heartbeat before was answered: from then on the agent waits for the next one. */
const untilNextBeatIsPlanned = ({ clock, timers }: ReturnType<typeof moving>) =>
  soon(() => assert.ok([...timers].some(({ at }) => at === clock.now() + ORDERS.heartbeatMs)))

test('says hello, does what it is handed and reports it; what it does not hold any more it does not name', async () => {
  const agent = start(await enrolledFolder(peer))
  await hellos(1)
  const { instance, ...hello } = peer.hellos[0]!
  assert.match(instance, /^[0-9a-f-]{36}$/)
  assert.deepEqual([hello.leases, hello.version, hello.os], [[], '1.2.3', 'linux'])

  for (const lease of ['one', 'two']) peer.send({ type: 'work', work: transferWork(lease) })
  await soon(() =>
    assert.deepEqual(
      agent.begun.map(({ lease }) => lease),
      ['one', 'two'],
    ),
  )
  const [first] = agent.begun
  assert.deepEqual(await first!.context.report({ state: 'cancelled', bytesTransferred: 3 }), { go: true })
  first!.end()
  assert.deepEqual(peer.reports, [{ lease: 'one', report: { state: 'cancelled', bytesTransferred: 3 } }])

  peer.cut()
  await hellos(2)
  assert.deepEqual(peer.hellos[1]!.leases, ['two'])
  assert.equal(peer.hellos[1]!.instance, instance)
  assert.equal(agent.begun[1]!.context.signal.aborted, false, 'a lost stream costs no work')
  assert.deepEqual(agent.of('disconnected'), [{ type: 'disconnected', why: 'the connection broke', retryMs: 0 }])
})

test('lists, and orders and cancellations take effect at once', async () => {
  peer.orders = { ...ORDERS, concurrency: 1 }
  const agent = start(await enrolledFolder(peer))
  await hellos(1)
  for (const lease of ['one', 'two', 'three']) peer.send({ type: 'work', work: transferWork(lease) })
  await soon(() => assert.equal(agent.begun.length, 1))
  peer.send({ type: 'orders', ...ORDERS, concurrency: 2 })
  await soon(() => assert.equal(agent.begun.length, 2))
  peer.send({ type: 'cancel', lease: 'one' })
  await soon(() => assert.equal(agent.begun[0]!.context.signal.reason, 'cancelled'))
  const { source } = transferWork('x')
  peer.send({
    type: 'work',
    work: { kind: 'list', lease: 'l', runId: 'run_1', source, quietMs: 0, wantsHash: false, filesMax: 10 },
  })
  peer.send({ type: 'cancel', lease: 'two' })
  await soon(() =>
    assert.deepEqual(
      peer.reports.map(({ report }) => report.state),
      ['listed'],
    ),
  )
})

test('a final report is said again until it is answered', async () => {
  const agent = start(await enrolledFolder(peer))
  await hellos(1)
  peer.send({ type: 'work', work: transferWork('one') })
  await soon(() => assert.equal(agent.begun.length, 1))
  let tries = 0
  peer.answer = (path) => (path.includes('/work/') && ++tries < 3 ? { status: 500, body: {} } : 'as usual')
  const report = { state: 'failed', error: 'x', errorCode: 'TIMEOUT', bytesTransferred: 0 } as const
  assert.deepEqual(await agent.begun[0]!.context.report(report), { go: true })
  agent.begun[0]!.end()
  assert.equal(tries, 3)
  assert.deepEqual(peer.reports, [{ lease: 'one', report }])
})

for (const status of [400, 404, 413])
  test(`a report that is answered with ${status} is not said again, and its work stops`, async () => {
    const agent = start(await enrolledFolder(peer))
    await hellos(1)
    peer.send({ type: 'work', work: transferWork('one') })
    await soon(() => assert.equal(agent.begun.length, 1))
    peer.answer = (path) => (path.includes('/work/') ? { status, body: { error: 'no' } } : 'as usual')
    const { report, signal } = agent.begun[0]!.context
    const arrival = { size: 1, bytesTransferred: 1, speed: 1, sha256: 'a'.repeat(64) }
    assert.deepEqual(await report({ state: 'arrived', ...arrival }), { go: false })
    assert.equal(signal.reason, 'lease lost')
    // The server still takes it for this agent's: the next hello says otherwise.
    await hellos(2)
    assert.deepEqual(peer.hellos.at(-1)?.leases, [])
  })

test('stopped, it suspends its work, reports nothing and leaves', async () => {
  const agent = start(await enrolledFolder(peer))
  await hellos(1)
  peer.send({ type: 'work', work: transferWork('one') })
  await soon(() => assert.equal(agent.begun.length, 1))
  assert.deepEqual(await agent.stop(), { kind: 'stopped' })
  assert.equal(agent.begun[0]!.context.signal.reason, 'stopping')
  assert.equal(agent.begun[0]!.isOver, true)
  assert.deepEqual(peer.reports, [])
})

test('heartbeats say how it is, as often as it was told to', async () => {
  const time = moving()
  const agent = start(await enrolledFolder(peer), time.clock)
  await hellos(1)
  await soon(() => assert.equal(agent.of('connected').length, 1))
  for (let count = 1; count <= 3; count++) {
    await time.pass(ORDERS.heartbeatMs)
    await soon(() => assert.equal(peer.heartbeats.length, count))
    await untilNextBeatIsPlanned(time)
    peer.send({ type: 'beat' })
  }
  const { status, load, memory } = peer.heartbeats[0]!
  assert.equal(status, 'online')
  assert.ok(load >= 0 && load <= 1 && memory > 10, `${load} ${memory}`)
})

test('without an answer for 60 s it stops its work, and comes back holding nothing', async () => {
  const time = moving()
  const agent = start(await enrolledFolder(peer), time.clock)
  await hellos(1)
  peer.send({ type: 'work', work: transferWork('one') })
  await soon(() => assert.equal(agent.begun.length, 1))
  // The stream goes on, so that only the contact is lost: what the server says proves nothing of what it hears.
  peer.answer = () => undefined
  for (let seconds = 0; seconds < 59; seconds++) {
    await time.pass(1_000)
    peer.send({ type: 'beat' })
  }
  assert.equal(agent.begun[0]!.context.signal.aborted, false)
  await time.pass(2_000)
  assert.equal(agent.begun[0]!.context.signal.reason, 'contact lost')
  assert.deepEqual(agent.of('contact_lost'), [{ type: 'contact_lost', stopped: 1 }])
  peer.answer = undefined
  await eventually(async () => {
    await time.pass(1_000)
    assert.equal(peer.hellos.length, 2)
  })
  assert.deepEqual(peer.hellos[1]!.leases, [])
  assert.deepEqual(peer.reports, [])
})

test('answers keep the work going: the 60 s count from the last of them', async () => {
  const time = moving()
  const agent = start(await enrolledFolder(peer), time.clock)
  await hellos(1)
  peer.send({ type: 'work', work: transferWork('one') })
  await soon(() => assert.equal(agent.begun.length, 1))
  for (let beats = 1; beats <= 10; beats++) {
    await time.pass(ORDERS.heartbeatMs)
    await soon(() => assert.equal(peer.heartbeats.length, beats))
    await untilNextBeatIsPlanned(time)
    peer.send({ type: 'beat' })
  }
  assert.equal(agent.begun[0]!.context.signal.aborted, false)
})

test('a stream on which nothing comes for three beats is dialled again', async () => {
  const time = moving()
  const agent = start(await enrolledFolder(peer), time.clock)
  await hellos(1)
  await soon(() => assert.equal(agent.of('connected').length, 1))
  await eventually(async () => {
    await time.pass(1_000)
    assert.equal(peer.hellos.length, 2)
  })
  assert.deepEqual(agent.of('disconnected'), [{ type: 'disconnected', why: 'the server fell silent', retryMs: 0 }])
})

test('a server that takes and drops it is dialled less and less often', async () => {
  const time = moving()
  const agent = start(await enrolledFolder(peer), time.clock)
  peer.answer = () => ({ status: 503, body: { error: 'stopping' } })
  await eventually(async () => {
    await time.pass(500)
    assert.equal(agent.of('disconnected').length, 9)
  })
  assert.deepEqual(
    agent.of('disconnected').map((one) => (one as { retryMs: number }).retryMs),
    [0, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000],
  )
  assert.equal((agent.news[0] as { why: string }).why, 'stopping')
})

const ends = [
  { name: 'told so on the stream', end: () => peer.send({ type: 'revoked' }) },
  {
    name: 'refused when it dials',
    end: () => {
      peer.answer = () => ({ status: 403, body: { error: 'this agent was revoked' } })
      peer.cut()
    },
  },
  {
    name: 'refused at a heartbeat',
    end: () => {
      peer.orders = { ...ORDERS, heartbeatMs: 10 }
      peer.answer = (path) => (path.endsWith('/stream') ? 'as usual' : { status: 403, body: { error: 'this agent was revoked' } })
      peer.cut()
    },
  },
] as const
for (const { name, end } of ends)
  test(`revoked, ${name}: it stops at once and does not come back`, async () => {
    const agent = start(await enrolledFolder(peer))
    await hellos(1)
    peer.send({ type: 'work', work: transferWork('one') })
    await soon(() => assert.equal(agent.begun.length, 1))
    end()
    assert.deepEqual(await agent.ended, { kind: 'revoked', message: 'this agent was revoked' })
    assert.equal(agent.begun[0]!.isOver, true)
    assert.deepEqual(peer.reports, [])
  })

test('a certificate that is due is renewed, durably, and shown from then on; work goes on', async () => {
  const folder = await enrolledFolder(peer, { daysAgo: 321 })
  const key = await readFile(join(folder, 'key.pem'), 'utf8')
  const renewal = Promise.withResolvers<void>()
  peer.answer = async (path) => {
    if (path.endsWith('/certificate')) await renewal.promise
    return 'as usual' as const
  }
  const agent = start(folder)
  await hellos(1)
  peer.send({ type: 'work', work: transferWork('one') })
  await soon(() => assert.equal(agent.begun.length, 1))
  renewal.resolve()
  await hellos(2)
  assert.equal(agent.of('renewed').length, 1)
  assert.deepEqual(peer.hellos[1]!.leases, ['one'])
  assert.equal(agent.begun[0]!.context.signal.aborted, false)
  assert.notEqual(peer.serials[1], peer.serials[0])
  const kept = new X509Certificate(await readFile(join(folder, 'certificate.pem')))
  assert.equal(kept.serialNumber, peer.serials[1])
  assert.equal(await readFile(join(folder, 'key.pem'), 'utf8'), key)
})

test('a certificate that reaches its end while it is in use ends everything', async () => {
  const time = moving()
  const agent = start(await enrolledFolder(peer, { daysAgo: 365 - 1 / 24 / 60 }), time.clock)
  peer.answer = (path) => (path.endsWith('/certificate') ? { status: 500, body: { error: 'no key' } } : 'as usual')
  await hellos(1)
  peer.send({ type: 'work', work: transferWork('one') })
  await soon(() => assert.equal(agent.begun.length, 1))
  await soon(() => assert.equal(agent.of('renewal_failed').length, 1))
  assert.equal((agent.of('renewal_failed')[0] as { why: string }).why, 'no key')
  await time.pass(MINUTE_MS + SECOND_MS)
  const end = (await agent.ended) as { kind: string; message: string }
  assert.equal(end.kind, 'expired')
  assert.match(end.message, /^the certificate of this agent ended at .*: enrol it again$/)
  assert.equal(agent.begun[0]!.isOver, true)
})

for (const [name, answer] of [
  ['of another authority', async (csr: string) => (await startedElsewhere()).issue(csr)],
  ['that ends no later', (csr: string) => peer.issue(csr, { daysAgo: 331 })],
] as const)
  test(`a renewed certificate ${name} is not taken`, async () => {
    const folder = await enrolledFolder(peer, { daysAgo: 330 })
    const before = await readFile(join(folder, 'certificate.pem'), 'utf8')
    peer.answer = async (path, { csr }) =>
      path.endsWith('/certificate') ? { status: 200, body: { certificate: await answer(csr!) } } : 'as usual'
    const agent = start(folder)
    await soon(() => assert.equal(agent.of('renewal_failed').length, 1))
    assert.equal(await readFile(join(folder, 'certificate.pem'), 'utf8'), before)
    assert.deepEqual(agent.of('renewed'), [])
  })

async function startedElsewhere(): Promise<Peer> {
  const other = await startPeer()
  await other.stop()
  return other
}

test('an expired certificate is not even shown', async () => {
  const agent = start(await enrolledFolder(peer, { daysAgo: 366 }))
  assert.equal((await agent.ended).kind, 'expired')
  assert.deepEqual(peer.hellos, [])
})

test('a server of another authority hears nothing from it', async () => {
  const other = await startPeer()
  const folder = await enrolledFolder({ ...other, address: peer.address })
  const agent = start(folder)
  await soon(() => assert.ok(agent.of('disconnected').length > 0))
  assert.equal((agent.news[0] as { why: string }).why, 'the server is not the one that this agent was enrolled at')
  assert.deepEqual(peer.hellos, [])
  await other.stop()
})

test('a second process of the same folder, and a folder that is not enrolled, are refused in one line', async () => {
  const folder = await enrolledFolder(peer)
  start(folder)
  await hellos(1)
  await assert.rejects(start(folder).ended, { code: 'data_folder_locked', message: /^another agent process uses [^\n]*$/ })
  const other = await temporaryFolder()
  await chmod(other, 0o755)
  for (const path of [other, join(other, 'none')])
    await assert.rejects(start(path).ended, { code: 'not_found', message: /is not enrolled: run [^\n]*$/ })
  assert.deepEqual([await readdir(other), (await stat(other)).mode & 0o777], [[], 0o755], 'nothing was done to it')
  started = started.slice(0, 1)
})
