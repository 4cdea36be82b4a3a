import { createHash } from 'node:crypto'
import type { Clock } from '../../src/base/clock.ts'
import { SECOND_MS } from '../../src/base/units.ts'
import type { Endpoint } from '../../src/wire/agent/work.ts'

/** A connection waits this long for the next transfer to the same place, ms: longer than between two files of a job, shorter than servers wait. */
export const IDLE_MS = 10 * SECOND_MS
/** Connections that wait, at most: to one place, and in all. */
const IDLE_PER_PLACE_MAX = 8
const IDLE_MAX = 32

export interface Reusable {
  /** Whether it can serve somebody else: open, and nothing under way. */
  readonly isQuiet: boolean
  close(): void
}

interface Resting {
  readonly key: string
  readonly connection: Reusable
  cancel(): void
}

/**
 * Connections between two transfers: thousands of small files would otherwise spend their time with logging in. Each has one user at a time. They are told
 * apart by everything in their endpoint, credentials and pins too, so that nobody gets a connection that he could not have opened himself.
 */
class IdleConnections {
  readonly #resting: Resting[] = []

  /** One that was kept for this endpoint, or undefined. It is the caller's now. */
  take<Connection extends Reusable>(endpoint: Endpoint): Connection | undefined {
    const key = keyOf(endpoint)
    for (;;) {
      // The one that came last is the least likely to have been closed by the server.
      const index = this.#resting.findLastIndex((one) => one.key === key)
      const [found] = index === -1 ? [] : this.#resting.splice(index, 1)
      if (found === undefined) return undefined
      found.cancel()
      if (found.connection.isQuiet) return found.connection as Connection
      found.connection.close()
    }
  }

  /** Takes it over: it is kept for a while where it can serve again, else closed. */
  keep(endpoint: Endpoint, connection: Reusable, clock: Clock): void {
    const key = keyOf(endpoint)
    const sameplace = this.#resting.filter((one) => one.key === key).length
    if (!connection.isQuiet || sameplace >= IDLE_PER_PLACE_MAX || this.#resting.length >= IDLE_MAX) {
      connection.close()
      return
    }
    const resting: Resting = { key, connection, cancel: clock.after(IDLE_MS, () => this.#drop(resting)) }
    this.#resting.push(resting)
  }

  /** The agent stops. */
  closeAll(): void {
    for (const { connection, cancel } of this.#resting.splice(0)) {
      cancel()
      connection.close()
    }
  }

  #drop(resting: Resting): void {
    const index = this.#resting.indexOf(resting)
    if (index !== -1) this.#resting.splice(index, 1)
    resting.connection.close()
  }
}

/** Connections of endpoints with the same key may stand in for each other. */
export function keyOf(endpoint: Endpoint): string {
  let key = KEYS.get(endpoint)
  if (key === undefined) {
    key = createHash('sha256').update(JSON.stringify(endpoint)).digest('base64')
    KEYS.set(endpoint, key)
  }
  return key
}

/** A piece of work asks for the key of its endpoint several times; endpoints do not change. */
const KEYS = new WeakMap<Endpoint, string>()

/** One for the whole process: an agent is one, and transfers know nothing of each other. */
export const idleConnections = new IdleConnections()
