import { sql } from 'kysely'

/** Everything that is said later stands from here on. */
export const SAID_END = sql<number>`(select position + 1 from said_position)`

type Prepare = (statement: string) => { get(): unknown; run(position: number): unknown }

/**
 * Places of events that become said, among all that were: there is one writer, so they stand in the order of the commits. Counted in
 * memory and written once a group, in its transaction; a unit that is taken back leaves a gap.
 */
export class Positions {
  #prepare: Prepare
  #stored: number | undefined
  #last = 0

  constructor(prepare: Prepare) {
    this.#prepare = prepare
  }

  next(): number {
    if (this.#stored === undefined) {
      const row = this.#prepare('select position from said_position').get() as { position: number }
      this.#stored = row.position
      this.#last = row.position
    }
    this.#last += 1
    return this.#last
  }

  /** Call before the commit. */
  save(): void {
    if (this.#stored === undefined || this.#stored === this.#last) return
    this.#prepare('update said_position set position = ?').run(this.#last)
    this.#stored = this.#last
  }

  /** After a transaction that was lost. */
  forget(): void {
    this.#stored = undefined
  }
}
