import type { Clock } from '../base/clock.ts'
import { firstWindow, type Held, Lane } from './lane.ts'
import type { Pace } from './pace.ts'

/** Deliveries that all lanes together may hold; a body is a few KiB at most, so this bounds memory whatever the backlog. */
export const HELD_MAX = 8_192
/** What a lane may always hold, also when others have used up all room: nobody starves. */
export const LANE_HELD_ALWAYS = 2
export const LANES_MAX = 10_000
/** Lanes whose room is told to a store that plans. With more, nothing is claimed at birth: naming them would cost more than a claim. */
export const LANES_NAMED_MAX = 256
/** Paces remembered for lanes that are gone. */
export const PACES_MAX = 10_000

/**
 * One lane a webhook, made on demand and dropped when empty. Knows how much room each has, and which of them want a
 * claim: those that may have more in the store and have used at least half of what they hold.
 */
export class Lanes {
  readonly #lanes = new Map<string, Lane>()
  readonly #hungry = new Set<Lane>()
  /** Of lanes that were dropped while there was something to remember, oldest first. */
  readonly #paces = new Map<string, Pace>()
  readonly #widthMax: number
  readonly #clock: Pick<Clock, 'monotonic'>
  /** Held and reserved by all lanes. */
  #used = 0

  constructor(widthMax: number, clock: Pick<Clock, 'monotonic'>) {
    this.#widthMax = widthMax
    this.#clock = clock
  }

  get size(): number {
    return this.#lanes.size
  }

  get used(): number {
    return this.#used
  }

  get isAnyHungry(): boolean {
    return this.#hungry.size > 0
  }

  [Symbol.iterator](): Iterator<Lane> {
    return this.#lanes.values()
  }

  get(webhookId: string): Lane | undefined {
    return this.#lanes.get(webhookId)
  }

  /** The lane of a webhook, made if need be; undefined when there are too many: the sweep finds its deliveries later. */
  open(webhookId: string): Lane | undefined {
    const known = this.#lanes.get(webhookId)
    if (known !== undefined || this.#lanes.size >= LANES_MAX) return known
    const lane = new Lane(webhookId, this.#widthMax, this.#paces.get(webhookId))
    this.#paces.delete(webhookId)
    this.#lanes.set(webhookId, lane)
    return lane
  }

  /** Also of a lane that is gone. */
  paceOf(webhookId: string): Pace | undefined {
    return this.#lanes.get(webhookId)?.pace ?? this.#paces.get(webhookId)
  }

  roomOf(lane: Lane): number {
    const own = lane.held + lane.reserved
    return Math.max(LANE_HELD_ALWAYS - own, Math.min(lane.window - own, HELD_MAX - this.#used), 0)
  }

  add(lane: Lane, held: Held): void {
    lane.add(held)
    this.#used++
  }

  reserve(lane: Lane, room: number): void {
    lane.reserved += room
    this.#used += room
  }

  unreserve(lane: Lane): void {
    this.#used -= lane.reserved
    lane.reserved = 0
  }

  /** Takes room for so many deliveries of whichever lanes; negative: gives it back. */
  take(count: number): void {
    this.#used += count
  }

  /**
   * Room for deliveries that the store is about to plan, at most `most`; null: none. A lane with more in the store than it holds leaves half
   * of its window to claims, or what is older would never have its turn.
   */
  roomForBirths(most: number): { most: number; rooms: Record<string, number>; other: number } | null {
    const free = Math.min(most, HELD_MAX - this.#used)
    if (free <= 0 || this.#lanes.size > LANES_NAMED_MAX) return null
    const rooms: Record<string, number> = {}
    for (const lane of this.#lanes.values()) {
      const kept = lane.mayHaveMore || lane.reserved > 0 ? lane.window - (lane.window >> 1) : 0
      rooms[lane.webhookId] = Math.max(this.roomOf(lane) - kept, 0)
    }
    return { most: free, rooms, other: firstWindow(this.#widthMax) }
  }

  /** Says that `count` deliveries have left the lane, or that something else about it changed: it may want more, or be done. */
  changed(lane: Lane, count = 0): void {
    this.#used -= count
    if (lane.isEmpty) this.#drop(lane)
    else if (this.#isHungry(lane)) this.#hungry.add(lane)
    else this.#hungry.delete(lane)
  }

  /** The lanes that have waited longest for a claim, each with its room, at most `lanesMax` lanes and `roomMax` deliveries. */
  nextHungry(lanesMax: number, roomMax: number): Map<Lane, number> {
    const chosen = new Map<Lane, number>()
    let left = roomMax
    for (const lane of this.#hungry) {
      if (chosen.size === lanesMax || left === 0) break
      const room = Math.min(this.roomOf(lane), left)
      if (room === 0) continue
      chosen.set(lane, room)
      this.reserve(lane, room)
      left -= room
    }
    return chosen
  }

  /** Drops the paces of lanes that are gone once they allow everything again. */
  forgetPaces(): void {
    const now = this.#clock.monotonic()
    for (const [webhookId, pace] of this.#paces) if (pace.isForgettable(now)) this.#paces.delete(webhookId)
  }

  #drop(lane: Lane): void {
    if (this.#lanes.get(lane.webhookId) !== lane) return
    this.#lanes.delete(lane.webhookId)
    this.#hungry.delete(lane)
    if (lane.pace.isForgettable(this.#clock.monotonic())) return
    this.#paces.set(lane.webhookId, lane.pace)
    if (this.#paces.size > PACES_MAX) this.#paces.delete(this.#paces.keys().next().value!)
  }

  #isHungry(lane: Lane): boolean {
    return lane.mayHaveMore && lane.reserved === 0 && lane.held <= lane.window >> 1
  }
}
