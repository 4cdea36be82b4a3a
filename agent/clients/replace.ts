import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { FileFacts } from './client.ts'

interface Renaming {
  stat(path: string): Promise<FileFacts | undefined>
  /** Where nothing is; what it does where something is, is the server's choice. */
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
}

/**
 * Renames over what is there, on servers that may refuse that: then what is there is given a hidden name, which it loses again if the file cannot take its
 * place. Should everything stop between the two, the old file has its hidden name and the new one its own, and the next attempt puts the new one in place.
 */
export async function renameOver({ stat, rename, remove }: Renaming, from: string, to: string): Promise<void> {
  const refused = await outcome(rename(from, to))
  if (refused === undefined) return
  // Not because of something in its way, or the line is gone.
  if (!MAY_BE_IN_ITS_WAY.has(refused.code) || (await stat(to))?.kind !== 'file') throw refused
  const aside = `${from}.old`
  await rename(to, aside)
  const failed = await outcome(rename(from, to))
  if (failed !== undefined) {
    await rename(aside, to)
    throw failed
  }
  await remove(aside)
}

/** The type in `st_mode`, of this machine and over SFTP alike. */
const TYPE_MASK = 0o170000
const OTHER_TYPES: ReadonlyMap<number, string> = new Map([
  [0o040000, 'a folder'],
  [0o010000, 'a named pipe'],
  [0o140000, 'a socket'],
  [0o020000, 'a device'],
  [0o060000, 'a device'],
])

/** Only a file takes the place of what is there, or of a symbolic link: others may be listening at it. Throws `NOT_A_FILE`. */
export function checkReplaceable(mode: number, path: string): void {
  const type = OTHER_TYPES.get(mode & TYPE_MASK)
  if (type !== undefined) throw notReplaced(type, path)
}

export function notReplaced(type: string, path: string): TransferFailure {
  return new TransferFailure('NOT_A_FILE', `The destination “${path}” is ${type}, which no file replaces.`)
}

const MAY_BE_IN_ITS_WAY: ReadonlySet<string> = new Set(['PERMISSION_DENIED', 'NOT_FOUND', 'PROTOCOL_ERROR', 'UNSUPPORTED'])

async function outcome(call: Promise<void>): Promise<TransferFailure | undefined> {
  try {
    await call
    return undefined
  } catch (error) {
    if (error instanceof TransferFailure) return error
    throw error
  }
}
