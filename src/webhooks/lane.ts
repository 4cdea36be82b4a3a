import type { Seal } from '../base/seal.ts'
import { SECOND_MS } from '../base/units.ts'
import { OpenedSecrets, type Secrets } from './opened-secrets.ts'
import { Pace } from './pace.ts'
import type { ClaimedDelivery, Webhook, WebhookOptions } from './webhook.ts'

/** Deliveries that a lane may hold (buffered, being posted, being settled) while its receiver answers quickly. */
export const LANE_BUFFER_MAX = 512
/** The same for a lane that has shown nothing yet, and for one whose receiver is slow, as a multiple of its posts at once. */
const HELD_PER_POST = 2
/** An answer within this time is quick, ms: a full lane at 16 posts at once then empties within half a minute. */
const QUICK_ANSWER_MS = SECOND_MS

const NONE: readonly string[] = []

/** What a lane may hold that has shown nothing yet. */
export function firstWindow(width: number): number {
  return HELD_PER_POST * width
}

/** A delivery in a lane. */
export interface Held {
  readonly delivery: ClaimedDelivery
  /** For one born claimed: its commit. Nothing is settled before it. */
  readonly written: Promise<void> | null
}

/**
 * The deliveries of one webhook that this node holds, oldest first.
 *
 * Two widths follow how the receiver behaves. `width`, posts at once, halves with each timeout and grows by one with
 * anything else; `window`, deliveries held, halves with each slow answer and grows by one with a quick one. So a
 * hundred receivers that hang hold a few hundred deliveries and sockets, not tens of thousands. A receiver that asks for
 * fewer requests gets one at a time, and nothing beyond that is held. When the next may start is the matter of `pace`.
 */
export class Lane {
  readonly webhookId: string
  readonly pace: Pace
  readonly #widthDefault: number
  #widthMax: number
  readonly #buffered: Held[] = []
  /** Buffered that a replay has planned: nearly always none, so that nobody need look for them. */
  #ofReplays = 0
  /** Being posted, kept so that a stopping node can put them back. */
  readonly posting = new Set<Held>()
  /** Posted, their outcome on its way into the store, with the time (monotonic, ms) since when. */
  readonly settling = new Map<Held, number>()
  /** Asked of the store by a claim under way. */
  reserved = 0
  width: number
  #window: number
  /** Whether it waits for its pace; somebody will look at it again. */
  isWaiting = false
  /** Whether the store may have more due for this webhook than this lane holds. */
  mayHaveMore = false
  /** Failures of our own in a row. */
  ownFailures = 0
  readonly #opened = new OpenedSecrets()

  constructor(webhookId: string, widthDefault: number, pace = new Pace()) {
    this.webhookId = webhookId
    this.pace = pace
    this.#widthDefault = widthDefault
    this.#widthMax = widthDefault
    this.width = pace.isThrottled ? 1 : widthDefault
    this.#window = firstWindow(this.width)
  }

  get window(): number {
    return Math.min(this.#window, this.pace.heldMax)
  }

  get held(): number {
    return this.#buffered.length + this.posting.size + this.settling.size
  }

  get buffered(): number {
    return this.#buffered.length
  }

  get canStart(): boolean {
    return this.#buffered.length > 0 && this.posting.size < this.width
  }

  get isEmpty(): boolean {
    return this.held === 0 && this.reserved === 0 && !this.mayHaveMore
  }

  /** The replays of what it can start now. */
  get replaysNext(): readonly string[] {
    if (this.#ofReplays === 0) return NONE
    const next = this.#buffered.slice(0, this.width - this.posting.size)
    return next.flatMap(({ delivery }) => delivery.replayId ?? [])
  }

  /** The one to start next. */
  get next(): Held | undefined {
    return this.#buffered[0]
  }

  add(held: Held): void {
    this.#buffered.push(held)
    if (held.delivery.replayId !== null) this.#ofReplays++
  }

  start(): Held {
    const held = this.#buffered.shift()!
    this.posting.add(held)
    if (held.delivery.replayId !== null) this.#ofReplays--
    return held
  }

  /** Takes out what is buffered beyond the first `keep`. */
  giveBack(keep: number): Held[] {
    const given = this.#buffered.splice(Math.max(keep, 0))
    for (const { delivery } of given) if (delivery.replayId !== null) this.#ofReplays--
    return given
  }

  everything(): Held[] {
    return [...this.#buffered, ...this.posting, ...this.settling.keys()]
  }

  /** Takes on what its webhook says now; returns what it may no longer hold. */
  shape({ concurrency, rate }: WebhookOptions): Held[] {
    const widthMax = concurrency ?? this.#widthDefault
    const wasWide = this.width >= this.#widthMax
    this.#widthMax = widthMax
    this.width = wasWide ? widthMax : Math.min(this.width, widthMax)
    this.pace.limit(rate)
    return this.#excess()
  }

  /** Learns from an attempt; returns what no longer fits into the window. */
  learn(tookMs: number, isAnswered: boolean): Held[] {
    const isQuick = tookMs <= QUICK_ANSWER_MS
    this.width = isQuick || isAnswered ? Math.min(this.#widthMax, this.width + 1) : Math.max(1, this.width >> 1)
    this.#window = isQuick ? Math.min(LANE_BUFFER_MAX, this.#window + 1) : Math.max(HELD_PER_POST * this.width, this.#window >> 1)
    return isQuick ? [] : this.#excess()
  }

  /** Its receiver asks for fewer requests. */
  narrow(): Held[] {
    this.width = 1
    this.#window = HELD_PER_POST
    return this.#excess()
  }

  #excess(): Held[] {
    return this.giveBack(this.window - this.posting.size - this.settling.size)
  }

  /** The secrets of the webhook as it is now; opening is skipped only while the sealed texts are the same. */
  secretsOf(webhook: Webhook, seal: Pick<Seal, 'open'>, now: number): Secrets {
    return this.#opened.of(webhook, seal, now)
  }
}
