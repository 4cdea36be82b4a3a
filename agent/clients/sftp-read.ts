import { Readable } from 'node:stream'
import { MIB } from '../../src/base/units.ts'
import { STATUS } from '../../src/wire/sftp/constants.ts'
import type { SftpSession } from './sftp-session.ts'
import { replyFailure } from './sftp-status.ts'

/** What of one file is asked for and not yet taken by the reader, bytes: the window of ssh2, whose 2 MiB would hold back any more. At 100 ms to the server, 20 MB/s. */
export const READ_AHEAD_BYTES = 2 * MIB

/**
 * The bytes of an open file, with several READs on the way. It begins with one and doubles with each that is answered in full, so that a small file costs
 * one and not sixteen. Closes the handle when it ends, at the end of the file or before.
 */
export class SftpReadable extends Readable {
  readonly #session: SftpSession
  readonly #handle: Buffer
  readonly #about: string
  /** READs in the order of their offsets; those in front are passed on first. */
  readonly #pieces: Piece[] = []
  #askedTo: number
  #asksMax = 1
  /** No byte is there from here on; undefined until it is known. */
  #endsAt: number | undefined
  #wanted = false
  #bulkyEnds: (() => void) | undefined

  constructor(session: SftpSession, handle: Buffer, { offset, about }: { readonly offset: number; readonly about: string }) {
    super({ highWaterMark: READ_AHEAD_BYTES / 2 })
    this.#session = session
    this.#handle = handle
    this.#about = about
    this.#askedTo = offset
  }

  override _read(): void {
    this.#wanted = true
    this.#passOn()
    this.#askAhead()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // Nobody waits for it: what the session does next is sent behind it.
    this.#session.letGo(this.#handle)
    this.#bulkyEnds?.()
    done(error)
  }

  #askAhead(): void {
    const { readBytes } = this.#session
    while (this.#endsAt === undefined && this.#pieces.length < this.#asksMax) {
      const aheadBytes = this.#pieces.length * readBytes + this.readableLength
      if (this.#pieces.length > 0 && aheadBytes + readBytes > READ_AHEAD_BYTES) return
      const piece: Piece = { offset: this.#askedTo, bytes: readBytes, arrived: [], isWhole: false }
      this.#askedTo += readBytes
      this.#pieces.push(piece)
      this.#ask(piece, 0)
    }
  }

  /**
   * A server that does not tell how much it reads at a time may answer with less than was asked: the rest of the piece is asked for, until it is whole or the
   * file ends in it. From one that does tell, less means that the file ends (the draft, §6.4); should it be wrong, the file has not its size.
   */
  #ask(piece: Piece, from: number): void {
    const request = { kind: 'read', handle: this.#handle, offset: piece.offset + from, length: piece.bytes - from } as const
    this.#session.ask(request).then(
      (reply) => {
        if (this.destroyed) return
        if (reply.kind === 'data' && reply.data.length > 0 && reply.data.length <= request.length) {
          piece.arrived.push(reply.data)
          const arrivedTo = from + reply.data.length
          const isShort = arrivedTo < piece.bytes
          piece.isWhole = !isShort || this.#session.readsWhole
          if (!piece.isWhole) this.#ask(piece, arrivedTo)
          else if (isShort) this.#endAt(piece.offset + arrivedTo)
          else if (from === 0) this.#askMore()
        } else if (reply.kind === 'status' && reply.code === STATUS.EOF) {
          piece.isWhole = true
          this.#endAt(piece.offset + from)
        } else {
          this.destroy(replyFailure(reply, this.#about))
          return
        }
        this.#passOn()
        this.#askAhead()
      },
      (error) => this.destroy(error),
    )
  }

  #endAt(offset: number): void {
    this.#endsAt = Math.min(this.#endsAt ?? Number.POSITIVE_INFINITY, offset)
  }

  #askMore(): void {
    this.#asksMax *= 2
    this.#bulkyEnds ??= this.#session.beBulky()
  }

  #passOn(): void {
    while (this.#wanted) {
      const piece = this.#pieces[0]
      if (piece === undefined || !(piece.isWhole || piece.arrived.length > 0)) break
      // Pieces behind the end were asked for before it was known.
      if (this.#endsAt !== undefined && piece.offset >= this.#endsAt) break
      for (const data of piece.arrived.splice(0)) this.#wanted = this.push(data)
      if (!piece.isWhole) break
      this.#pieces.shift()
    }
    if (this.#endsAt !== undefined && (this.#pieces[0]?.offset ?? this.#endsAt) >= this.#endsAt) this.push(null)
  }
}

interface Piece {
  readonly offset: number
  readonly bytes: number
  /** In order, not yet passed on. */
  readonly arrived: Buffer[]
  isWhole: boolean
}
