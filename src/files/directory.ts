import { AppError } from '../base/error.ts'
import type { Listing } from './backends/backend.ts'
import { failureAt } from './failure.ts'
import { authorize, type Session } from './session.ts'
import type { DirectoryEntry, DirectoryHandle } from './space.ts'

/** Entries handed out at once at most, whatever is asked for. */
const ENTRIES_MAX = 1024
/** Cut uploads of one folder that are shown. */
const UNFINISHED_MAX = 1000

export interface DirectoryHandleOptions {
  session: Session
  listing: Listing
  /** As the user sees it. */
  path: Buffer
  /** The user's uploads in this folder that are not whole. */
  unfinished(limit: number): Promise<DirectoryEntry[]>
  onEnd(handle: DirectoryHandle): void
}

/** A folder being listed: what is there in the system's order, then uploads where no whole file is. open → closed. */
export function createDirectoryHandle({ session, listing, path, unfinished, onEnd }: DirectoryHandleOptions): DirectoryHandle {
  let isOpen = true
  /** undefined while the folder itself is still being read. */
  let left: DirectoryEntry[] | undefined

  async function readUnfinished(): Promise<DirectoryEntry[]> {
    const byName = new Map<string, DirectoryEntry>()
    for (const entry of await unfinished(UNFINISHED_MAX)) {
      const key = entry.name.toString('latin1')
      if (byName.has(key) || (await listing.look(entry.name)) !== undefined) continue
      byName.set(key, entry)
    }
    return [...byName.values()]
  }

  const handle: DirectoryHandle = {
    path,

    async next(limit) {
      if (!isOpen) throw new AppError('conflict', 'the folder handle is closed')
      authorize(session, 'list')
      const count = Math.min(Math.max(limit, 1), ENTRIES_MAX)
      try {
        if (left === undefined) {
          const entries = await listing.next(count)
          if (entries.length > 0) return entries
          left = await readUnfinished()
        }
        return left.splice(0, count)
      } catch (cause) {
        throw failureAt(cause, path)
      }
    },

    async close() {
      if (!isOpen) throw new AppError('conflict', 'the folder handle is closed')
      isOpen = false
      onEnd(handle)
      await listing.close()
    },
  }
  return handle
}
