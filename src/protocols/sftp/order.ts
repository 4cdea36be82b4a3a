/**
 * With whom a task may run at the same time: tasks of one class that stand next to each other in the queue run
 * together; one that is `alone` runs by itself.
 */
export type Sharing = 'alone' | 'reading' | 'looking' | 'placing'

/**
 * Runs tasks in the order of their arrival, neighbours of one sharing class together. The draft (section 4.1) demands
 * that requests for one file give the answers that they would give one at a time, and allows everything else.
 */
export class Order {
  #running = 0
  #sharing: Sharing = 'alone'
  #waiting: { sharing: Sharing; start: () => void }[] = []

  /** Calls `start` when it is its turn: at once where nothing is in the way. Each start is followed by one `leave`. */
  enter(sharing: Sharing, start: () => void): void {
    if (this.#waiting.length > 0 || !this.#admits(sharing)) {
      this.#waiting.push({ sharing, start })
      return
    }
    this.#run(sharing, start)
  }

  leave(): void {
    this.#running--
    for (let next = this.#waiting[0]; next !== undefined && this.#admits(next.sharing); next = this.#waiting[0]) {
      this.#waiting.shift()
      this.#run(next.sharing, next.start)
    }
  }

  #admits(sharing: Sharing): boolean {
    return this.#running === 0 || (sharing !== 'alone' && sharing === this.#sharing)
  }

  #run(sharing: Sharing, start: () => void): void {
    this.#running++
    this.#sharing = sharing
    start()
  }
}

/** A place in an order that a request takes. */
export interface Turn {
  readonly order: Order
  readonly sharing: Sharing
}

/**
 * Calls `start` when it is its turn in all of them. The places are taken at once, so that two requests that need the
 * same orders cannot wait for each other. `leave` all of them afterwards.
 */
export function enterAll(turns: readonly Turn[], start: () => void): void {
  let missing = turns.length
  if (missing === 0) start()
  const arrive = () => {
    missing--
    if (missing === 0) start()
  }
  for (const { order, sharing } of turns) order.enter(sharing, arrive)
}
