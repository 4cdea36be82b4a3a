import { resolveQuickly } from '../src/base/resolve.ts'

/** The first TypeScript that is loaded. */
export async function run(args: readonly string[]): Promise<void> {
  resolveQuickly()
  const { main } = await import('./main.ts')
  await main(args)
}
