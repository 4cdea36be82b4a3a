/** What the server answers, as whole packets, length field included (draft §7). */
import { type Attributes, attributesBytes, writeAttributes } from './attributes.ts'
import { newPacket, PACKET_HEAD_BYTES, usedFront, writePacketHead, writeString, writeUint64 } from './bytes.ts'
import {
  type Extension,
  LENGTH_BYTES,
  NAME_ENTRIES_MAX,
  NAME_REPLY_BYTES,
  PACKET,
  PACKET_BYTES_MAX,
  PROTOCOL_VERSION,
  STATUS_MESSAGE_CHARS_MAX,
  type StatusCode,
} from './constants.ts'

/** The answer to any request that is not answered by something else. The message is an English sentence for a person. */
export function encodeStatus(id: number, code: StatusCode, message: string): Buffer {
  const shown = message.length > STATUS_MESSAGE_CHARS_MAX ? message.slice(0, STATUS_MESSAGE_CHARS_MAX) : message
  const messageBytes = Buffer.byteLength(shown)
  // The code, the message, and an empty language tag as OpenSSH sends it.
  const packet = newPacket(PACKET.STATUS, id, 4 + 4 + messageBytes + 4)
  let at = packet.writeUInt32BE(code, PACKET_HEAD_BYTES)
  at = packet.writeUInt32BE(messageBytes, at)
  at += packet.write(shown, at)
  packet.writeUInt32BE(0, at)
  return packet
}

/** Room to leave in front of the bytes of a DATA reply. */
export const DATA_HEAD_BYTES = PACKET_HEAD_BYTES + 4

/**
 * Completes a DATA reply in place: read the file into `room` from DATA_HEAD_BYTES on, then send what this returns. It is
 * a view on `room`, or a copy where a short read left most of `room` empty; either way `room` must not be used again.
 */
export function finishData(room: Buffer, id: number, dataBytes: number): Buffer {
  writePacketHead(room, PACKET.DATA, id, DATA_HEAD_BYTES + dataBytes)
  room.writeUInt32BE(dataBytes, PACKET_HEAD_BYTES)
  return usedFront(room, DATA_HEAD_BYTES + dataBytes)
}

/** The answer to OPEN and OPENDIR. At most HANDLE_BYTES_MAX bytes, opaque to the client. */
export function encodeHandle(id: number, handle: Buffer): Buffer {
  const packet = newPacket(PACKET.HANDLE, id, 4 + handle.length)
  writeString(packet, handle, PACKET_HEAD_BYTES)
  return packet
}

export function encodeAttributes(id: number, attributes: Attributes): Buffer {
  const packet = newPacket(PACKET.ATTRS, id, attributesBytes(attributes))
  writeAttributes(packet, attributes, PACKET_HEAD_BYTES)
  return packet
}

/** The answer to REALPATH, READLINK, expand-path and home-directory: a NAME of one path without attributes. */
export function encodePath(id: number, path: Buffer): Buffer {
  const batch = new NameBatch()
  batch.add({ filename: path, longname: path, attributes: {} })
  return batch.finish(id)
}

export interface NameEntry {
  filename: Buffer
  /** The line that `ls -l` shows, see longname.ts. */
  longname: Buffer
  attributes: Attributes
}

/**
 * Collects the entries of one NAME reply to a READDIR, bounded in number and size. When `add` says no, `finish` this
 * batch, and begin the next with the entry that did not fit. An empty folder's answer is EOF, not an empty batch.
 */
export class NameBatch {
  #packet = Buffer.allocUnsafe(NAME_REPLY_BYTES)
  #usedBytes = PACKET_HEAD_BYTES + 4
  #count = 0

  get count(): number {
    return this.#count
  }

  /** Whether the entry was taken. The first always is, unless it alone would break the packet limit: that is a RangeError. */
  add(entry: NameEntry): boolean {
    const { filename, longname, attributes } = entry
    const endBytes = this.#usedBytes + 8 + filename.length + longname.length + attributesBytes(attributes)
    if (this.#count === NAME_ENTRIES_MAX) return false
    if (endBytes > this.#packet.length) {
      if (this.#count > 0) return false
      this.#growTo(endBytes)
    }
    const at = writeString(this.#packet, longname, writeString(this.#packet, filename, this.#usedBytes))
    this.#usedBytes = writeAttributes(this.#packet, attributes, at)
    this.#count++
    return true
  }

  /** The reply. The batch is used up. */
  finish(id: number): Buffer {
    writePacketHead(this.#packet, PACKET.NAME, id, this.#usedBytes)
    this.#packet.writeUInt32BE(this.#count, PACKET_HEAD_BYTES)
    return usedFront(this.#packet, this.#usedBytes)
  }

  /** Only before the first entry: nothing has been written that would have to be kept. */
  #growTo(bytes: number): void {
    if (bytes > PACKET_BYTES_MAX + LENGTH_BYTES) {
      throw new RangeError(`name entry: a packet of ${bytes} bytes is above ${PACKET_BYTES_MAX + LENGTH_BYTES}`)
    }
    this.#packet = Buffer.allocUnsafe(bytes)
  }
}

/** The answer to INIT, with the extensions offered. */
export function encodeVersion(extensions: readonly Extension[]): Buffer {
  let memberBytes = 0
  for (const { name, data } of extensions) memberBytes += 8 + name.length + data.length
  const packet = newPacket(PACKET.VERSION, PROTOCOL_VERSION, memberBytes)
  let at = PACKET_HEAD_BYTES
  for (const { name, data } of extensions) {
    at = writeString(packet, Buffer.from(name, 'latin1'), at)
    at = writeString(packet, Buffer.from(data, 'latin1'), at)
  }
  return packet
}

/** What limits@openssh.com tells the client; 0 means no limit (OpenSSH PROTOCOL §4.8). */
export interface Limits {
  packetBytes: number
  readBytes: number
  writeBytes: number
  openHandles: number
}

export function encodeLimits(id: number, limits: Limits): Buffer {
  return encodeUint64s(id, [limits.packetBytes, limits.readBytes, limits.writeBytes, limits.openHandles])
}

/** The answer to statvfs and fstatvfs@openssh.com, in the terms of statvfs(3) (OpenSSH PROTOCOL §4.4). */
export interface FileSystem {
  blockBytes: number
  /** The unit of the three block counts, bytes. */
  fragmentBytes: number
  blocks: number
  blocksFree: number
  /** Free to users without privileges. */
  blocksAvailable: number
  files: number
  filesFree: number
  filesAvailable: number
  fileSystemId: number
  /** Bits of STATVFS_FLAG. */
  flags: number
  nameBytesMax: number
}

export function encodeFileSystem(id: number, system: FileSystem): Buffer {
  return encodeUint64s(id, [
    system.blockBytes,
    system.fragmentBytes,
    system.blocks,
    system.blocksFree,
    system.blocksAvailable,
    system.files,
    system.filesFree,
    system.filesAvailable,
    system.fileSystemId,
    system.flags,
    system.nameBytesMax,
  ])
}

function encodeUint64s(id: number, values: readonly number[]): Buffer {
  const packet = newPacket(PACKET.EXTENDED_REPLY, id, values.length * 8)
  let at = PACKET_HEAD_BYTES
  for (const value of values) at = writeUint64(packet, value, at)
  return packet
}
