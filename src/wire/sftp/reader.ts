/** Cuts a byte stream into SFTP packets. */
import { ProtocolError } from './bytes.ts'
import { LENGTH_BYTES, PACKET_BYTES_MAX } from './constants.ts'

/**
 * `push` each chunk as it comes, then call `next` until it returns undefined; the payloads begin with the type byte.
 *
 * A packet that lies whole in one chunk is a view on that chunk: whoever keeps part of it longer than the request
 * copies it, or the whole chunk stays in memory. A packet cut over several chunks is copied once, into a buffer of its
 * own from `allocate`, as its chunks come, so that many tiny chunks are not kept. After `next` returned undefined the reader therefore
 * holds no chunk, and at most PACKET_BYTES_MAX + LENGTH_BYTES bytes.
 *
 * To pause, stop calling `next` and stop pushing; what was pushed waits, and `bufferedBytes` counts it.
 * A ProtocolError is final: the stream cannot be followed any further, every later `next` throws it again.
 */
export class PacketReader {
  readonly #allocate: (bytes: number) => Buffer
  /** Chunks not looked at yet, of which the first is used up to `#chunkAt`. */
  readonly #chunks: Buffer[] = []
  #chunkAt = 0
  /** The length field of a packet whose length field was cut in two. */
  readonly #length = Buffer.alloc(LENGTH_BYTES)
  #lengthBytes = 0
  /** The packet being put together, whole at `#packetBytes === #packet.length`. */
  #packet: Buffer | undefined
  #packetBytes = 0
  #bufferedBytes = 0

  /** `allocate` returns a buffer of exactly so many bytes. */
  constructor(allocate: (bytes: number) => Buffer = Buffer.allocUnsafe) {
    this.#allocate = allocate
  }

  /** Bytes pushed and not yet returned by `next`. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#bufferedBytes += chunk.length
  }

  /** The payload of the next whole packet, or undefined until more is pushed. Throws ProtocolError on a length out of bounds. */
  next(): Buffer | undefined {
    for (let chunk = this.#chunks[0]; chunk !== undefined; chunk = this.#chunks[0]) {
      const payload = this.#packet === undefined ? this.#begin(chunk) : this.#continue(this.#packet, chunk)
      if (this.#chunkAt === chunk.length) {
        this.#chunks.shift()
        this.#chunkAt = 0
      }
      if (payload === undefined) continue
      this.#bufferedBytes -= LENGTH_BYTES + payload.length
      return payload
    }
    return undefined
  }

  /** Reads a length field; the payload follows as a view if the chunk has it whole. */
  #begin(chunk: Buffer): Buffer | undefined {
    if (this.#lengthBytes > 0 || chunk.length - this.#chunkAt < LENGTH_BYTES) return this.#beginCut(chunk)
    const length = checkedLength(chunk.readUInt32BE(this.#chunkAt))
    this.#chunkAt += LENGTH_BYTES
    const end = this.#chunkAt + length
    if (end > chunk.length) return this.#startPacket(length, chunk)
    const payload = chunk.subarray(this.#chunkAt, end)
    this.#chunkAt = end
    return payload
  }

  #beginCut(chunk: Buffer): Buffer | undefined {
    const copied = chunk.copy(this.#length, this.#lengthBytes, this.#chunkAt)
    this.#chunkAt += copied
    this.#lengthBytes += copied
    if (this.#lengthBytes < LENGTH_BYTES) return undefined
    const length = checkedLength(this.#length.readUInt32BE(0))
    this.#lengthBytes = 0
    return this.#startPacket(length, chunk)
  }

  #startPacket(length: number, chunk: Buffer): Buffer | undefined {
    this.#packet = this.#allocate(length)
    this.#packetBytes = 0
    return this.#continue(this.#packet, chunk)
  }

  #continue(packet: Buffer, chunk: Buffer): Buffer | undefined {
    const copied = chunk.copy(packet, this.#packetBytes, this.#chunkAt)
    this.#chunkAt += copied
    this.#packetBytes += copied
    if (this.#packetBytes < packet.length) return undefined
    this.#packet = undefined
    return packet
  }
}

function checkedLength(length: number): number {
  if (length === 0 || length > PACKET_BYTES_MAX) {
    throw new ProtocolError(`packet length: ${length} is not between 1 and ${PACKET_BYTES_MAX}`)
  }
  return length
}
