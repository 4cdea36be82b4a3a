import type { Duplex, Writable } from 'node:stream'
import type { Clock } from '../../base/clock.ts'
import { AppError, codeOf } from '../../base/error.ts'
import type { Log } from '../../base/log.ts'
import type { Space } from '../../files/space.ts'
import { ProtocolError } from '../../wire/sftp/bytes.ts'
import { PROTOCOL_VERSION, STATUS } from '../../wire/sftp/constants.ts'
import { PacketReader } from '../../wire/sftp/reader.ts'
import { encodeStatus, encodeVersion } from '../../wire/sftp/reply.ts'
import { decodeRequest, type Request, type RequestOf } from '../../wire/sftp/request.ts'
import { OFFERED } from './extensions.ts'
import type { Flow } from './flow.ts'
import { Handles } from './handles.ts'
import { enterAll, Order } from './order.ts'
import { Outbox } from './outbox.ts'
import { type Desk, plan } from './requests.ts'
import { rooms } from './rooms.ts'
import { statusOf } from './status.ts'
import { write } from './writes.ts'

/** The channel of a subsystem: bytes both ways, a place for a sentence to a person, and an exit status. */
export interface SftpChannel extends Duplex {
  readonly stderr: Writable
  exit(status: number): void
}

export interface SessionNeeds {
  readonly channel: SftpChannel
  readonly space: Space
  /** Of the connection: its sessions share the bounds. */
  readonly flow: Flow
  readonly handlesMax: number
  /** Name of the user. */
  readonly owner: string
  readonly clock: Clock
  readonly log: Log
}

/**
 * One SFTP session, from INIT to the end of the channel. new → greeted → ending → over.
 * greeted: requests are carried out. ending: the client said that it will ask no more, or broke the protocol; what is
 * under way ends, then the channel is closed with an exit status, without which OpenSSH's client hangs. over: also
 * at any moment by `cut`; nothing is answered any more, open handles are abandoned.
 */
export class SftpSession {
  /** Resolves when the session is over and its space is closed. */
  readonly over: Promise<void>
  readonly #channel: SftpChannel
  readonly #space: Space
  readonly #flow: Flow
  readonly #log: Log
  readonly #outbox: Outbox
  readonly #desk: Desk
  readonly #reader = new PacketReader((bytes) => rooms.take(bytes).subarray(0, bytes))
  readonly #pump = () => this.#readRequests()
  #state: 'new' | 'greeted' | 'ending' | 'over' = 'new'
  #requests = 0
  #inputEnded = false
  #spaceClosed: Promise<void> | undefined
  #resolveOver: () => void = () => {}

  constructor({ channel, space, flow, handlesMax, owner, clock, log }: SessionNeeds) {
    this.#channel = channel
    this.#space = space
    this.#flow = flow
    this.#log = log
    this.#outbox = new Outbox(channel, flow)
    const isOver = () => this.#state === 'over'
    this.#desk = { space, handles: new Handles(handlesMax), handlesMax, paths: new Order(), owner, clock, isOver }
    this.over = new Promise((resolve) => {
      this.#resolveOver = resolve
    })
    channel.on('data', (chunk: Buffer) => {
      if (this.#state === 'ending' || this.#state === 'over') return
      this.#reader.push(chunk)
      this.#readRequests()
    })
    channel.on('end', () => {
      this.#inputEnded = true
      this.#endWhenDone()
    })
    channel.on('close', () => this.cut())
    channel.on('error', (error: Error) => {
      this.#log.debug({ error: error.message }, 'sftp channel failed')
      this.cut()
    })
  }

  /** Reads no more requests; ends when those under way have been answered. */
  finish(): void {
    this.#inputEnded = true
    this.#endWhenDone()
  }

  /** The connection is gone, or the user may not go on: nothing is answered any more, open handles are abandoned. */
  cut(): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#flow.forget(this.#pump)
    this.#outbox.close()
    this.#channel.end()
    void this.#closeSpace().then(this.#resolveOver)
  }

  #readRequests(): void {
    while (this.#state === 'new' || this.#state === 'greeted') {
      if (!this.#flow.hasRoom) {
        this.#channel.pause()
        this.#flow.whenRoom(this.#pump)
        return
      }
      const payload = this.#nextPayload()
      if (payload === undefined) break
      this.#take(decodeRequest(ownBytes(payload)), payload.length)
    }
    if (this.#channel.isPaused()) this.#channel.resume()
    this.#endWhenDone()
  }

  #nextPayload(): Buffer | undefined {
    try {
      return this.#reader.next()
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#refuse(error.message)
      return undefined
    }
  }

  #take(request: Request, packetBytes: number): void {
    if (request.kind === 'init') this.#greet(request)
    else if (this.#state === 'new') this.#refuse('the first packet is not INIT')
    else if (request.kind === 'malformed') this.#answerMalformed(request)
    else this.#begin(request, packetBytes)
  }

  #begin(request: Exclude<Request, { kind: 'init' | 'malformed' }>, packetBytes: number): void {
    this.#requests++
    this.#flow.begin(packetBytes)
    const finish = (reply: Buffer) => {
      if (this.#state !== 'over') this.#outbox.send(reply)
      this.#requests--
      this.#flow.end(packetBytes)
      this.#endWhenDone()
    }
    if (request.kind === 'write') this.#write(request, finish)
    else this.#carryOut(request, finish)
  }

  #greet({ version }: RequestOf<'init'>): void {
    if (this.#state !== 'new') this.#refuse('INIT came twice')
    else if (version < PROTOCOL_VERSION)
      this.#refuse(`SFTP ${version} is not offered; this server speaks version ${PROTOCOL_VERSION}`)
    else {
      this.#state = 'greeted'
      this.#outbox.send(encodeVersion(OFFERED))
    }
  }

  #answerMalformed({ id, reason }: RequestOf<'malformed'>): void {
    if (id === undefined) this.#refuse(reason)
    else this.#outbox.send(encodeStatus(id, STATUS.BAD_MESSAGE, reason))
  }

  #write(request: RequestOf<'write'>, finish: (reply: Buffer) => void): void {
    const settle = (failure?: unknown) =>
      finish(failure === undefined ? encodeStatus(request.id, STATUS.OK, '') : this.#refusal(request, failure))
    try {
      write(this.#desk.handles.file(request.handle), request, settle)
    } catch (error) {
      settle(error)
    }
  }

  #carryOut(request: Parameters<typeof plan>[1], finish: (reply: Buffer) => void): void {
    let planned: ReturnType<typeof plan>
    try {
      planned = plan(this.#desk, request)
    } catch (error) {
      finish(this.#refusal(request, error))
      return
    }
    const { turns, replyBytes = 0, work } = planned
    this.#flow.reserve(replyBytes)
    const end = (reply: Buffer) => {
      for (const { order } of turns) order.leave()
      finish(reply)
      this.#flow.release(replyBytes)
    }
    enterAll(turns, () => {
      const begun = this.#state === 'over' ? Promise.reject(new AppError('conflict', 'the session ended')) : work()
      begun.then(end, (error) => end(this.#refusal(request, error)))
    })
  }

  #refusal(request: { kind: string; id: number }, error: unknown): Buffer {
    if (codeOf(error) === 'internal') this.#log.error({ request: request.kind, err: error }, 'sftp request failed')
    else this.#log.debug({ request: request.kind, code: codeOf(error), cause: (error as Error).cause }, 'sftp request refused')
    const { code, message } = statusOf(error)
    return encodeStatus(request.id, code, message)
  }

  /** The peer does not speak SFTP: one sentence for a person, then the end. */
  #refuse(why: string): void {
    this.#state = 'ending'
    this.#log.info({ why }, 'sftp session refused')
    this.#channel.stderr.write(`${why}\n`)
    void this.#close(1)
  }

  #endWhenDone(): void {
    if (this.#state !== 'new' && this.#state !== 'greeted') return
    if (!this.#inputEnded || this.#requests > 0) return
    this.#state = 'ending'
    void this.#close(0)
  }

  async #close(status: number): Promise<void> {
    await this.#closeSpace()
    this.#outbox.whenEmpty(() => {
      if (this.#state === 'over') return
      this.#state = 'over'
      this.#channel.exit(status)
      this.#channel.end()
      this.#channel.resume()
      this.#resolveOver()
    })
  }

  #closeSpace(): Promise<void> {
    this.#spaceClosed ??= this.#space.close().catch((error: unknown) => {
      this.#log.error({ err: error }, 'cannot close the space of a session')
    })
    return this.#spaceClosed
  }
}

/**
 * The bytes of a packet, copied where they are the smaller part of a chunk that they would keep in memory: a client
 * may send thousands of small requests, each in a large packet of the SSH layer.
 */
function ownBytes(payload: Buffer): Buffer {
  return payload.length * 2 < payload.buffer.byteLength ? Buffer.from(payload) : payload
}
