import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { TransferWork } from '../../src/wire/agent/work.ts'
import type { Client } from '../clients/client.ts'
import { isItself } from './apart.ts'
import { isSameSource, type SourceMark } from './journal.ts'

/**
 * What happens to the source after verified arrival. May be repeated: what an earlier attempt did is found done. A file that took the source's place meanwhile was not
 * moved by anybody: it stays, and that is `SOURCE_CHANGED`. `arrived` is what was moved; undefined: nobody remembers, and nothing is touched.
 */
export async function carryOutPostAction(
  { postAction: action, transferId, source: { path } }: Pick<TransferWork, 'postAction' | 'transferId' | 'source'>,
  source: Client,
  arrived: Omit<SourceMark, 'path'> | undefined,
): Promise<void> {
  if (action.kind === 'keep') return
  const found = await source.stat(path)
  if (found === undefined) {
    if (action.kind === 'delete' || (await source.stat(action.to)) !== undefined) return
    throw new TransferFailure('NOT_FOUND', `“${path}” was to be moved to “${action.to}” after its arrival, and is at neither.`)
  }
  if (found.transferId === transferId) throw isItself(path)
  if (arrived === undefined || !isSameSource(arrived, found)) {
    throw new TransferFailure('SOURCE_CHANGED', `“${path}” is not the file that arrived any more; it stays where it is.`)
  }
  if (action.kind === 'delete') await source.remove(path)
  else await source.move(path, action.to)
}
