import type { TransferWork } from '../../src/wire/agent/work.ts'
import type { WorkContext } from './context.ts'

/**
 * Moves one file and reports how it went, the end too (unless stopped for a reason that leaves the work to the next one). Never rejects. Resolves when nothing
 * of it is under way any more.
 */
export async function moveFile(_work: TransferWork, _context: WorkContext): Promise<void> {
  throw new Error('not built yet')
}
