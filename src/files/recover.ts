/**
 * After a start, before anybody may log in: the changes that an earlier life recorded are brought to their end, cut uploads
 * become resumable, and temporaries that nobody names go. Later the same for nodes that have died, temporaries apart.
 */
import type { AuditAction, AuditEntry } from '../audit/entry.ts'
import { codeOf } from '../base/error.ts'
import { newId } from '../base/id.ts'
import type { Context } from './context.ts'
import { fromStoredPath, showPath } from './path.ts'
import type { Deed, Intent } from './port.ts'

/** Intents taken over at once. */
const INTENTS_MAX = 200

export interface TakeOverReport {
  /** Changes that are done and whose events are said, or undone. */
  readonly ended: number
  /** Changes that stay open and are tried again, because the storage or the store does not answer. */
  readonly undecided: number
  /** Cut uploads that belong to nobody again. */
  readonly partials: number
}

export interface RecoveryReport extends TakeOverReport {
  /** Temporaries that were removed. */
  readonly swept: number
}

export interface SweepOptions {
  /** Time a cut upload is kept, ms. */
  partialKeepMs: number
  /** Other processes use the storage too: their temporaries may be named by nobody yet, so young ones stay. */
  isShared: boolean
}

export async function recover(context: Context, options: SweepOptions): Promise<RecoveryReport> {
  return { ...(await takeOver(context)), swept: await sweep(context, options) }
}

/** Ends the changes of processes that are gone, and gives their cut uploads free. */
export async function takeOver(context: Context): Promise<TakeOverReport> {
  const { store, node, changes, locks } = context
  let ended = 0
  let undecided = 0
  for (;;) {
    const intents = await store.takeIntents(node, INTENTS_MAX)
    if (intents.length === 0) break
    for (const intent of intents) {
      const lock = await locks.acquire(pathsOf(intent.deed), 'tree')
      if (await changes.recover(intent, (error) => undoing(context, intent, error), lock)) ended++
      else undecided++
    }
  }
  return { ended, undecided, partials: await store.releasePartials(node) }
}

/** Removes temporaries that neither a partial, an open intent nor a handle of this process names. */
export async function sweep(
  { backend, store, clock, liveTemporaries }: Context,
  { partialKeepMs, isShared }: SweepOptions,
): Promise<number> {
  const oldest = clock.now() - partialKeepMs
  // First what is there, then who is named: a name that comes later belongs to a later temporary.
  const there: { path: string; modifiedAt: number }[] = []
  for await (const temporary of backend.temporaries()) if (!liveTemporaries.has(temporary.path)) there.push(temporary)
  const kept = new Set(await store.keptTemporaries(oldest))
  let swept = 0
  for (const { path, modifiedAt } of there) {
    if (kept.has(path) || liveTemporaries.has(path) || (isShared && modifiedAt > oldest)) continue
    await backend.removeTemporary(path)
    swept++
  }
  return swept
}

function pathsOf(deed: Deed): Buffer[] {
  return (deed.kind === 'rename' ? [deed.path, deed.to] : [deed.path]).map(fromStoredPath)
}

const ACTION = { place: 'upload', rename: 'rename', remove: 'delete', mkdir: 'mkdir', rmdir: 'rmdir' } satisfies Record<
  Deed['kind'],
  AuditAction
>

/** The audit entry of a change that recovery undoes. Its session is gone, so the storage's path and the server stand for it. */
function undoing({ clock }: Context, { accountId, deed, id }: Intent, error: unknown): AuditEntry {
  const at = clock.now()
  return {
    ...{ id: newId('audit', at), at, accountId, actor: null, address: null, door: 'server' },
    ...{ action: ACTION[deed.kind], target: showPath(fromStoredPath(deed.path)) },
    ...{ result: codeOf(error) === 'internal' ? 'storage_failed' : codeOf(error), detail: `undone at start: ${id}` },
  }
}
