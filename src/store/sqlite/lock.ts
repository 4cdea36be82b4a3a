import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from '../../base/error.ts'
import type { Running } from '../../base/lifecycle.ts'

const SQLITE_BUSY = 5

/**
 * Takes the data folder for this process, until `stop` or the end of the process however it ends: the lock is one of the operating
 * system, held through an open transaction. Throws `data_folder_locked` when another process has it.
 */
export function lockDataFolder(folder: string): Running {
  const db = new DatabaseSync(join(folder, 'lock.sqlite'), { timeout: 0 })
  try {
    db.exec('begin exclusive')
  } catch (error) {
    db.close()
    if (error instanceof Error && 'errcode' in error && Number(error.errcode) === SQLITE_BUSY) {
      throw new AppError(
        'data_folder_locked',
        'Another Landfall process uses this data folder: stop it, or name another folder.',
        { cause: error },
      )
    }
    throw error
  }
  return {
    async stop() {
      if (db.isOpen) db.close()
    },
  }
}
