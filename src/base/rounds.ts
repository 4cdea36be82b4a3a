import type { Clock } from './clock.ts'
import type { Running } from './lifecycle.ts'

export interface RoundsParts {
  readonly clock: Pick<Clock, 'after'>
  /** May answer after how many ms the next one comes, where that is not `everyMs`. */
  readonly round: () => Promise<number | undefined> | Promise<void>
  /** From the end of a round to the beginning of the next one, ms. */
  readonly everyMs: number
  /** The same after a round that threw, where it is another, ms. */
  readonly retryMs?: number
  /** Hears what a round threw; the next one comes all the same. */
  readonly failed: (error: unknown) => void
}

/** The same work again and again, never two rounds of it at the same time. new → running (start) → stopped (stop). */
export class Rounds implements Running {
  readonly #parts: RoundsParts
  #isRunning = false
  #isUnderWay = false
  #isWoken = false
  #cancel = () => {}
  #underWay: Promise<void> = Promise.resolve()

  constructor(parts: RoundsParts) {
    this.#parts = parts
  }

  /** The first round begins at once, or `firstMs` from now. */
  start(firstMs?: number): void {
    this.#isRunning = true
    if (firstMs === undefined) this.#begin()
    else this.#later(firstMs)
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  /** There is something to do: the next round begins now, or as soon as the one under way has ended. */
  wake(): void {
    this.#isWoken = true
    if (!this.#isRunning || this.#isUnderWay) return
    this.#cancel()
    this.#begin()
  }

  /** Resolves when the round under way has ended. */
  async stop(): Promise<void> {
    this.#isRunning = false
    this.#cancel()
    await this.#underWay
  }

  #later(ms: number): void {
    this.#cancel = this.#parts.clock.after(ms, () => this.#begin())
  }

  #begin(): void {
    this.#underWay = this.#run()
  }

  async #run(): Promise<void> {
    this.#isUnderWay = true
    let nextMs: number
    do {
      this.#isWoken = false
      nextMs = await this.#one()
    } while (this.#isWoken && this.#isRunning)
    this.#isUnderWay = false
    if (this.#isRunning) this.#later(nextMs)
  }

  /** Answers when the next one comes. */
  async #one(): Promise<number> {
    const { round, everyMs, retryMs = everyMs, failed } = this.#parts
    try {
      return (await round()) ?? everyMs
    } catch (error) {
      failed(error)
      return retryMs
    }
  }
}
