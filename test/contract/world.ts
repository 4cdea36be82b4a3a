import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { openStore } from '../../src/app/open-store.ts'
import type { AuditEntry } from '../../src/audit/entry.ts'
import type { Clock } from '../../src/base/clock.ts'
import { newId } from '../../src/base/id.ts'
import { silentLog } from '../../src/base/log.ts'
import { createSeal } from '../../src/base/seal.ts'
import type { DialectName } from '../../src/dialects/dialect.ts'
import { createEgressGuard } from '../../src/http/guard.ts'
import { createPoster } from '../../src/http/post.ts'
import { createEngine } from '../../src/webhooks/engine.ts'
import { PLAIN } from '../../src/webhooks/testing.ts'
import { type Webhook, webhookSecretPurpose } from '../../src/webhooks/webhook.ts'
import { eventually } from '../eventually.ts'

/** When the contract's world begins; its clock moves only when a test says so. */
const START_AT = Date.UTC(2026, 3, 29, 15, 30, 0)
/** A node whose last beat is younger may be left behind by another second, ms. */
const BEAT_FRESH_MS = 5_000
/** While a beat is awaited, a second passes with every so many looks. */
const LOOKS_PER_SECOND = 20
/** Deliveries that a test makes for one webhook at most. */
const DELIVERIES_MAX = 100
export const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

/** A clock that stands still until it is told to jump; then everything that fell due meanwhile is called, earliest first. */
class ManualClock implements Clock {
  #now = START_AT
  #timers = new Set<{ at: number; call: () => void }>()

  now(): number {
    return this.#now
  }

  monotonic(): number {
    return this.#now
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.#now + Math.ceil(ms), call }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  jumpTo(at: number): void {
    this.#now = Math.max(this.#now, at)
    const due = [...this.#timers].filter((timer) => timer.at <= this.#now).sort((a, b) => a.at - b.at)
    for (const timer of due) if (this.#timers.delete(timer)) timer.call()
  }
}

/** The real store, engine and poster under a manual clock, and receivers on loopback: hours of a retry schedule in milliseconds. */
export async function openContractWorld() {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-contract-'))
  const clock = new ManualClock()
  const seal = createSeal(new Uint8Array(32))
  const node = newId('node', clock.now())
  const store = await openStore(join(folder, 'landfall.sqlite'), node, { onPlanned: (ids) => engine.nudge(ids) })
  const poster = createPoster({ guard: createEgressGuard({ allow: [], loopback: true }), clock })
  const engine = createEngine({ store, post: poster.post, seal, clock, node, log: silentLog })
  engine.start()
  async function close(): Promise<void> {
    const stopping = engine.stop(0)
    clock.jumpTo(clock.now() + 60_000)
    await stopping
    await poster.close(0)
    await store.stop()
    await rm(folder, { recursive: true, force: true })
  }

  async function makeWebhook(url: string, dialect: DialectName, changes: Partial<Webhook> = {}): Promise<Webhook> {
    const now = clock.now()
    const id = newId('webhook', now)
    const webhook: Webhook = {
      ...PLAIN,
      ...{ id, accountId: null, name: 'contract', url, events: ['file.uploaded'], dialect, retryDelaysSeconds: null },
      sealedSecret: seal.seal(SECRET, webhookSecretPurpose(id)),
      ...{ state: 'active', failedReason: null, createdAt: now, updatedAt: now },
      ...changes,
    }
    await store.createWebhook(webhook, { webhooksMax: 100 }, auditOf(now, id))
    return webhook
  }

  async function removeWebhook(id: string): Promise<void> {
    await store.removeWebhook(id, auditOf(clock.now(), id))
  }

  /** Records an upload; the deliveries follow from it. */
  async function happen(): Promise<string> {
    const occurredAt = clock.now()
    const id = newId('event', occurredAt)
    const data = { path: '/incoming/order.csv', size: 20480, username: 'pipeline', client_ip: '203.0.113.5' }
    await store.recordEvents([{ id, type: 'file.uploaded', accountId: null, occurredAt, data }])
    return id
  }

  /**
   * What an event brought a webhook, once that has so many attempts. A second passes with each look, but none while a post is under
   * way: what hangs is told by `hangs`, and then a second passes also there.
   */
  async function attempted(webhookId: string, eventId: string, attempts: number, hangs: () => boolean = () => false) {
    let looks = 0
    return eventually(async () => {
      const { rows } = await store.listDeliveries({ webhookId }, { limit: DELIVERIES_MAX, offset: 0 })
      const row = rows.find((each) => each.eventId === eventId)
      if (row === undefined || row.attempts < attempts) {
        const { posting, beatAgeMs } = engine.stats()
        // Faster than its beats are written, time would make the engine believe that it is taken for dead. One that was under way
        // when time jumped counts as old, and the next one needs time to pass.
        const isTimeToMove = beatAgeMs < BEAT_FRESH_MS || looks++ % LOOKS_PER_SECOND === 0
        if ((posting === 0 || hangs()) && isTimeToMove) clock.jumpTo(clock.now() + 1_000)
        throw new Error(`${row?.attempts ?? 'no'} attempts of ${attempts} (${row?.state}, ${row?.lastError})`)
      }
      return (await store.findDelivery(webhookId, row.id))!
    })
  }

  return { clock, store, makeWebhook, removeWebhook, happen, attempted, close }
}

function auditOf(at: number, target: string): AuditEntry {
  const nobody = { accountId: null, actor: 'test', address: null, door: 'api', result: 'ok', detail: null } as const
  return { id: newId('audit', at), at, action: 'webhook.create', target, ...nobody }
}

/** A receiver on loopback that answers as it is told. */
export async function startReceiver(t: TestContext, answer: RequestListener): Promise<{ url: string; requests: number }> {
  const receiver = { url: '', requests: 0 }
  const server = createServer((request, response) => {
    receiver.requests++
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return receiver
}
