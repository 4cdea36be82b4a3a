/** Reading and writing the few types that SFTP is made of: uint32, uint64 and counted strings (RFC 4251 §5). */
import { HANDLE_BYTES_MAX, LENGTH_BYTES } from './constants.ts'

/** The peer sent bytes that are not SFTP. The message names member, bound and value, never content. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

/**
 * Reads the members of one packet in order and throws a ProtocolError where they end too early. Strings are views
 * on the packet, not copies. Each method takes the member's name, for the message.
 */
export class Cursor {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  get remainingBytes(): number {
    return this.#bytes.length - this.#at
  }

  uint32(member: string): number {
    const at = this.#take(member, 4)
    return this.#bytes.readUInt32BE(at)
  }

  /**
   * A uint64 as a number. Values above 2^53 − 1 cannot be one; no file system holds such a file, and OpenSSH answers
   * BAD_MESSAGE to offsets that its own cannot hold, so they are refused like any other unreadable member.
   */
  uint64(member: string): number {
    const at = this.#take(member, 8)
    const value = this.#bytes.readUInt32BE(at) * 2 ** 32 + this.#bytes.readUInt32BE(at + 4)
    if (value > Number.MAX_SAFE_INTEGER) throw new ProtocolError(`${member}: ${value} is above ${Number.MAX_SAFE_INTEGER}`)
    return value
  }

  string(member: string): Buffer {
    const length = this.uint32(member)
    const at = this.#take(member, length)
    return this.#bytes.subarray(at, at + length)
  }

  handle(member: string): Buffer {
    const handle = this.string(member)
    if (handle.length > HANDLE_BYTES_MAX) {
      throw new ProtocolError(`${member}: ${handle.length} bytes are more than ${HANDLE_BYTES_MAX}`)
    }
    return handle
  }

  #take(member: string, bytes: number): number {
    const at = this.#at
    if (bytes > this.#bytes.length - at) {
      throw new ProtocolError(`${member}: needs ${bytes} bytes, the packet has ${this.#bytes.length - at} left`)
    }
    this.#at = at + bytes
    return at
  }
}

/** Where the members begin in a packet from `newPacket`: after length, type and id. */
export const PACKET_HEAD_BYTES = LENGTH_BYTES + 1 + 4

/** A packet with its head written and room for `memberBytes` more, not zeroed. INIT and VERSION have their version as `id`. */
export function newPacket(type: number, id: number, memberBytes: number): Buffer {
  const packet = Buffer.allocUnsafe(PACKET_HEAD_BYTES + memberBytes)
  writePacketHead(packet, type, id, packet.length)
  return packet
}

/** Writes the head of a packet that takes `packetBytes` in all, length field included. */
export function writePacketHead(packet: Buffer, type: number, id: number, packetBytes: number): void {
  packet.writeUInt32BE(packetBytes - LENGTH_BYTES, 0)
  packet[LENGTH_BYTES] = type
  packet.writeUInt32BE(id, LENGTH_BYTES + 1)
}

/** Writes a counted string and returns the offset behind it. */
export function writeString(target: Buffer, value: Buffer, at: number): number {
  target.writeUInt32BE(value.length, at)
  target.set(value, at + 4)
  return at + 4 + value.length
}

/** Writes a uint64 and returns the offset behind it. Negative values become 0, too large ones the largest. */
export function writeUint64(target: Buffer, value: number, at: number): number {
  const high = Math.floor(value / 2 ** 32)
  const isTooLarge = high > 0xffffffff
  target.writeUInt32BE(isTooLarge ? 0xffffffff : Math.max(high, 0), at)
  target.writeUInt32BE(isTooLarge ? 0xffffffff : high < 0 ? 0 : value % 2 ** 32, at + 4)
  return at + 8
}

/**
 * The used front of a buffer. Copied where less than half is used, so that a reply waiting to be sent never holds more
 * than twice the memory it counts for: a client may ask for 255 KiB of a 10-byte file and not read the answers.
 */
export function usedFront(buffer: Buffer, usedBytes: number): Buffer {
  const used = buffer.subarray(0, usedBytes)
  return usedBytes * 2 < buffer.length ? Buffer.from(used) : used
}
