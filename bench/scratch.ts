import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What has to go when the benchmark ends, however it ends: processes first, then folders. */
const kills = new Set<() => void>()
const folders = new Set<string>()

/** A folder that is gone afterwards. On TMPDIR: point that at the disk to be measured. */
export async function withFolder<T>(name: string, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), `landfall-bench-${name}-`))
  folders.add(folder)
  try {
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
    folders.delete(folder)
  }
}

/** Registers how to end something that must not outlive the benchmark; returns how to forget it. */
export function endsWithUs(kill: () => void): () => void {
  kills.add(kill)
  return () => kills.delete(kill)
}

function clear(): void {
  for (const kill of kills) kill()
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
}

process.once('exit', clear)
for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => process.exit(status))
}
