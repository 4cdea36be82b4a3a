import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type { Log } from '../base/log.ts'
import { movingClock } from '../base/testing.ts'
import { HOUR_MS, MINUTE_MS } from '../base/units.ts'
import { openFresh } from '../store/sqlite/testing.ts'
import type { Store } from '../store/store.ts'
import { anAudit, anEvent, heard } from '../store/testing.ts'
import { TransferFailure } from '../wire/agent/failure.ts'
import type { DiscardWork, WorkReport } from '../wire/agent/work.ts'
import { createLeftovers } from './leftovers.ts'
import { cancelledWaiting } from './settle.ts'
import { anAgent, aTransfer } from './testing.ts'
import type { Transfer } from './transfer.ts'
import type { WorkSource } from './work-source.ts'

// What ended transfers have left, over the real store. A new source knows nothing but what is stored, as after the kill of a server.

const { clock, pass } = movingClock(1_800_000_000_000)
const logged: string[] = []
const line = (fields: object, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`)
const log: Log = { debug: line, info: line, warn: line, error: line, child: () => log }
const DESTINATION = { endpoint: { protocol: 'local' }, path: '/in/a' } as const

let store: Store
let close: () => Promise<void>
let agentId: string
let isRemoteGone: boolean

before(async () => {
  const opened = await openFresh()
  store = opened.store
  close = opened.close
})
after(() => close())
beforeEach(async () => {
  const agent = anAgent(clock.now())
  agentId = agent.id
  isRemoteGone = false
  await store.registerAgent(agent, null, null, anEvent(null, { type: 'agent.registered' }), anAudit('agent.register'))
})

function started(): WorkSource {
  const places = {
    async ofTransfer() {
      if (isRemoteGone) throw new TransferFailure('REMOTE_UNAVAILABLE', 'The remote is gone.')
      return { source: DESTINATION, destination: DESTINATION }
    },
  }
  return createLeftovers({ store, places, clock, log, node: 'node_a' })
}

/** One that was cancelled while it waited for its next attempt. */
async function aLeaving(): Promise<Transfer> {
  const transfer = aTransfer(clock.now(), { agentId, retryCount: 1 })
  await store.createTransfers([transfer], [], null)
  const { after: ended, leavesPart = false } = cancelledWaiting(transfer, clock.now())
  await store.changeTransfers([{ basis: transfer, after: ended, events: [], leavesPart, entry: null }])
  return transfer
}

async function take(): Promise<readonly DiscardWork[]> {
  await heard(store, agentId, clock.now())
  return (await started().take(agentId, 4)) as readonly DiscardWork[]
}
const report = (lease: string, said: WorkReport) => started().report(agentId, lease, said)
const failure: WorkReport = { state: 'failed', error: 'it broke', errorCode: 'CONNECTION_LOST', bytesTransferred: 0 }

test('is handed to its agent until that says it is gone', async () => {
  const { id } = await aLeaving()
  const [work, ...others] = await take()
  assert.deepEqual([work, others], [{ kind: 'discard', lease: work!.lease, transferId: id, destination: DESTINATION }, []])
  assert.deepEqual(await take(), [], 'handed out')
  assert.equal(await started().report('agent_other', work!.lease, { state: 'discarded' }), undefined)
  assert.deepEqual(await report(work!.lease, { state: 'discarded' }), { go: false })
  assert.equal(await report(work!.lease, { state: 'discarded' }), undefined)
  await pass(HOUR_MS)
  assert.deepEqual(await take(), [])
})

test('a hello that does not name it, and one that nothing is heard of: it is handed out again', async () => {
  await aLeaving()
  const [first] = await take()
  await started().putBack(agentId, [first!.lease])
  assert.deepEqual(await take(), [])
  await started().putBack(agentId, [])
  const [second] = await take()
  assert.notEqual(second!.lease, first!.lease)
  await pass(5 * MINUTE_MS)
  assert.equal((await take()).length, 1)
  assert.equal(await report(second!.lease, { state: 'discarded' }), undefined, 'that one was over')
})

test('a try that fails is made again later, a few times', async () => {
  await aLeaving()
  let tries = 0
  for (let hours = 0; hours < 100; hours++) {
    for (const { lease } of await take()) {
      tries += 1
      await report(lease, failure)
      assert.deepEqual(await take(), [], 'not at once')
    }
    await pass(HOUR_MS)
  }
  assert.equal(tries, 6)
  assert.match(logged.at(-1)!, /cannot be discarded, and stays .*it broke/)
})

test('one whose agent dies each time is given up', async () => {
  await aLeaving()
  let tries = 0
  for (let died = 0; died < 100; died++) {
    tries += (await take()).length
    await started().putBack(agentId, [])
  }
  assert.equal(tries, 10)
})

test('a remote that is gone ends it', async () => {
  await aLeaving()
  isRemoteGone = true
  assert.deepEqual(await take(), [])
  isRemoteGone = false
  assert.deepEqual(await take(), [])
})

test('so many at a time and no more, the others when these are done', async () => {
  for (let count = 0; count < 6; count++) await aLeaving()
  const first = await take()
  assert.deepEqual([first.length, await take()], [4, []])
  for (const { lease } of first) await report(lease, { state: 'discarded' })
  assert.equal((await take()).length, 2)
})
