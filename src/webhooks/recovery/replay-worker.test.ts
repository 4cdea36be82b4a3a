import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Clock } from '../../base/clock.ts'
import { newId } from '../../base/id.ts'
import { silentLog } from '../../base/log.ts'
import { openFresh } from '../../store/sqlite/testing.ts'
import type { Store } from '../../store/store.ts'
import { anAccount, anAudit, anEvent, aWebhook, tick } from '../../store/testing.ts'
import type { Webhook } from '../webhook.ts'
import type { ReplayRequest } from './replay-port.ts'
import { REPLAY_WAITING_MAX, ReplayWorker, type ReplayWorkerParts } from './replay-worker.ts'

/** Time that passes as soon as somebody waits for it. */
function hastyClock(): Clock {
  let passed = 0
  return {
    now: tick,
    monotonic: () => passed,
    after(ms, call) {
      const timer = setImmediate(() => {
        passed += ms
        call()
      })
      return () => clearImmediate(timer)
    },
  }
}

/** Asks again and again; what never comes to that ends at the limit of the runner. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise(setImmediate)
}

describe('the worker of replays', () => {
  let store: Store
  let close: () => Promise<void>
  before(async () => {
    const opened = await openFresh()
    store = opened.store
    close = opened.close
  })
  const workers: ReplayWorker[] = []
  after(async () => {
    for (const worker of workers) await worker.stop()
    await close()
  })

  function started(node: string, over: Partial<ReplayWorkerParts['store']> = {}, clock = hastyClock()) {
    const worker = new ReplayWorker({ store: { ...store, ...over }, clock, log: silentLog, node })
    workers.push(worker)
    worker.start()
    return worker
  }

  async function world(count: number, request: Partial<ReplayRequest> = {}) {
    const account = anAccount()
    await store.createAccount(account, anAudit())
    const events = Array.from({ length: count }, () => anEvent(account.id))
    await store.recordEvents(events)
    const webhook: Webhook = aWebhook({ accountId: account.id })
    await store.createWebhook(webhook, { webhooksMax: 5 }, anAudit())
    const at = tick()
    const id = newId('replay', at)
    const all = { since: 0, until: at + 1, events: null, path: null, only: 'all', eventIds: null, ratePerSecond: 1_000 } as const
    const what = { id, webhookId: webhook.id, accountId: account.id, request: { ...all, ...request }, state: 'running' } as const
    await store.createReplay({ ...what, matched: 0, isCounted: false, planned: 0, createdAt: at, endedAt: null }, anAudit())
    const find = async () => (await store.findReplay(webhook.id, id))!
    async function planned(): Promise<string[]> {
      const { rows } = await store.listDeliveries({ webhookId: webhook.id }, { limit: 1_000, offset: 0 })
      return rows.map(({ eventId }) => eventId).sort()
    }
    /** Delivers what waits, as a receiver that takes everything. */
    async function deliver(): Promise<number> {
      const claimed = await store.claim('node_engine', [{ webhookId: webhook.id, room: 1_000 }], tick() + 1_000_000)
      const outcome = { state: 'delivered' } as const
      const attempt = { number: 1, startedAt: 0, durationMs: 1, statusCode: 200, error: null } as const
      await store.settle(
        claimed.map((one) => ({
          ...{ deliveryId: one.id, webhookId: one.webhookId, orderKey: one.orderKey, collapseKey: one.collapseKey },
          ...{ node: 'node_engine', outcome, endedAt: tick() },
          attempt: { ...attempt, responseHeaders: null, responseBody: null },
        })),
      )
      return claimed.length
    }
    return { id, events: events.map((event) => event.id).sort(), webhook, find, planned, deliver }
  }

  test('plans every event once, never with more than so many waiting', async () => {
    const { events, find, planned, deliver } = await world(450)
    const worker = started('node_w1')
    let waitingMax = 0
    await until(async () => {
      waitingMax = Math.max(waitingMax, await deliver())
      return (await find()).state === 'done'
    })
    await deliver()
    await worker.stop()
    assert.deepEqual(await planned(), events)
    assert.ok(waitingMax <= REPLAY_WAITING_MAX, `${waitingMax} waited`)
    const { matched, isCounted, delivered } = await find()
    assert.deepEqual([matched, isCounted, delivered], [450, true, 450])
  })

  test('a webhook that takes nothing keeps the rest back', async () => {
    const { find, id } = await world(150)
    const worker = started('node_w2')
    await until(async () => (await find()).planned === REPLAY_WAITING_MAX)
    await worker.stop()
    const { state, waiting } = await find()
    assert.deepEqual([state, waiting], ['running', REPLAY_WAITING_MAX])
    // Let go with the stop, so that another node may have it at once.
    assert.ok((await store.takeReplays('node_w2b', 10)).some((replay) => replay.id === id))
    await store.releaseReplays('node_w2b')
  })

  test('keeps to its rate', async () => {
    const clock = hastyClock()
    const steps: { at: number; count: number }[] = []
    const { find } = await world(40, { ratePerSecond: 10 })
    const advanceReplay: Store['advanceReplay'] = (step) => {
      steps.push({ at: clock.monotonic(), count: step.deliveries.length })
      return store.advanceReplay(step)
    }
    const worker = started('node_w3', { advanceReplay }, clock)
    await until(async () => (await find()).state === 'done')
    await worker.stop()
    let sum = 0
    for (const { at, count } of steps) {
      sum += count
      assert.ok(sum <= 3 + at / 100, `${sum} after ${at} ms`)
    }
  })

  test('a step whose answer was lost is not made twice, and one that failed is made again', async () => {
    const { events, find, planned } = await world(60)
    let calls = 0
    const advanceReplay: Store['advanceReplay'] = async (step) => {
      calls += 1
      if (calls % 3 === 1) throw new Error('the database is away')
      const done = await store.advanceReplay(step)
      if (calls % 3 === 2) throw new Error('the answer was lost')
      return done
    }
    const worker = started('node_w4', { advanceReplay })
    await until(async () => (await find()).state === 'done')
    await worker.stop()
    assert.deepEqual(await planned(), events)
  })

  test('what a worker left is carried on by the next', async () => {
    const { events, find, planned, deliver } = await world(130)
    const first = started('node_w5')
    await until(async () => (await find()).planned === REPLAY_WAITING_MAX)
    await first.stop()
    await deliver()
    const second = started('node_w6')
    await until(async () => (await find()).state === 'done')
    await second.stop()
    assert.deepEqual(await planned(), events)
  })

  test('one whose webhook is removed ends, and so does one that is cancelled', async () => {
    const removed = await world(200)
    const cancelled = await world(200)
    const worker = started('node_w7')
    await until(async () => (await cancelled.find()).planned === REPLAY_WAITING_MAX)
    await store.removeWebhook(removed.webhook.id, anAudit())
    await store.cancelReplay(cancelled.webhook.id, cancelled.id, anAudit())
    await store.cancelOrphans(500)
    await until(async () => {
      const open = (await store.takeReplays('node_w7', 100)).map(({ id }) => id)
      return !open.includes(removed.id) && !open.includes(cancelled.id)
    })
    await worker.stop()
    assert.deepEqual([(await removed.find()).state, (await cancelled.find()).waiting], ['cancelled', 0])
  })

  test('one that has ended already when its webhook is found to be gone is not ended again and again', async () => {
    const { id, webhook, find } = await world(20)
    await store.removeWebhook(webhook.id, anAudit())
    let calls = 0
    const cancelReplay: Store['cancelReplay'] = async (...args) => {
      calls += 1
      await store.cancelReplay(...args)
      throw new Error('the answer was lost')
    }
    const worker = started('node_w8', { cancelReplay })
    await until(async () => calls === 2)
    await until(async () => !(await store.takeReplays('node_w8', 100)).some((replay) => replay.id === id))
    // A worker that tried again would do so in each of these turns.
    for (let turn = 0; turn < 500; turn++) await new Promise(setImmediate)
    await worker.stop()
    assert.deepEqual([calls, (await find()).state], [2, 'cancelled'])
  })
})
