/**
 * What a client asks. `decodeRequest` turns the payload of a packet into one `Request` and never throws: what cannot be
 * read is a request of its own kind, which the server answers under its id while the session goes on.
 *
 * Paths, handles and data are views on the payload (see PacketReader): copy what must outlive the request. Paths are
 * bytes, unchecked: empty, with NUL, not UTF-8.
 *
 * Bytes behind the last member are ignored. OpenSSH's server does so, clients were tried against that, and some send the
 * longer forms of later versions (flags behind STAT and RENAME); refusing would help nobody, since the packet's own
 * length keeps the stream in step.
 */
import { type Attributes, readAttributes } from './attributes.ts'
import { Cursor, ProtocolError } from './bytes.ts'
import { EXTENSION, EXTENSION_NAME_CHARS_MAX, EXTENSIONS_MAX, type Extension, PACKET } from './constants.ts'

export type Request =
  | { kind: 'init'; version: number; extensions: Extension[] }
  | { kind: 'open'; id: number; path: Buffer; flags: number; attributes: Attributes }
  | { kind: 'close'; id: number; handle: Buffer }
  | { kind: 'read'; id: number; handle: Buffer; offset: number; length: number }
  | { kind: 'write'; id: number; handle: Buffer; offset: number; data: Buffer }
  | { kind: 'lstat'; id: number; path: Buffer }
  | { kind: 'fstat'; id: number; handle: Buffer }
  | { kind: 'setstat'; id: number; path: Buffer; attributes: Attributes }
  | { kind: 'fsetstat'; id: number; handle: Buffer; attributes: Attributes }
  | { kind: 'opendir'; id: number; path: Buffer }
  | { kind: 'readdir'; id: number; handle: Buffer }
  | { kind: 'remove'; id: number; path: Buffer }
  | { kind: 'mkdir'; id: number; path: Buffer; attributes: Attributes }
  | { kind: 'rmdir'; id: number; path: Buffer }
  | { kind: 'realpath'; id: number; path: Buffer }
  | { kind: 'stat'; id: number; path: Buffer }
  | { kind: 'rename'; id: number; from: Buffer; to: Buffer }
  | { kind: 'readlink'; id: number; path: Buffer }
  | { kind: 'symlink'; id: number; targetPath: Buffer; linkPath: Buffer }
  | { kind: 'posix_rename'; id: number; from: Buffer; to: Buffer }
  | { kind: 'hardlink'; id: number; targetPath: Buffer; linkPath: Buffer }
  | { kind: 'statvfs'; id: number; path: Buffer }
  | { kind: 'fstatvfs'; id: number; handle: Buffer }
  | { kind: 'fsync'; id: number; handle: Buffer }
  | { kind: 'limits'; id: number }
  | { kind: 'lsetstat'; id: number; path: Buffer; attributes: Attributes }
  | { kind: 'expand_path'; id: number; path: Buffer }
  | CopyData
  | { kind: 'home_directory'; id: number; username: Buffer }
  /** Answer OP_UNSUPPORTED. */
  | { kind: 'unknown_extension'; id: number; name: string }
  /** A packet type that no client sends. Answer OP_UNSUPPORTED. */
  | { kind: 'unsupported'; id: number; type: number }
  /** Members that end early or are out of bounds. Answer BAD_MESSAGE; without an id there is no answer: end the session. */
  | { kind: 'malformed'; id: number | undefined; type: number; reason: string }

/** Copies `length` bytes from one open file to another; 0 means up to the end of the file. */
interface CopyData {
  kind: 'copy_data'
  id: number
  readHandle: Buffer
  readOffset: number
  length: number
  writeHandle: Buffer
  writeOffset: number
}

export type RequestKind = Request['kind']
/** The request of one kind, for its handler. */
export type RequestOf<Kind extends RequestKind> = Extract<Request, { kind: Kind }>

export function decodeRequest(payload: Buffer): Request {
  const type = payload[0] ?? 0
  const cursor = new Cursor(payload, 1)
  let id: number | undefined
  try {
    if (type === PACKET.INIT) return { kind: 'init', version: cursor.uint32('version'), extensions: readExtensions(cursor) }
    id = cursor.uint32('id')
    return decodeMembers(type, id, cursor)
  } catch (error) {
    if (error instanceof ProtocolError) return { kind: 'malformed', id, type, reason: error.message }
    throw error
  }
}

/** The pairs that fill the rest of an INIT or VERSION (draft §4). */
export function readExtensions(cursor: Cursor): Extension[] {
  const extensions: Extension[] = []
  while (cursor.remainingBytes > 0) {
    if (extensions.length === EXTENSIONS_MAX) throw new ProtocolError(`extensions: more than ${EXTENSIONS_MAX}`)
    const name = cursor.string('extension name').toString('latin1')
    extensions.push({ name, data: cursor.string('extension data').toString('latin1') })
  }
  return extensions
}

// Literals list their members in wire order: that is the order in which they are read.
function decodeMembers(type: number, id: number, cursor: Cursor): Request {
  switch (type) {
    case PACKET.WRITE:
      return { kind: 'write', id, handle: cursor.handle('handle'), offset: cursor.uint64('offset'), data: cursor.string('data') }
    case PACKET.READ:
      return {
        kind: 'read',
        id,
        handle: cursor.handle('handle'),
        offset: cursor.uint64('offset'),
        length: cursor.uint32('length'),
      }
    case PACKET.OPEN:
      return { kind: 'open', id, path: cursor.string('path'), flags: cursor.uint32('flags'), attributes: readAttributes(cursor) }
    case PACKET.CLOSE:
      return { kind: 'close', id, handle: cursor.handle('handle') }
    case PACKET.LSTAT:
      return { kind: 'lstat', id, path: cursor.string('path') }
    case PACKET.FSTAT:
      return { kind: 'fstat', id, handle: cursor.handle('handle') }
    case PACKET.SETSTAT:
      return { kind: 'setstat', id, path: cursor.string('path'), attributes: readAttributes(cursor) }
    case PACKET.FSETSTAT:
      return { kind: 'fsetstat', id, handle: cursor.handle('handle'), attributes: readAttributes(cursor) }
    case PACKET.OPENDIR:
      return { kind: 'opendir', id, path: cursor.string('path') }
    case PACKET.READDIR:
      return { kind: 'readdir', id, handle: cursor.handle('handle') }
    case PACKET.REMOVE:
      return { kind: 'remove', id, path: cursor.string('path') }
    case PACKET.MKDIR:
      return { kind: 'mkdir', id, path: cursor.string('path'), attributes: readAttributes(cursor) }
    case PACKET.RMDIR:
      return { kind: 'rmdir', id, path: cursor.string('path') }
    case PACKET.REALPATH:
      return { kind: 'realpath', id, path: cursor.string('path') }
    case PACKET.STAT:
      return { kind: 'stat', id, path: cursor.string('path') }
    case PACKET.RENAME:
      return { kind: 'rename', id, from: cursor.string('from'), to: cursor.string('to') }
    case PACKET.READLINK:
      return { kind: 'readlink', id, path: cursor.string('path') }
    case PACKET.SYMLINK:
      // The draft says link first (§6.10). OpenSSH sends and reads the target first, and the others followed it (PROTOCOL §4.1).
      return { kind: 'symlink', id, targetPath: cursor.string('target path'), linkPath: cursor.string('link path') }
    case PACKET.EXTENDED:
      return decodeExtended(id, cursor)
    default:
      return { kind: 'unsupported', id, type }
  }
}

function decodeExtended(id: number, cursor: Cursor): Request {
  const name = cursor.string('extension name').toString('latin1', 0, EXTENSION_NAME_CHARS_MAX)
  switch (name) {
    case EXTENSION.POSIX_RENAME.name:
      return { kind: 'posix_rename', id, from: cursor.string('from'), to: cursor.string('to') }
    case EXTENSION.HARDLINK.name:
      return { kind: 'hardlink', id, targetPath: cursor.string('target path'), linkPath: cursor.string('link path') }
    case EXTENSION.STATVFS.name:
      return { kind: 'statvfs', id, path: cursor.string('path') }
    case EXTENSION.FSTATVFS.name:
      return { kind: 'fstatvfs', id, handle: cursor.handle('handle') }
    case EXTENSION.FSYNC.name:
      return { kind: 'fsync', id, handle: cursor.handle('handle') }
    case EXTENSION.LIMITS.name:
      return { kind: 'limits', id }
    case EXTENSION.LSETSTAT.name:
      return { kind: 'lsetstat', id, path: cursor.string('path'), attributes: readAttributes(cursor) }
    case EXTENSION.EXPAND_PATH.name:
      return { kind: 'expand_path', id, path: cursor.string('path') }
    case EXTENSION.COPY_DATA.name:
      return {
        kind: 'copy_data',
        id,
        readHandle: cursor.handle('read handle'),
        readOffset: cursor.uint64('read offset'),
        length: cursor.uint64('length'),
        writeHandle: cursor.handle('write handle'),
        writeOffset: cursor.uint64('write offset'),
      }
    case EXTENSION.HOME_DIRECTORY.name:
      return { kind: 'home_directory', id, username: cursor.string('username') }
    default:
      return { kind: 'unknown_extension', id, name }
  }
}
