import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from './error.ts'
import type { Running } from './lifecycle.ts'

/** What is locked in a folder. */
export const LOCK_FILE = 'lock.sqlite'

const SQLITE_BUSY = 5

/**
 * Takes a folder for this process, until `stop` or the end of the process however it ends: the lock is one of the operating
 * system, held through an open transaction. Throws `data_folder_locked` with the refusal when another process has it.
 */
export function lockFolder(folder: string, refusal: string): Running {
  const db = new DatabaseSync(join(folder, LOCK_FILE), { timeout: 0 })
  try {
    db.exec('begin exclusive')
  } catch (error) {
    db.close()
    if (error instanceof Error && 'errcode' in error && Number(error.errcode) === SQLITE_BUSY)
      throw new AppError('data_folder_locked', refusal, { cause: error })
    throw error
  }
  return {
    async stop() {
      if (db.isOpen) db.close()
    },
  }
}
