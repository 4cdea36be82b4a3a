import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'

/** Largest half of V8's young generation, MiB: the default of 16 costs 60 MB of memory at start for a server that mostly waits. */
const SEMI_SPACE_MIB = 4

/**
 * Before anything else is loaded: keeps compiled code, so that later starts need not strip types again, in this thread and
 * (through the environment) in its workers. Where the folder cannot be written, nothing is kept and nothing fails.
 */
export async function run(args: readonly string[]): Promise<void> {
  setFlagsFromString(`--max-semi-space-size=${SEMI_SPACE_MIB}`)
  const folder = fileURLToPath(new URL('../node_modules/.cache/landfall', import.meta.url))
  process.env.NODE_COMPILE_CACHE ??= folder
  enableCompileCache(process.env.NODE_COMPILE_CACHE)
  const { main } = await import('./main.ts')
  await main(args)
}
