/** Calls for the same key run one after the other, in the order in which they came; what one of them throws is its own caller's. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>()

  async take<Value>(key: string, work: () => Promise<Value>): Promise<Value> {
    const turn = (this.#last.get(key) ?? Promise.resolve()).then(work)
    const over = turn.then(
      () => {},
      () => {},
    )
    this.#last.set(key, over)
    try {
      return await turn
    } finally {
      if (this.#last.get(key) === over) this.#last.delete(key)
    }
  }

  /** Resolves when all that have a turn now have ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#last.values())
  }
}
