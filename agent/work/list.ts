import type { ListWork } from '../../src/wire/agent/work.ts'
import type { WorkContext } from './context.ts'

/** Looks for the files of a run and reports them, or why it could not. Never rejects. */
export async function listFiles(_work: ListWork, _context: WorkContext): Promise<void> {
  throw new Error('not built yet')
}
