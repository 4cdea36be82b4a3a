import { silentLog } from '../../src/base/log.ts'
import { SECOND_MS } from '../../src/base/units.ts'
import type { EventType } from '../../src/events/catalogue.ts'
import type { EventDraft } from '../../src/events/event.ts'
import { createEngine, type Engine } from '../../src/webhooks/engine.ts'
import { createPlan } from '../../src/webhooks/plan.ts'
import { PLAIN } from '../../src/webhooks/testing.ts'
import type { PlannedDelivery, Webhook } from '../../src/webhooks/webhook.ts'
import { bytesOf, type Random, seeded } from '../random.ts'
import { type Client, Database } from './database.ts'
import { type Behaviour, Network, type Phases } from './network.ts'
import { FakeTime } from './time.ts'

/** Events, crashes and administration happen in this time, ms; afterwards everything is mended and must come to rest. */
export const BUSY_MS = 40 * SECOND_MS
export const START_AT = Date.UTC(2026, 0, 1)

const ACCOUNTS = ['acc_1', 'acc_2'] as const
const TYPES: readonly EventType[] = ['file.uploaded', 'file.deleted', 'transfer.completed', 'transfer.failed', 'system.error']
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
  isStopping: boolean
}

/** One simulated world, made of nothing but its seed. `calm`: nothing of our own ever fails, only receivers. */
export class World {
  readonly dice: Random
  readonly time = new FakeTime(START_AT)
  readonly database: Database
  readonly network: Network
  readonly isCalm: boolean
  /** By place; undefined while it is down. */
  readonly processes: (Process | undefined)[] = []
  readonly dead: Process[] = []
  /** Everything ever planned, also for events that were not recorded in the end. */
  readonly planned = new Map<string, PlannedDelivery>()
  /** What the last answered read of a webhook said, by node and webhook. */
  readonly seen = new Map<string, { at: number; webhook: Webhook | undefined }>()
  /** Webhooks that nobody touches and whose receivers are always fine. */
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
    this.#plan = createPlan(bytesOf(this.dice))
    if (!this.isCalm) this.#breakThings()
    const webhooks = this.dice.between(2, 8)
    for (let number = 1; number <= webhooks; number++) this.#makeWebhook(number)
    for (let place = 0; place < (isShared ? 2 : 1); place++) this.#scheduleLives(place)
    this.#scheduleEvents()
    this.#scheduleAdministration()
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
    const webhook: Webhook = {
      ...PLAIN,
      ...{ id, url, name: id, sealedSecret: `sealed ${id}`, failedReason: null, createdAt: START_AT, updatedAt: START_AT },
      accountId: dice.chance(0.4) ? null : dice.pick(ACCOUNTS),
      events: dice.pick(SUBSCRIPTIONS),
      dialect: dice.pick(['mftplus', 'trueftp'] as const),
      retryDelaysSeconds: dice.pick(SCHEDULES),
      state: 'active',
    }
    this.database.setWebhook(webhook)
    if (!isHealthy && dice.chance(0.3)) this.#fillBacklog(webhook)
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
    const count = this.dice.chance(0.1) ? 600 : this.dice.between(20, 120)
    for (let index = 0; index < count; index++) {
      const event = this.#makeEvent()
      const [planned] = this.#plan({ ...event, accountId: webhook.accountId, type: 'file.uploaded' }, [
        { ...webhook, events: ['*'] },
      ])
      this.planned.set(planned!.id, planned!)
      this.database.deliveries.set(planned!.id, {
        ...{
          planned: planned!,
          createdAt: START_AT,
          state: 'waiting',
          dueAt: START_AT,
          claimedBy: null,
          attempts: [],
          endings: 0,
        },
      })
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
      if (this.time.now < this.#secretsBrokenUntil && sealed.endsWith('1')) throw new Error('the master key is another one')
      return sealed.slice('sealed '.length)
    }
    const saw = (ids: readonly string[], webhooks: readonly Webhook[]) => {
      for (const id of ids)
        this.seen.set(`${client.node} ${id}`, { at: this.time.now, webhook: webhooks.find((webhook) => webhook.id === id) })
    }
    const engine = createEngine({
      ...{ seal: { open }, node: client.node, log: silentLog },
      store: this.database.portFor(client, saw),
      post: this.network.postFor(client),
      clock: this.time.clockFor(client),
    })
    this.processes[place] = Object.assign(client, { engine })
    engine.start()
  }

  async #goDown(place: number): Promise<void> {
    const process = this.processes[place]
    if (process === undefined || process.isStopping) return
    if (this.dice.chance(0.3)) {
      process.isStopping = true
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

  /** Something happens in a process: planned, offered to the engine there, recorded. */
  async #happen(): Promise<void> {
    const up = this.processes.filter((process) => process !== undefined && !process.isStopping)
    if (up.length === 0) return
    const process = this.dice.pick(up)!
    const event = this.#makeEvent()
    const webhooks = [...this.database.webhooks.values()]
    const planned = this.#plan(event, webhooks)
    for (const one of planned) this.planned.set(one.id, one)
    const expected = webhooks.filter((webhook) => asks(webhook, event)).map((webhook) => webhook.id)
    const written = Promise.withResolvers<void>()
    const claimed = this.dice.chance(0.7) ? process.engine.offer(planned, written.promise) : []
    try {
      await this.database.record(process, event, planned, new Set(claimed), expected)
      written.resolve()
      if (this.dice.chance(0.5)) process.engine.nudge(planned.map((one) => one.webhookId))
    } catch (error) {
      written.reject(error)
      // Nobody listens where nothing was offered.
      written.promise.catch(() => {})
    }
  }

  #makeEvent(): EventDraft {
    const type = this.dice.pick(TYPES)
    const accountId = type === 'system.error' ? null : this.dice.pick(ACCOUNTS)
    const id = `whevt_${Math.floor(this.dice.next() * 2 ** 48).toString(36)}`
    return { id, type, accountId, occurredAt: this.time.now, data: { path: `/données/${id}`, size: this.dice.between(0, 1e9) } }
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
    } else {
      const url = `${webhook.url}/moved`
      this.network.receivers.set(url, this.network.receivers.get(webhook.url) ?? [])
      this.database.setWebhook({ ...webhook, url })
    }
  }

  #setState(webhook: Webhook, state: 'active' | 'inactive'): void {
    this.database.setWebhook({ ...webhook, state, failedReason: null })
    if (this.dice.chance(0.5)) for (const process of this.processes) process?.engine.nudge([webhook.id])
  }
}

/** Which webhooks an event belongs to, said once more and differently than the plan does. */
function asks(webhook: Webhook, event: EventDraft): boolean {
  if (webhook.state !== 'active') return false
  if (webhook.accountId !== null && webhook.accountId !== event.accountId) return false
  const covered = webhook.events.flatMap((name) =>
    name === '*' ? TYPES : TYPES.filter((type) => type === name || `${type.split('.')[0]}.*` === name),
  )
  return covered.includes(event.type)
}
