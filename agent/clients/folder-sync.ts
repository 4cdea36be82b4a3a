import { closeSync, fsync, openSync } from 'node:fs'
import { platform } from 'node:os'
import { promisify } from 'node:util'
import { createSyncGate } from '../../src/base/sync-gate.ts'

const syncing = promisify(fsync)

/** Folders that somebody waits for, each with the gate at which its syncs are shared. */
const waited = new Map<string, { readonly sync: () => Promise<void>; users: number }>()

/**
 * A name is durable once its folder is. Whoever comes while a folder is synced shares the next sync of it: many small files need few. Windows has no such call and
 * needs none.
 */
export async function syncFolder(folder: string): Promise<void> {
  if (platform() === 'win32') return
  const gate = waited.get(folder) ?? { sync: createSyncGate(() => syncNow(folder)), users: 0 }
  waited.set(folder, gate)
  gate.users++
  try {
    await gate.sync()
  } finally {
    gate.users--
    if (gate.users === 0) waited.delete(folder)
  }
}

async function syncNow(folder: string): Promise<void> {
  // Something in it was just renamed: the system knows it without its disk.
  const fd = openSync(folder, 'r')
  try {
    await syncing(fd)
  } finally {
    closeSync(fd)
  }
}
