import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import type { Clock } from '../../base/clock.ts'
import { MIB, SECOND_MS } from '../../base/units.ts'
import { LINE_BYTES_MAX, type ServerMessage } from '../../wire/agent/work.ts'

/** What an agent may leave unread, bytes, before its stream is cut. */
export const UNREAD_BYTES_MAX = MIB
/** An agent that takes nothing of what waits for so long is cut, ms. */
export const STALLED_MS = 30 * SECOND_MS
/** What is left to be said to an agent whose stream ends gets this long, ms. */
const END_MS = 2 * SECOND_MS

/**
 * What is said to one agent, a JSON object a line. New → open (`begin`) → over: ended by us (`end`), cut because the agent takes nothing, or
 * because its connection is gone. What is sent while it is not open goes nowhere: whoever hands out work learns of it by `over`.
 */
export class AgentStream {
  /** Resolves once nothing more can be said. */
  readonly over: Promise<void>
  readonly socket: Socket
  readonly #reply: FastifyReply
  readonly #clock: Clock
  readonly #resolveOver: () => void
  #state: 'new' | 'open' | 'over' = 'new'
  /** Lines that the system has not taken, and when it took the last one (or the first of them came). */
  #waiting = 0
  #takenAt = 0

  constructor(reply: FastifyReply, clock: Clock) {
    this.socket = reply.request.raw.socket
    this.#reply = reply
    this.#clock = clock
    const over = Promise.withResolvers<void>()
    this.over = over.promise
    this.#resolveOver = over.resolve
    reply.raw.on('close', () => this.#finish())
    // A write that meets a connection that is gone: `close` says so too.
    reply.raw.on('error', () => this.#finish())
  }

  get isOver(): boolean {
    return this.#state === 'over'
  }

  begin(first: ServerMessage): void {
    assert.equal(this.#state, 'new')
    this.#state = 'open'
    this.#reply.hijack()
    this.#reply.raw.writeHead(200, {
      'content-type': 'application/x-ndjson',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      // The connection goes with its stream: an agent that comes back dials anew.
      connection: 'close',
    })
    this.send(first)
  }

  send(message: ServerMessage): void {
    if (this.#state !== 'open') return
    const { raw } = this.#reply
    const line = Buffer.from(`${JSON.stringify(message)}\n`)
    assert.ok(line.length <= LINE_BYTES_MAX, `a message of type ${message.type} has ${line.length} bytes`)
    if (this.#waiting === 0) this.#takenAt = this.#clock.monotonic()
    this.#waiting++
    raw.write(line, () => {
      this.#waiting--
      this.#takenAt = this.#clock.monotonic()
    })
    if (this.unreadBytes > UNREAD_BYTES_MAX) this.cut()
  }

  /** What waits in this process until the agent reads on. */
  get unreadBytes(): number {
    return this.#reply.raw.writableLength
  }

  /** Whether it takes nothing of what waits for it. */
  get isStalled(): boolean {
    return this.#waiting > 0 && this.#clock.monotonic() - this.#takenAt >= STALLED_MS
  }

  /** Nothing more is said after `last`; what was said may still arrive. */
  end(last?: ServerMessage): void {
    if (this.#state === 'over') return
    const wasOpen = this.#state === 'open'
    if (last !== undefined) this.send(last)
    this.#finish()
    if (!wasOpen) return
    const { raw } = this.#reply
    const cancel = this.#clock.after(END_MS, () => raw.destroy())
    raw.once('close', cancel)
    raw.end()
  }

  cut(): void {
    this.#finish()
    this.#reply.raw.destroy()
  }

  #finish(): void {
    this.#state = 'over'
    this.#resolveOver()
  }
}
