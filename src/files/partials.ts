/** Cut uploads: kept with the bytes that are certain, so that a client can go on where it was cut. */
import { MIB, SECOND_MS } from '../base/units.ts'
import type { Temporary } from './backends/backend.ts'
import { closedOnFailure } from './backends/closing.ts'
import type { Context } from './context.ts'
import { type StoredPath, toStoredPath } from './path.ts'
import type { Partial } from './port.ts'
import type { Attributes } from './space.ts'

/** Bytes of an upload after which its prefix is synced and its row written; at most as many are sent again after a crash. */
export const PARTIAL_SYNC_BYTES = 8 * MIB

/** The partial of a user at a path for this process alone, with its temporary cut back to what is certain. */
export async function takePartial(
  { store, backend, node, liveTemporaries }: Context,
  userId: string,
  path: Buffer,
): Promise<{ partial: Partial; temporary: Temporary } | undefined> {
  const found = await store.findPartial(userId, toStoredPath(path))
  if (found === undefined) return undefined
  const partial = await store.takePartial(found.id, node)
  if (partial === undefined) return undefined
  liveTemporaries.add(partial.temporary)
  try {
    const temporary = await backend.openTemporary(partial.temporary, partial.identity)
    if (temporary === undefined) {
      await store.removePartial(partial.id)
      liveTemporaries.delete(partial.temporary)
      return undefined
    }
    return await closedOnFailure(temporary, async () => {
      const prefixBytes = Math.min(partial.prefixBytes, (await temporary.entry()).size)
      await temporary.resize(prefixBytes)
      return { partial: { ...partial, prefixBytes }, temporary }
    })
  } catch (cause) {
    liveTemporaries.delete(partial.temporary)
    // Nobody's again, as it was; if that fails too, the next start releases it.
    await store.savePartial({ ...partial, node: null }).catch(() => {})
    throw cause
  }
}

/** A new upload or the removal of the file makes what was kept for its path worthless: otherwise it would show up again later. */
export async function discardPartials({ store, backend, node }: Context, userId: string, path: Buffer): Promise<boolean> {
  const found = await store.findPartial(userId, toStoredPath(path))
  if (found === undefined || (await store.takePartial(found.id, node)) === undefined) return false
  await backend.removeTemporary(found.temporary)
  await store.removePartial(found.id)
  return true
}

/** How a cut upload shows at its path. */
export function partialAttributes({ prefixBytes, updatedAt }: Partial): Attributes {
  const at = Math.floor(updatedAt / SECOND_MS)
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
  return { kind: 'file', size: prefixBytes, mode: 0o600, ...owner, accessedAt: at, modifiedAt: at, links: 1, isUnfinished: true }
}

/** The row of an upload in progress, or of a cut one (`node` null). */
export interface PartialWriter {
  /** Call only after these bytes were synced. */
  save(prefixBytes: number, held: boolean): Promise<void>
  remove(): Promise<void>
  /** Id of the row, null while there is none. */
  readonly rowId: string | null
}

export interface PartialWriterOptions {
  context: Context
  id: string
  accountId: string
  userId: string
  path: Buffer
  startedAt: number
  hasRow: boolean
}

export function createPartialWriter(options: PartialWriterOptions, temporary: () => Temporary): PartialWriter {
  const { context, id, accountId, userId, startedAt } = options
  const { store, clock, node, reach } = context
  const path: StoredPath = toStoredPath(options.path)
  let { hasRow } = options

  return {
    async save(prefixBytes, held) {
      const { identity } = await temporary().entry()
      // Even when its answer is lost the row may be there.
      hasRow = true
      const owner = held ? node : null
      const row = { id, accountId, userId, node: owner, path, temporary: temporary().path, identity }
      await store.savePartial({ ...row, prefixBytes, startedAt, updatedAt: clock.now() })
      reach('partial.saved')
    },
    async remove() {
      if (!hasRow) return
      await store.removePartial(id)
      hasRow = false
    },
    get rowId() {
      return hasRow ? id : null
    },
  }
}
