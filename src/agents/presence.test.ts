import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { SERVER_CALLER } from '../audit/caller.ts'
import { MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { createAgentAdmin } from './administer.ts'
import type { Agent } from './agent.ts'
import { createPresence, type HeldStream, LOOK_EVERY_MS, type StreamEnd } from './presence.ts'
import { openAgents } from './testing.ts'

const SILENT_MS = 2 * MINUTE_MS
const GRACE_MS = 10 * SECOND_MS

/** Nodes over one database, each with its own presence; a node that stops takes its streams with it, as the agent port does. */
async function openNodes(t: TestContext) {
  const world = await openAgents(t)
  const { store, recorder, clock, log } = world
  function startNode(node: string, more: Partial<typeof store> = {}) {
    const settings = { agentSilentMs: SILENT_MS, agentGraceMs: GRACE_MS }
    const presence = createPresence({ store: { ...store, ...more }, recorder, clock, settings, node, log })
    presence.start()
    t.after(() => presence.stop())
    return presence
  }
  const adminOf = (presence: ReturnType<typeof startNode>, onRevoked = async (_id: string) => {}) =>
    createAgentAdmin({ store, recorder, clock, presence, onRevoked, authorityFingerprint: world.authority.fingerprint })
  return {
    ...world,
    startNode,
    adminOf,
    pass: (ms: number) => world.pass(ms, LOOK_EVERY_MS),
    find: async ({ id }: Agent) => (await store.findAgent(id))!,
    types: async () => (await world.said()).map(({ type }) => type.replace('agent.', '')),
  }
}

function aStream() {
  const ends: StreamEnd[] = []
  const changes: string[] = []
  const stream: HeldStream = {
    end: (why) => void ends.push(why),
    changed: ({ name, concurrency }) => void changes.push(`${name} ${concurrency}`),
  }
  return { ...stream, stream, ends, changes }
}

test('silence: an agent is lost after 120 s, once, as the contract shows it, and connected when it is heard again', async (t) => {
  const { startNode, enrol, pass, said, find, clock } = await openNodes(t)
  const presence = startNode('node_a')
  const agent = await enrol()
  await pass(SILENT_MS - LOOK_EVERY_MS)
  assert.equal((await find(agent)).status, 'online')
  await pass(MINUTE_MS)
  assert.equal((await find(agent)).status, 'offline')
  const facts = { agentId: agent.id, agentName: agent.name, hostname: agent.hostname, lastSeen: '2026-04-29T12:00:00Z' }
  const [, lost, ...others] = await said()
  assert.deepEqual([lost?.type, lost?.data, others], ['agent.disconnected', { ...facts, status: 'offline' }, []])
  assert.ok(lost!.at >= SILENT_MS && lost!.at <= SILENT_MS + LOOK_EVERY_MS, `${lost!.at}`)

  const seen = await presence.seen(await find(agent), { ipAddress: '192.0.2.2', status: 'busy' })
  assert.deepEqual([seen?.status, seen?.lastSeenAt], ['busy', clock.now()])
  const [back] = (await said()).slice(2)
  assert.deepEqual([back?.type, back?.data], ['agent.connected', { ...facts, status: 'online' }])
  await presence.seen(seen!, { ipAddress: '192.0.2.2' })
  assert.equal((await said()).length, 3)
})

test('signs of life: those that say nothing new are written every few seconds, and keep the agent', async (t) => {
  const { startNode, enrol, pass, find, types, store } = await openNodes(t)
  let writes = 0
  const presence = startNode('node_a', {
    seeAgent: (...args) => {
      writes++
      return store.seeAgent(...args)
    },
  })
  const agent = await enrol()
  for (let second = 0; second < 5 * 60; second += 2) {
    await presence.seen(await find(agent), { ipAddress: agent.ipAddress })
    await pass(2 * SECOND_MS)
  }
  assert.deepEqual(await types(), ['registered'])
  assert.ok(writes >= 45 && writes <= 60, `${writes}`)
  const before = writes
  const now = await find(agent)
  await presence.seen(now, { ipAddress: agent.ipAddress, load: 0.5 })
  await presence.seen(now, { ipAddress: '192.0.2.77' })
  assert.equal(writes, before + 2)
  await assert.rejects(presence.seen(now, { ipAddress: null, version: 'a b' }), { code: 'invalid', field: 'version' })
})

test('a stream that closes and does not return: lost after the grace', async (t) => {
  const { startNode, enrol, pass, find, said } = await openNodes(t)
  const presence = startNode('node_a')
  const agent = await enrol()
  const { stream } = aStream()
  await presence.opened(agent, stream)
  await pass(20 * SECOND_MS)
  await presence.closed(agent.id, stream)
  await pass(GRACE_MS - LOOK_EVERY_MS)
  assert.equal((await find(agent)).status, 'online')
  await pass(2 * LOOK_EVERY_MS)
  assert.equal((await find(agent)).status, 'offline')
  const [, lost] = await said()
  assert.ok(lost!.at >= 30 * SECOND_MS && lost!.at <= 30 * SECOND_MS + LOOK_EVERY_MS, `${lost!.at}`)
})

test('a stream that returns within the grace is no loss, at this node or another one', async (t) => {
  const { startNode, enrol, pass, types } = await openNodes(t)
  const nodes = [startNode('node_a'), startNode('node_b')]
  const agent = await enrol()
  for (const presence of [nodes[0]!, nodes[0]!, nodes[1]!, nodes[0]!]) {
    const { stream } = aStream()
    await presence.opened(agent, stream)
    await pass(4 * SECOND_MS)
    await presence.closed(agent.id, stream)
    await pass(GRACE_MS - 2 * LOOK_EVERY_MS)
  }
  assert.deepEqual(await types(), ['registered'])
})

test('one stream an agent: a newer one displaces it, here at once, at another node with its next look', async (t) => {
  const { startNode, enrol, pass, find, types } = await openNodes(t)
  const [here, there] = [startNode('node_a'), startNode('node_b')]
  const agent = await enrol()
  const [first, second, third] = [aStream(), aStream(), aStream()]
  await here.opened(agent, first.stream)
  await here.opened(agent, second.stream)
  assert.deepEqual([first.ends, second.ends], [['displaced'], []])
  await here.closed(agent.id, first.stream)
  assert.equal((await find(agent)).streamNode, 'node_a')

  await there.opened(agent, third.stream)
  await pass(2 * LOOK_EVERY_MS)
  assert.deepEqual([second.ends, third.ends], [['displaced'], []])
  await here.closed(agent.id, second.stream)
  assert.equal((await find(agent)).streamNode, 'node_b')
  await pass(MINUTE_MS)
  assert.deepEqual(await types(), ['registered'])
})

test('a restart of the server loses nobody: silence and grace count from its start', async (t) => {
  const { startNode, enrol, pass, find, types, time } = await openNodes(t)
  const first = startNode('node_a')
  const [withStream, without, closing] = [await enrol(), await enrol(), await enrol()]
  const streams = [aStream(), aStream()]
  await first.opened(withStream, streams[0]!.stream)
  await first.opened(closing, streams[1]!.stream)
  await pass(4 * SECOND_MS)
  // Its stream was just lost when the server stops.
  await first.closed(closing.id, streams[1]!.stream)
  await first.stop()
  // The server is down for an hour, and nobody could be heard.
  await time.pass(60 * MINUTE_MS)
  const second = startNode('node_b')
  await pass(GRACE_MS - LOOK_EVERY_MS)
  assert.deepEqual(await types(), ['registered', 'registered', 'registered'])
  await second.opened(await find(closing), aStream().stream)
  await second.opened(await find(withStream), aStream().stream)
  await pass(MINUTE_MS)
  for (const agent of [withStream, without, closing]) await second.seen(await find(agent), { ipAddress: null })
  await pass(MINUTE_MS)
  assert.deepEqual(await types(), ['registered', 'registered', 'registered'])
  // From then on one that is silent is lost as always.
  for (const agent of [withStream, closing]) await second.seen(await find(agent), { ipAddress: null })
  await pass(MINUTE_MS + 2 * LOOK_EVERY_MS)
  assert.equal((await find(without)).status, 'offline')
  assert.equal((await types()).filter((type) => type === 'disconnected').length, 1)
})

test('a server that was asleep, or whose database was away, blames nobody for it', async (t) => {
  const { startNode, enrol, pass, types, time, store } = await openNodes(t)
  let isAway = false
  startNode('node_a', {
    silentAgents: async (...args) => {
      if (isAway) throw new Error('the database is away')
      return store.silentAgents(...args)
    },
  })
  await enrol()
  await pass(10 * SECOND_MS)
  await time.pass(0)
  // The process stands still: no timer is called while the time goes by.
  const [timer] = time.timers
  time.timers.clear()
  await time.pass(10 * MINUTE_MS)
  timer!.call()
  await pass(SILENT_MS - 2 * LOOK_EVERY_MS)
  assert.deepEqual(await types(), ['registered'])
  isAway = true
  await pass(SILENT_MS)
  isAway = false
  await pass(SILENT_MS - 2 * LOOK_EVERY_MS)
  assert.deepEqual(await types(), ['registered'])
  await pass(3 * LOOK_EVERY_MS)
  assert.deepEqual(await types(), ['registered', 'disconnected'])
})

test('several nodes notice a loss at the same time and say it once', async (t) => {
  const { startNode, enrol, pass, types } = await openNodes(t)
  for (const node of ['node_a', 'node_b', 'node_c']) startNode(node)
  await enrol()
  await pass(SILENT_MS + 5 * LOOK_EVERY_MS)
  assert.deepEqual(await types(), ['registered', 'disconnected'])
})

test('goodbye: offline at once, and nothing more of an agent that is offline already', async (t) => {
  const { startNode, enrol, types, said, find, pass } = await openNodes(t)
  const presence = startNode('node_a')
  const agent = await enrol()
  await pass(4 * SECOND_MS)
  const left = await presence.left(agent)
  assert.deepEqual([left?.status, (await said())[1]?.data.lastSeen], ['offline', '2026-04-29T12:00:04Z'])
  await presence.left(await find(agent))
  assert.deepEqual(await types(), ['registered', 'disconnected'])
})

test('administrators: what they change reaches the stream, here at once, at another node with its next look', async (t) => {
  const { startNode, adminOf, enrol, pass, find } = await openNodes(t)
  const [here, there] = [startNode('node_a'), startNode('node_b')]
  const agent = await enrol()
  const held = aStream()
  await here.opened(agent, held.stream)
  await adminOf(here).update(agent.id, { name: 'renamed' }, SERVER_CALLER)
  assert.deepEqual(held.changes, ['renamed 4'])
  await adminOf(there).update(agent.id, { concurrency: 7 }, SERVER_CALLER)
  assert.deepEqual(held.changes, ['renamed 4'])
  await pass(2 * LOOK_EVERY_MS)
  assert.deepEqual(held.changes, ['renamed 4', 'renamed 7'])

  assert.equal(await adminOf(there).disconnect(agent.id, SERVER_CALLER), true)
  assert.equal(await adminOf(there).disconnect(agent.id, SERVER_CALLER), false)
  await pass(2 * LOOK_EVERY_MS)
  assert.deepEqual([held.ends, (await find(agent)).status], [['disconnected'], 'online'])
  await assert.rejects(adminOf(here).disconnect('agent_x', SERVER_CALLER), { code: 'not_found' })
  await assert.rejects(adminOf(here).update(agent.id, { concurrency: 65 }, SERVER_CALLER), {
    code: 'invalid',
    field: 'concurrency',
  })
})

test('revoked: the stream ends as revoked wherever it is, nothing of the agent counts, and its loss is said once', async (t) => {
  const { startNode, adminOf, enrol, pass, find, types } = await openNodes(t)
  const [here, there] = [startNode('node_a'), startNode('node_b')]
  const agents = [await enrol(), await enrol()]
  const streams = [aStream(), aStream()]
  await here.opened(agents[0]!, streams[0]!.stream)
  await there.opened(agents[1]!, streams[1]!.stream)
  const over: string[] = []
  const admin = adminOf(here, async (id) => void over.push(id))
  for (const { id } of agents) await admin.revoke(id, SERVER_CALLER)
  await admin.revoke(agents[0]!.id, SERVER_CALLER)
  assert.deepEqual(streams[0]!.ends, ['revoked'])
  await pass(2 * LOOK_EVERY_MS)
  assert.deepEqual(streams[1]!.ends, ['revoked'])
  assert.deepEqual(over, [agents[0]!.id, agents[1]!.id, agents[0]!.id])
  assert.equal(await here.seen(await find(agents[0]!), { ipAddress: null }), undefined)
  await pass(SILENT_MS + 2 * LOOK_EVERY_MS)
  assert.deepEqual(await types(), ['registered', 'registered', 'disconnected', 'disconnected'])
})
