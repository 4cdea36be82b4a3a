import type { Clock } from '../../src/base/clock.ts'
import { KIB, MINUTE_MS } from '../../src/base/units.ts'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import { PACKET_HEAD_BYTES, ProtocolError } from '../../src/wire/sftp/bytes.ts'
import { decodeLimits, decodeReply, encodeRequest, type Reply } from '../../src/wire/sftp/client.ts'
import { DATA_BYTES_MAX, EXTENSION, type Extension, HANDLE_BYTES_MAX, PROTOCOL_VERSION } from '../../src/wire/sftp/constants.ts'
import { PacketReader } from '../../src/wire/sftp/reader.ts'
import type { Reusable } from './idle.ts'
import { replyFailure } from './sftp-status.ts'
import type { SshConnection } from './ssh-connection.ts'

/** While something is asked, at least one byte comes within this time, ms, or the server counts as hanging. */
export const ANSWER_MS = 2 * MINUTE_MS
/**
 * Most data in one READ or WRITE where the server does not tell its limits, bytes: what every server takes, less the other members, so that a packet fits into one
 * packet of SSH.
 */
const DATA_BYTES_DEFAULT = 31 * KIB
/** Requests up to this length, bytes, go together in packets of SSH, each of which costs more than a request itself. */
const GATHERED_BYTES_MAX = 16 * KIB

/**
 * Requests and replies over one channel, any number at a time, of several sessions. Once it has ended, everything that is and will be asked fails with why. The
 * server handles requests for one file in the order they were sent (the draft, §6), so that whoever asks several things of it need not wait between them.
 */
export class SftpLine implements Reusable {
  readonly readBytes: number = DATA_BYTES_DEFAULT
  readonly writeBytes: number = DATA_BYTES_DEFAULT
  /** Whether `readBytes` and `writeBytes` are what the server says. */
  readonly tellsLimits: boolean = false
  readonly learnedHostKey: string | undefined
  readonly #connection: SshConnection
  readonly #clock: Clock
  readonly #reader = new PacketReader()
  readonly #waiting = new Map<number, Waiting>()
  #gathered: Buffer[] = []
  #gatheredBytes = 0
  #extensions: readonly Extension[] = []
  #lastId = 0
  #ended: TransferFailure | undefined
  #heardAt = 0
  #isWatching = false
  #bulky = 0
  readonly #rooms: Buffer[] = []

  /** Agrees on the version, and asks for the server's limits where it tells them. */
  static async open(connection: SshConnection, clock: Clock): Promise<SftpLine> {
    const line = new SftpLine(connection, clock)
    try {
      await line.#begin()
      return line
    } catch (error) {
      line.close()
      throw error
    }
  }

  private constructor(connection: SshConnection, clock: Clock) {
    this.#connection = connection
    this.#clock = clock
    this.learnedHostKey = connection.learnedHostKey
    connection.onEnd((failure) => this.#end(failure))
    connection.channel.on('data', (chunk: Buffer) => this.#take(chunk))
    connection.channel.on('close', () => this.#end(new TransferFailure('CONNECTION_LOST', 'The server ended the SFTP session.')))
  }

  get isQuiet(): boolean {
    return this.#ended === undefined
  }

  /** No large file is on its way, behind whose bytes every answer would have to wait. */
  get isShareable(): boolean {
    return this.#bulky === 0
  }

  /** A large file is on its way until the returned function is called. */
  beBulky(): () => void {
    this.#bulky++
    return () => void this.#bulky--
  }

  offers({ name, data }: Extension): boolean {
    return this.#extensions.some((offered) => offered.name === name && offered.data === data)
  }

  /** Room for a WRITE of the most data, to be given back when it is free: used again by other files too, it is not garbage a quarter of a MiB a file. */
  takeRoom(): Buffer {
    return this.#rooms.pop() ?? Buffer.allocUnsafeSlow(WRITE_HEAD_BYTES_MAX + this.writeBytes)
  }

  giveRoom(room: Buffer): void {
    if (this.#rooms.length < ROOMS_MAX) this.#rooms.push(room)
  }

  nextId(): number {
    this.#lastId = (this.#lastId + 1) >>> 0
    return this.#lastId
  }

  /** A whole packet with an id from `nextId`. `taken` is called when its bytes are the caller's again. */
  send(owner: object, id: number, packet: Buffer, taken?: () => void): Promise<Reply> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { owner, resolve, reject })
      this.#watch()
      if (taken === undefined && packet.length <= GATHERED_BYTES_MAX) {
        this.#gather(packet)
      } else {
        this.#flush()
        this.#connection.gather()
        this.#connection.channel.write(packet, taken)
      }
    })
  }

  /** Everything that an owner waits for fails now; what is answered later is cleared away. */
  drop(owner: object, failure: TransferFailure): void {
    for (const [id, waiting] of this.#waiting) {
      if (waiting.owner !== owner) continue
      waiting.reject(failure)
      this.#waiting.set(id, { owner: this, resolve: (reply) => this.#clearAway(reply), reject: () => {} })
    }
  }

  /** Closes a handle for whom nobody waits any more. */
  letGo(handle: Buffer): Promise<void> {
    const id = this.nextId()
    return this.send(this, id, encodeRequest({ kind: 'close', id, handle })).then(
      () => {},
      () => {},
    )
  }

  close(): void {
    this.#end(new TransferFailure('CONNECTION_LOST', 'The SFTP session was closed.'))
  }

  #end(failure: TransferFailure): void {
    if (this.#ended !== undefined) return
    this.#ended = failure
    this.#connection.close()
    for (const { reject } of this.#waiting.values()) reject(failure)
    this.#waiting.clear()
  }

  #clearAway(reply: Reply): void {
    if (reply.kind === 'handle') this.letGo(Buffer.from(reply.handle))
  }

  #gather(packet: Buffer): void {
    if (this.#gatheredBytes + packet.length > GATHERED_BYTES_MAX) this.#flush()
    if (this.#gathered.length === 0) setImmediate(() => this.#flush())
    this.#gathered.push(packet)
    this.#gatheredBytes += packet.length
  }

  #flush(): void {
    const packets = this.#gathered
    if (packets.length === 0 || this.#ended !== undefined) return
    this.#gathered = []
    this.#gatheredBytes = 0
    this.#connection.gather()
    this.#connection.channel.write(packets.length === 1 ? packets[0]! : Buffer.concat(packets))
  }

  async #begin(): Promise<void> {
    const reply = await this.send(this, VERSION_ID, encodeRequest({ kind: 'init', version: PROTOCOL_VERSION, extensions: [] }))
    if (reply.kind !== 'version') throw replyFailure(reply, 'agreeing on the version of SFTP')
    this.#extensions = reply.extensions
    if (!this.offers(EXTENSION.LIMITS)) return
    const id = this.nextId()
    const told = await this.send(this, id, encodeRequest({ kind: 'limits', id }))
    if (told.kind !== 'extended') return
    const { readBytes, writeBytes } = decodeLimits(told.data)
    Object.assign(this, { readBytes: dataBytes(readBytes), writeBytes: dataBytes(writeBytes), tellsLimits: true })
  }

  #take(chunk: Buffer): void {
    this.#heardAt = this.#clock.monotonic()
    try {
      this.#reader.push(chunk)
      for (let payload = this.#reader.next(); payload !== undefined; payload = this.#reader.next())
        this.#settle(decodeReply(payload))
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#end(
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

  /** One timer a line, which looks again after the rest of the time: requests come and go by the thousand. */
  #watch(): void {
    if (this.#waiting.size === 1) this.#heardAt = this.#clock.monotonic()
    if (this.#isWatching) return
    this.#isWatching = true
    const look = () => {
      const silentMs = this.#clock.monotonic() - this.#heardAt
      if (this.#ended !== undefined || this.#waiting.size === 0) {
        this.#isWatching = false
      } else if (silentMs >= ANSWER_MS) {
        this.#end(new TransferFailure('TIMEOUT', `The server has not answered for ${ANSWER_MS / 1000} s.`))
      } else {
        this.#clock.after(ANSWER_MS - silentMs, look)
      }
    }
    this.#clock.after(ANSWER_MS, look)
  }
}

interface Waiting {
  readonly owner: object
  readonly resolve: (reply: Reply) => void
  readonly reject: (failure: TransferFailure) => void
}

/** What is in front of the data in a WRITE, at most: head, handle, offset, length. */
const WRITE_HEAD_BYTES_MAX = PACKET_HEAD_BYTES + 4 + HANDLE_BYTES_MAX + 8 + 4
/** As many as there are users of a line, and those that wait for SSH to take them. */
const ROOMS_MAX = 6

/** VERSION has no id; ids of requests are never negative. */
const VERSION_ID = -1

/** 0 means no limit; the codec reads no larger packets than OpenSSH's. */
function dataBytes(told: number): number {
  return told === 0 ? DATA_BYTES_MAX : Math.min(told, DATA_BYTES_MAX)
}
