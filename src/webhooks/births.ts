import type { Lanes } from './lanes.ts'
import type { BirthRoom, Births as Born } from './port.ts'
import type { ClaimedDelivery } from './webhook.ts'

/** Room that one record may take, deliveries; a burst of more leaves the rest to claims. Its answer is read in one go, some ms. */
const BIRTHS_MAX = 1_024
/** An event may be for as many webhooks as one was lately, or as have a lane, and for a few more. */
const WEBHOOKS_MORE = 32

export interface BirthParts {
  readonly node: string
  readonly lanes: Lanes
  /** Whether this node lives in the eyes of the others, and knows what it has claimed. */
  readonly mayClaim: () => boolean
  readonly arrived: (deliveries: readonly ClaimedDelivery[]) => void
  /** This node may own deliveries that it does not hold. */
  readonly doubt: () => void
  /** No record is under way any more. */
  readonly idle: () => void
}

/**
 * Deliveries that are claimed in the write that plans them. The store plans, so it is told what room the lanes have; the room is taken
 * until it answers, and lanes that got more than they may hold meanwhile put it back. A process that dies in between leaves claims, which are
 * freed like any others.
 */
export class Births {
  readonly #parts: BirthParts
  #underWay = 0
  /** Deliveries that an event brought lately: lanes come and go between two events, and a count of them says too little. */
  #perEvent = 0

  constructor(parts: BirthParts) {
    this.#parts = parts
  }

  /** Whether the store may be claiming for this node what nobody here knows yet. */
  get isUnderWay(): boolean {
    return this.#underWay > 0
  }

  /** `events`: how many are about to be recorded. */
  async record(events: number, write: (room: BirthRoom | null) => Promise<Born>): Promise<void> {
    const room = this.#room(events)
    if (room === null) return void (await write(null))
    const { lanes, arrived, doubt, idle } = this.#parts
    this.#underWay++
    lanes.take(room.most)
    try {
      const { deliveries, isComplete } = await write(room)
      if (!isComplete) doubt()
      this.#perEvent = Math.max(this.#perEvent - 1, Math.ceil(deliveries.length / events))
      lanes.take(-room.most)
      arrived(deliveries)
    } catch (error) {
      lanes.take(-room.most)
      doubt()
      throw error
    } finally {
      this.#underWay--
      if (this.#underWay === 0) idle()
    }
  }

  #room(events: number): BirthRoom | null {
    const { node, lanes, mayClaim } = this.#parts
    const most = Math.min(events * (Math.max(this.#perEvent, lanes.size) + WEBHOOKS_MORE), BIRTHS_MAX)
    const room = mayClaim() ? lanes.roomForBirths(most) : null
    return room === null ? null : { node, ...room }
  }
}
