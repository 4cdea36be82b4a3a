import { lockFolder } from '../../base/folder-lock.ts'
import type { Running } from '../../base/lifecycle.ts'

/** Takes the data folder for this process, until `stop` or its end. Throws `data_folder_locked` when another process has it. */
export function lockDataFolder(folder: string): Running {
  return lockFolder(folder, 'Another Landfall process uses this data folder: stop it, or name another folder.')
}
