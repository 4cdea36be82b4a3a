import type { Clock } from '../base/clock.ts'
import { codeOf } from '../base/error.ts'
import type { Log } from '../base/log.ts'
import type { Seal } from '../base/seal.ts'
import { SECOND_MS } from '../base/units.ts'
import { dialectOf } from '../dialects/index.ts'
import { AccessTokens } from './access-token.ts'
import { type AttemptTools, attempt, ownFailure } from './attempt.ts'
import { Beat } from './beat.ts'
import { Births } from './births.ts'
import { Claims } from './claim.ts'
import { expired, expiresAt, withdrawn } from './expiry.ts'
import type { Held, Lane } from './lane.ts'
import { Lanes } from './lanes.ts'
import type { BirthRoom, Births as Born, DeliveryStore, Settlement, SettleResult } from './port.ts'
import { PutBack } from './put-back.ts'
import type { Post } from './send.ts'
import { throttledMs } from './settle.ts'
import { Settling } from './settling.ts'
import { Starts } from './starts.ts'
import type { Attempt, ClaimedDelivery, PlannedDelivery, Webhook } from './webhook.ts'

/**
 * Delivers. Deliveries come in two ways: from whoever plans them, `offer`ed or claimed in that `record` (the usual one, without a query),
 * or claimed from the store later. Each webhook has a lane of its own, so that one that hangs, fails or has a million
 * deliveries due costs the others nothing.
 *
 * It may assume that the store keeps the promises of its port and fails now and then, before or after a commit. It
 * promises that every due delivery of an active webhook is attempted, at least once and in turn, that each outcome is
 * written if the claim is still this node's, and that no attempt starts while this node may be taken for dead, against
 * the pace of its webhook, or after the delivery has expired. The store hands out of each order only the first; a
 * later one is never offered, but claimed when it is its turn. The engine keeps nothing but the paces that is not in
 * the store: after a crash the next one on the same store goes on.
 */
export interface Engine {
  start(): void
  /** No new attempts; those under way have until the deadline to end and be written; the rest is put back for others. */
  stop(deadlineMs?: number): Promise<void>
  /**
   * Born claimed: takes the deliveries that are in no order and whose lanes have room, and starts them at once. Returns
   * their ids, which the caller writes as claimed by this node; nothing is settled before `written`. If that rejects, the database decides.
   */
  offer(deliveries: readonly PlannedDelivery[], written: Promise<void>): string[]
  /**
   * Born claimed where the store plans so many events: `write` is told what the lanes have room for (null: nothing) and answers what
   * was claimed, which starts at once. Rejects with what `write` rejects.
   */
  record(events: number, write: (room: BirthRoom | null) => Promise<Born>): Promise<void>
  /** There may be something due, for these webhooks or anywhere. A nudge that gets lost costs up to a second. */
  nudge(webhookIds?: readonly string[]): void
  /** For how long this node leaves the receiver of this webhook alone, because it asked for that, ms; 0: it does not. */
  pauseLeftMs(webhookId: string): number
  stats(): EngineStats
}

export interface EngineOptions {
  readonly store: DeliveryStore
  readonly post: Post
  readonly seal: Pick<Seal, 'open'>
  readonly clock: Clock
  /** Id of this life of this process. */
  readonly node: string
  readonly log: Log
  readonly limits?: EngineLimits
}

export interface EngineLimits {
  /** Posts at once to one webhook that does not say how many. */
  readonly laneConcurrency?: number
}

export interface EngineStats {
  readonly lanes: number
  readonly buffered: number
  readonly posting: number
  /** Posted, outcome not yet written. */
  readonly settling: number
  /** Age of the last committed beat, ms; beyond 10 s no attempt starts. */
  readonly beatAgeMs: number
  /** Since the start, by outcome. */
  readonly delivered: number
  readonly retried: number
  readonly failed: number
  /** Failures of our own, which are no attempts. */
  readonly ownFailures: number
  /** Outcomes that came after the claim was lost. */
  readonly claimsLost: number
}

export const LANE_CONCURRENCY_DEFAULT = 16
const STOP_DEADLINE_MS = 10 * SECOND_MS
/** A lane that waits for its pace is looked at this often, ms: its webhook may have another rate by then, or be off. */
const PACE_LOOK_MS = SECOND_MS

export function createEngine(options: EngineOptions): Engine {
  return new DeliveryEngine(options)
}

interface Tag {
  readonly lane: Lane
  readonly held: Held
}

/** new → running (start) → stopping (stop) → stopped (all written, or the deadline passed). */
class DeliveryEngine implements Engine {
  readonly #options: EngineOptions
  readonly #tools: AttemptTools
  readonly #lanes: Lanes
  readonly #claims: Claims
  readonly #births: Births
  readonly #beat: Beat
  readonly #starts: Starts
  readonly #settling: Settling<Tag>
  readonly #putBack: PutBack
  #state: 'new' | 'running' | 'stopping' | 'stopped' = 'new'
  /** While stopping: called whenever something ends. */
  #progress: () => void = () => {}
  readonly #count = { delivered: 0, waiting: 0, failed: 0, cancelled: 0, own: 0, lost: 0 }

  constructor(options: EngineOptions) {
    const { store, clock, log, node, limits } = options
    this.#options = options
    this.#tools = { post: options.post, tokens: new AccessTokens(options.post, clock), clock, node }
    this.#lanes = new Lanes(limits?.laneConcurrency ?? LANE_CONCURRENCY_DEFAULT, clock)
    this.#starts = new Starts({
      ...{ store, clock, log },
      mayWork: () => this.#mayWork(),
      start: (lane, webhook, cancelled) => this.#startAll(lane, webhook, cancelled),
    })
    this.#settling = new Settling({
      store,
      clock,
      log,
      settled: (tag, settlement, result) => this.#settled(tag, settlement, result),
    })
    this.#claims = new Claims({
      ...{ store, clock, log, node, lanes: this.#lanes },
      mayWork: () => this.#mayWork(),
      isBearing: () => this.#births.isUnderWay,
      arrived: (lane, deliveries) => this.#take(lane, deliveries.map(inTheStore)),
    })
    this.#births = new Births({
      ...{ node, lanes: this.#lanes },
      mayClaim: () => this.#mayWork() && !this.#claims.isInDoubt,
      arrived: (deliveries) => this.#born(deliveries),
      doubt: () => this.#claims.doubt(),
      idle: () => {
        this.#claims.wake()
        this.#progress()
      },
    })
    this.#putBack = new PutBack({
      ...{ store, clock, log, node },
      failed: () => this.#claims.doubt(),
      progress: () => this.#progress(),
    })
    this.#beat = new Beat({
      ...{ store, clock, log, node },
      beaten: (wasTakenForDead) => this.#beaten(wasTakenForDead),
      freed: () => this.#claims.sweepBy(0),
    })
  }

  start(): void {
    if (this.#state !== 'new') return
    this.#state = 'running'
    this.#beat.start()
    this.#claims.sweepBy(0)
  }

  offer(deliveries: readonly PlannedDelivery[], written: Promise<void>): string[] {
    if (!this.#mayWork() || this.#claims.isInDoubt) return []
    // Whoever waits for it later sees the rejection; until then it must not count as unhandled.
    written.catch(() => {})
    const taken: string[] = []
    const refused: string[] = []
    for (const delivery of deliveries) {
      // Whether one in an order is the first of it, only the store knows.
      const lane = delivery.orderKey === null ? this.#lanes.open(delivery.webhookId) : undefined
      if (lane !== undefined && this.#lanes.roomOf(lane) > 0) {
        this.#take(lane, [{ delivery: { ...delivery, attempts: 0, createdAt: this.#options.clock.now() }, written }])
        taken.push(delivery.id)
      } else refused.push(delivery.webhookId)
    }
    if (refused.length > 0) written.then(() => this.nudge(refused)).catch(() => {})
    return taken
  }

  record(events: number, write: (room: BirthRoom | null) => Promise<Born>): Promise<void> {
    return this.#births.record(events, write)
  }

  nudge(webhookIds?: readonly string[]): void {
    if (this.#state !== 'running') return
    if (webhookIds === undefined) this.#claims.sweepBy(0)
    else this.#claims.nudge(webhookIds)
  }

  pauseLeftMs(webhookId: string): number {
    return this.#lanes.paceOf(webhookId)?.pauseLeftMs(this.#options.clock.monotonic()) ?? 0
  }

  async stop(deadlineMs = STOP_DEADLINE_MS): Promise<void> {
    if (this.#state === 'new') this.#state = 'stopped'
    if (this.#state !== 'running') return
    this.#state = 'stopping'
    this.#claims.stop()
    for (const lane of this.#lanes) this.#empty(lane)
    await this.#atRest(deadlineMs)
    this.#state = 'stopped'
    this.#settling.stop()
    this.#beat.stop()
    await this.#putBack.all()
  }

  stats(): EngineStats {
    const sum = { buffered: 0, posting: 0, settling: 0 }
    for (const lane of this.#lanes) {
      sum.buffered += lane.buffered
      sum.posting += lane.posting.size
      sum.settling += lane.settling.size
    }
    const { delivered, waiting: retried, failed, own: ownFailures, lost: claimsLost } = this.#count
    return { lanes: this.#lanes.size, ...sum, beatAgeMs: this.#beat.ageMs, delivered, retried, failed, ownFailures, claimsLost }
  }

  #mayWork(): boolean {
    return this.#state === 'running' && this.#beat.isFresh()
  }

  #beaten(wasTakenForDead: boolean): void {
    if (wasTakenForDead) for (const lane of this.#lanes) this.#empty(lane)
    for (const lane of this.#lanes) this.#starts.want(lane)
    this.#lanes.forgetPaces()
    this.#claims.wake()
  }

  #born(deliveries: readonly ClaimedDelivery[]): void {
    for (const [webhookId, own] of Map.groupBy(deliveries, (delivery) => delivery.webhookId)) {
      const lane = this.#lanes.open(webhookId)
      if (lane !== undefined) this.#take(lane, own.map(inTheStore))
      else for (const { id } of own) this.#putBack.add(id)
    }
  }

  #take(lane: Lane, held: readonly Held[]): void {
    for (const one of held) this.#lanes.add(lane, one)
    this.#lanes.changed(lane)
    if (this.#state === 'running') this.#starts.want(lane)
    else this.#empty(lane)
  }

  #startAll(lane: Lane, webhook: Webhook | undefined, cancelled: ReadonlySet<string>): void {
    if (webhook?.state !== 'active') this.#turnOff(lane)
    else {
      this.#giveBack(lane, lane.shape(webhook.options))
      lane.pace.changed(webhook.updatedAt)
      let isFree = true
      while (isFree && lane.canStart && this.#mayWork()) isFree = this.#startNext(lane, webhook, cancelled)
    }
  }

  /** False: its pace allows nothing now; the lane is looked at again when it does, or sooner: its webhook may change meanwhile. */
  #startNext(lane: Lane, webhook: Webhook, cancelled: ReadonlySet<string>): boolean {
    const { clock, node } = this.#options
    const { delivery } = lane.next!
    // What is not posted waits for no pace.
    const unsent = cancelled.has(delivery.replayId ?? '')
      ? withdrawn(delivery, node, clock.now())
      : this.#expired(delivery, webhook)
    if (unsent !== undefined) {
      void this.#ended(lane, lane.start(), unsent)
      return true
    }
    const waitMs = lane.pace.waitMs(clock.monotonic())
    if (waitMs === 0) {
      lane.pace.started(clock.monotonic())
      void this.#attempt(lane, lane.start(), webhook)
      return true
    }
    lane.isWaiting = true
    clock.after(Math.min(waitMs, PACE_LOOK_MS), () => {
      lane.isWaiting = false
      this.#starts.want(lane)
    })
    return false
  }

  #expired(delivery: ClaimedDelivery, webhook: Webhook): Settlement | undefined {
    const now = this.#options.clock.now()
    return now >= expiresAt(delivery, webhook) ? expired(delivery, webhook, this.#options.node, now) : undefined
  }

  async #attempt(lane: Lane, held: Held, webhook: Webhook): Promise<void> {
    const beganAt = this.#options.clock.monotonic()
    const settlement = await this.#post(lane, held, webhook)
    // Too late: this node has put everything back.
    if (this.#state === 'stopped') return
    if (settlement === undefined) {
      lane.posting.delete(held)
      return this.#left(lane, [held])
    }
    if (settlement.attempt !== null) this.#learn(lane, held, settlement.attempt, beganAt)
    await this.#ended(lane, held, settlement)
  }

  /** An outcome is known and on its way into the store; it leaves its lane when it is there. */
  async #ended(lane: Lane, held: Held, settlement: Settlement): Promise<void> {
    lane.posting.delete(held)
    lane.settling.set(held, this.#options.clock.monotonic())
    this.#starts.want(lane)
    if (held.written !== null && !(await isFulfilled(held.written))) {
      lane.settling.delete(held)
      return this.#left(lane, [held])
    }
    this.#settling.add(settlement, { lane, held })
  }

  /** Undefined: cut by us because this process stops. */
  async #post(lane: Lane, { delivery }: Held, webhook: Webhook): Promise<Settlement | undefined> {
    const { seal, node, clock, log } = this.#options
    try {
      const settlement = await attempt(delivery, webhook, lane.secretsOf(webhook, seal, clock.now()), this.#tools)
      lane.ownFailures = 0
      return settlement
    } catch (error) {
      if (codeOf(error) === 'stopping') return undefined
      this.#count.own++
      log.error({ err: error, webhookId: webhook.id, deliveryId: delivery.id }, 'an attempt could not be made')
      return ownFailure(delivery, ++lane.ownFailures, node, clock.now())
    }
  }

  #learn(lane: Lane, { delivery }: Held, attempt: Attempt, beganAt: number): void {
    const { clock } = this.#options
    const askedMs = throttledMs(dialectOf(delivery.dialect).retry, attempt, clock.now())
    if (askedMs !== null) {
      lane.pace.throttled(beganAt, clock.monotonic(), askedMs)
      this.#giveBack(lane, lane.narrow())
    } else if (lane.pace.unthrottled(beganAt)) this.#giveBack(lane, lane.learn(attempt.durationMs, attempt.statusCode !== null))
  }

  #giveBack(lane: Lane, excess: readonly Held[]): void {
    if (excess.length === 0) return
    lane.mayHaveMore = true
    this.#left(lane, excess)
  }

  #settled({ lane, held }: Tag, { outcome, attempt }: Settlement, { written, webhookState }: SettleResult): void {
    if (!written) {
      // Somebody else has it, or this node once more under a claim whose answer was lost.
      this.#count.lost++
      this.#claims.doubt()
    } else if (attempt !== null || outcome.state !== 'waiting') this.#count[outcome.state]++
    if (outcome.state === 'waiting') this.#claims.sweepBy(outcome.dueAt)
    // Now it is the turn of the one behind it.
    else if (held.delivery.orderKey !== null) lane.mayHaveMore = true
    if (written && outcome.state === 'failed' && outcome.webhookFails) {
      const { webhookId, id: deliveryId } = held.delivery
      this.#options.log.warn(
        { webhookId, deliveryId, reason: outcome.reason },
        'a webhook was turned off; set it active again by hand',
      )
    }
    lane.settling.delete(held)
    this.#lanes.changed(lane, 1)
    if (webhookState !== 'active') this.#turnOff(lane)
    this.#claims.wake()
    this.#progress()
  }

  /** The webhook takes nothing more. Whoever turns it on again nudges. */
  #turnOff(lane: Lane): void {
    lane.mayHaveMore = false
    this.#left(lane, lane.giveBack(0))
  }

  /** Puts back what has not been started. */
  #empty(lane: Lane): void {
    lane.mayHaveMore = this.#state === 'running'
    this.#left(lane, lane.giveBack(0))
  }

  /** These have left their lane without an outcome; others may have them. */
  #left(lane: Lane, held: readonly Held[]): void {
    for (const { delivery, written } of held) {
      if (written === null) this.#putBack.add(delivery.id)
      // Before its commit there is nothing to put back; and one that failed may yet come through.
      else void isFulfilled(written).then((isWritten) => (isWritten ? this.#putBack.add(delivery.id) : this.#claims.doubt()))
    }
    this.#lanes.changed(lane, held.length)
    this.#progress()
  }

  /** Resolves when nothing is held, claimed or put back any more, or after the deadline. */
  #atRest(deadlineMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        cancel()
        this.#progress = () => {}
        resolve()
      }
      const cancel = this.#options.clock.after(deadlineMs, end)
      this.#progress = () => {
        if (this.#lanes.used === 0 && this.#putBack.isDone) end()
      }
      this.#progress()
    })
  }
}

/** Its claim is committed. */
function inTheStore(delivery: ClaimedDelivery): Held {
  return { delivery, written: null }
}

function isFulfilled(promise: Promise<void>): Promise<boolean> {
  return promise.then(
    () => true,
    () => false,
  )
}
