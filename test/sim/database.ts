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
  /** Another of its order comes first. */
  isBlocked: boolean
  readonly attempts: Attempt[]
  /** When and why it ended. */
  endedAt: number | null
  reason: string | null
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
  /** In the order of their commits. */
  readonly deliveries = new Map<string, DeliveryRow>()
  /** What was ever in one order, by webhook and key, first come first. */
  readonly orders = new Map<string, DeliveryRow[]>()
  readonly beats = new Map<string, number>()
  readonly cancelledReplays = new Set<string>()
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
          const gone = rows().filter((row) => row.claimedBy !== null && this.isGone(node, row.claimedBy, now - silentMs))
          for (const row of gone) row.claimedBy = null
          return gone.length
        }),
      dueWebhooks: (now, limit) =>
        call(() => {
          const waiting = rows()
            .filter((row) => this.#isWaitingFree(row))
            .sort((a, b) => a.dueAt! - b.dueAt!)
          const due = waiting.filter((row) => row.dueAt! <= now).map((row) => row.planned.webhookId)
          const nextDueAt = waiting.find((row) => row.dueAt! > now)?.dueAt ?? null
          return { webhookIds: [...new Set(due)].slice(0, limit), nextDueAt }
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
      cancelledReplays: (ids) => call(() => ids.filter((id) => this.cancelledReplays.has(id))),
      cancelOrphans: (limit) =>
        call(() => {
          const isOrphan = (row: DeliveryRow) =>
            row.state === 'waiting' && row.claimedBy === null && !this.webhooks.has(row.planned.webhookId)
          const orphans = rows().filter(isOrphan).slice(0, limit)
          for (const row of orphans) this.end(row, 'cancelled', 'the webhook was removed')
          return orphans.length
        }),
    }
  }

  /** The unit of work that records an event: refused if the webhooks have changed since it was planned. Answers what was claimed in it. */
  record(
    client: Client,
    event: EventDraft,
    planned: readonly PlannedDelivery[],
    claimantOf: (delivery: PlannedDelivery) => string | null,
    expected: string[],
  ): Promise<ClaimedDelivery[]> {
    const version = this.version
    return this.call(client, () => {
      if (version !== this.version) throw new Error('the webhooks have changed')
      const now = this.#time.now
      this.events.push({ event, saidAt: now, expected })
      const claimed: ClaimedDelivery[] = []
      for (const one of planned) {
        const claimant = claimantOf(one)
        this.insert(one, now, claimant)
        if (claimant !== null) claimed.push({ ...one, attempts: 0, createdAt: now })
      }
      return claimed
    })
  }

  /** It replaces what waits with its collapse key and nobody has in hand, and stands behind all that wait with its order key. */
  insert(planned: PlannedDelivery, createdAt: number, claimedBy: string | null = null): void {
    const { id, webhookId, orderKey } = planned
    const row: DeliveryRow = {
      ...{ planned, createdAt, state: 'waiting', dueAt: createdAt, claimedBy, isBlocked: false },
      ...{ attempts: [], endedAt: null, reason: null, endings: 0 },
    }
    const waiting = this.waitingWith(planned.webhookId, planned.collapseKey)
    for (const stale of waiting) if (stale.claimedBy === null) this.end(stale, 'cancelled', `superseded by ${id}`)
    this.deliveries.set(id, row)
    if (orderKey === null) return
    const order = this.orderOf(webhookId, orderKey)
    row.isBlocked = order.some((one) => one.state === 'waiting')
    if (row.isBlocked) row.claimedBy = null
    order.push(row)
  }

  orderOf(webhookId: string, orderKey: string): DeliveryRow[] {
    const name = `${webhookId} ${orderKey}`
    const known = this.orders.get(name) ?? []
    this.orders.set(name, known)
    return known
  }

  waitingWith(webhookId: string, collapseKey: string | null): DeliveryRow[] {
    if (collapseKey === null) return []
    const rows = [...this.deliveries.values()].filter(({ planned }) => planned.webhookId === webhookId)
    return rows.filter((row) => row.planned.collapseKey === collapseKey && row.state === 'waiting')
  }

  /** The next of its order may go. */
  end(row: DeliveryRow, state: DeliveryState, reason: string | null): void {
    Object.assign(row, { state, reason, endedAt: this.#time.now, dueAt: null, claimedBy: null, isBlocked: false })
    row.endings++
    const { webhookId, orderKey } = row.planned
    if (orderKey === null) return
    const next = this.orderOf(webhookId, orderKey).find((one) => one.state === 'waiting')
    if (next !== undefined) next.isBlocked = false
  }

  isGone(node: string, owner: string, silentSince: number): boolean {
    return owner !== node && (this.isSingleProcess || (this.beats.get(owner) ?? 0) < silentSince)
  }

  #isWaitingFree(row: DeliveryRow): boolean {
    const isActive = this.webhooks.get(row.planned.webhookId)?.state === 'active'
    return isActive && row.state === 'waiting' && row.claimedBy === null && row.dueAt !== null && !row.isBlocked
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
      if (outcome.state !== 'waiting') this.end(row, outcome.state, 'reason' in outcome ? outcome.reason : null)
      else if (this.#isStale(row)) this.end(row, 'cancelled', 'superseded while it was in hand')
      else row.dueAt = outcome.dueAt
      if (outcome.state === 'failed' && outcome.webhookFails) this.#failWebhook(webhookId, outcome.reason)
    }
    return { written: isOurs, webhookState: this.webhooks.get(webhookId)?.state ?? 'removed' }
  }

  /** A newer one waits that says the same better; a retry would only hold it up. */
  #isStale(row: DeliveryRow): boolean {
    return this.waitingWith(row.planned.webhookId, row.planned.collapseKey).some((one) => one !== row && one.isBlocked)
  }

  #failWebhook(id: string, failedReason: string): void {
    const webhook = this.webhooks.get(id)
    if (webhook?.state === 'active') this.setWebhook({ ...webhook, state: 'failed', failedReason })
  }
}
