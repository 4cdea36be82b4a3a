/**
 * Paths are bytes: a name on a disk need not be UTF-8. Inside, a path is absolute and canonical: `/a/b`, no `.`, `..`, doubled or
 * trailing slash; the root is `/`. A *view* path is one that the user sees, a *storage* path begins at the storage's root.
 */
import { AppError } from '../base/error.ts'

/**
 * A path in the storage as text for tables: `/` and the UTF-8 name, or `hex:` and the bytes in hexadecimal where
 * the name is not UTF-8. A path begins with `/`, so the two cannot be confused and the form is reversible.
 */
export type StoredPath = string

/** Longest name in a folder, bytes: NAME_MAX of every file system in use here. */
const NAME_BYTES_MAX = 255
/** Longest path that a client may name, bytes: PATH_MAX of Linux. */
const PATH_BYTES_MAX = 4096

const SLASH = 0x2f
const DOT = 0x2e
const HEX = 'hex:'
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export const ROOT = Buffer.from('/')

/** The text of a name or path, or undefined where its bytes are not UTF-8. */
export function utf8Of(path: Buffer): string | undefined {
  try {
    return strictUtf8.decode(path)
  } catch {
    return undefined
  }
}

export function toStoredPath(path: Buffer): StoredPath {
  return utf8Of(path) ?? HEX + path.toString('hex')
}

export function fromStoredPath(stored: StoredPath): Buffer {
  return stored.startsWith(HEX) ? Buffer.from(stored.slice(HEX.length), 'hex') : Buffer.from(stored, 'utf8')
}

/** For messages and logs: control bytes and what is not UTF-8 are escaped, so that no client writes lines into them. */
export function showPath(path: Buffer): string {
  const text = path.toString('utf8')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
  return text.replace(/[\u0000-\u001f\u007f\ufffd]/g, (character) => JSON.stringify(character).slice(1, -1))
}

/**
 * The names of a path in order, `..` among them and `.` and empty ones not. Throws `path_invalid` for what no file system
 * here can hold.
 */
export function splitPath(path: Buffer): Buffer[] {
  if (path.length > PATH_BYTES_MAX) throw invalid(`the path has ${path.length} bytes, more than ${PATH_BYTES_MAX}`)
  if (path.includes(0)) throw invalid('the path holds a NUL byte')
  const names: Buffer[] = []
  for (let start = 0; start < path.length; ) {
    let end = path.indexOf(SLASH, start)
    if (end < 0) end = path.length
    const name = path.subarray(start, end)
    if (name.length > NAME_BYTES_MAX) throw invalid(`a name in the path has ${name.length} bytes, more than ${NAME_BYTES_MAX}`)
    if (name.length > 0 && !isDot(name)) names.push(name)
    start = end + 1
  }
  return names
}

export function joinNames(names: readonly Buffer[]): Buffer {
  if (names.length === 0) return ROOT
  return Buffer.concat(names.flatMap((name) => [ROOT, name]))
}

/** The entry `name` of a folder. */
export function childOf(folder: Buffer, name: Buffer): Buffer {
  return isRoot(folder) ? Buffer.concat([ROOT, name]) : Buffer.concat([folder, ROOT, name])
}

/** The folder that a canonical path lies in; of the root the root. */
export function folderOf(path: Buffer): Buffer {
  const slash = path.lastIndexOf(SLASH)
  return slash <= 0 ? ROOT : path.subarray(0, slash)
}

/** The last name of a canonical path; of the root nothing. */
export function nameOf(path: Buffer): Buffer {
  return path.subarray(path.lastIndexOf(SLASH) + 1)
}

/** `path` with the folder `under` put before it. */
export function joinPaths(under: Buffer, path: Buffer): Buffer {
  if (isRoot(under)) return path
  return isRoot(path) ? under : Buffer.concat([under, path])
}

/** The path as seen from `folder`, or undefined where it does not lie in it. */
export function pathBelow(folder: Buffer, path: Buffer): Buffer | undefined {
  if (isRoot(folder)) return path
  if (path.equals(folder)) return ROOT
  const lies = path.length > folder.length && path[folder.length] === SLASH && path.subarray(0, folder.length).equals(folder)
  return lies ? path.subarray(folder.length) : undefined
}

export function isRoot(path: Buffer): boolean {
  return path.length === 1 && path[0] === SLASH
}

export function isDotDot(name: Buffer): boolean {
  return name.length === 2 && name[0] === DOT && name[1] === DOT
}

function isDot(name: Buffer): boolean {
  return name.length === 1 && name[0] === DOT
}

function invalid(message: string): AppError {
  return new AppError('path_invalid', message)
}
