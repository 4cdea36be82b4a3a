import type { Writable } from 'node:stream'
import { KIB } from '../../base/units.ts'
import type { Flow } from './flow.ts'
import { rooms } from './rooms.ts'

/** Replies below this are joined with their neighbours: each write is a packet of its own, with cipher and padding. */
const SMALL_BYTES = 4 * KIB
/** Joined replies leave at this size: one SSH packet. */
const JOINED_BYTES_MAX = 30 * KIB

/** Sends replies, the small ones of one turn of the event loop together, and counts them until the SSH layer took them. */
export class Outbox {
  readonly #channel: Writable
  readonly #flow: Flow
  #small: Buffer[] = []
  #smallBytes = 0
  #scheduled = false
  #pendingBytes = 0
  #closed = false
  #whenEmpty: (() => void) | undefined

  constructor(channel: Writable, flow: Flow) {
    this.#channel = channel
    this.#flow = flow
  }

  send(reply: Buffer): void {
    if (this.#closed) return
    this.#pendingBytes += reply.length
    this.#flow.reserve(reply.length)
    if (reply.length >= SMALL_BYTES) {
      this.#flush()
      this.#write(reply)
      return
    }
    this.#small.push(reply)
    this.#smallBytes += reply.length
    if (this.#smallBytes >= JOINED_BYTES_MAX) this.#flush()
    else this.#schedule()
  }

  /** Calls back once everything that was sent has been taken. */
  whenEmpty(call: () => void): void {
    this.#flush()
    if (this.#pendingBytes === 0) call()
    else this.#whenEmpty = call
  }

  /** The channel is gone: nothing is sent any more, and what waits counts no longer. */
  close(): void {
    this.#closed = true
    this.#small = []
    this.#flow.release(this.#pendingBytes)
    this.#pendingBytes = 0
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#smallBytes === 0 || this.#closed) return
    const joined = this.#small.length === 1 ? this.#small[0]! : Buffer.concat(this.#small, this.#smallBytes)
    this.#small = []
    this.#smallBytes = 0
    this.#write(joined)
  }

  #write(bytes: Buffer): void {
    this.#flow.cork()
    this.#channel.write(bytes, () => {
      if (this.#closed) return
      // The SSH layer has made its own packets of them.
      rooms.giveBack(bytes)
      this.#pendingBytes -= bytes.length
      this.#flow.release(bytes.length)
      if (this.#pendingBytes > 0) return
      const call = this.#whenEmpty
      this.#whenEmpty = undefined
      call?.()
    })
  }
}
