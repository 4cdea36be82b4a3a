/** Something that runs until it is stopped. Stopping twice is harmless. */
export interface Running {
  stop(): Promise<void>
}

/** What was started, to be stopped in reverse order: who depends on others stops before them. */
export class Lifecycle {
  #started: { name: string; running: Running }[] = []

  /** Adds what has just been started; if a later start throws, `stop` still ends this one. */
  add<Part extends Running>(name: string, running: Part): Part {
    this.#started.push({ name, running })
    return running
  }

  /** Stops everything, last started first. All are tried; the first failure is thrown at the end. */
  async stop(): Promise<void> {
    let failure: unknown
    for (const { name, running } of this.#started.splice(0).reverse()) {
      try {
        await running.stop()
      } catch (cause) {
        failure ??= new Error(`cannot stop ${name}`, { cause })
      }
    }
    if (failure !== undefined) throw failure
  }
}
