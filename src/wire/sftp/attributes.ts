/** The attribute block of OPEN, SETSTAT, MKDIR, ATTRS and NAME (draft §5). */
import assert from 'node:assert/strict'
import { type Cursor, ProtocolError, writeString, writeUint64 } from './bytes.ts'
import { ATTRIBUTE_FLAG, EXTENDED_ATTRIBUTES_MAX } from './constants.ts'

/** An absent member says nothing: leave as it is, or not known. uid and gid come together, and so do atime and mtime. */
export interface Attributes {
  /** Bytes. */
  size?: number
  uid?: number
  gid?: number
  /** `st_mode`, the file's type included where a server says it. */
  permissions?: number
  /** Seconds since 1970, unsigned 32 bits: up to 2106. Encoding moves earlier and later times to the nearest end. */
  atime?: number
  mtime?: number
  extended?: readonly ExtendedAttribute[]
}

export interface ExtendedAttribute {
  readonly type: Buffer
  readonly data: Buffer
}

const UINT32_MAX = 0xffffffff

/** Reads a block. Unknown flag bits are ignored as OpenSSH does: version 3 gives them no members. */
export function readAttributes(cursor: Cursor): Attributes {
  const flags = cursor.uint32('attribute flags')
  const attributes: Attributes = {}
  if (flags & ATTRIBUTE_FLAG.SIZE) attributes.size = cursor.uint64('size')
  if (flags & ATTRIBUTE_FLAG.OWNER) {
    attributes.uid = cursor.uint32('uid')
    attributes.gid = cursor.uint32('gid')
  }
  if (flags & ATTRIBUTE_FLAG.PERMISSIONS) attributes.permissions = cursor.uint32('permissions')
  if (flags & ATTRIBUTE_FLAG.TIMES) {
    attributes.atime = cursor.uint32('atime')
    attributes.mtime = cursor.uint32('mtime')
  }
  if (flags & ATTRIBUTE_FLAG.EXTENDED) attributes.extended = readExtended(cursor)
  return attributes
}

function readExtended(cursor: Cursor): ExtendedAttribute[] {
  const count = cursor.uint32('extended attribute count')
  if (count > EXTENDED_ATTRIBUTES_MAX) {
    throw new ProtocolError(`extended attribute count: ${count} is above ${EXTENDED_ATTRIBUTES_MAX}`)
  }
  const extended: ExtendedAttribute[] = []
  while (extended.length < count) {
    const type = cursor.string('extended attribute type')
    extended.push({ type, data: cursor.string('extended attribute data') })
  }
  return extended
}

/** Bytes that `writeAttributes` will write. */
export function attributesBytes(attributes: Attributes): number {
  let bytes = 4
  if (attributes.size !== undefined) bytes += 8
  if (attributes.uid !== undefined) bytes += 8
  if (attributes.permissions !== undefined) bytes += 4
  if (attributes.mtime !== undefined) bytes += 8
  if (attributes.extended === undefined) return bytes
  bytes += 4
  for (const { type, data } of attributes.extended) bytes += 8 + type.length + data.length
  return bytes
}

/** Writes a block and returns the offset behind it. */
export function writeAttributes(target: Buffer, attributes: Attributes, at: number): number {
  const { size, uid, gid, permissions, atime, mtime, extended } = attributes
  assert((uid === undefined) === (gid === undefined), 'uid and gid come together')
  assert((atime === undefined) === (mtime === undefined), 'atime and mtime come together')
  let flags = 0
  let next = at + 4
  if (size !== undefined) {
    flags |= ATTRIBUTE_FLAG.SIZE
    next = writeUint64(target, size, next)
  }
  if (uid !== undefined && gid !== undefined) {
    flags |= ATTRIBUTE_FLAG.OWNER
    next = target.writeUInt32BE(uid, next)
    next = target.writeUInt32BE(gid, next)
  }
  if (permissions !== undefined) {
    flags |= ATTRIBUTE_FLAG.PERMISSIONS
    next = target.writeUInt32BE(permissions, next)
  }
  if (atime !== undefined && mtime !== undefined) {
    flags |= ATTRIBUTE_FLAG.TIMES
    next = target.writeUInt32BE(wireSeconds(atime), next)
    next = target.writeUInt32BE(wireSeconds(mtime), next)
  }
  if (extended !== undefined) {
    flags |= ATTRIBUTE_FLAG.EXTENDED
    next = target.writeUInt32BE(extended.length, next)
    for (const { type, data } of extended) next = writeString(target, data, writeString(target, type, next))
  }
  target.writeUInt32BE(flags >>> 0, at)
  return next
}

/** The nearest second that the wire can say. OpenSSH lets such times wrap around, which shows a file of 1969 as one of 2106. */
function wireSeconds(seconds: number): number {
  return Math.min(Math.max(Math.floor(seconds), 0), UINT32_MAX)
}
