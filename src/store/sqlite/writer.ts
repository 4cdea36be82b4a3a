import { type Kysely, sql } from 'kysely'
import { AppError } from '../../base/error.ts'
import type { EventDraft } from '../../events/event.ts'
import type { Plan } from '../../webhooks/port.ts'
import { kyselyOver } from '../kysely.ts'
import type { Tables } from '../tables.ts'
import { coldUnits } from '../units/cold.ts'
import type { HOT } from '../units/names.ts'
import type { Arrival, Work } from '../work.ts'
import { claim, dueWebhooks } from './claim.ts'
import { closeIntent } from './close.ts'
import type { Connection } from './database.ts'
import { takePlace, unblockFirst } from './order.ts'
import { Positions, SAID_END } from './position.ts'
import { type Answer, type Answers, answer, type Call, failure } from './protocol.ts'
import { recordChange, recordEvents, recordFact, recordFacts } from './record.ts'
import { settle } from './settle.ts'
import { STORED_BYTES } from './size.ts'
import { PART } from './tally.ts'
import { WebhookSet } from './webhook-set.ts'
import type { Writing } from './writing.ts'

/** Units of one commit. More would hold up their first longer than one sync costs (measured: 1,000 rows block for 15 to 20 ms). */
export const GROUP_UNITS_MAX = 200

/** Pages in the journal after which the reader's thread is asked to write them back: 4 MiB. */
const CHECKPOINT_PAGES = 1_000

/** Pages in the journal after which the writer finishes that itself, a stall of some ms: 64 MiB. Under steady load only it sees the end. */
const JOURNAL_PAGES_MAX = 16_000

/** Commits between two looks at the length of the journal. */
const COMMITS_PER_LOOK = 20

const hotUnits: Record<(typeof HOT)[number], unknown> = {
  claim,
  closeIntent,
  dueWebhooks,
  recordChange,
  recordEvents,
  recordFact,
  recordFacts,
  settle,
  ping() {},
}

type HotUnit = (writing: Writing, ...args: unknown[]) => unknown
type ColdUnit = (work: Work, ...args: unknown[]) => Promise<unknown>
const HOT_UNITS = new Map(Object.entries(hotUnits as Record<string, HotUnit>))
const COLD_UNITS = new Map(Object.entries(coldUnits as unknown as Record<string, ColdUnit>))

/**
 * Runs units of work in groups: one transaction, a savepoint each, one sync, then all answers. A unit that throws takes back only
 * what it did itself; when the commit fails nothing of the group was done, and all its units say so.
 */
export class Writer implements Writing, Work {
  readonly others = 'nobody'
  readonly saidEnd = SAID_END
  readonly storedBytes = STORED_BYTES
  readonly part = sql.lit(PART)
  readonly db: Kysely<Tables>
  readonly webhooks: WebhookSet
  #connection: Connection
  #plan: Plan
  #positions: Positions
  #nudged = new Set<string>()
  #isWebhooksChanged = false
  #commits = 0

  constructor(connection: Connection, plan: Plan) {
    this.#connection = connection
    this.#plan = plan
    this.webhooks = new WebhookSet(connection)
    this.#positions = new Positions((statement) => connection.prepare(statement))
    this.db = kyselyOver('sqlite', connection.execute)
  }

  prepare(statement: string) {
    return this.#connection.prepare(statement)
  }

  plan(event: EventDraft) {
    return this.#plan(event, this.webhooks.active())
  }

  async recordEvent(event: EventDraft) {
    recordEvents(this, [event])
  }

  nextPosition() {
    return this.#positions.next()
  }

  changeWebhooks() {
    this.#isWebhooksChanged = true
    this.webhooks.forget()
    return RESOLVED
  }

  /** There are no others: this thread runs one unit at a time. */
  changeDependencies() {
    return RESOLVED
  }

  async takePlaces(arrivals: readonly Arrival[]) {
    for (const arrival of arrivals) takePlace(this, arrival)
  }

  async endingOf(deliveryIds: readonly string[]) {
    const keys = this.prepare(
      `select distinct webhook_id, order_key from delivery
       where id in (select value from json_each(?)) and order_key is not null`,
    ).all(JSON.stringify(deliveryIds)) as { webhook_id: string; order_key: string }[]
    return async () => {
      for (const key of keys) unblockFirst(this, key.webhook_id, key.order_key)
    }
  }

  nudge(webhookId: string) {
    this.#nudged.add(webhookId)
  }

  isAmong(column: 'id' | 'event_id' | 'delivery_id', values: readonly string[]) {
    return sql<boolean>`${sql.ref(column)} in (select value from json_each(${JSON.stringify(values)}))`
  }

  async runGroup(calls: readonly Call[]): Promise<Answers> {
    this.#nudged = new Set()
    try {
      this.prepare('begin immediate').run()
      const answers: Answer[] = []
      for (const call of calls) answers.push(await this.#runUnit(call))
      this.#positions.save()
      this.prepare('commit').run()
      return { answers, nudged: [...this.#nudged], checkpoint: this.#isJournalLong() }
    } catch (error) {
      this.#abandon()
      const cause = new AppError('store_failed', 'The database did not take the change; nothing was changed.', { cause: error })
      return { answers: calls.map(([id]) => failure(id, cause)), nudged: [], checkpoint: false }
    }
  }

  /** Throws only when the whole transaction is lost. */
  async #runUnit([id, name, args]: Call): Promise<Answer> {
    const nudgedBefore = this.#nudged
    this.#nudged = new Set()
    this.#isWebhooksChanged = false
    this.prepare('savepoint unit').run()
    try {
      const hot = HOT_UNITS.get(name)
      const value = hot === undefined ? await cold(name)(this, ...args) : hot(this, ...args)
      this.prepare('release unit').run()
      for (const webhookId of this.#nudged) nudgedBefore.add(webhookId)
      return answer(id, value)
    } catch (error) {
      // A full disk, for one, ends the transaction on the spot, and the units before this one with it.
      if (!this.#connection.db.isTransaction) throw error
      this.prepare('rollback to unit').run()
      this.prepare('release unit').run()
      if (this.#isWebhooksChanged) this.webhooks.forget()
      return failure(id, error)
    } finally {
      this.#nudged = nudgedBefore
    }
  }

  #abandon(): void {
    this.webhooks.forget()
    this.#positions.forget()
    if (this.#connection.db.isTransaction) this.prepare('rollback').run()
  }

  #isJournalLong(): boolean {
    this.#commits += 1
    if (this.#commits % COMMITS_PER_LOOK !== 0) return false
    const { log, checkpointed } = this.prepare('pragma wal_checkpoint(noop)').get() as { log: number; checkpointed: number }
    if (log > JOURNAL_PAGES_MAX) this.prepare('pragma wal_checkpoint(passive)').get()
    return log - checkpointed > CHECKPOINT_PAGES
  }

  /** Writes the journal back and empties it. */
  close(): void {
    this.#connection.db.exec('pragma wal_checkpoint(truncate)')
    this.#connection.db.close()
  }
}

const RESOLVED = Promise.resolve()

function cold(name: string): ColdUnit {
  const unit = COLD_UNITS.get(name)
  if (unit === undefined) throw new Error(`the store has no unit ${name}`)
  return unit
}
