import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

const OWNER_ONLY = 0o600

/** Whole or not at all, and there for good when it returns, also after a power cut: written aside, synced, renamed, and the name synced. */
export async function writePrivately(path: string, text: string): Promise<void> {
  const aside = `${path}.new`
  const file = await open(aside, 'w', OWNER_ONLY)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await renameDurably(aside, path)
}

/** The new name is there for good when it returns. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to)
  await syncFolder(dirname(to))
}

/** Names that were made or taken away in a folder are so for good when it returns. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

export function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
