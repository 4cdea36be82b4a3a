import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, beforeEach, describe, test } from 'node:test'
import { createRequest } from '../../agent/csr.ts'
import { makeAgentFolder } from '../../agent/folder.ts'
import { runAgent } from '../../agent/main.ts'
import type { AgentNews } from '../../agent/news.ts'
import { createAgentPort } from '../../src/api/agents/server.ts'
import { createAgentDesk } from '../../src/app/agents.ts'
import { openStore } from '../../src/app/open-store.ts'
import { createTransferDesk } from '../../src/app/transfers.ts'
import { SERVER_CALLER } from '../../src/audit/caller.ts'
import { isoSeconds, systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { createSeal } from '../../src/base/seal.ts'
import { movingClock } from '../../src/base/testing.ts'
import { DAY_MS, SECOND_MS } from '../../src/base/units.ts'
import { createRecorder } from '../../src/events/record.ts'
import { HAND_OUT_AGAIN_AFTER_MS, STOP_AFTER_MS, type Work } from '../../src/wire/agent/work.ts'
import { eventually } from '../eventually.ts'

// Two agents on addresses of their own: south's network is cut and mended, north's is not, and must notice nothing. Server and agents are the real
// ones, over real TLS, but for what the agents do with their work: they hold it. Time is one moving clock, so that minutes take seconds.

const SILENT_MS = 120 * SECOND_MS
const GRACE_MS = 10 * SECOND_MS
const HEARTBEAT_MS = 15 * SECOND_MS
/** What looks for the silent looks every 10 s, and a test sees it a few seconds later. */
const LOOKS_MS = 14 * SECOND_MS

/** Network between one agent and the server, on an address of its own. */
async function openNetwork(host: string, target: AddressInfo) {
  const pairs = new Set<{ near: Socket; far: Socket }>()
  let isUp = true
  let moved = 0
  const server = createServer((near) => {
    if (!isUp) {
      near.resetAndDestroy()
      return
    }
    const far = connect(target.port, target.address)
    const pair = { near, far }
    pairs.add(pair)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.setNoDelay(true)
      // What is said while the network is down is kept until it is up again, as TCP does by sending again.
      from.on('data', (chunk) => {
        moved += chunk.length
        to.write(chunk)
      })
      from.on('error', () => {})
      from.on('close', () => isUp && to.destroy())
    }
  }).listen(0, host)
  await once(server, 'listening')
  const reset = () => {
    for (const { near, far } of pairs) {
      near.resetAndDestroy()
      far.resetAndDestroy()
    }
    pairs.clear()
  }
  return {
    address: `${host}:${(server.address() as AddressInfo).port}`,
    /** Bytes so far. */
    get moved() {
      return moved
    },
    /** Nothing goes through any more, and neither side is told. */
    fallSilent() {
      isUp = false
      for (const { near, far } of pairs) for (const socket of [near, far]) socket.pause()
    },
    /** Both sides are told that their connections are gone; new ones are refused. */
    breakOff() {
      isUp = false
      reset()
    },
    mend() {
      isUp = true
      for (const { near, far } of pairs) {
        // Who gave up meanwhile is gone.
        if (near.destroyed || far.destroyed) for (const socket of [near, far]) socket.destroy()
        else for (const socket of [near, far]) socket.resume()
      }
    },
    async stop() {
      reset()
      await once(server.close(), 'close')
    },
  }
}

const hasAddresses = await new Promise<boolean>((resolve) => {
  const probe = createServer().once('error', () => resolve(false))
  probe.listen(0, '127.0.0.3', () => probe.close(() => resolve(true)))
})
const skip = hasAddresses ? false : 'this system has no loopback address but 127.0.0.1'

describe('two agents, one cut off and brought back', { skip }, () => {
  type World = Awaited<ReturnType<typeof openServer>>
  type Station = Awaited<ReturnType<World['openAgent']>>
  let world: World
  let north: Station
  let south: Station
  const folders: string[] = []

  beforeEach(async () => {
    world = await openServer(folders)
    north = await world.openAgent('north', '127.0.0.2')
    south = await world.openAgent('south', '127.0.0.3')
    for (const station of [north, south]) await world.assign(station)
    assert.deepEqual(await world.told(), ['north agent.registered', 'south agent.registered', ...CREATED])
  })
  afterEach(async () => {
    const told = await world.told()
    await north.stop()
    await south.stop()
    await world.stop()
    // Nothing of all that happened to south has reached north.
    assert.deepEqual([north.begun.length, north.dropped], [1, []])
    assert.deepEqual(
      told.filter((line) => line.startsWith('north')),
      ['north agent.registered', 'north transfer.created'],
    )
  })
  after(async () => {
    for (const folder of folders) await rm(folder, { recursive: true, force: true })
  })
  const CREATED = ['north transfer.created', 'south transfer.created']
  const news = async () => (await world.told()).slice(4)

  test('silence: the work stops after a minute, is handed out again after 90 s, and the agent is lost after two minutes', async () => {
    const [lease] = south.begun.map((work) => work.lease)
    south.network.fallSilent()
    const cutAt = world.clock.now()
    const { lastSeenAt } = await south.record()
    assert.ok(cutAt - lastSeenAt <= HEARTBEAT_MS)

    await world.liveUntil(async () => south.dropped.length > 0)
    // Counted from what the server has certainly heard, and noticed within two seconds.
    assert.ok(
      world.clock.now() - lastSeenAt <= STOP_AFTER_MS + 2 * SECOND_MS,
      `stopped after ${world.clock.now() - lastSeenAt} ms`,
    )
    assert.ok(world.clock.now() - cutAt > STOP_AFTER_MS - 2 * HEARTBEAT_MS)
    assert.equal((await south.transfer()).lease, lease)
    assert.deepEqual(await news(), [])

    await world.liveUntil(async () => (await south.transfer()).status === 'queued')
    const putBackAfter = world.clock.now() - lastSeenAt
    assert.ok(putBackAfter >= HAND_OUT_AGAIN_AFTER_MS, `handed out again after ${putBackAfter} ms`)
    assert.ok(putBackAfter <= HAND_OUT_AGAIN_AFTER_MS + LOOKS_MS, `handed out again after ${putBackAfter} ms`)
    assert.deepEqual(await news(), [])

    await world.liveUntil(async () => (await news()).length > 0)
    const lostAfter = world.clock.now() - lastSeenAt
    assert.ok(lostAfter >= SILENT_MS && lostAfter <= SILENT_MS + LOOKS_MS, `lost after ${lostAfter} ms`)
    assert.deepEqual(await news(), ['south agent.disconnected'])
    assert.equal((await world.lastEvent()).data.lastSeen, isoSeconds(lastSeenAt))

    await world.live(3 * 60)
    assert.deepEqual(await news(), ['south agent.disconnected'])
    const { status, losses } = await south.transfer()
    assert.deepEqual([status, losses], ['queued', 1], 'nothing is handed to an agent that does not hear')
    south.network.mend()
    await world.liveUntil(async () => south.begun.length === 2)
    assert.deepEqual(await news(), ['south agent.disconnected', 'south agent.connected'])
    assert.notEqual(south.begun[1]!.lease, lease)
    assert.equal((await south.record()).status, 'online')
    await world.live(60)
    assert.equal((await news()).length, 2)
  })

  test('a short silence: nothing happens, and the work goes on under its lease', async () => {
    south.network.fallSilent()
    await world.live(25)
    south.network.mend()
    await world.live(120)
    assert.deepEqual([south.begun.length, south.dropped], [1, []])
    assert.deepEqual(await news(), [])
    assert.deepEqual(await south.transfer().then(({ status, lease }) => [status, lease]), ['running', south.begun[0]!.lease])
  })

  test('a break that both sides see: the agent is lost after the grace, comes back, and its work has never stopped', async () => {
    south.network.breakOff()
    await eventually(async () => assert.notEqual((await south.record()).streamLostAt, null))
    const lostAt = (await south.record()).streamLostAt!
    await world.liveUntil(async () => (await news()).length > 0)
    const after = world.clock.now() - lostAt
    assert.ok(after >= GRACE_MS && after <= GRACE_MS + LOOKS_MS, `lost after ${after} ms`)
    assert.deepEqual(await news(), ['south agent.disconnected'])
    south.network.mend()
    await world.liveUntil(async () => (await news()).length > 1)
    await world.live(60)
    assert.deepEqual(await news(), ['south agent.disconnected', 'south agent.connected'])
    assert.deepEqual([south.begun.length, south.dropped], [1, []])
    assert.equal((await south.transfer()).status, 'running')
  })

  test('a break that is mended within the grace is nobody’s news', async () => {
    south.network.breakOff()
    await world.live(2)
    south.network.mend()
    await world.live(120)
    assert.deepEqual(await news(), [])
    assert.deepEqual([south.begun.length, south.dropped], [1, []])
    assert.equal((await south.record()).status, 'online')
  })

  test('cut off again and again, it is told of once each time', async () => {
    for (let times = 1; times <= 3; times++) {
      south.network.breakOff()
      await world.liveUntil(async () => (await south.record()).status === 'offline')
      south.network.mend()
      await world.liveUntil(async () => (await south.record()).status === 'online')
    }
    const once = ['south agent.disconnected', 'south agent.connected']
    assert.deepEqual(await news(), [...once, ...once, ...once])
  })
})

/** What a server is made of, as far as agents have to do with it, under a clock that moves when it is told to. */
async function openServer(folders: string[]) {
  const base = await mkdtemp(join(tmpdir(), 'landfall-two-agents-'))
  folders.push(base)
  const time = movingClock(systemClock.now())
  const { clock } = time
  const node = 'node_two'
  const log = silentLog
  const store = await openStore(join(base, 'landfall.sqlite'), node, {})
  const recorder = createRecorder(clock)
  const seal = createSeal(new Uint8Array(32))
  const work = createTransferDesk({ store, seal, recorder, clock, log, node })
  const settings = { agentHost: '', agentSilentMs: SILENT_MS, agentGraceMs: GRACE_MS, masterKeyLost: 'refuse' } as const
  const desk = await createAgentDesk({ store, seal, settings, recorder, clock, node, log, onRevoked: async () => {} })
  const { presence, enrolment } = desk.needs
  const port = createAgentPort({
    ...{ authority: desk.authority, agents: store, presence, enrolment, dispatcher: work.dispatcher, clock, log },
    orders: { heartbeatMs: HEARTBEAT_MS, renewBeforeMs: 45 * DAY_MS },
    addRoutes() {},
  })
  const { host: address, port: number } = await port.start({ host: '127.0.0.1', port: 0 })
  desk.start()
  work.start()

  async function events() {
    const { rows } = await store.listEvents({}, { limit: 100, offset: 0 })
    return rows.toReversed() as { type: string; data: { agentId?: string; lastSeen?: string } }[]
  }
  const names = new Map<string, string>()

  const networks: { readonly moved: number }[] = []

  /** Passes time second by second; in each, what is said over the networks is said to its end. */
  async function live(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      await time.pass(SECOND_MS)
      for (let quiet = 0; quiet < 3; quiet++) {
        const before = moved()
        // Behind what is being written, which takes its turn.
        await store.forgetNode('node_none')
        for (let turns = 0; turns < 3; turns++) await store.countOpenTransfers()
        if (moved() !== before) quiet = 0
      }
    }
  }
  const moved = () => networks.reduce((sum, network) => sum + network.moved, 0)

  return {
    clock,
    live,
    async liveUntil(holds: () => Promise<boolean>) {
      for (let second = 0; second < 300; second++) {
        if (await holds()) return
        await live(1)
      }
      assert.fail('it did not come to that within five minutes')
    },
    /** `north agent.registered`, in the order in which they were recorded. */
    told: async () => (await events()).map(({ type, data }) => `${names.get(data.agentId ?? '')} ${type}`),
    lastEvent: async () => (await events()).at(-1)!,

    async openAgent(name: string, host: string) {
      const network = await openNetwork(host, { address, port: number, family: 'IPv4' })
      networks.push(network)
      const folder = await makeAgentFolder(join(base, name))
      const csr = createRequest(await folder.keyToEnrol())
      const admission = { admin: SERVER_CALLER }
      // Events of one moment have no order.
      await time.pass(1)
      const said = { hostname: `${name}.example`, os: 'linux', name, csr }
      const { agent, apiKey, certificate } = await enrolment.register(admission, said, null)
      names.set(agent.id, name)
      const facts = { id: agent.id, name, server: 'http://unused.example', agents: network.address }
      const { certificate: ca } = desk.authority
      await folder.keepEnrolment({ ...facts, roots: [base], ca, admittedBy: '' }, certificate!, apiKey)

      const begun: Work[] = []
      const dropped: string[] = []
      /** Holds its work until it is told to stop. */
      async function hold(held: Work, { signal }: { signal: AbortSignal }): Promise<void> {
        begun.push(held)
        if (!signal.aborted) await once(signal, 'abort')
      }
      const stop = new AbortController()
      const tell = (news: AgentNews) => void (news.type === 'dropped' && news.why !== 'stopping' && dropped.push(news.lease))
      const ended = runAgent({
        ...{ folder: folder.path, version: '0.1.0', clock, log, tell, signal: stop.signal },
        ...{ random: () => 0, work: { moveFile: hold, listFiles: hold } },
      })
      return {
        id: agent.id,
        ...{ network, begun, dropped },
        record: async () => (await store.findAgent(agent.id))!,
        transfer: async () => (await store.listTransfers({ agentId: agent.id }, { limit: 1, offset: 0 })).rows[0]!,
        async stop() {
          stop.abort()
          network.mend()
          await live(1)
          assert.deepEqual(await ended, { kind: 'stopped' })
          await network.stop()
        },
      }
    },
    /** Gives an agent a transfer, and waits until it is under way. */
    async assign({ id, begun }: { id: string; begun: Work[] }) {
      const order = { agentId: id, sourceUrl: join(base, 'a'), destinationPath: join(base, 'b'), direction: 'push' } as const
      await time.pass(1)
      await work.transfers.create(SERVER_CALLER, order)
      await eventually(async () => assert.equal(begun.length, 1))
    },
    async stop() {
      await port.stop()
      await work.stop()
      await desk.stop()
      await store.stop()
    },
  }
}
