import { Pool } from 'undici'
import { delivering } from '../src/app/deliver.ts'
import { openStore } from '../src/app/open-store.ts'
import { systemClock } from '../src/base/clock.ts'
import { newId } from '../src/base/id.ts'
import { silentLog } from '../src/base/log.ts'
import { createSeal, MASTER_KEY_BYTES } from '../src/base/seal.ts'
import { mftplus } from '../src/dialects/mftplus.ts'
import type { EventDraft } from '../src/events/event.ts'
import { createRecorder } from '../src/events/record.ts'
import { createEgressGuard } from '../src/http/guard.ts'
import { createPoster } from '../src/http/post.ts'
import { createEngine, type Engine, LANE_CONCURRENCY_DEFAULT } from '../src/webhooks/engine.ts'
import { planDelivery } from '../src/webhooks/plan.ts'
import { PLAIN } from '../src/webhooks/testing.ts'
import { type Webhook, webhookSecretPurpose } from '../src/webhooks/webhook.ts'
import { systemMs } from './receiver.ts'
import { atRate } from './uploads.ts'

/**
 * A process that delivers as fast as it can, in one of two ways: with everything that makes a delivery durable, or in a
 * bare loop. Both send the same events in the same dialect, 16 at a time to each receiver, by undici. A third way is durable and
 * records one event after the other at a fixed rate.
 */
export type Task =
  | { kind: 'bare'; url: string; deliveries: number }
  /** Every event is one delivery for each url. `database` is a file of SQLite or a `postgres://` address. */
  | { kind: 'durable'; urls: readonly string[]; events: number; database: string }
  | { kind: 'paced'; urls: readonly string[]; events: number; perSecond: number; hanging: number; database: string }

export interface Done {
  readonly seconds: number
  /** CPU time of the thread that posts, and of all others of this process (store, garbage collection, file system). */
  readonly mainCpuMicroseconds: number
  readonly otherCpuMicroseconds: number
  /** Paced: ms on the system's monotonic clock, by number of the event. */
  readonly recordedAt?: readonly number[]
}

const SECRET = 'a secret of the benchmark, as long as most are'
const clock = systemClock

/** Deliveries planned by one call, as many as an upload burst may bring. */
const RECORD_BATCH = 100
/** Callers that record at the same time, as sessions of a server do; each waits for its commit. */
const RECORDERS = 4
/** Deliveries planned ahead of what is delivered: fewer than lanes hold, as where receivers keep up. What a backlog costs is row (c). */
const AHEAD_MAX = 400
const PROGRESS_MS = 2

function draft(number: number): EventDraft {
  const data = { path: `/incoming/orders/file-${number}.bin`, size: 20_480, username: 'pipeline', client_ip: '203.0.113.5' }
  return createRecorder(clock).draft('file.uploaded', null, { ...data, sha256: 'c0ffee'.padEnd(64, '0') })
}

function webhookTo(url: string, sealedSecret: string | null, id: string): Webhook {
  const times = { createdAt: clock.now(), updatedAt: clock.now() }
  const rules = { events: ['*'], dialect: 'mftplus', retryDelaysSeconds: null, state: 'active', failedReason: null } as const
  return { ...PLAIN, id, accountId: null, name: 'receiver', url, sealedSecret, ...rules, ...times }
}

/** The baseline: requests made and signed before the clock starts, and sent with the settings of the real sender. */
async function bare({ url, deliveries }: Task & { kind: 'bare' }): Promise<Done> {
  const webhook = webhookTo(url, null, newId('webhook', clock.now()))
  const requests = Array.from({ length: deliveries }, (_, number) => {
    const { id, eventId, eventType, body } = planDelivery(draft(number), webhook, 'event', clock.now())
    const bytes = Buffer.from(body)
    const facts = { deliveryId: id, eventId, eventType, startedAt: clock.now(), body: bytes, secret: SECRET, secretBefore: null }
    return { body: bytes, headers: mftplus.headers(facts) }
  })
  const { origin, pathname } = new URL(url)
  const pool = new Pool(origin, { connections: LANE_CONCURRENCY_DEFAULT, pipelining: 1, allowH2: false })
  const stop = startWatch()
  let next = 0
  async function sendInTurn(): Promise<void> {
    for (let request = requests[next++]; request !== undefined; request = requests[next++]) {
      const answer = await pool.request({ method: 'POST', path: pathname, ...request })
      await answer.body.text()
      if (answer.statusCode !== 200) throw new Error(`the receiver answered ${answer.statusCode}`)
    }
  }
  await Promise.all(Array.from({ length: LANE_CONCURRENCY_DEFAULT }, sendInTurn))
  const done = stop()
  await pool.close()
  return done
}

/** Ends when the last outcome is committed. */
async function durable({ urls, events, database }: Task & { kind: 'durable' }): Promise<Done> {
  return withEngine(urls, database, async ({ store, engine, webhookIds }) => {
    const deliveries = events * urls.length
    const stop = startWatch()
    let number = 0
    async function recordInTurn(): Promise<void> {
      while (number < events) {
        const left = Math.min(Math.ceil(RECORD_BATCH / urls.length), events - number)
        await store.recordEvents(Array.from({ length: left }, () => draft(number++)))
        while (number * urls.length - engine.stats().delivered > AHEAD_MAX) await pause()
      }
    }
    await Promise.all(Array.from({ length: RECORDERS }, recordInTurn))
    while (engine.stats().delivered < deliveries) await pause()
    const done = stop()

    const { failed, retried, claimsLost } = engine.stats()
    if (failed + retried + claimsLost > 0) throw new Error(`${failed} failed, ${retried} retried, ${claimsLost} claims lost`)
    const one = { offset: 0, limit: 1 }
    const { total } = await store.listDeliveries({ webhookId: webhookIds[0]!, state: 'delivered' }, one)
    const [attempt] = (await store.listAttempts(webhookIds[0]!, one)).rows
    if (total !== events || attempt?.statusCode !== 200) throw new Error(`${total} deliveries are stored, not ${events}`)
    return done
  })
}

/** Ends when every delivery to those that do not hang is committed; `recordedAt` is when each event was about to be recorded. */
async function paced({ urls, events, perSecond, hanging, database }: Task & { kind: 'paced' }): Promise<Done> {
  return withEngine(urls, database, async ({ store, engine }) => {
    const stop = startWatch()
    const recordedAt = await atRate(perSecond, events, async (number) => {
      const at = systemMs()
      await store.recordEvents([draft(number)])
      return at
    })
    while (engine.stats().delivered < events * (urls.length - hanging)) await pause()
    return { ...stop(), recordedAt }
  })
}

interface Running {
  readonly store: Omit<Awaited<ReturnType<typeof openStore>>, 'closeIntent'>
  readonly engine: Engine
  readonly webhookIds: readonly string[]
}

/** The store and the engine as the server has them, with one webhook for each url. */
async function withEngine(urls: readonly string[], database: string, use: (running: Running) => Promise<Done>): Promise<Done> {
  const node = newId('node', clock.now())
  const seal = createSeal(Buffer.alloc(MASTER_KEY_BYTES, 7))
  const store = await openStore(database, node, { onPlanned: (webhookIds) => engine.nudge(webhookIds) })
  const webhookIds: string[] = []
  for (const url of urls) {
    const webhookId = newId('webhook', clock.now())
    const webhook = webhookTo(url, seal.seal(SECRET, webhookSecretPurpose(webhookId)), webhookId)
    const id = newId('audit', clock.now())
    const who = { accountId: null, actor: 'bench', address: null, door: 'server' } as const
    const what = { action: 'webhook.create', target: webhookId, result: 'ok', detail: null } as const
    await store.createWebhook(webhook, { webhooksMax: urls.length }, { id, at: clock.now(), ...who, ...what })
    webhookIds.push(webhookId)
  }
  const guard = createEgressGuard({ allow: [], loopback: true })
  const poster = createPoster({ guard, clock })
  const engine = createEngine({ store, post: poster.post, seal, clock, node, log: silentLog })
  engine.start()
  const recording = delivering(store, engine, node, () => {})
  const done = await use({ store: { ...store, ...recording }, engine, webhookIds })
  // Receivers that hang are not waited for.
  await engine.stop(0)
  await poster.close(0)
  await store.stop()
  return done
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PROGRESS_MS))
}

function startWatch(): () => Done {
  const begun = performance.now()
  const before = { all: process.cpuUsage(), main: process.threadCpuUsage() }
  return () => {
    const seconds = (performance.now() - begun) / 1000
    const all = process.cpuUsage(before.all)
    const main = process.threadCpuUsage(before.main)
    const mainCpuMicroseconds = main.user + main.system
    return { seconds, mainCpuMicroseconds, otherCpuMicroseconds: all.user + all.system - mainCpuMicroseconds }
  }
}

process.once('message', (task: Task) => {
  const work = task.kind === 'bare' ? bare(task) : task.kind === 'paced' ? paced(task) : durable(task)
  void work.then((done) => process.send?.(done, undefined, undefined, () => process.disconnect?.()))
})
