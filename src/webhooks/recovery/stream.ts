import type { Clock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import { SECOND_MS } from '../../base/units.ts'
import type { RecordedEvent } from '../../events/event.ts'
import type { EventStore, SaidEvents } from '../../events/port.ts'

/** Live streams of one node at the same time. */
export const STREAMS_MAX = 100
/** Of these, those of one account: none can take them all. */
export const STREAMS_OF_ACCOUNT_MAX = 10
/** A stream that has nothing to tell says so this often, ms: proxies end connections that are silent for long. */
export const HEARTBEAT_MS = 15 * SECOND_MS
/** How often is looked for events that another node said, ms. */
const SWEEP_MS = SECOND_MS
/** After a nudge, ms: what is said at the same time is read at once. */
const GATHER_MS = 20
/** Events read at once: all that a stream holds in memory. */
const STRETCH_EVENTS = 100
/** Stretches that streams share. */
const STRETCHES_KEPT = 16
/** Samples shown live that one stream has not taken yet; more are not shown to it. */
const SAMPLES_MAX = 100

export interface StreamItem {
  readonly event: RecordedEvent
  /** What follows it. */
  readonly cursor: string
}

export type StreamStep =
  | { readonly kind: 'events'; readonly items: readonly StreamItem[] }
  /** Once, where it began from a cursor: all that was said before was told, from here on it is live. */
  | { readonly kind: 'live'; readonly cursor: string }
  /** Nothing for a while; the cursor may have moved on over events that were not asked for. */
  | { readonly kind: 'idle'; readonly cursor: string }
  | { readonly kind: 'ended'; readonly cursor: string; readonly reason: string }

export interface StreamRequest {
  /** The account that asks; null: an administrator. */
  readonly owner: string | null
  /** A cursor to go on from; null: what is said from now on. */
  readonly after: string | null
  readonly chooses: (event: RecordedEvent) => boolean
}

export interface EventStream {
  readonly cursor: string
  /** The next events that it asked for. One call at a time: who is slow to call is slow to get, and costs nobody anything. */
  next(): Promise<StreamStep>
  close(): void
}

export interface EventStreamsParts {
  readonly store: Pick<EventStore, 'eventsAfter' | 'eventsEnd'>
  readonly clock: Pick<Clock, 'after' | 'monotonic'>
}

/**
 * Tells live what is said. Every stream goes from cursor to cursor by itself, so that none misses or holds up anything; those that stand
 * at the same place, as all do that keep up, share one reading of the store. Nudged when this node says something; it looks by itself
 * for what others say.
 */
export class EventStreams {
  readonly #parts: EventStreamsParts
  readonly #streams = new Set<Live>()
  readonly #stretches = new Map<string, Promise<SaidEvents>>()
  /** Grows whenever there may be something new. */
  #generation = 0
  #isStopped = false
  #isGathering = false
  #cancelSweep = () => {}

  constructor(parts: EventStreamsParts) {
    this.#parts = parts
  }

  /** Something was said on this node. */
  said(): void {
    if (this.#isGathering || this.#streams.size === 0) return
    this.#isGathering = true
    this.#parts.clock.after(GATHER_MS, () => {
      this.#isGathering = false
      this.#wake()
    })
  }

  /** `limit_reached`, `stopping`, and `invalid` for a cursor that is none. */
  async open({ owner, after, chooses }: StreamRequest): Promise<EventStream> {
    if (this.#isStopped) throw new AppError('stopping', 'the server is stopping; try again in a moment')
    if (this.#streams.size >= STREAMS_MAX)
      throw new AppError('limit_reached', `${STREAMS_MAX} streams are open on this node; at most ${STREAMS_MAX} may be`)
    const own =
      owner === null
        ? 0
        : this.#streams
            .values()
            .filter((stream) => stream.owner === owner)
            .toArray().length
    if (own >= STREAMS_OF_ACCOUNT_MAX)
      throw new AppError(
        'limit_reached',
        `the account has ${own} streams open on this node; at most ${STREAMS_OF_ACCOUNT_MAX} may be`,
      )
    const stream = new Live(owner, chooses, this.#parts.clock, {
      read: (cursor) => this.#read(cursor),
      generation: () => this.#generation,
      closed: (closed) => this.#closed(closed),
    })
    // Counted before anything is waited for, so that the limit holds.
    this.#streams.add(stream)
    if (this.#streams.size === 1) this.#sweepLater()
    try {
      if (after === null) stream.goLive()
      await stream.begin(after ?? (await this.#parts.store.eventsEnd()))
      return stream
    } catch (error) {
      stream.close()
      throw error
    }
  }

  /** Shows a sample that is not stored to all who would be told of such an event; returns to how many. */
  show(sample: RecordedEvent): number {
    return [...this.#streams].filter((stream) => stream.show(sample)).length
  }

  /** Ends all streams; none begins any more. */
  stop(): void {
    this.#isStopped = true
    for (const stream of this.#streams) stream.end('the server is stopping')
  }

  #closed(stream: Live): void {
    this.#streams.delete(stream)
    if (this.#streams.size > 0) return
    this.#cancelSweep()
    this.#stretches.clear()
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#parts.clock.after(SWEEP_MS, () => {
      this.#wake()
      this.#sweepLater()
    })
  }

  #wake(): void {
    this.#generation++
    for (const stream of this.#streams) stream.wake()
  }

  /** What follows a cursor stays what it is, so a stretch that has events is good for all who come by; an empty one for this moment. */
  #read(cursor: string): Promise<SaidEvents> {
    const kept = this.#stretches.get(cursor)
    if (kept !== undefined) return kept
    const read = this.#parts.store.eventsAfter(cursor, STRETCH_EVENTS)
    this.#stretches.set(cursor, read)
    const forget = () => {
      if (this.#stretches.get(cursor) === read) this.#stretches.delete(cursor)
    }
    read.then((stretch) => stretch.events.length === 0 && forget(), forget)
    const [oldest] = this.#stretches.keys()
    if (this.#stretches.size > STRETCHES_KEPT) this.#stretches.delete(oldest!)
    return read
  }
}

interface Source {
  read(cursor: string): Promise<SaidEvents>
  generation(): number
  closed(stream: Live): void
}

/** open → ended (by the server) or closed (by its reader). */
class Live implements EventStream {
  readonly owner: string | null
  readonly #chooses: StreamRequest['chooses']
  readonly #clock: EventStreamsParts['clock']
  readonly #source: Source
  readonly #samples: RecordedEvent[] = []
  #cursor = ''
  #isLive = false
  #endedBecause: string | undefined
  #wakeUp = () => {}

  constructor(owner: string | null, chooses: StreamRequest['chooses'], clock: EventStreamsParts['clock'], source: Source) {
    this.owner = owner
    this.#chooses = chooses
    this.#clock = clock
    this.#source = source
  }

  get cursor(): string {
    return this.#cursor
  }

  /** Reads once, so that a cursor that is none is refused before anything is told. */
  async begin(cursor: string): Promise<void> {
    await this.#source.read(cursor)
    this.#cursor = cursor
  }

  /** It has nothing to catch up with. */
  goLive(): void {
    this.#isLive = true
  }

  async next(): Promise<StreamStep> {
    const begunAt = this.#clock.monotonic()
    const leftMs = () => HEARTBEAT_MS - (this.#clock.monotonic() - begunAt)
    while (this.#endedBecause === undefined) {
      const samples = this.#samples.splice(0)
      if (samples.length > 0) return { kind: 'events', items: samples.map((event) => ({ event, cursor: this.#cursor })) }
      const generation = this.#source.generation()
      const { events, cursors, next } = await this.#source.read(this.#cursor)
      this.#cursor = next
      const items = events.flatMap((event, index) => (this.#chooses(event) ? [{ event, cursor: cursors[index]! }] : []))
      if (items.length > 0) return { kind: 'events', items }
      if (events.length === 0 && !this.#isLive) {
        this.#isLive = true
        return { kind: 'live', cursor: this.#cursor }
      }
      if (leftMs() <= 0) return { kind: 'idle', cursor: this.#cursor }
      // Not where `isEnd` says so: that of a stretch that others have read may be of earlier.
      if (events.length === 0 && generation === this.#source.generation()) await this.#nudged(leftMs())
    }
    return { kind: 'ended', cursor: this.#cursor, reason: this.#endedBecause }
  }

  show(sample: RecordedEvent): boolean {
    if (!this.#chooses(sample) || this.#samples.length >= SAMPLES_MAX) return false
    this.#samples.push(sample)
    this.#wakeUp()
    return true
  }

  wake(): void {
    this.#wakeUp()
  }

  end(reason: string): void {
    this.#endedBecause ??= reason
    this.#wakeUp()
    this.#source.closed(this)
  }

  close(): void {
    this.end('closed')
  }

  /** Until something may be new, at most so long. */
  #nudged(ms: number): Promise<void> {
    if (this.#samples.length > 0 || this.#endedBecause !== undefined) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        cancel()
        this.#wakeUp = () => {}
        resolve()
      }
      const cancel = this.#clock.after(ms, done)
      this.#wakeUp = done
    })
  }
}
