import { besideTaken } from '../../src/wire/agent/archive.ts'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { KnownArrival, TransferWork } from '../../src/wire/agent/work.ts'
import type { Client } from '../clients/client.ts'
import { isItself } from './apart.ts'
import { isSameSource, type SourceMark } from './journal.ts'

/** What is known of the file that arrived. `source`: as it was at the source; undefined: nobody remembers. */
export interface Arrived {
  readonly source: Omit<SourceMark, 'path'> | undefined
  readonly arrival: KnownArrival
}

/**
 * What happens to the source after verified arrival. May be repeated: what an earlier attempt did is found done. A file that took the source's place meanwhile was not
 * moved by anybody: it stays, and that is `SOURCE_CHANGED`; where nobody remembers what was moved, nothing is touched.
 */
export async function carryOutPostAction(
  { postAction: action, transferId, source: { path } }: Pick<TransferWork, 'postAction' | 'transferId' | 'source'>,
  source: Client,
  arrived: Arrived,
): Promise<void> {
  if (action.kind === 'keep') return
  const found = await source.stat(path)
  const targets = action.kind === 'move' ? [action.to, besideTaken(action.to, transferId)] : []
  if (found === undefined) {
    if (action.kind === 'delete' || (await isAtOneOf(targets, source, arrived))) return
    throw new TransferFailure('NOT_FOUND', `“${path}” was to be moved to “${action.to}” after its arrival, and is at neither.`)
  }
  if (found.transferId === transferId) throw isItself(path)
  if (arrived.source === undefined || !isSameSource(arrived.source, found)) {
    throw new TransferFailure('SOURCE_CHANGED', `“${path}” is not the file that arrived any more; it stays where it is.`)
  }
  if (action.kind === 'delete') await source.remove(path)
  else await moveToOneOf(targets, path, source)
}

/** What is there already stays: an archive of yesterday's file of that name is nobody's to lose. */
async function moveToOneOf(targets: readonly string[], path: string, source: Client): Promise<void> {
  for (const target of targets) if (await source.move(path, target)) return
  throw new TransferFailure('UNSUPPORTED', `“${path}” stays where it is: files are at ${targets.join(' and ')} already.`)
}

/** Whether an earlier attempt has moved it: not every file of that name is the one. */
async function isAtOneOf(targets: readonly string[], source: Client, { source: mark, arrival }: Arrived): Promise<boolean> {
  for (const target of targets) {
    const there = await source.stat(target)
    if (there?.kind !== 'file' || there.size !== arrival.size) continue
    if (mark !== undefined && source.movesByCopy !== true) {
      if (isSameSource(mark, there)) return true
      continue
    }
    // A copy has another time, and another tag where the object came in parts.
    const told = await source.hash(target)
    if (told === undefined || arrival.sha256 === undefined || told === arrival.sha256) return true
  }
  return false
}
