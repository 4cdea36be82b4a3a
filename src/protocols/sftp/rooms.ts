import { KIB, MIB } from '../../base/units.ts'

/** Sizes of rooms, each for data of a power of two and the head of its packet; 256 KiB is the largest packet. */
const SIZES = [33 * KIB, 65 * KIB, 129 * KIB, 257 * KIB] as const
/** Below this a buffer of its own, so that no packet holds more than about twice its bytes. */
const ROOM_BYTES_MIN = SIZES[0] / 2
/** Rooms kept for the next packets, all sessions together: what one fast transfer has under way. */
export const IDLE_BYTES_MAX = 8 * MIB

/**
 * Buffers for the packets that carry data, used again: fresh ones lie outside of the heap, and each 64 MiB of them make
 * V8 mark all of it (measured: half of a transfer's CPU). Who takes a room gives it back when nobody reads or
 * writes it any more; one that is not given back, as after a failure, is collected like any buffer.
 */
export class Rooms {
  readonly #idle: Buffer[][] = SIZES.map(() => [])
  #idleBytes = 0
  readonly #lent = new WeakSet<ArrayBufferLike>()

  /** What `take` returns for so many bytes, in bytes. */
  static sizeFor(bytes: number): number {
    return (bytes < ROOM_BYTES_MIN ? undefined : SIZES.find((size) => size >= bytes)) ?? bytes
  }

  /** At least `bytes` bytes of any content. */
  take(bytes: number): Buffer {
    const size = Rooms.sizeFor(bytes)
    const idle = this.#idle[SIZES.indexOf(size as (typeof SIZES)[number])]
    if (idle === undefined) return Buffer.allocUnsafe(size)
    const used = idle.pop()
    if (used !== undefined) this.#idleBytes -= size
    const room = used ?? Buffer.allocUnsafeSlow(size)
    this.#lent.add(room.buffer)
    return room
  }

  /** `bytes` is a room, or a view on one, whose memory may hold something else from now on. Any other buffer is left alone. */
  giveBack({ buffer }: Buffer): void {
    if (!this.#lent.delete(buffer) || this.#idleBytes + buffer.byteLength > IDLE_BYTES_MAX) return
    this.#idleBytes += buffer.byteLength
    this.#idle[SIZES.indexOf(buffer.byteLength as (typeof SIZES)[number])]!.push(Buffer.from(buffer))
  }

  get idleBytes(): number {
    return this.#idleBytes
  }
}

/** Those of this process. */
export const rooms = new Rooms()
