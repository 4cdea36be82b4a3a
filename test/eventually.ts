import { setImmediate, setTimeout } from 'node:timers/promises'

/** A condition that does not hold by then counts as never met, ms: long, since a busy machine is no failure. */
const WITHIN_MS = 30_000
/** Looks one right after the other, for what is true at once; then with a rest between them, ms, that leaves the processor to what is waited for. */
const EAGER_LOOKS = 200
const REST_MS = 2

/** Repeats an assertion about what becomes true a moment later, until it holds; then, or when its time is over, its failure is thrown. */
export async function eventually<Answer>(check: () => Promise<Answer>): Promise<Answer> {
  const until = performance.now() + WITHIN_MS
  for (let looks = 1; ; looks++) {
    try {
      return await check()
    } catch (error) {
      if (performance.now() >= until) throw error
      await (looks < EAGER_LOOKS ? setImmediate() : setTimeout(REST_MS))
    }
  }
}
