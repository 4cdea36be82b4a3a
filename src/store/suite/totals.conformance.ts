import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { newId } from '../../base/id.ts'
import { HOUR_MS, MINUTE_MS } from '../../base/units.ts'
import type { Outcome, Settlement } from '../../webhooks/port.ts'
import type { ClaimedDelivery, PlannedDelivery } from '../../webhooks/webhook.ts'
import type { World } from '../conformance.ts'
import { aChange, anAccount, anAudit, anEvent, aWebhook, settling, tick } from '../testing.ts'

const PAGE = { limit: 1_000, offset: 0 }
const STATES = ['waiting', 'delivered', 'failed', 'cancelled'] as const
/** What happens to deliveries, in any order; `n` chooses among what there is. */
const STEPS = ['record', 'progress', 'change', 'undo', 'claim', 'settle', 'again', 'resend', 'replay', 'cancel', 'purge'] as const

const steps = fc.array(fc.record({ step: fc.constantFrom(...STEPS), n: fc.nat(9) }), { minLength: 20, maxLength: 80 })

export function totalsCases(world: World): void {
  for (const order of ['none', 'key', 'webhook'] as const) {
    test(`whatever happens in order "${order}", totals are what a count finds, tallies what was settled, and nothing stays blocked`, async () => {
      await fc.assert(
        fc.asyncProperty(steps, (run) => new Run(world.store, order).all(run)),
        { numRuns: 8 },
      )
    })
  }
}

class Run {
  readonly #store: World['store']
  readonly #account = anAccount()
  readonly #webhook
  #claimed: ClaimedDelivery[] = []
  #events: string[] = []
  #held: ReturnType<typeof aChange>[] = []
  #replay: string | null = null
  readonly #settled = { attempts: 0, failures: 0, delivered: 0, failed: 0 }

  constructor(store: World['store'], order: 'none' | 'key' | 'webhook') {
    this.#store = store
    this.#webhook = aWebhook({ accountId: this.#account.id, order, events: ['file.uploaded', 'transfer.progress'] })
  }

  async all(run: readonly { step: (typeof STEPS)[number]; n: number }[]): Promise<void> {
    await this.#store.createAccount(this.#account, anAudit())
    await this.#store.createWebhook(this.#webhook, { webhooksMax: 5 }, anAudit())
    const from = tick()
    for (const [index, { step, n }] of run.entries()) {
      await this[step](n)
      if (index % 4 === 0) await this.#check(from)
    }
    await this.#drain()
    await this.#check(from)
  }

  async record(n: number) {
    const events = Array.from({ length: (n % 3) + 1 }, () => anEvent(this.#account.id, { data: { path: `/${n % 2}` } }))
    this.#events.push(...events.map(({ id }) => id))
    await this.#store.recordEvents(events)
  }

  async progress(n: number) {
    await this.#store.recordEvents([
      anEvent(this.#account.id, { type: 'transfer.progress', data: { transferId: `trf_${n % 2}` } }),
    ])
  }

  async change() {
    const change = aChange(this.#account, { path: `/${tick()}` })
    await this.#store.recordChange(change)
    this.#held.push(change)
  }

  async undo(n: number) {
    const change = this.#held.shift()
    if (change === undefined) return
    if (n % 2 === 0) await this.#store.undoIntent(change.intent, anAudit())
    else await this.#store.closeIntent({ id: change.intent.id, node: 'node_a' }, { node: 'node_a', deliveryIds: [] })
  }

  async claim(n: number) {
    this.#claimed.push(...(await this.#store.claim('node_a', [{ webhookId: this.#webhook.id, room: n + 1 }], tick() + HOUR_MS)))
  }

  async settle(n: number) {
    const outcomes: Outcome[] = [
      { state: 'delivered' },
      { state: 'failed', reason: 'no', webhookFails: false },
      { state: 'waiting', dueAt: tick() },
      { state: 'cancelled', reason: 'not wanted' },
    ]
    const settlements = this.#claimed.splice(0, n + 1).map((one, index) => this.#settling(one, outcomes[(n + index) % 4]!, n > 7))
    await this.#write(settlements)
    // Its answer was lost: written once.
    const results = await this.#store.settle(settlements)
    assert.ok(results.every(({ written }) => !written))
  }

  async again() {
    await this.#store.unclaimAllBut('node_a', [])
    this.#claimed = []
  }

  async resend(n: number) {
    const eventId = this.#events[n % Math.max(this.#events.length, 1)]
    if (eventId === undefined) return
    await this.#store.addDelivery(this.#planned(eventId, null), tick(), anAudit())
  }

  async replay(n: number) {
    if (this.#replay !== null || this.#events.length === 0) return
    const at = tick()
    const id = newId('replay', at)
    const request = { since: 0, until: at, events: null, path: null, only: 'all', eventIds: null, ratePerSecond: 1 } as const
    const what = { id, webhookId: this.#webhook.id, accountId: this.#account.id, request, state: 'running' } as const
    await this.#store.createReplay({ ...what, matched: 0, isCounted: false, planned: 0, createdAt: at, endedAt: null }, anAudit())
    this.#replay = id
    await this.#store.takeReplays('node_a', 1_000)
    const deliveries = this.#events.slice(0, n + 1).map((eventId) => this.#planned(eventId, id))
    const moved = { id, node: 'node_a', cursorBefore: null, cursor: 'x', deliveries, at: tick(), isLast: false }
    assert.deepEqual([await this.#store.advanceReplay(moved), await this.#store.advanceReplay(moved)], [true, false])
  }

  async cancel() {
    if (this.#replay === null) return
    await this.#store.cancelReplay(this.#webhook.id, this.#replay, anAudit())
    await this.#store.cancelLeftovers(this.#replay, tick())
    this.#replay = null
  }

  async purge(n: number) {
    for (const kind of ['deliveries', 'events'] as const)
      await this.#store.purge({ kind, before: tick() - n, after: null, limit: 1_000 })
    const left = await this.#store.eventsByIds(this.#events)
    this.#events = left.map(({ id }) => id)
  }

  #planned(eventId: string, replayId: string | null): PlannedDelivery {
    const order = this.#webhook.order
    const orderKey = order === 'none' ? null : order === 'webhook' ? 'webhook' : `resent:${eventId.at(-1)}`
    const kept = {
      eventId,
      eventType: 'file.uploaded',
      webhookId: this.#webhook.id,
      cause: 'resend',
      dialect: 'mftplus',
    } as const
    return { ...kept, id: newId('delivery', tick()), body: '{}', headers: null, orderKey, collapseKey: null, replayId }
  }

  #settling(one: ClaimedDelivery, outcome: Outcome, isOurs: boolean): Settlement {
    const isNone = outcome.state === 'cancelled' || (isOurs && outcome.state !== 'delivered')
    return settling(one, outcome, isNone ? { attempt: null } : {})
  }

  async #write(settlements: readonly Settlement[]) {
    const results = await this.#store.settle(settlements)
    for (const [index, { attempt, outcome }] of settlements.entries()) {
      if (!results[index]!.written) continue
      if (attempt !== null) this.#settled.attempts++
      if (attempt !== null && attempt.error !== null) this.#settled.failures++
      if (outcome.state === 'delivered' || outcome.state === 'failed') this.#settled[outcome.state]++
    }
  }

  async #check(from: number) {
    const webhookId = this.#webhook.id
    const { rows, total } = await this.#store.listDeliveries({ webhookId }, PAGE)
    assert.equal(total, rows.length)
    for (const state of STATES) {
      const counted = rows.filter((row) => row.state === state).length
      assert.equal((await this.#store.listDeliveries({ webhookId, state }, PAGE)).total, counted, state)
    }
    const { attempts, failures, delivered, failed } = this.#settled
    for (const [grain, spanMs] of [
      ['minute', MINUTE_MS],
      ['hour', HOUR_MS],
    ] as const) {
      // biome-ignore format: one line
      const tally = await this.#store.tallyOf(webhookId, { grain, from: from - spanMs, until: tick() })
      const told = { attempts: tally.attempts, failures: tally.failures, delivered: tally.delivered, failed: tally.failed }
      assert.deepEqual(told, { attempts, failures, delivered, failed }, grain)
    }
  }

  /** Everything that waits can be sent: nothing is blocked by something that has ended. */
  async #drain() {
    await this.again()
    for (;;) {
      const claimed = await this.#store.claim('node_a', [{ webhookId: this.#webhook.id, room: 1_000 }], tick() + HOUR_MS)
      if (claimed.length === 0) break
      await this.#write(claimed.map((one) => settling(one, { state: 'delivered' })))
    }
    const { total } = await this.#store.listDeliveries({ webhookId: this.#webhook.id, state: 'waiting' }, PAGE)
    assert.equal(total, 0)
  }
}
