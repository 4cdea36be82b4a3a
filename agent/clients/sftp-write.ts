import { MIB } from '../../src/base/units.ts'
import type { TransferFailure } from '../../src/wire/agent/failure.ts'
import { PACKET_HEAD_BYTES, writePacketHead, writeString, writeUint64 } from '../../src/wire/sftp/bytes.ts'
import { EXTENSION, PACKET } from '../../src/wire/sftp/constants.ts'
import type { AppendedFile } from './rename.ts'
import type { SftpSession } from './sftp-session.ts'
import { replyFailure } from './sftp-status.ts'

/** What of one file is sent and not yet confirmed, bytes: the window that OpenSSH gives, which would hold back any more. At 100 ms to the server, 20 MB/s. */
export const UNCONFIRMED_BYTES_MAX = 2 * MIB

/** An open file that is written from an offset on: chunks are gathered to WRITEs of the size that the server likes best, several of them on the way. */
export class SftpAppendedFile implements AppendedFile {
  readonly #session: SftpSession
  readonly #handle: Buffer
  readonly #about: string
  /** Makes of a failed WRITE what is told of it: version 3 has no status for a full disk. */
  readonly #explain: (failure: TransferFailure) => Promise<TransferFailure>
  /** Where the data of a packet begin, bytes. */
  readonly #headBytes: number
  #offset: number
  #packet: Buffer | undefined
  #filledBytes = 0
  #unconfirmedBytes = 0
  #failure: Error | undefined
  #isClosed = false
  #bulkyEnds: (() => void) | undefined
  #wake: (() => void) | undefined

  constructor(session: SftpSession, handle: Buffer, options: WritingOptions) {
    this.#session = session
    this.#handle = handle
    this.#offset = options.offset
    this.#about = options.about
    this.#explain = options.explain
    this.#headBytes = PACKET_HEAD_BYTES + 4 + handle.length + 8 + 4
  }

  async append(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      if (this.#failure !== undefined) throw this.#failure
      this.#packet ??= this.#session.takeRoom()
      const part = chunk.subarray(at, at + this.#session.writeBytes - this.#filledBytes)
      this.#packet.set(part, this.#headBytes + this.#filledBytes)
      this.#filledBytes += part.length
      at += part.length
      if (this.#filledBytes === this.#session.writeBytes) {
        this.#bulkyEnds ??= this.#session.beBulky()
        this.#send()
        await this.#room(UNCONFIRMED_BYTES_MAX - this.#session.writeBytes)
      }
    }
  }

  /** All in one flight, because the server keeps their order: what is left, onto the disk, how much it is, closed. */
  async finish(): Promise<number | undefined> {
    this.#send()
    const synced = this.#session.offers(EXTENSION.FSYNC)
      ? this.#session.tell({ kind: 'fsync', handle: this.#handle }, `storing durably after ${this.#about}`)
      : Promise.resolve()
    const stored = this.#session.ask({ kind: 'fstat', handle: this.#handle }).then(
      (reply) => (reply.kind === 'attributes' ? reply.attributes.size : undefined),
      () => undefined,
    )
    this.#isClosed = true
    const closed = this.#session.tell({ kind: 'close', handle: this.#handle }, `closing after ${this.#about}`)
    closed.finally(() => this.#bulkyEnds?.()).catch(() => {})
    // A failed WRITE says more than what fails because of it.
    const [, ...results] = await Promise.allSettled([this.#room(0), synced, closed])
    if (this.#failure !== undefined) throw this.#failure
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw await this.#explain(failed.reason)
    return await stored
  }

  async abandon(): Promise<void> {
    this.#failure ??= new Error('abandoned')
    this.#wake?.()
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#packet !== undefined) this.#session.giveRoom(this.#packet)
    this.#packet = undefined
    await this.#session.letGo(this.#handle)
    this.#bulkyEnds?.()
  }

  #send(): void {
    const [packet, bytes] = [this.#packet, this.#filledBytes]
    if (packet === undefined || bytes === 0) return
    this.#packet = undefined
    this.#filledBytes = 0
    const id = this.#session.nextId()
    const whole = packet.subarray(0, this.#headBytes + bytes)
    writePacketHead(whole, PACKET.WRITE, id, whole.length)
    const offsetAt = writeString(whole, this.#handle, PACKET_HEAD_BYTES)
    whole.writeUInt32BE(bytes, writeUint64(whole, this.#offset, offsetAt))
    this.#offset += bytes
    this.#unconfirmedBytes += bytes
    const taken = () => this.#session.giveRoom(packet)
    this.#session
      .send(id, whole, taken)
      .then(async (reply) => {
        if (reply.kind !== 'status' || reply.code !== 0) throw await this.#explain(replyFailure(reply, this.#about))
      })
      .catch((error) => {
        this.#failure ??= error
      })
      .finally(() => {
        this.#unconfirmedBytes -= bytes
        this.#wake?.()
      })
  }

  /** Waits until no more than so many bytes are unconfirmed. */
  async #room(bytes: number): Promise<void> {
    while (this.#unconfirmedBytes > bytes && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    if (this.#failure !== undefined) throw this.#failure
  }
}

interface WritingOptions {
  readonly offset: number
  readonly about: string
  readonly explain: (failure: TransferFailure) => Promise<TransferFailure>
}
