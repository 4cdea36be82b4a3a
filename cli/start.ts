import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'
import { resolveQuickly } from '../src/base/resolve.ts'

/**
 * Before anything else is loaded: keeps compiled code, so that later starts need not strip types again, in this thread and
 * (through the environment) in its workers. Where the folder cannot be written, nothing is kept and nothing fails.
 */
export async function run(args: readonly string[]): Promise<void> {
  const folder = fileURLToPath(new URL('../node_modules/.cache/landfall', import.meta.url))
  process.env.NODE_COMPILE_CACHE ??= folder
  enableCompileCache(process.env.NODE_COMPILE_CACHE)
  resolveQuickly()
  const { main } = await import('./main.ts')
  await main(args)
}
