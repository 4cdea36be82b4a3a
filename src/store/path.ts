import { hash } from 'node:crypto'
import type { StoredPath } from '../files/path.ts'
import type { Deed } from '../files/port.ts'

/** A path as the locks see it: by its bytes, so that a name that is not UTF-8 lies below its folder too. */
export interface PathLock {
  readonly hash: string
  readonly hex: string
  /** A folder that moves or goes: everything below it is held as well. */
  readonly isSubtree: boolean
}

const SLASH = 0x2f

/** What a deed holds while it is open. A rename may move a folder, so both of its ends hold what is below them. */
export function locksOf(deed: Deed): PathLock[] {
  if (deed.kind === 'rename') return [lock(deed.path, true), lock(deed.to, true)]
  return [lock(deed.path, deed.kind === 'rmdir')]
}

function lock(path: StoredPath, isSubtree: boolean): PathLock {
  const bytes = bytesOf(path)
  return { hash: sha256(bytes), hex: bytes.toString('hex'), isSubtree }
}

/** Hashes of the folders above a path, which must not be held as subtrees. */
export function foldersAbove(lock: PathLock): string[] {
  const bytes = Buffer.from(lock.hex, 'hex')
  const folders: string[] = []
  for (let end = bytes.lastIndexOf(SLASH); end >= 0; end = end === 0 ? -1 : bytes.lastIndexOf(SLASH, end - 1)) {
    folders.push(sha256(bytes.subarray(0, Math.max(end, 1))))
  }
  return folders
}

/** The half-open range of `path_hex` that lies below a folder: `folder/` up to, not including, `folder0`. */
export function rangeBelow(lock: PathLock): { from: string; to: string } {
  const folder = lock.hex === '2f' ? '' : lock.hex
  return { from: `${folder}2f`, to: `${folder}30` }
}

export function folderHash(path: StoredPath): string {
  const bytes = bytesOf(path)
  return sha256(bytes.subarray(0, Math.max(bytes.lastIndexOf(SLASH), 1)))
}

export function pathHash(path: StoredPath): string {
  return sha256(bytesOf(path))
}

function bytesOf(path: StoredPath): Buffer {
  return path.startsWith('hex:') ? Buffer.from(path.slice(4), 'hex') : Buffer.from(path, 'utf8')
}

function sha256(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex')
}
