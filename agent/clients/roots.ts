import { readlinkSync, realpathSync } from 'node:fs'
import { platform } from 'node:os'
import { basename, dirname, isAbsolute, join, normalize, resolve, sep } from 'node:path'
import { TransferFailure } from '../../src/wire/agent/failure.ts'

/**
 * The folders of this machine that its owner opened. A path is judged by what it really is, symbolic links resolved, each time it is used: what lies elsewhere is
 * `PERMISSION_DENIED`, whatever it is called.
 */
export interface Roots {
  /** The real path of what is there, links followed; undefined: nothing is there. */
  followed(path: string): Promise<string | undefined>
  /** The real place of a name, which may be there or not, and which is not followed itself. */
  place(path: string): Promise<string>
  /** The same of a file that is open, for what was put in its way between looking and opening; only where the system tells (Linux). */
  checkOpened(fd: number, path: string): Promise<void>
}

export function openRoots(folders: readonly string[]): Roots {
  const plain = folders.map((folder) => resolve(folder))
  function check(real: string, path: string): string {
    for (const folder of plain) {
      // What is above a real path is real itself; else a root may be a link, and may come and go with its disk.
      const root = isWithin(real, folder) ? folder : realOrNone(folder)
      if (root !== undefined && isWithin(real, root)) return real
    }
    throw new TransferFailure(
      'PERMISSION_DENIED',
      `“${path}” is not below a folder that this agent opens: ${folders.join(', ')}.`,
    )
  }
  return {
    async followed(path) {
      const real = realpathIfThere(checkForm(path))
      // What is not there is refused too where it may not be looked for.
      if (real === undefined) check(placeOf(path), path)
      return real === undefined ? undefined : check(real, path)
    },
    place: async (path) => check(placeOf(path), path),
    async checkOpened(fd, path) {
      if (platform() !== 'linux') return
      const real = opened(fd)
      if (real !== undefined) check(real, path)
    },
  }
}

/** The real folder, as far as there is one, with what is left of the path: no `..` is in it any more. */
function placeOf(path: string): string {
  const plain = checkForm(path)
  let there = dirname(plain)
  let missing = basename(plain)
  for (;;) {
    const real = realpathIfThere(there)
    if (real !== undefined) return join(real, missing)
    missing = join(basename(there), missing)
    there = dirname(there)
  }
}

function checkForm(path: string): string {
  if (!isAbsolute(path)) throw new TransferFailure('NOT_FOUND', `“${path}” is not an absolute path of this machine.`)
  if (path.includes('\0')) throw new TransferFailure('NOT_FOUND', 'A path of this machine has no NUL character.')
  return normalize(path)
}

/**
 * Without the detour over a thread, which takes ten times as long as the system for a name that it has just looked up; every file is looked up a dozen times.
 */
function realpathIfThere(path: string): string | undefined {
  try {
    return realpathSync.native(path)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}

/** A root that may not even be looked at opens nothing. */
function realOrNone(folder: string): string | undefined {
  try {
    return realpathIfThere(folder)
  } catch {
    return undefined
  }
}

function opened(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return undefined
  }
}

/** Of two normal paths; `relative` of Node takes ten times as long. */
function isWithin(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep)
}
