import type { EventDraft } from '../../src/events/event.ts'
import type { DeliveryStore, Settlement, SettleResult } from '../../src/webhooks/port.ts'
import type { Attempt, ClaimedDelivery, DeliveryState, PlannedDelivery, Webhook } from '../../src/webhooks/webhook.ts'
import type { Random } from '../random.ts'
import type { FakeTime } from './time.ts'

export interface DeliveryRow {
  readonly planned: PlannedDelivery
  readonly createdAt: number
  state: DeliveryState
  dueAt: number | null
  claimedBy: string | null
  readonly attempts: Attempt[]
  /** How often it has ended; more than once is a violation. */
  endings: number
}

/** One life of a process, as the database sees it. */
export interface Client {
  readonly node: string
  isAlive: boolean
}

export interface Faults {
  /** Chance that a call fails before it did anything, and that its answer is lost although it commits. */
  readonly before: number
  readonly lost: number
  /** Chance that a call takes seconds. */
  readonly slow: number
  /** Whole spans in which every call fails. */
  readonly outages: readonly { from: number; until: number }[]
}

/** A late commit comes at most this long after its call has failed, ms. */
const LATE_COMMIT_MS_MAX = 500

/** The tables, and calls on them that take time and fail. What is committed survives every process. */
export class Database {
  readonly webhooks = new Map<string, Webhook>()
  readonly events: { event: EventDraft; saidAt: number; expected: string[] }[] = []
  readonly deliveries = new Map<string, DeliveryRow>()
  readonly beats = new Map<string, number>()
  /** Changes with every change of a webhook. */
  version = 0
  faults: Faults = { before: 0, lost: 0, slow: 0, outages: [] }
  /** True: claims of all but the asking node are free to take; false: only those of silent nodes. */
  readonly isSingleProcess: boolean
  readonly #time: FakeTime
  readonly #dice: Random

  constructor(time: FakeTime, dice: Random, isSingleProcess: boolean) {
    this.#time = time
    this.#dice = dice
    this.isSingleProcess = isSingleProcess
  }

  setWebhook(webhook: Webhook): void {
    this.version++
    const before = this.webhooks.get(webhook.id)
    this.webhooks.set(webhook.id, webhook)
    if (before === undefined || before.state === 'active' || webhook.state !== 'active') return
    for (const row of this.deliveries.values())
      if (row.planned.webhookId === webhook.id && row.state === 'waiting') row.dueAt ??= this.#time.now
  }

  /** Runs `commit` at some moment of the call. A dead client hears nothing; what it had asked may still happen. */
  call<T>(client: Client, commit: () => T): Promise<T> {
    const { before, lost, slow, outages } = this.faults
    const takesMs = this.#dice.chance(slow) ? this.#dice.between(200, 4000) : this.#dice.between(0, 4)
    const answersAt = this.#time.now + takesMs
    const isOut = outages.some(({ from, until }) => answersAt >= from && answersAt < until)
    const fate = isOut || this.#dice.chance(before) ? 'before' : this.#dice.chance(lost) ? 'lost' : 'fine'
    const commitsDead = this.#dice.chance(0.5)
    return new Promise((resolve, reject) => {
      const tryCommit = (done: (value: T) => void, failed: (error: unknown) => void) => {
        if (!client.isAlive && !commitsDead) return
        try {
          done(commit())
        } catch (error) {
          failed(error)
        }
      }
      const answer = (give: () => void) => client.isAlive && give()
      if (fate === 'fine')
        this.#time.after(takesMs / 2, () => {
          const rest = takesMs - takesMs / 2
          tryCommit(
            (value) => this.#time.after(rest, () => answer(() => resolve(value))),
            (error) => this.#time.after(rest, () => answer(() => reject(error))),
          )
        })
      else this.#time.after(takesMs, () => answer(() => reject(new Error(`the database failed (${fate})`))))
      if (fate === 'lost')
        this.#time.after(takesMs + this.#dice.between(-1, LATE_COMMIT_MS_MAX), () =>
          tryCommit(
            () => {},
            () => {},
          ),
        )
    })
  }

  /** The port of the engine for one client. `saw` hears what a read of webhooks returned, when it is answered. */
  portFor(client: Client, saw: (webhookIds: readonly string[], webhooks: readonly Webhook[]) => void): DeliveryStore {
    const call = <T>(commit: () => T) => this.call(client, commit)
    const rows = () => [...this.deliveries.values()]
    return {
      beat: ({ id }, at) => call(() => void this.beats.set(id, Math.max(this.beats.get(id) ?? 0, at))),
      freeClaims: (node, now, silentMs) =>
        call(() => {
          const isGone = (owner: string) =>
            owner !== node && (this.isSingleProcess || (this.beats.get(owner) ?? 0) < now - silentMs)
          const gone = rows().filter((row) => row.claimedBy !== null && isGone(row.claimedBy))
          for (const row of gone) row.claimedBy = null
          return gone.length
        }),
      dueWebhooks: (now, limit) =>
        call(() => {
          const waiting = rows()
            .filter((row) => this.#isWaitingFree(row))
            .sort((a, b) => a.dueAt! - b.dueAt!)
          const due = waiting.filter((row) => row.dueAt! <= now).map((row) => row.planned.webhookId)
          return { webhookIds: [...new Set(due)].slice(0, limit), nextDueAt: waiting[0]?.dueAt ?? null }
        }),
      claim: (node, wants, now) => call(() => wants.flatMap(({ webhookId, room }) => this.#claim(node, webhookId, room, now))),
      unclaim: (node, ids) =>
        call(() => {
          for (const id of ids) {
            const row = this.deliveries.get(id)
            if (row?.claimedBy === node) row.claimedBy = null
          }
        }),
      unclaimAllBut: (node, kept) =>
        call(() => {
          const lost = rows().filter((row) => row.claimedBy === node && !kept.includes(row.planned.id))
          for (const row of lost) row.claimedBy = null
          return lost.length
        }),
      settle: (settlements) => call(() => settlements.map((settlement) => this.#settle(settlement))),
      targets: async (ids) => {
        const found = await call(() => ids.flatMap((id) => this.webhooks.get(id) ?? []))
        saw(ids, found)
        return found
      },
      cancelOrphans: (limit) =>
        call(() => {
          const isOrphan = (row: DeliveryRow) =>
            row.state === 'waiting' && row.claimedBy === null && !this.webhooks.has(row.planned.webhookId)
          const orphans = rows().filter(isOrphan).slice(0, limit)
          for (const row of orphans) end(row, 'cancelled')
          return orphans.length
        }),
    }
  }

  /** The unit of work that records an event: refused if the webhooks have changed since it was planned. */
  record(
    client: Client,
    event: EventDraft,
    planned: readonly PlannedDelivery[],
    claimed: ReadonlySet<string>,
    expected: string[],
  ): Promise<void> {
    const version = this.version
    return this.call(client, () => {
      if (version !== this.version) throw new Error('the webhooks have changed')
      const now = this.#time.now
      this.events.push({ event, saidAt: now, expected })
      for (const one of planned) {
        const claimedBy = claimed.has(one.id) ? client.node : null
        this.deliveries.set(one.id, {
          ...{ planned: one, createdAt: now, state: 'waiting', dueAt: now, claimedBy, attempts: [], endings: 0 },
        })
      }
    })
  }

  #isWaitingFree(row: DeliveryRow): boolean {
    const isActive = this.webhooks.get(row.planned.webhookId)?.state === 'active'
    return isActive && row.state === 'waiting' && row.claimedBy === null && row.dueAt !== null
  }

  #claim(node: string, webhookId: string, room: number, now: number): ClaimedDelivery[] {
    const due = [...this.deliveries.values()]
      .filter((row) => row.planned.webhookId === webhookId && this.#isWaitingFree(row) && row.dueAt! <= now)
      .sort((a, b) => a.dueAt! - b.dueAt!)
      .slice(0, room)
    for (const row of due) row.claimedBy = node
    return due.map((row) => ({ ...row.planned, attempts: row.attempts.length, createdAt: row.createdAt }))
  }

  #settle({ deliveryId, webhookId, node, attempt, outcome }: Settlement): SettleResult {
    const row = this.deliveries.get(deliveryId)
    const isOurs =
      row?.claimedBy === node && row.state === 'waiting' && (attempt === null || row.attempts.length === attempt.number - 1)
    if (isOurs) {
      if (attempt !== null) row.attempts.push(attempt)
      row.claimedBy = null
      if (outcome.state === 'waiting') row.dueAt = outcome.dueAt
      else end(row, outcome.state)
      if (outcome.state === 'failed' && outcome.webhookFails) this.#failWebhook(webhookId, outcome.reason)
    }
    return { written: isOurs, webhookState: this.webhooks.get(webhookId)?.state ?? 'removed' }
  }

  #failWebhook(id: string, failedReason: string): void {
    const webhook = this.webhooks.get(id)
    if (webhook?.state === 'active') this.setWebhook({ ...webhook, state: 'failed', failedReason })
  }
}

function end(row: DeliveryRow, state: DeliveryState): void {
  row.state = state
  row.dueAt = null
  row.claimedBy = null
  row.endings++
}
