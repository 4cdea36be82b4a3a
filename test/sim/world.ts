import { newId } from '../../src/base/id.ts'
import { silentLog } from '../../src/base/log.ts'
import { SECOND_MS } from '../../src/base/units.ts'
import type { EventType } from '../../src/events/catalogue.ts'
import type { EventDraft } from '../../src/events/event.ts'
import { claimantIn } from '../../src/store/births.ts'
import { createEngine, type Engine } from '../../src/webhooks/engine.ts'
import { createPlan } from '../../src/webhooks/plan.ts'
import { ReplayWorker } from '../../src/webhooks/recovery/replay-worker.ts'
import { PLAIN } from '../../src/webhooks/testing.ts'
import type { PlannedDelivery, Webhook, WebhookOptions } from '../../src/webhooks/webhook.ts'
import { bytesOf, type Random, seeded } from '../random.ts'
import { type Client, Database } from './database.ts'
import { type Behaviour, Network, type Phases, POISON } from './network.ts'
import { marked, Replays } from './replays.ts'
import { FakeTime } from './time.ts'

/** Events, crashes and administration happen in this time, ms; afterwards everything is mended and must come to rest. */
export const BUSY_MS = 40 * SECOND_MS
export const START_AT = Date.UTC(2026, 0, 1)

const ACCOUNTS = ['acc_1', 'acc_2'] as const
const TYPES: readonly EventType[] = [
  ...(['file.uploaded', 'file.deleted', 'transfer.progress', 'transfer.completed', 'transfer.failed', 'system.error'] as const),
]
const FILES = ['a', 'b', 'c', 'd', POISON] as const
const TRANSFERS = ['trf_1', 'trf_2', 'trf_3'] as const
const SUBSCRIPTIONS = [
  ['*'],
  ['file.*'],
  ['file.uploaded'],
  ['transfer.*', 'file.deleted'],
  ['system.error', 'file.uploaded'],
] as const
const SCHEDULES = [[0.2, 0.5, 1, 2], [1, 2, 3], [0, 0, 5], [1, 1, 1, 1, 1, 4], []] as const

/** A process: it lives, crashes or stops, and comes back as another one with a new id. */
export interface Process extends Client {
  readonly engine: Engine
  readonly replayer: ReplayWorker
  isStopping: boolean
}

/** One simulated world, made of nothing but its seed. `calm`: nothing of our own ever fails, only receivers. */
export class World {
  readonly dice: Random
  readonly time = new FakeTime(START_AT)
  readonly database: Database
  readonly network: Network
  readonly replays: Replays
  readonly isCalm: boolean
  /** By place; undefined while it is down. */
  readonly processes: (Process | undefined)[] = []
  readonly dead: Process[] = []
  /** Everything ever planned, also for events that were not recorded in the end. */
  readonly planned = new Map<string, PlannedDelivery>()
  /** What the last answered read of a webhook said, by node and webhook. */
  readonly seen = new Map<string, { at: number; webhook: Webhook | undefined }>()
  /** Webhooks that nobody touches and whose receivers are always fine, but for poisoned paths. */
  readonly healthy = new Set<string>()
  readonly #plan
  #lives = 0
  #secretsBrokenUntil = 0

  constructor(seed: number) {
    this.dice = seeded(seed)
    const isShared = this.dice.chance(0.4)
    this.isCalm = this.dice.chance(0.3)
    this.database = new Database(this.time, this.dice, !isShared)
    this.network = new Network(this.time, this.dice)
    this.replays = new Replays(this.database, this.time)
    this.#plan = createPlan(bytesOf(this.dice))
    if (!this.isCalm) this.#breakThings()
    const webhooks = this.dice.between(2, 8)
    for (let number = 1; number <= webhooks; number++) this.#makeWebhook(number)
    for (let place = 0; place < (isShared ? 2 : 1); place++) this.#scheduleLives(place)
    this.#scheduleEvents()
    this.#scheduleAdministration()
    this.#scheduleReplays()
  }

  /** From here on nothing fails any more, and whoever was down is up. */
  mend(): void {
    this.database.faults = { before: 0, lost: 0, slow: 0, outages: [] }
    for (const [place, process] of this.processes.entries()) if (process === undefined) this.#boot(place)
    for (const webhook of this.database.webhooks.values())
      if (webhook.state !== 'active' && this.dice.chance(0.6)) this.#setState(webhook, 'active')
  }

  #breakThings(): void {
    const outages = Array.from({ length: this.dice.between(0, 2) }, () => {
      const from = START_AT + this.dice.between(0, BUSY_MS)
      return { from, until: from + this.dice.between(SECOND_MS, 25 * SECOND_MS) }
    })
    this.database.faults = { before: 0.03, lost: 0.03, slow: 0.01, outages }
    if (this.dice.chance(0.3)) this.#secretsBrokenUntil = START_AT + this.dice.between(0, BUSY_MS)
  }

  #makeWebhook(number: number): void {
    const { dice } = this
    const id = `wh_${number}`
    const isHealthy = dice.chance(0.4)
    if (isHealthy) this.healthy.add(id)
    const url = `https://receiver-${number}.example/hook`
    this.network.receivers.set(url, isHealthy ? [] : this.#makePhases())
    const dialect = dice.pick(['mftplus', 'trueftp', 'standard', 'cloudevents'] as const)
    // Where used up attempts turn the webhook off, one bad path would stop them all.
    if (isHealthy && dialect === 'trueftp') this.network.poisoned.add(url)
    const webhook: Webhook = {
      ...PLAIN,
      ...{
        id,
        url,
        dialect,
        name: id,
        sealedSecret: `sealed first secret of ${id}`,
        failedReason: null,
        createdAt: START_AT,
        updatedAt: START_AT,
      },
      accountId: dice.chance(0.4) ? null : dice.pick(ACCOUNTS),
      events: dice.pick(SUBSCRIPTIONS),
      order: dice.pick(['none', 'none', 'webhook', 'key', 'key'] as const),
      options: this.#makeOptions(isHealthy),
      retryDelaysSeconds: dice.pick(SCHEDULES),
      state: 'active',
    }
    this.database.setWebhook(webhook)
    if (!isHealthy && dice.chance(0.3)) this.#fillBacklog(webhook)
  }

  #makeOptions(isHealthy: boolean): WebhookOptions {
    const { dice } = this
    const rate = { count: dice.between(1, 20), perSeconds: dice.between(1, 3) }
    return {
      ...(dice.chance(0.3) && { concurrency: dice.between(1, 24) }),
      ...(!isHealthy && dice.chance(0.3) && { rate }),
      ...(!isHealthy && dice.chance(0.3) && { expireAfterSeconds: dice.between(1, 40) }),
      ...(!isHealthy && dice.chance(0.2) && { timeoutSeconds: dice.between(2, 60) }),
    }
  }

  #makePhases(): Phases {
    const { dice } = this
    const during: readonly Behaviour[] = [
      'slow',
      'failing',
      'hanging',
      'dripping',
      'unauthorized',
      'throttling',
      'refusing',
      'guarded',
      'fine',
    ]
    const finally_: readonly Behaviour[] = ['fine', 'fine', 'fine', 'failing', 'unauthorized', 'refusing']
    const phases = Array.from({ length: dice.between(1, 3) }, () => ({
      from: START_AT + dice.between(-BUSY_MS, BUSY_MS),
      behaviour: dice.pick(during),
    }))
    phases.sort((a, b) => a.from - b.from)
    return [...phases, { from: START_AT + BUSY_MS, behaviour: dice.pick(finally_) }]
  }

  /** Events from before, all due at once. */
  #fillBacklog(webhook: Webhook): void {
    // In order, and with a receiver that fails in the end, each waits for all attempts of those before.
    const many = webhook.order === 'none' && this.dice.chance(0.1) ? 600 : this.dice.between(20, 120)
    const count = webhook.order === 'none' ? many : Math.ceil(many / 6)
    for (let index = 0; index < count; index++) {
      const event = { ...this.#makeEvent('file.uploaded'), accountId: webhook.accountId }
      const [planned] = this.#planned(event, [{ ...webhook, events: ['*'] }])
      this.database.insert(planned!, START_AT)
    }
  }

  #scheduleLives(place: number): void {
    this.#boot(place)
    if (this.isCalm) return
    for (let crash = this.dice.between(0, 3); crash > 0; crash--)
      this.time.after(this.dice.between(0, BUSY_MS), () => void this.#goDown(place))
  }

  #boot(place: number): void {
    const client = { node: `node_${place}_${++this.#lives}`, isAlive: true, isStopping: false }
    const open = (sealed: string) => {
      if (this.time.now < this.#secretsBrokenUntil && sealed.endsWith('wh_1')) throw new Error('the master key is another one')
      return sealed.slice('sealed '.length)
    }
    const saw = (ids: readonly string[], webhooks: readonly Webhook[]) => {
      for (const id of ids)
        this.seen.set(`${client.node} ${id}`, { at: this.time.now, webhook: webhooks.find((webhook) => webhook.id === id) })
    }
    const own = { node: client.node, log: silentLog, clock: this.time.clockFor(client) }
    const engine = createEngine({
      ...{ ...own, seal: { open } },
      store: this.database.portFor(client, saw),
      post: this.network.postFor(client),
    })
    const replayer = new ReplayWorker({ ...own, store: this.replays.portFor(client) })
    this.processes[place] = Object.assign(client, { engine, replayer })
    engine.start()
    replayer.start()
  }

  async #goDown(place: number): Promise<void> {
    const process = this.processes[place]
    if (process === undefined || process.isStopping) return
    if (this.dice.chance(0.3)) {
      process.isStopping = true
      void process.replayer.stop()
      await process.engine.stop(this.dice.between(0, 12) * SECOND_MS)
    }
    process.isAlive = false
    this.dead.push(process)
    this.processes[place] = undefined
    this.time.after(this.dice.between(0, 20 * SECOND_MS), () => this.processes[place] === undefined && this.#boot(place))
  }

  #scheduleEvents(): void {
    const count = this.dice.between(10, 250)
    for (let index = 0; index < count; index++) this.time.after(this.dice.between(0, BUSY_MS), () => void this.#happen())
  }

  /** Something happens in a process: planned and recorded, and what the engine there has room for claimed at its birth. */
  async #happen(): Promise<void> {
    const up = this.processes.filter((process) => process !== undefined && !process.isStopping)
    if (up.length === 0) return
    const process = this.dice.pick(up)!
    const event = this.#makeEvent()
    const webhooks = [...this.database.webhooks.values()]
    const planned = this.#planned(event, webhooks)
    const expected = webhooks.filter((webhook) => asks(webhook, event)).map((webhook) => webhook.id)
    try {
      if (this.dice.chance(0.5)) {
        await process.engine.record(1, async (room) => {
          const deliveries = await this.database.record(process, event, planned, claimantIn(room), expected)
          return { deliveries, isComplete: true }
        })
      } else await this.#offer(process, event, planned, expected)
      if (this.dice.chance(0.5)) process.engine.nudge(planned.map((one) => one.webhookId))
    } catch {
      // Whoever made it happen hears that it failed; whether it came through after all is for the engine to find out.
    }
  }

  async #offer(process: Process, event: EventDraft, planned: readonly PlannedDelivery[], expected: string[]): Promise<void> {
    const written = Promise.withResolvers<void>()
    // Nobody listens where nothing was offered.
    written.promise.catch(() => {})
    const claimed = new Set(this.dice.chance(0.7) ? process.engine.offer(planned, written.promise) : [])
    const recorded = this.database.record(process, event, planned, ({ id }) => (claimed.has(id) ? process.node : null), expected)
    await recorded.then(() => written.resolve(), written.reject)
    await recorded
  }

  #planned(event: EventDraft, webhooks: readonly Webhook[]): PlannedDelivery[] {
    const planned = this.#plan(event, webhooks).map(marked)
    for (const one of planned) this.planned.set(one.id, one)
    return planned
  }

  #makeEvent(type = this.dice.pick(TYPES)): EventDraft {
    const { dice, time } = this
    const accountId = type === 'system.error' ? null : dice.pick(ACCOUNTS)
    const id = newId('event', time.now, bytesOf(dice))
    const about = type.startsWith('transfer.') ? { transferId: dice.pick(TRANSFERS) } : { path: `/données/${dice.pick(FILES)}` }
    return { id, type, accountId, occurredAt: time.now, data: { ...about, size: dice.between(0, 1e9) } }
  }

  #scheduleAdministration(): void {
    for (let change = this.dice.between(0, 12); change > 0; change--)
      this.time.after(this.dice.between(0, BUSY_MS), () => this.#administer())
  }

  #administer(): void {
    const webhook = this.dice.pick([...this.database.webhooks.values()])
    if (webhook === undefined || this.healthy.has(webhook.id)) return
    if (webhook.state !== 'active') this.#setState(webhook, 'active')
    else if (this.dice.chance(0.3)) this.#setState(webhook, 'inactive')
    else if (this.dice.chance(0.2)) {
      this.database.version++
      this.database.webhooks.delete(webhook.id)
    } else if (this.dice.chance(0.35)) this.#rotate(webhook)
    else if (this.dice.chance(0.4)) this.database.setWebhook({ ...webhook, options: this.#makeOptions(false) })
    else {
      const url = `${webhook.url}/moved`
      this.network.receivers.set(url, this.network.receivers.get(webhook.url) ?? [])
      this.database.setWebhook({ ...webhook, url })
    }
  }

  #rotate(webhook: Webhook): void {
    const sealedSecret = `sealed secret since ${this.time.now} of ${webhook.id}`
    const secretBeforeUntil = this.time.now + this.dice.between(0, 20 * SECOND_MS)
    this.database.setWebhook({ ...webhook, sealedSecret, sealedSecretBefore: webhook.sealedSecret, secretBeforeUntil })
  }

  #scheduleReplays(): void {
    for (let count = this.dice.between(0, 2); count > 0; count--)
      this.time.after(this.dice.between(0, BUSY_MS), () => this.#replay())
  }

  /** Of what was said so far. One that is cancelled may have planned some of it. */
  #replay(): void {
    const { dice, time, database, replays } = this
    const webhook = dice.pick([...database.webhooks.values()])
    const isRunning = [...replays.rows.values()].some((row) => row.replay.webhookId === webhook?.id && row.state === 'running')
    if (webhook === undefined || isRunning || this.healthy.has(webhook.id)) return
    const request = {
      ...{ since: 0, until: time.now + 1, events: null, path: null, eventIds: null },
      only: dice.pick(['all', 'failed', 'missing'] as const),
      ratePerSecond: dice.pick([10, 100, 1000]),
    }
    const id = newId('replay', time.now, bytesOf(dice))
    const { id: webhookId, accountId } = webhook
    const counts = { matched: 0, isCounted: true, planned: 0, createdAt: time.now, endedAt: null }
    replays.create({ ...{ id, webhookId, accountId, request }, state: 'running', ...counts }, database.events.length)
    if (dice.chance(0.5)) for (const process of this.processes) process?.replayer.wake()
    if (dice.chance(0.2)) time.after(dice.between(0, 10 * SECOND_MS), () => replays.cancel(id))
  }

  #setState(webhook: Webhook, state: 'active' | 'inactive'): void {
    this.database.setWebhook({ ...webhook, state, failedReason: null })
    if (this.dice.chance(0.5)) for (const process of this.processes) process?.engine.nudge([webhook.id])
  }
}

/** Which webhooks an event belongs to, said once more and differently than the plan does. */
function asks(webhook: Webhook, event: EventDraft): boolean {
  return webhook.state === 'active' && concerns(webhook, event)
}

/** The same whether it is active or not. */
export function concerns(webhook: Webhook, event: EventDraft): boolean {
  if (webhook.accountId !== null && webhook.accountId !== event.accountId) return false
  const covered = webhook.events.flatMap((name) =>
    name === '*' ? TYPES : TYPES.filter((type) => type === name || `${type.split('.')[0]}.*` === name),
  )
  return covered.includes(event.type)
}
