import { KIB, MIB } from '../../base/units.ts'

/** Requests of one connection that are being carried out. OpenSSH keeps 64 in flight, rclone 64, WinSCP 32. */
const REQUESTS_MAX = 512
/** Bytes of their packets: data that waits to be written, and paths. A packet more than this may be in flight. */
export const REQUEST_BYTES_MAX = 4 * MIB
/** Bytes of replies that are being made or that the client has not taken. A reply more than this may be in flight. */
export const REPLY_BYTES_MAX = 2 * MIB
/** What one entry of a listing is counted as while it is read: a name, its attributes, its line. */
const REQUEST_OVERHEAD_BYTES = KIB

/** The part of a socket that the flow needs. */
export interface Wire {
  /** Bytes that the network has not taken yet. */
  readonly writableLength: number
  cork(): void
  uncork(): void
}

/**
 * Counts what one connection has under way, over all its sessions, and says when there is room for more. This is the
 * back-pressure of both directions: without room no request is read, so the client's window closes.
 * What it cannot count (packets of the SSH layer itself) `ssh/connection.ts` bounds.
 */
export class Flow {
  readonly #wire: Wire
  readonly #waiting = new Set<() => void>()
  #requests = 0
  #requestBytes = 0
  #replyBytes = 0
  #held = false
  #corked = false
  #progress = 0

  constructor(wire: Wire) {
    this.#wire = wire
  }

  get hasRoom(): boolean {
    return (
      !this.#held &&
      this.#requests < REQUESTS_MAX &&
      this.#requestBytes < REQUEST_BYTES_MAX &&
      this.#replyBytes + this.#wire.writableLength < REPLY_BYTES_MAX
    )
  }

  get requests(): number {
    return this.#requests
  }

  /** Bytes held for this client: packets being carried out, replies being made or waiting. */
  get bytes(): number {
    return this.#requestBytes + this.#replyBytes + this.#wire.writableLength
  }

  /** Grows with every request and every reply taken; unchanged means idle or stuck. */
  get progress(): number {
    return this.#progress
  }

  /** A request begins: `packetBytes` are held until it ends. */
  begin(packetBytes: number): void {
    this.#requests++
    this.#requestBytes += packetBytes + REQUEST_OVERHEAD_BYTES
    this.#progress++
  }

  end(packetBytes: number): void {
    this.#requests--
    this.#requestBytes -= packetBytes + REQUEST_OVERHEAD_BYTES
    this.room()
  }

  /** Sets bytes aside for a reply, before it is made. */
  reserve(bytes: number): void {
    this.#replyBytes += bytes
  }

  /** They were handed to the wire, or are not needed. */
  release(bytes: number): void {
    this.#replyBytes -= bytes
    this.#progress++
    this.room()
  }

  /** No request is begun until `resume`: while keys are exchanged the SSH layer queues without telling, and while the server stops. */
  hold(): void {
    this.#held = true
  }

  resume(): void {
    this.#held = false
    this.room()
  }

  /** Calls `go` once, as soon as there is room. */
  whenRoom(go: () => void): void {
    this.#waiting.add(go)
  }

  forget(go: () => void): void {
    this.#waiting.delete(go)
  }

  /** Something became free, perhaps on the wire. */
  room(): void {
    for (const go of this.#waiting) {
      if (!this.hasRoom) return
      this.#waiting.delete(go)
      go()
    }
  }

  /** Holds small writes of this turn of the event loop back, so that they leave in one system call (measured: downloads 1.3 times as fast). */
  cork(): void {
    if (this.#corked) return
    this.#corked = true
    this.#wire.cork()
    setImmediate(() => {
      this.#corked = false
      this.#wire.uncork()
    })
  }
}
