import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openStore } from '../app/open-store.ts'
import { SERVER_CALLER } from '../audit/caller.ts'
import type { Log } from '../base/log.ts'
import { createSeal, MASTER_KEY_BYTES } from '../base/seal.ts'
import { movingClock } from '../base/testing.ts'
import { createRecorder } from '../events/record.ts'
import type { Store } from '../store/store.ts'
import { anAudit, anEvent } from '../store/testing.ts'
import type { TransferWork, WorkReport } from '../wire/agent/work.ts'
import { createTransferAdmin, type TransferAdmin } from './administer.ts'
import { createPlaces } from './places.ts'
import { anAgent, aRemote, HOST_KEY, OTHER_HOST_KEY } from './testing.ts'
import { remoteSecretsPurpose, type Transfer } from './transfer.ts'
import { createTransferWorks, type TransferWorks } from './transfer-work.ts'

/*
 * The life of transfers over the real store. `crash` ends everything that is in memory: what comes after knows only what was committed, as
 * after the kill of a server.
 */

const START = 1_800_000_000_000
const seal = createSeal(new Uint8Array(MASTER_KEY_BYTES))
const { clock, pass } = movingClock(START)
const agent = anAgent(START, { name: 'branch' })
const remote = aRemote(START, { options: { trustFirstHostKey: true } })
const ended: string[] = []
const line = () => {}
const log: Log = { debug: line, info: line, warn: line, error: line, child: () => log }

let lastEventAt = START
let folder: string
let store: Store
let works: TransferWorks
let admin: TransferAdmin

async function start(faulty: Partial<Store> = {}): Promise<void> {
  store = await openStore(join(folder, 'landfall.sqlite'), 'node_a', {})
  const used = { ...store, ...faulty }
  // Each event a millisecond of its own, so that they are listed in their order.
  const recorder = createRecorder({ ...clock, now: () => ++lastEventAt })
  const places = createPlaces({ store: used, seal })
  const shared = { store: used, agents: used, recorder, clock }
  works = createTransferWorks({ ...shared, places, log, node: 'node_a', onEnded: (runId) => ended.push(runId) })
  const [hasUser, findRun] = [async () => true, async () => undefined]
  admin = createTransferAdmin({ ...shared, works, dispatcher: { nudge: () => {} }, hasUser, findRun })
}

async function crash(faulty: Partial<Store> = {}): Promise<void> {
  await store.stop()
  await start(faulty)
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'landfall-transfers-'))
  await start()
  await store.registerAgent(agent, null, null, anEvent(null, { type: 'agent.registered' }), anAudit('agent.register'))
  const secrets = seal.seal('{"password":"pw"}', remoteSecretsPurpose(remote.id))
  await store.createRemote({ ...remote, sealedSecrets: secrets }, anAudit('remote.create'))
})
after(async () => {
  await store.stop()
  await rm(folder, { recursive: true, force: true })
})

async function made(more: object = {}): Promise<Transfer> {
  const route = { remoteId: remote.id, sourceUrl: '/out/a.csv', destinationPath: '/in/a.csv', direction: 'pull' }
  return admin.create(SERVER_CALLER, { agentId: agent.id, ...route, ...more })
}

async function taken(): Promise<TransferWork> {
  const [work] = await works.take(agent.id, 1)
  assert.ok(work !== undefined && work.kind === 'transfer')
  return work as TransferWork
}

const report = (lease: string, said: WorkReport) => works.report(agent.id, lease, said)
const running = (bytesTransferred: number): WorkReport => ({ state: 'running', size: 100, bytesTransferred, speed: 10 })
const ARRIVAL = { size: 100, bytesTransferred: 100, speed: 10, sha256: 'ab'.repeat(32) }
const find = async (id: string) => (await store.findTransfer(id))!

async function saidOf(id: string): Promise<string[]> {
  const { rows } = await store.listEvents({}, { limit: 1_000, offset: 0 })
  const own = rows.filter(({ data }) => data.transferId === id)
  return own
    .map(({ type, data }) => `${type.slice('transfer.'.length)}${data.progress === undefined ? '' : ` ${data.progress}`}`)
    .reverse()
}

test('from being made to its end, with what an agent needs and every event once, over crashes at each step', async () => {
  const { id } = await made()
  await crash()
  const work = await taken()
  assert.deepEqual(work.source, {
    endpoint: {
      ...{ protocol: 'sftp', host: 'ftp.example.com', port: 22, username: 'me', password: 'pw' },
      ...{ hostKeys: [], trustsFirstKey: true },
    },
    path: '/out/a.csv',
  })
  assert.deepEqual(
    [work.destination, work.hasArrived, work.transferId],
    [{ endpoint: { protocol: 'local' }, path: '/in/a.csv' }, false, id],
  )
  assert.equal(
    (await store.listEvents({}, { limit: 1_000, offset: 0 })).rows.every(({ data }) => !JSON.stringify(data).includes('"pw"')),
    true,
  )
  for (const bytes of [5, 12, 15, 64]) {
    assert.deepEqual(await report(work.lease, running(bytes)), { go: true })
    await crash()
  }
  await works.putBack(agent.id, [work.lease])
  assert.deepEqual(await works.held(agent.id), [{ lease: work.lease, isCancelled: false }])
  assert.deepEqual(await report(work.lease, { state: 'arrived', ...ARRIVAL }), { go: true })
  await crash()
  await pass(3_000)
  assert.deepEqual(await report(work.lease, { state: 'completed', ...ARRIVAL }), { go: true })
  await crash()
  // Said again because its answer was lost: the lease is over, and nothing more is said.
  assert.equal(await report(work.lease, { state: 'completed', ...ARRIVAL }), undefined)
  assert.deepEqual(await saidOf(id), ['created', 'progress 12', 'progress 64', 'completed'])
  assert.deepEqual((await find(id)).status, 'completed')
  assert.deepEqual(await works.held(agent.id), [])
})

test('an agent that dies after arrival gets only the rest to do', async () => {
  const { id } = await made({ postAction: { kind: 'delete' } })
  const first = await taken()
  await report(first.lease, { state: 'arrived', ...ARRIVAL })
  await crash()
  await works.putBack(agent.id, [])
  const second = await taken()
  assert.deepEqual([second.transferId, second.hasArrived, second.postAction], [id, true, { kind: 'delete' }])
  assert.notEqual(second.lease, first.lease)
  assert.equal(await report(first.lease, { state: 'completed', ...ARRIVAL }), undefined)
  await report(second.lease, { state: 'completed', size: 0, bytesTransferred: 0, speed: 0 })
  assert.deepEqual(await saidOf(id), ['created', 'completed'])
  assert.equal((await find(id)).size, 100)
})

test('a server that dies after handing out and before sending: the next hello does not name it', async () => {
  const { id } = await made()
  const lost = await taken()
  await crash()
  assert.deepEqual(await works.take(agent.id, 1), [])
  await works.putBack(agent.id, [])
  const again = await taken()
  assert.deepEqual([again.transferId, again.lease === lost.lease], [id, false])
  await report(again.lease, { state: 'completed', ...ARRIVAL })
  assert.deepEqual(await saidOf(id), ['created', 'completed'])
})

test('work whose preparation fails is handed out by the next look, under the same lease', async () => {
  const { id } = await made()
  let failures = 1
  await crash({
    async findRemote(remoteId) {
      if (failures-- > 0) throw new Error('no answer')
      return store.findRemote(remoteId)
    },
  })
  await assert.rejects(works.take(agent.id, 4), /no answer/)
  const { lease, status } = await find(id)
  assert.equal(status, 'running')
  // It takes no slot of the agent, which knows nothing of it.
  assert.deepEqual(await works.held(agent.id), [])
  const work = await taken()
  assert.deepEqual([work.transferId, work.lease], [id, lease])
  await report(work.lease, { state: 'completed', ...ARRIVAL })
  await crash()
})

test('taken without our hearing of it: the next look finds it', async () => {
  const { id } = await made()
  let failures = 1
  await crash({
    async takeTransfers(...args) {
      const transfers = await store.takeTransfers(...args)
      if (failures-- > 0) throw new Error('the connection broke')
      return transfers
    },
  })
  await assert.rejects(works.take(agent.id, 4), /broke/)
  assert.deepEqual(await works.held(agent.id), [])
  const work = await taken()
  assert.equal(work.transferId, id)
  await report(work.lease, { state: 'completed', ...ARRIVAL })
  await crash()
})

test('a failed attempt waits for its time, and the last one is the end', async () => {
  const { id } = await made({ retryDelaysSeconds: [30] })
  const failing: WorkReport = { state: 'failed', error: 'no answer', errorCode: 'TIMEOUT', bytesTransferred: 0 }
  await report((await taken()).lease, failing)
  await crash()
  assert.deepEqual(await works.take(agent.id, 1), [])
  await pass(29_999)
  assert.deepEqual(await works.take(agent.id, 1), [])
  await pass(1)
  await report((await taken()).lease, failing)
  assert.deepEqual(await saidOf(id), ['created', 'failed'])
  const { status, errorCode, retryCount } = await find(id)
  assert.deepEqual([status, errorCode, retryCount], ['failed', 'TIMEOUT', 1])
})

test('stopping: what waits ends at once, what runs when its agent has stopped or is lost', async () => {
  const waiting = await made()
  assert.equal((await admin.cancel(SERVER_CALLER, waiting.id)).status, 'cancelled')
  assert.deepEqual(await saidOf(waiting.id), ['created', 'cancelled'])

  const running = await made()
  const { lease } = await taken()
  assert.equal((await admin.cancel(SERVER_CALLER, running.id)).status, 'running')
  await admin.cancel(SERVER_CALLER, running.id)
  await crash()
  assert.deepEqual(await works.held(agent.id), [{ lease, isCancelled: true }])
  assert.deepEqual(await saidOf(running.id), ['created'])
  await report(lease, { state: 'cancelled', bytesTransferred: 3 })
  assert.deepEqual(await saidOf(running.id), ['created', 'cancelled'])
  await assert.rejects(admin.cancel(SERVER_CALLER, running.id), { code: 'conflict', message: /cancelled already/ })

  const lostOne = await made()
  await taken()
  await admin.cancel(SERVER_CALLER, lostOne.id)
  await crash()
  await works.putBack(agent.id, [])
  assert.deepEqual(await saidOf(lostOne.id), ['created', 'cancelled'])

  const arrived = await made()
  const last = await taken()
  await report(last.lease, { state: 'arrived', ...ARRIVAL })
  await assert.rejects(admin.cancel(SERVER_CALLER, arrived.id), { code: 'conflict', message: /has arrived/ })
  await report(last.lease, { state: 'completed', ...ARRIVAL })
})

test('completion and stopping at the same time make one end', async () => {
  for (let round = 0; round < 5; round += 1) {
    const { id } = await made()
    const { lease } = await taken()
    await Promise.allSettled([admin.cancel(SERVER_CALLER, id), report(lease, { state: 'completed', ...ARRIVAL })])
    assert.deepEqual(await saidOf(id), ['created', 'completed'])
    assert.equal((await find(id)).status, 'completed')
  }
})

test('a host key that is shown first is pinned, another one is the end', async () => {
  const first = await made()
  const { lease } = await taken()
  assert.deepEqual(await report(lease, { state: 'host_key', hostKey: HOST_KEY }), { go: true })
  await crash()
  assert.deepEqual((await store.findRemote(remote.id))!.options.hostKeys, [HOST_KEY])
  assert.deepEqual(await report(lease, { state: 'host_key', hostKey: OTHER_HOST_KEY }), { go: false })
  const { status, errorCode } = await find(first.id)
  assert.deepEqual([status, errorCode], ['failed', 'HOST_KEY_MISMATCH'])
  assert.deepEqual(await saidOf(first.id), ['created', 'failed'])
})

test('a remote that does not open any more fails its transfers, and no agent is asked', async () => {
  const { id } = await made()
  const now = (await store.findRemote(remote.id))!
  await store.resealRemote(remote.id, now.sealedSecrets!, 'v1.other')
  assert.deepEqual(await works.take(agent.id, 4), [])
  const { status, errorCode, error } = await find(id)
  assert.deepEqual([status, errorCode], ['failed', 'REMOTE_UNAVAILABLE'])
  assert.match(error!, /do not open/)
  assert.deepEqual(await saidOf(id), ['created', 'failed'])
  await store.resealRemote(remote.id, 'v1.other', now.sealedSecrets!)
})

test('the leases of others are nobody’s', async () => {
  await made()
  const { lease } = await taken()
  assert.equal(await works.report('agent_other', lease, running(50)), undefined)
  assert.equal(await report('made up', running(50)), undefined)
  assert.equal(await report(lease, { state: 'listed', files: [], isTruncated: false }), undefined)
  await report(lease, { state: 'completed', ...ARRIVAL })
})

test('a run is stopped as a whole, and its job hears of every end', async () => {
  const transfers = await Promise.all(Array.from({ length: 6 }, () => made()))
  const runId = 'run_stopped'
  for (const each of transfers) {
    await store.changeTransfers([{ basis: each, after: { ...each, runId }, events: [], entry: null }])
  }
  const { lease } = await taken()
  await admin.cancelRun(runId)
  await report(lease, { state: 'cancelled', bytesTransferred: 0 })
  assert.deepEqual(ended, new Array(6).fill(runId))
  for (const { id } of transfers) assert.deepEqual(await saidOf(id), ['created', 'cancelled'])
})
