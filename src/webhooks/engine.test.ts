import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../../test/eventually.ts'
import { type Clock, systemClock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { silentLog } from '../base/log.ts'
import type { PostResult } from '../http/exchange.ts'
import type { PostRequest } from '../http/post.ts'
import { createEngine } from './engine.ts'
import type { BirthRoom, Births, DeliveryStore, Settlement } from './port.ts'
import { deliveryOf, webhookOf } from './testing.ts'
import type { ClaimedDelivery, Webhook } from './webhook.ts'

/*
 * The engine's conversation with its store and its receivers, one thing at a time; what follows from everything at once
 * (crashes, faults, fairness) is the matter of the simulation in test/sim.
 */

const fine: PostResult = { kind: 'answered', status: 200, headers: {}, bodyExcerpt: Buffer.alloc(0), durationMs: 1 }

/** A list that can be waited for: `until(n)` resolves once it has n entries. */
class Seen<T> {
  readonly all: T[] = []
  #waiting: { count: number; resolve: (all: T[]) => void }[] = []

  add(entry: T): void {
    this.all.push(entry)
    for (const { count, resolve } of this.#waiting) if (this.all.length >= count) resolve(this.all)
  }

  until(count: number): Promise<T[]> {
    return new Promise((resolve) => {
      if (this.all.length >= count) resolve(this.all)
      else this.#waiting.push({ count, resolve })
    })
  }
}

function worldOf(
  changes: {
    store?: Partial<DeliveryStore>
    post?: (request: PostRequest) => Promise<PostResult>
    webhooks?: Webhook[]
    due?: ClaimedDelivery[]
    clock?: Clock
  } = {},
) {
  const webhooks = new Map((changes.webhooks ?? [webhookOf()]).map((webhook) => [webhook.id, webhook]))
  const due = changes.due ?? []
  const cancelled = new Set<string>()
  const claimed = new Map<string, ClaimedDelivery>()
  const posts = new Seen<PostRequest>()
  const settled = new Seen<Settlement>()
  const unclaimed = new Seen<string>()
  const beats = new Seen<number>()
  const letGo = new Seen<readonly string[]>()
  const store: DeliveryStore = {
    beat: async (_node, at) => beats.add(at),
    freeClaims: async () => 0,
    dueWebhooks: async () => ({ webhookIds: [...new Set(due.map((one) => one.webhookId))], nextDueAt: null }),
    claim: async (_node, wants) => {
      const taken = wants.flatMap(({ room }) => due.splice(0, room))
      for (const one of taken) claimed.set(one.id, one)
      return taken
    },
    unclaim: async (_node, ids) => {
      for (const id of ids) unclaimed.add(id)
      due.push(...ids.flatMap((id) => claimed.get(id) ?? []))
    },
    unclaimAllBut: async (_node, kept) => {
      letGo.add(kept)
      return 0
    },
    settle: async (settlements) => {
      for (const settlement of settlements) settled.add(settlement)
      return settlements.map(({ webhookId }) => ({ written: true, webhookState: webhooks.get(webhookId)?.state ?? 'removed' }))
    },
    targets: async (ids) => ids.flatMap((id) => webhooks.get(id) ?? []),
    cancelledReplays: async (ids) => ids.filter((id) => cancelled.has(id)),
    cancelOrphans: async () => 0,
    ...changes.store,
  }
  const engine = createEngine({
    ...{
      store,
      seal: { open: () => 'your-signing-secret' },
      clock: changes.clock ?? systemClock,
      node: 'node_1',
      log: silentLog,
    },
    async post(request) {
      posts.add(request)
      return changes.post === undefined ? fine : changes.post(request)
    },
  })
  return { engine, webhooks, due, posts, settled, unclaimed, beats, letGo, cancelled }
}

/** Started, and its first beat committed. */
async function running(changes: Parameters<typeof worldOf>[0] = {}) {
  const world = worldOf(changes)
  world.engine.start()
  if (changes.store?.beat === undefined) await world.beats.until(1)
  await new Promise(setImmediate)
  return world
}

const forever = new Promise<never>(() => {})

test('engine: what is born claimed is posted at once and settled only after its commit', async () => {
  const { engine, posts, settled } = await running()
  const written = Promise.withResolvers<void>()
  assert.deepEqual(engine.offer([deliveryOf(1)], written.promise), ['dlv_1'])
  await posts.until(1)
  await new Promise(setImmediate)
  assert.equal(settled.all.length, 0)
  written.resolve()
  const [settlement] = await settled.until(1)
  assert.deepEqual([settlement?.deliveryId, settlement?.node, settlement?.attempt?.number], ['dlv_1', 'node_1', 1])
  await engine.stop(0)
})

test('engine: what was not committed is dropped, and whatever the commit did after all is put back', async () => {
  const { engine, settled, letGo } = await running()
  engine.offer([deliveryOf(1)], Promise.reject(new Error('the commit failed')))
  assert.deepEqual(await letGo.until(1), [[]])
  assert.equal(settled.all.length, 0)
  assert.equal(engine.stats().lanes, 0)
  await engine.stop(0)
})

test('engine: takes nothing before its first beat is committed', async () => {
  const { engine } = await running({ store: { beat: () => forever } })
  assert.deepEqual(engine.offer([deliveryOf(1)], Promise.resolve()), [])
  await engine.stop(0)
})

test('engine: takes nothing before it is started, and nothing once it stops', async () => {
  const { engine } = worldOf()
  assert.deepEqual(engine.offer([deliveryOf(1)], Promise.resolve()), [])
  engine.start()
  await engine.stop(0)
  assert.deepEqual(engine.offer([deliveryOf(1)], Promise.resolve()), [])
})

test('engine: what the store claimed as it planned is delivered; what finds no room goes back', async () => {
  const { engine, posts, settled, unclaimed } = await running({
    post: ({ url }) => (url.endsWith('/slow') ? forever : Promise.resolve(fine)),
  })
  const rooms: (BirthRoom | null)[] = []
  await engine.record(1, async (room) => {
    rooms.push(room)
    return { deliveries: [deliveryOf(1), deliveryOf(2)], isComplete: true }
  })
  assert.deepEqual(rooms, [{ node: 'node_1', most: 32, rooms: {}, other: 32 }])
  await settled.until(2)
  assert.equal(posts.all.length, 2)
  await engine.record(1, async () => ({
    deliveries: Array.from({ length: 40 }, (_, number) => deliveryOf(number)),
    isComplete: true,
  }))
  assert.ok((await unclaimed.until(1)).length < 20)
  await engine.stop(0)
})

test('engine: while it may not claim, the store is told of no room', async () => {
  const { engine } = await running({ store: { beat: () => forever } })
  const rooms: (BirthRoom | null)[] = []
  await engine.record(1, async (room) => {
    rooms.push(room)
    return { deliveries: [], isComplete: true }
  })
  assert.deepEqual(rooms, [null])
  await engine.stop(0)
})

const uncertain = [
  { name: 'that failed', end: () => Promise.reject(new Error('the answer was lost')) },
  { name: 'that was there already', end: async () => ({ deliveries: [], isComplete: false }) },
]
for (const { name, end } of uncertain) {
  test(`engine: whatever a record ${name} may have claimed is put back, once no other record is under way`, async () => {
    const hurried: Clock = { ...systemClock, after: (ms, call) => systemClock.after(ms / 50, call) }
    const { engine, letGo } = await running({ clock: hurried })
    const other = Promise.withResolvers<Births>()
    const underWay = engine.record(1, () => other.promise)
    await engine.record(1, end).catch(() => {})
    // From the moment on at which it wants to compare, nothing more may be claimed; but it waits for what is.
    await eventually(async () => {
      const rooms: (BirthRoom | null)[] = []
      await engine.record(1, async (room) => {
        rooms.push(room)
        return { deliveries: [], isComplete: true }
      })
      assert.deepEqual(rooms, [null])
    })
    assert.equal(letGo.all.length, 0)
    other.resolve({ deliveries: [deliveryOf(7)], isComplete: true })
    await underWay
    assert.deepEqual(await letGo.until(1), [['dlv_7']])
    await engine.stop(0)
  })
}

test('engine: what is due at the start is claimed and delivered', async () => {
  const due = Array.from({ length: 50 }, (_, number) => deliveryOf(number, { attempts: 1 }))
  const { engine, settled } = await running({ due })
  const settlements = await settled.until(50)
  assert.equal(new Set(settlements.map(({ deliveryId }) => deliveryId)).size, 50)
  assert.ok(settlements.every(({ attempt }) => attempt?.number === 2))
  await engine.stop(0)
})

test('engine: a nudge fetches what has become due', async () => {
  const { engine, due, posts } = await running()
  due.push(deliveryOf(1))
  engine.nudge(['wh_1'])
  await posts.until(1)
  await engine.stop(0)
})

test('engine: an offer that finds no room is left to the store', async () => {
  const { engine } = await running({ post: () => forever })
  const offered = Array.from({ length: 40 }, (_, number) => deliveryOf(number))
  assert.equal(engine.offer(offered, Promise.resolve()).length, 32)
  await engine.stop(0)
})

for (const state of ['inactive', 'failed'] as const) {
  test(`engine: a webhook that is ${state} by now gets no post, its delivery goes back`, async () => {
    const { engine, posts, unclaimed } = await running({ webhooks: [webhookOf({ state })], due: [deliveryOf(1)] })
    assert.deepEqual(await unclaimed.until(1), ['dlv_1'])
    assert.equal(posts.all.length, 0)
    await engine.stop(0)
  })
}

test('engine: when an outcome fails the webhook, the rest of its lane goes back', async () => {
  const state = { settled: false }
  const { engine, posts, unclaimed } = await running({
    due: Array.from({ length: 20 }, (_, number) => deliveryOf(number)),
    store: {
      settle: async (settlements) => {
        state.settled = true
        return settlements.map(() => ({ written: true, webhookState: 'failed' }))
      },
    },
    // The first answer settles, the others keep the lane full.
    post: async () => (posts.all.length === 1 ? { ...fine, status: 500 } : forever),
  })
  await unclaimed.until(1)
  assert.ok(state.settled)
  assert.ok(posts.all.length <= 17)
  await engine.stop(0)
})

test('engine: a failure of our own is no attempt', async () => {
  const { engine, settled } = await running({
    due: [deliveryOf(1)],
    post: () => Promise.reject(new AppError('internal', 'out of sockets')),
  })
  const [settlement] = await settled.until(1)
  assert.equal(settlement?.attempt, null)
  assert.equal(settlement?.outcome.state, 'waiting')
  assert.equal(engine.stats().ownFailures, 1)
  await engine.stop(0)
})

test('engine: an outcome that the store does not take is written again', async () => {
  const tries = new Seen<readonly Settlement[]>()
  const { engine } = await running({
    due: [deliveryOf(1)],
    store: {
      async settle(settlements) {
        tries.add(settlements)
        if (tries.all.length < 3) throw new Error('the disk is full')
        return settlements.map(() => ({ written: true, webhookState: 'active' }))
      },
    },
  })
  const all = await tries.until(3)
  assert.deepEqual(
    all.map((settlements) => settlements[0]?.attempt?.number),
    [1, 1, 1],
  )
  await engine.stop()
  assert.equal(engine.stats().delivered, 1)
})

test('engine: stopping waits for what is being posted and writes it', async () => {
  const answer = Promise.withResolvers<PostResult>()
  const { engine, posts, settled, letGo } = await running({ due: [deliveryOf(1)], post: () => answer.promise })
  await posts.until(1)
  const stopped = engine.stop(60_000)
  answer.resolve(fine)
  await stopped
  assert.equal(settled.all.length, 1)
  assert.deepEqual(letGo.all, [[]])
})

test('engine: stopping does not wait beyond its deadline, and puts everything back', async () => {
  const due = Array.from({ length: 20 }, (_, number) => deliveryOf(number))
  const { engine, posts, settled, unclaimed, letGo } = await running({ due, post: () => forever })
  await posts.until(16)
  await engine.stop(1)
  assert.equal(unclaimed.all.length, 4)
  assert.deepEqual(letGo.all, [[]])
  assert.equal(settled.all.length, 0)
})

test('engine: an answer that comes after the stop changes nothing', async () => {
  const answer = Promise.withResolvers<PostResult>()
  const { engine, posts, settled } = await running({ due: [deliveryOf(1)], post: () => answer.promise })
  await posts.until(1)
  await engine.stop(1)
  answer.resolve(fine)
  await new Promise(setImmediate)
  assert.equal(settled.all.length, 0)
})

test('engine: what is in an order is never born claimed, but claimed after its commit', async () => {
  const { engine, due, posts } = await running()
  const written = Promise.withResolvers<void>()
  assert.deepEqual(engine.offer([deliveryOf(1, { orderKey: 'path:/a' }), deliveryOf(2)], written.promise), ['dlv_2'])
  await posts.until(1)
  due.push(deliveryOf(1, { orderKey: 'path:/a' }))
  written.resolve()
  await posts.until(2)
  await engine.stop(0)
})

test('engine: an order goes on as soon as the one before has ended', async () => {
  const chain = [1, 2, 3, 4, 5].map((number) => deliveryOf(number, { orderKey: 'webhook' }))
  const first = chain.shift()!
  const due = [first]
  const settled: string[] = []
  // Nothing is found by looking again and again.
  const clock: Clock = { ...systemClock, after: (ms, call) => (ms < 500 ? systemClock.after(ms, call) : () => {}) }
  const { engine, posts } = await running({
    ...{ due, clock },
    store: {
      settle: async (settlements) =>
        settlements.map(({ deliveryId }) => {
          settled.push(deliveryId)
          const next = chain.shift()
          if (next !== undefined) due.push(next)
          return { written: true, webhookState: 'active' }
        }),
    },
  })
  await posts.until(5)
  assert.deepEqual(settled.slice(0, 4), ['dlv_1', 'dlv_2', 'dlv_3', 'dlv_4'])
  await engine.stop(0)
})

test('engine: what has expired ends without a POST, whatever the pace', async () => {
  const { engine, settled, posts } = await running({
    webhooks: [webhookOf({ options: { expireAfterSeconds: 1, rate: { count: 1, perSeconds: 3600 } } })],
    due: [1, 2, 3].map((number) => deliveryOf(number, { createdAt: systemClock.now() - 1000 })),
  })
  const settlements = await settled.until(3)
  assert.ok(settlements.every(({ attempt, outcome }) => attempt === null && outcome.state === 'failed' && !outcome.webhookFails))
  assert.equal(posts.all.length, 0)
  await new Promise(setImmediate)
  assert.equal(engine.stats().failed, 3)
  await engine.stop(0)
})

test('engine: what a replay has planned ends without a POST once that is cancelled, though a lane has it', async () => {
  const gate = Promise.withResolvers<void>()
  const { engine, settled, posts, cancelled } = await running({
    webhooks: [webhookOf({ options: { concurrency: 1 } })],
    due: [1, 2].map((number) => deliveryOf(number, { replayId: number === 1 ? 'rpl_1' : 'rpl_2' })),
    post: async () => gate.promise.then(() => fine),
  })
  await posts.until(1)
  cancelled.add('rpl_1').add('rpl_2')
  gate.resolve()
  const settlements = await settled.until(2)
  assert.deepEqual(
    settlements.map(({ attempt, outcome }) => [attempt?.number ?? null, outcome]),
    [
      [1, { state: 'delivered' }],
      [null, { state: 'cancelled', reason: 'the replay was cancelled' }],
    ],
  )
  assert.equal(posts.all.length, 1)
  await engine.stop(0)
})

test('engine: starts no more than the rate allows, and holds little meanwhile', async () => {
  const { engine, due, posts } = await running({
    webhooks: [webhookOf({ options: { rate: { count: 3, perSeconds: 3600 } } })],
    due: [1, 2, 3, 4, 5, 6, 7, 8].map((number) => deliveryOf(number)),
  })
  await posts.until(3)
  await eventually(async () => assert.equal(engine.stats().posting + engine.stats().settling, 0))
  const { buffered } = engine.stats()
  assert.ok(buffered <= 2, `${buffered} buffered, ${due.length} left`)
  assert.equal(posts.all.length, 3)
  await engine.stop(0)
})

test('engine: another rate counts within a second', async () => {
  const { engine, webhooks, posts } = await running({
    webhooks: [webhookOf({ options: { rate: { count: 1, perSeconds: 3600 } } })],
    due: [1, 2].map((number) => deliveryOf(number)),
  })
  await posts.until(1)
  webhooks.set('wh_1', webhookOf())
  await posts.until(2)
  await engine.stop(0)
})

test('engine: a receiver that wants fewer requests gets none for a while; others are not touched', async () => {
  const { engine, posts, settled } = await running({
    webhooks: [webhookOf({ sealedSecret: 'sealed' }), webhookOf({ id: 'wh_2', url: 'https://other.example/hook' })],
    post: async ({ url }) =>
      url.startsWith('https://other') ? fine : { ...fine, status: 429, headers: { 'retry-after': '3600' } },
  })
  const written = Promise.resolve()
  engine.offer([deliveryOf(1, { dialect: 'standard' })], written)
  await settled.until(1)
  const others = [2, 3, 4].map((number) => deliveryOf(number, { webhookId: 'wh_2' }))
  engine.offer([deliveryOf(5, { dialect: 'standard' }), ...others], written)
  await settled.until(4)
  assert.deepEqual(
    posts.all.map(({ url }) => new URL(url).host),
    ['receiver.example', 'other.example', 'other.example', 'other.example'],
  )
  await engine.stop(0)
})

test('engine: whoever changes a webhook need not wait for the end of a pause that its receiver asked for', async () => {
  const { engine, webhooks, posts, settled } = await running({
    webhooks: [webhookOf({ sealedSecret: 'sealed' })],
    post: async ({ url }) =>
      url.startsWith('https://other') ? fine : { ...fine, status: 429, headers: { 'retry-after': '3600' } },
  })
  const written = Promise.resolve()
  engine.offer([deliveryOf(1, { dialect: 'standard' })], written)
  await settled.until(1)
  engine.offer([deliveryOf(2, { dialect: 'standard' })], written)
  await eventually(async () => assert.ok(engine.pauseLeftMs('wh_1') > 0))
  assert.equal(engine.pauseLeftMs('wh_2'), 0)
  webhooks.set('wh_1', webhookOf({ sealedSecret: 'sealed', url: 'https://other.example/hook', updatedAt: 2 }))
  await settled.until(2)
  assert.equal(new URL(posts.all.at(-1)!.url).host, 'other.example')
  assert.equal(engine.pauseLeftMs('wh_1'), 0)
  await engine.stop(0)
})
