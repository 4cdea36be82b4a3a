/** Tries before a condition counts as never met; each asks the system under test, which takes its time to answer. */
const TRIES_MAX = 500

/** Repeats an assertion about what becomes true a moment later, until it holds; then, or after the last try, its failure is thrown. */
export async function eventually<Answer>(check: () => Promise<Answer>, triesMax = TRIES_MAX): Promise<Answer> {
  for (let tries = 1; ; tries++) {
    try {
      return await check()
    } catch (error) {
      if (tries === triesMax) throw error
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}
