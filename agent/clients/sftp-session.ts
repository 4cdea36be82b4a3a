import type { Clock } from '../../src/base/clock.ts'
import { MINUTE_MS } from '../../src/base/units.ts'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import { ProtocolError } from '../../src/wire/sftp/bytes.ts'
import {
  decodeFileSystem,
  decodeLimits,
  decodeReply,
  type EncodableRequest,
  encodeRequest,
  type Reply,
} from '../../src/wire/sftp/client.ts'
import { DATA_BYTES_MAX, EXTENSION, type Extension, PROTOCOL_VERSION } from '../../src/wire/sftp/constants.ts'
import { PacketReader } from '../../src/wire/sftp/reader.ts'
import type { FileSystem } from '../../src/wire/sftp/reply.ts'
import { replyFailure } from './sftp-status.ts'
import type { SshConnection } from './ssh-connection.ts'

/** While something is asked, at least one byte comes within this time, ms, or the server counts as hanging. */
export const ANSWER_MS = 2 * MINUTE_MS
/**
 * Most data in one READ or WRITE where the server does not tell its limits, bytes: what every server takes, less the other members, so that a packet fits into one
 * packet of SSH.
 */
const DATA_BYTES_DEFAULT = 31 * 1024

type WithoutId<One> = One extends { id: number } ? Omit<One, 'id'> : never
export type Ask = WithoutId<EncodableRequest>
export type ReplyOf<Kind extends Reply['kind']> = Extract<Reply, { kind: Kind }>

/**
 * Requests and replies over one channel, any number at a time. The server handles those of one file in the order they were sent (the draft, §6), so that whoever
 * asks several things of it need not wait between them. Once it has ended, everything that is and will be asked fails with why.
 */
export class SftpSession {
  readonly readBytes: number = DATA_BYTES_DEFAULT
  readonly writeBytes: number = DATA_BYTES_DEFAULT
  readonly learnedHostKey: string | undefined
  readonly #connection: SshConnection
  readonly #clock: Clock
  readonly #reader = new PacketReader()
  readonly #waiting = new Map<number, Waiting>()
  readonly #ends = new Set<() => void>()
  #extensions: readonly Extension[] = []
  #lastId = 0
  #ended: TransferFailure | undefined
  #heardAt = 0
  #isWatching = false

  /** Agrees on the version, and asks for the server's limits where it tells them. */
  static async open(connection: SshConnection, clock: Clock): Promise<SftpSession> {
    const session = new SftpSession(connection, clock)
    try {
      await session.#begin()
      return session
    } catch (error) {
      session.close()
      throw error
    }
  }

  private constructor(connection: SshConnection, clock: Clock) {
    this.#connection = connection
    this.#clock = clock
    this.learnedHostKey = connection.learnedHostKey
    connection.onEnd((failure) => this.end(failure))
    connection.channel.on('data', (chunk: Buffer) => this.#take(chunk))
    connection.channel.on('close', () => this.end(new TransferFailure('CONNECTION_LOST', 'The server ended the SFTP session.')))
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined
  }

  /** Nothing is under way: it may wait for its next user. */
  get isQuiet(): boolean {
    return this.#ended === undefined && this.#waiting.size === 0
  }

  offers({ name, data }: Extension): boolean {
    return this.#extensions.some((offered) => offered.name === name && offered.data === data)
  }

  /** The reply to a request, of whatever kind. */
  ask(request: Ask): Promise<Reply> {
    const id = this.nextId()
    return this.send(id, encodeRequest({ ...request, id } as EncodableRequest))
  }

  /** Fails with what the status means unless it is OK. `about` says what was to be done: `reading /a`. */
  async tell(request: Ask, about: string): Promise<void> {
    const reply = await this.ask(request)
    if (reply.kind !== 'status' || reply.code !== 0) throw replyFailure(reply, about)
  }

  async expect<Kind extends Reply['kind']>(kind: Kind, request: Ask, about: string): Promise<ReplyOf<Kind>> {
    const reply = await this.ask(request)
    if (reply.kind !== kind) throw replyFailure(reply, about)
    return reply as ReplyOf<Kind>
  }

  /** What the disk of a path has room for; undefined where the server does not tell. */
  async fileSystem(path: string): Promise<FileSystem | undefined> {
    if (!this.offers(EXTENSION.STATVFS)) return undefined
    const reply = await this.ask({ kind: 'statvfs', path: Buffer.from(path) })
    return reply.kind === 'extended' ? decodeFileSystem(reply.data) : undefined
  }

  nextId(): number {
    this.#lastId = (this.#lastId + 1) >>> 0
    return this.#lastId
  }

  /** A whole packet with an id from `nextId`. `taken` is called when its bytes are the caller's again. */
  send(id: number, packet: Buffer, taken?: () => void): Promise<Reply> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#watch()
      this.#connection.gather()
      this.#connection.channel.write(packet, taken)
    })
  }

  onEnd(listener: () => void): void {
    this.#ends.add(listener)
  }

  close(): void {
    this.end(new TransferFailure('CONNECTION_LOST', 'The SFTP session was closed.'))
  }

  end(failure: TransferFailure): void {
    if (this.#ended !== undefined) return
    this.#ended = failure
    this.#connection.close()
    for (const { reject } of this.#waiting.values()) reject(failure)
    this.#waiting.clear()
    for (const listener of this.#ends) listener()
  }

  async #begin(): Promise<void> {
    const answer = this.send(VERSION_ID, encodeRequest({ kind: 'init', version: PROTOCOL_VERSION, extensions: [] }))
    const reply = await answer
    if (reply.kind !== 'version') throw replyFailure(reply, 'agreeing on the version of SFTP')
    this.#extensions = reply.extensions
    if (!this.offers(EXTENSION.LIMITS)) return
    const told = await this.ask({ kind: 'limits' })
    if (told.kind !== 'extended') return
    const { readBytes, writeBytes } = decodeLimits(told.data)
    Object.assign(this, { readBytes: dataBytes(readBytes), writeBytes: dataBytes(writeBytes) })
  }

  #take(chunk: Buffer): void {
    this.#heardAt = this.#clock.monotonic()
    try {
      this.#reader.push(chunk)
      for (let payload = this.#reader.next(); payload !== undefined; payload = this.#reader.next())
        this.#settle(decodeReply(payload))
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.end(
        new TransferFailure('PROTOCOL_ERROR', `The server does not speak SFTP as expected: ${error.message}.`, { cause: error }),
      )
    }
  }

  #settle(reply: Reply): void {
    if (this.#ended !== undefined) return
    const id = reply.kind === 'version' ? VERSION_ID : reply.id
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) throw new ProtocolError(`id: ${id} was not asked`)
    this.#waiting.delete(id)
    waiting.resolve(reply)
  }

  /** One timer a session, which looks again after the rest of the time: requests come and go by the thousand. */
  #watch(): void {
    if (this.#waiting.size === 1) this.#heardAt = this.#clock.monotonic()
    if (this.#isWatching) return
    this.#isWatching = true
    const look = () => {
      const silentMs = this.#clock.monotonic() - this.#heardAt
      if (this.#ended !== undefined || this.#waiting.size === 0) {
        this.#isWatching = false
      } else if (silentMs >= ANSWER_MS) {
        this.end(new TransferFailure('TIMEOUT', `The server has not answered for ${ANSWER_MS / 1000} s.`))
      } else {
        this.#clock.after(ANSWER_MS - silentMs, look)
      }
    }
    this.#clock.after(ANSWER_MS, look)
  }
}

interface Waiting {
  readonly resolve: (reply: Reply) => void
  readonly reject: (failure: TransferFailure) => void
}

/** VERSION has no id; ids of requests are never negative. */
const VERSION_ID = -1

/** 0 means no limit; the codec reads no larger packets than OpenSSH's. */
function dataBytes(told: number): number {
  return told === 0 ? DATA_BYTES_MAX : Math.min(told, DATA_BYTES_MAX)
}
