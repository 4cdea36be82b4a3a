import { type Kysely, sql } from 'kysely'
import type pg from 'pg'
import { type Clock, systemClock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import type { EventDraft } from '../../events/event.ts'
import type { Change, Held } from '../../files/port.ts'
import type { BirthRoom, Births, Plan, Settlement, SettleResult } from '../../webhooks/port.ts'
import type { Webhook } from '../../webhooks/webhook.ts'
import { kyselyOver } from '../kysely.ts'
import type { Fact, Store, StoreHooks } from '../store.ts'
import type { Tables } from '../tables.ts'
import { claimUnits } from '../units/claims.ts'
import { coldUnits } from '../units/cold.ts'
import { READS, WRITES } from '../units/names.ts'
import type { Arrival, Work } from '../work.ts'
import { claim, dueWebhooks } from './claim.ts'
import { type Closing, closeIntent } from './close.ts'
import { ADVISORY_LOCK, migrate, openPools, type Queryable, transaction } from './connection.ts'
import { toStoreError } from './failure.ts'
import { Group } from './group.ts'
import { Notices } from './notices.ts'
import { hasKey, lockArrivals, lockOrders, takePlaces, unblockFirst } from './order.ts'
import { rebase, SAID_END } from './position.ts'
import { type Facts, recordChange, recordFacts } from './record.ts'
import { settle } from './settle.ts'
import { STORED_BYTES } from './size.ts'
import { PART } from './tally.ts'
import { readIfChanged, WebhookSets } from './webhook-set.ts'

/** Units that run together, and groups of a kind at the same time. Measured: 200 in 4 lanes is best; above 500 nothing is won. */
const GROUP_UNITS_MAX = 200
const GROUP_LANES = 2

type ColdUnit = (work: Work, ...args: unknown[]) => Promise<unknown>
const COLD = coldUnits as unknown as Record<string, ColdUnit>

/** Opens the shared store: brings the schema up to date, then listens to the nudges of other nodes. Throws `store_newer`. */
export async function openPostgresStore(
  options: { url: string; plan: Plan; node: string; clock?: Clock } & StoreHooks,
): Promise<Store> {
  const { url, plan, node, onPlanned = () => {}, clock = systemClock } = options
  const { queue, cold } = openPools(url)
  try {
    await migrate(cold)
    await rebase(cold)
  } catch (error) {
    await Promise.all([queue.end(), cold.end()])
    throw toStoreError(error)
  }
  const sets = new WebhookSets()
  const notices = new Notices({ url, node, pool: cold, clock, onPlanned })
  await notices.listen()
  const within = <T>(run: (db: Queryable) => Promise<T>) => transaction(queue, 'begin', run)
  const recording = (nudged: Set<string>) => ({ sets, plan, within, nudge: (id: string) => void nudged.add(id) })

  function group<Unit, Result>(unitsMax: number, run: (units: Unit[]) => Promise<Result[]>) {
    const wrapped = async (units: Unit[]) => (await run(units)).map((value) => ({ value }))
    return new Group<Unit, Result>({ lanes: GROUP_LANES, unitsMax, clock, run: wrapped })
  }

  const factsGroup = group<Facts, Births>(GROUP_UNITS_MAX, async (units) => {
    const nudged = new Set<string>()
    const births = await recordFacts(recording(nudged), queue, units)
    notices.planned([...nudged])
    return births
  })
  const record = (facts: readonly Fact[], room: BirthRoom | null) => ask(() => factsGroup.add({ facts, room }))
  const changes = new Group<Change, Held>({
    lanes: GROUP_LANES,
    unitsMax: GROUP_UNITS_MAX,
    clock,
    run: (units) => recordChange(recording(new Set()), queue, units),
  })
  const closings = group<Closing, void>(GROUP_UNITS_MAX, async (units) => {
    notices.planned(await closeIntent(queue, units))
    return units.map(() => undefined)
  })
  const settlements = group<readonly Settlement[], SettleResult[]>(GROUP_UNITS_MAX, async (units) => {
    const nudged = new Set<string>()
    const results = await settleInTurns(queue, units, (id) => void nudged.add(id))
    notices.planned([...nudged])
    return results
  })
  const targets = group<readonly string[], Webhook[]>(GROUP_UNITS_MAX, async (units) => {
    const { byId } = await readIfChanged(sets, queue)
    return units.map((ids) => ids.flatMap((id) => byId.get(id) ?? []))
  })
  const groups = [factsGroup, changes, closings, settlements, targets]

  let isStopping = false
  let stopped: Promise<void> | undefined
  const running = new Set<Promise<unknown>>()

  /** Everything that a caller asks passes here: refused when stopping, waited for by `stop`, failed in the words of the store. */
  async function ask<T>(work: () => Promise<T>): Promise<T> {
    if (isStopping) throw new AppError('stopping', 'The server is stopping; try again in a moment.')
    const asked = work().catch((error) => {
      throw toStoreError(error)
    })
    running.add(asked)
    try {
      return await asked
    } finally {
      running.delete(asked)
    }
  }

  function runCold(name: string, args: unknown[]): Promise<unknown> {
    const nudged = new Set<string>()
    const pool = name in claimUnits ? queue : cold
    return transaction(pool, 'begin', (client) => COLD[name]!(new ColdWork(client, { sets, plan, nudged }), ...args)).then(
      (value) => {
        notices.planned([...nudged])
        return value
      },
    )
  }

  const reads = kyselyOver('postgres', executeOn(cold))
  const read = (name: string, args: unknown[]) =>
    COLD[name]!({ db: reads, saidEnd: SAID_END, storedBytes: STORED_BYTES } as Work, ...args)
  const entries = [
    ...READS.map((name) => [name, (...args: unknown[]) => ask(() => read(name, args))]),
    ...WRITES.map((name) => [name, (...args: unknown[]) => ask(() => runCold(name, args))]),
  ]

  return {
    ...(Object.fromEntries(entries) as Store),
    recordFacts: record,
    recordEvents: async (events) => void (await record(events.map((event) => ({ event, audit: null })), null)), // biome-ignore format: one line
    recordFact: async (event, audit) => void (await record([{ event, audit }], null)),
    recordChange: (change) => ask(() => changes.add(change)),
    closeIntent: (intent, by) => ask(() => closings.add({ intent, claim: by })),
    claim: (node, wants, now) => ask(() => claim(queue, node, wants, now)),
    dueWebhooks: (now, limit) => ask(() => dueWebhooks(queue, now, limit)),
    settle: (units) => ask(() => settlements.add(units)),
    targets: (ids) => ask(() => targets.add(ids)),
    ping: () => ask(async () => void (await cold.query('select 1'))),
    stop() {
      isStopping = true
      stopped ??= (async () => {
        await Promise.allSettled(running)
        await Promise.all(groups.map((each) => each.drain()))
        await notices.stop()
        await Promise.all([queue.end(), cold.end()])
      })()
      return stopped
    },
  }
}

/** One statement names a delivery once; what names it again waits for the next, so that its claim is judged after the first. */
async function settleInTurns(
  pool: pg.Pool,
  units: readonly (readonly Settlement[])[],
  nudge: (webhookId: string) => void,
): Promise<SettleResult[][]> {
  const results = units.map((unit) => new Array<SettleResult>(unit.length))
  let left = units.flatMap((unit, number) => unit.map((settlement, index) => ({ settlement, number, index })))
  while (left.length > 0) {
    const seen = new Set<string>()
    const turn = left.filter(({ settlement }) => !seen.has(settlement.deliveryId) && seen.add(settlement.deliveryId))
    const settled = await settle(pool, turn.map(({ settlement }) => settlement), nudge) // biome-ignore format: one line
    turn.forEach(({ number, index }, position) => {
      results[number]![index] = settled[position]!
    })
    left = left.filter((each) => !turn.includes(each))
  }
  return results
}

class ColdWork implements Work {
  readonly others = 'nodes'
  readonly saidEnd = SAID_END
  readonly storedBytes = STORED_BYTES
  readonly part = sql<number>`(${sql.raw(PART)})`
  readonly db: Kysely<Tables>
  #client: Queryable
  #recording: { sets: WebhookSets; plan: Plan; nudged: Set<string> }

  constructor(client: Queryable, recording: { sets: WebhookSets; plan: Plan; nudged: Set<string> }) {
    this.#client = client
    this.#recording = recording
    this.db = kyselyOver('postgres', executeOn(client))
  }

  isAmong(column: 'id' | 'event_id' | 'delivery_id', values: readonly string[]) {
    return sql<boolean>`${sql.ref(column)} = any (${values}::text[])`
  }

  async recordEvent(event: EventDraft) {
    const { sets, plan } = this.#recording
    const within = <T>(run: (db: Queryable) => Promise<T>) => run(this.#client)
    const facts = [{ event, audit: null }]
    await recordFacts({ sets, plan, within, nudge: (id) => this.nudge(id) }, this.#client, [{ facts, room: null }])
  }

  async takePlaces(arrivals: readonly Arrival[]) {
    const keyed = arrivals.filter(hasKey)
    if (keyed.length === 0) return
    await lockArrivals(this.#client, keyed)
    for (const webhookId of await takePlaces(this.#client, keyed)) this.nudge(webhookId)
  }

  async endingOf(deliveryIds: readonly string[]) {
    const keys = await lockOrders(this.#client, deliveryIds)
    return async () => {
      for (const webhookId of await unblockFirst(this.#client, keys)) this.nudge(webhookId)
    }
  }

  async changeWebhooks() {
    await this.#client.query('update webhook_set set version = version + 1')
  }

  async changeDependencies() {
    await this.#client.query(`select pg_advisory_xact_lock(${ADVISORY_LOCK.dependencies})`)
  }

  nudge(webhookId: string) {
    this.#recording.nudged.add(webhookId)
  }
}

function executeOn(db: Queryable) {
  return async (text: string, parameters: readonly unknown[]) => {
    const { rows, rowCount } = await db.query(text, [...parameters])
    return { rows, changes: rowCount ?? 0 }
  }
}
