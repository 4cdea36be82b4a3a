/** The client's half: requests as packets, replies as values. Tests speak raw SFTP with it, the hostile kind too. */
import { type Attributes, attributesBytes, readAttributes, writeAttributes } from './attributes.ts'
import { Cursor, newPacket, PACKET_HEAD_BYTES, ProtocolError, writeUint64 } from './bytes.ts'
import { EXTENSION, type Extension, NAME_ENTRIES_MAX, PACKET } from './constants.ts'
import type { FileSystem, Limits, NameEntry } from './reply.ts'
import { type Request, readExtensions } from './request.ts'

/** Every request that has a form of its own; what the decoder could not read cannot be written. */
export type EncodableRequest = Exclude<Request, { kind: 'malformed' | 'unsupported' | 'unknown_extension' }>

/** One whole packet, length field included. Nothing is checked against the limits: tests break them on purpose. */
export function encodeRequest(request: EncodableRequest): Buffer {
  switch (request.kind) {
    case 'init':
      return packet(PACKET.INIT, request.version, ...request.extensions.flatMap(({ name, data }) => [text(name), text(data)]))
    case 'open':
      return packet(PACKET.OPEN, request.id, string(request.path), uint32(request.flags), attributeBlock(request.attributes))
    case 'close':
      return packet(PACKET.CLOSE, request.id, string(request.handle))
    case 'read':
      return packet(PACKET.READ, request.id, string(request.handle), uint64(request.offset), uint32(request.length))
    case 'write':
      return packet(PACKET.WRITE, request.id, string(request.handle), uint64(request.offset), string(request.data))
    case 'lstat':
      return packet(PACKET.LSTAT, request.id, string(request.path))
    case 'fstat':
      return packet(PACKET.FSTAT, request.id, string(request.handle))
    case 'setstat':
      return packet(PACKET.SETSTAT, request.id, string(request.path), attributeBlock(request.attributes))
    case 'fsetstat':
      return packet(PACKET.FSETSTAT, request.id, string(request.handle), attributeBlock(request.attributes))
    case 'opendir':
      return packet(PACKET.OPENDIR, request.id, string(request.path))
    case 'readdir':
      return packet(PACKET.READDIR, request.id, string(request.handle))
    case 'remove':
      return packet(PACKET.REMOVE, request.id, string(request.path))
    case 'mkdir':
      return packet(PACKET.MKDIR, request.id, string(request.path), attributeBlock(request.attributes))
    case 'rmdir':
      return packet(PACKET.RMDIR, request.id, string(request.path))
    case 'realpath':
      return packet(PACKET.REALPATH, request.id, string(request.path))
    case 'stat':
      return packet(PACKET.STAT, request.id, string(request.path))
    case 'rename':
      return packet(PACKET.RENAME, request.id, string(request.from), string(request.to))
    case 'readlink':
      return packet(PACKET.READLINK, request.id, string(request.path))
    case 'symlink':
      return packet(PACKET.SYMLINK, request.id, string(request.targetPath), string(request.linkPath))
    case 'posix_rename':
      return extended(request.id, EXTENSION.POSIX_RENAME, string(request.from), string(request.to))
    case 'hardlink':
      return extended(request.id, EXTENSION.HARDLINK, string(request.targetPath), string(request.linkPath))
    case 'statvfs':
      return extended(request.id, EXTENSION.STATVFS, string(request.path))
    case 'fstatvfs':
      return extended(request.id, EXTENSION.FSTATVFS, string(request.handle))
    case 'fsync':
      return extended(request.id, EXTENSION.FSYNC, string(request.handle))
    case 'limits':
      return extended(request.id, EXTENSION.LIMITS)
    case 'lsetstat':
      return extended(request.id, EXTENSION.LSETSTAT, string(request.path), attributeBlock(request.attributes))
    case 'expand_path':
      return extended(request.id, EXTENSION.EXPAND_PATH, string(request.path))
    case 'copy_data': {
      const from = [string(request.readHandle), uint64(request.readOffset), uint64(request.length)]
      return extended(request.id, EXTENSION.COPY_DATA, ...from, string(request.writeHandle), uint64(request.writeOffset))
    }
    case 'home_directory':
      return extended(request.id, EXTENSION.HOME_DIRECTORY, string(request.username))
  }
}

function extended(id: number, extension: Extension, ...members: Buffer[]): Buffer {
  return packet(PACKET.EXTENDED, id, text(extension.name), ...members)
}

/** A packet of any type with any members, well-formed or not; the length field counts them right. */
export function packet(type: number, id: number, ...members: Buffer[]): Buffer {
  const body = Buffer.concat(members)
  const whole = newPacket(type, id, body.length)
  whole.set(body, PACKET_HEAD_BYTES)
  return whole
}

/** The members that packets are made of. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  writeUint64(bytes, value, 0)
  return bytes
}

export function string(value: Buffer): Buffer {
  return Buffer.concat([uint32(value.length), value])
}

function text(value: string): Buffer {
  return string(Buffer.from(value, 'latin1'))
}

function attributeBlock(attributes: Attributes): Buffer {
  const bytes = Buffer.alloc(attributesBytes(attributes))
  writeAttributes(bytes, attributes, 0)
  return bytes
}

export type Reply =
  | { kind: 'version'; version: number; extensions: Extension[] }
  | { kind: 'status'; id: number; code: number; message: string; language: string }
  | { kind: 'handle'; id: number; handle: Buffer }
  | { kind: 'data'; id: number; data: Buffer }
  | { kind: 'name'; id: number; entries: NameEntry[] }
  | { kind: 'attributes'; id: number; attributes: Attributes }
  /** Its members depend on the request: see decodeLimits and decodeFileSystem. */
  | { kind: 'extended'; id: number; data: Buffer }

/** Buffers are views on the payload. Throws ProtocolError on anything that is not a well-formed reply. */
export function decodeReply(payload: Buffer): Reply {
  const type = payload[0]
  const cursor = new Cursor(payload, 1)
  if (type === PACKET.VERSION) return { kind: 'version', version: cursor.uint32('version'), extensions: readExtensions(cursor) }
  const id = cursor.uint32('id')
  switch (type) {
    case PACKET.STATUS: {
      const code = cursor.uint32('code')
      const message = cursor.string('message').toString()
      return { kind: 'status', id, code, message, language: cursor.string('language').toString() }
    }
    case PACKET.HANDLE:
      return { kind: 'handle', id, handle: cursor.handle('handle') }
    case PACKET.DATA:
      return { kind: 'data', id, data: cursor.string('data') }
    case PACKET.NAME:
      return { kind: 'name', id, entries: readEntries(cursor) }
    case PACKET.ATTRS:
      return { kind: 'attributes', id, attributes: readAttributes(cursor) }
    case PACKET.EXTENDED_REPLY:
      return { kind: 'extended', id, data: payload.subarray(payload.length - cursor.remainingBytes) }
    default:
      throw new ProtocolError(`packet type: ${type} is not a reply`)
  }
}

function readEntries(cursor: Cursor): NameEntry[] {
  const count = cursor.uint32('count')
  if (count > NAME_ENTRIES_MAX) throw new ProtocolError(`count: ${count} entries are more than ${NAME_ENTRIES_MAX}`)
  const entries: NameEntry[] = []
  while (entries.length < count) {
    entries.push({ filename: cursor.string('filename'), longname: cursor.string('longname'), attributes: readAttributes(cursor) })
  }
  return entries
}

export function decodeLimits(data: Buffer): Limits {
  const cursor = new Cursor(data, 0)
  return {
    packetBytes: cursor.uint64('packet bytes'),
    readBytes: cursor.uint64('read bytes'),
    writeBytes: cursor.uint64('write bytes'),
    openHandles: cursor.uint64('open handles'),
  }
}

export function decodeFileSystem(data: Buffer): FileSystem {
  const cursor = new Cursor(data, 0)
  return {
    blockBytes: cursor.uint64('block bytes'),
    fragmentBytes: cursor.uint64('fragment bytes'),
    blocks: cursor.uint64('blocks'),
    blocksFree: cursor.uint64('blocks free'),
    blocksAvailable: cursor.uint64('blocks available'),
    files: cursor.uint64('files'),
    filesFree: cursor.uint64('files free'),
    filesAvailable: cursor.uint64('files available'),
    // Any 64 bits: OpenSSH's are the kernel's, and above 2^53 the nearest number names it well enough.
    fileSystemId: cursor.uint32('file system id') * 2 ** 32 + cursor.uint32('file system id'),
    flags: cursor.uint64('flags'),
    nameBytesMax: cursor.uint64('name bytes'),
  }
}
