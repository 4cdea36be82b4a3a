import type { Socket } from 'node:net'
import { KIB } from '../base/units.ts'
import { AnswerFailure } from './failure.ts'

/** Answers of status 1xx before the one that counts: how many, and how many bytes they may have all together. */
export const INTERIM_MAX = 16
export const INTERIM_BYTES_MAX = 16 * KIB

/** How an answer begins that another one follows (RFC 9110 section 15.2). 101 is none: what follows it is no HTTP. */
const INTERIM = /^HTTP\/\d\.\d 1(?!01)\d\d/
const INTERIM_SHAPE = 'HTTP/1.1 100'
/** The client below asserts that there is no such status, which would look like a fault of ours. */
const NO_STATUS = /^HTTP\/\d\.\d 0\d\d/
const HEAD_END = '\r\n\r\n'
/** A line end without its carriage return: for the parser to refuse. */
const BARE_LINE_FEED = /(^|[^\r])\n/
const EMPTY = Buffer.alloc(0)

/**
 * The bytes of answers without their interim ones. A receiver may send those unasked, `100 Continue` before all, which the client
 * below takes for a broken answer. What might still become one is held back until it is known; it is never much.
 */
export class FinalAnswers {
  #isBefore = false
  #held: Buffer = EMPTY
  #heads = 0
  #bytes = 0

  /** What comes from now on is a new answer. */
  begin(): void {
    this.#isBefore = true
    this.#held = EMPTY
    this.#heads = 0
    this.#bytes = 0
  }

  /** What of it, and of what was held back, is not interim; null: nothing yet. Throws AnswerFailure. */
  pass(piece: Buffer): Buffer | null {
    if (!this.#isBefore) return piece
    this.#held = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece])
    for (;;) {
      this.#dropLineEnds()
      const start = this.#held.toString('latin1', 0, INTERIM_SHAPE.length)
      if (NO_STATUS.test(start)) throw new AnswerFailure('answer is not valid HTTP')
      if (!INTERIM.test(start + INTERIM_SHAPE.slice(start.length))) return this.#passOn()
      const end = this.#held.indexOf(HEAD_END)
      if (BARE_LINE_FEED.test(this.#held.toString('latin1', 0, end < 0 ? this.#held.length : end))) return this.#passOn()
      if (end < 0) {
        this.#checkBytes(this.#held.length)
        return null
      }
      this.#drop(end + HEAD_END.length)
      if (++this.#heads > INTERIM_MAX) throw new AnswerFailure('answer does not come to its final status')
    }
  }

  #passOn(): Buffer {
    const all = this.#held
    this.#isBefore = false
    this.#held = EMPTY
    return all
  }

  /** In front of a status line they count for nothing, as in front of a request (RFC 9112 section 2.2). */
  #dropLineEnds(): void {
    let count = 0
    while (this.#held[count] === 0x0d || this.#held[count] === 0x0a) count++
    if (count > 0) this.#drop(count)
  }

  #drop(bytes: number): void {
    this.#bytes += bytes
    this.#held = this.#held.subarray(bytes)
    this.#checkBytes(0)
  }

  #checkBytes(more: number): void {
    if (this.#bytes + more > INTERIM_BYTES_MAX) throw new AnswerFailure('answer headers are too large')
  }
}

/**
 * The same socket, whose reader gets no interim answers. It must not be read by events of data, and a request must be written whole
 * before its answer is read, one after the other: with what is written next, a new answer begins.
 */
export function withoutInterim(socket: Socket): Socket {
  const answers = new FinalAnswers()
  const { read, write } = socket
  socket.write = ((...request: Parameters<Socket['write']>) => {
    answers.begin()
    return write.apply(socket, request)
  }) as Socket['write']
  socket.read = (size?: number) => {
    const piece = read.call(socket, size)
    // Node itself asks for 0 bytes, to be told when there are some.
    if (size !== undefined || piece === null) return piece
    try {
      return answers.pass(piece)
    } catch (error) {
      socket.destroy(error as Error)
      return null
    }
  }
  return socket
}
