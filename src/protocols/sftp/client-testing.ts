/** A raw SFTP client for tests: every request as it is, every reply by its id, nothing checked. */
import { duplexPair, PassThrough } from 'node:stream'
import { systemClock } from '../../base/clock.ts'
import { silentLog } from '../../base/log.ts'
import type { Space } from '../../files/space.ts'
import { decodeReply, type EncodableRequest, encodeRequest, type Reply } from '../../wire/sftp/client.ts'
import { PacketReader } from '../../wire/sftp/reader.ts'
import { Flow, type Wire } from './flow.ts'
import { type SftpChannel, SftpSession } from './session.ts'

type WithoutId<One> = One extends { id: number } ? Omit<One, 'id'> : never
export type Ask = WithoutId<EncodableRequest>
export type ReplyOf<Kind extends Reply['kind']> = Extract<Reply, { kind: Kind }>

export interface ByteStream {
  write(bytes: Buffer): boolean
  on(event: 'data', listener: (chunk: Buffer) => void): unknown
}

export class RawClient {
  readonly stream: ByteStream
  readonly #reader = new PacketReader()
  readonly #waiting = new Map<number, (reply: Reply) => void>()
  #last = 0

  constructor(stream: ByteStream) {
    this.stream = stream
    stream.on('data', (chunk) => {
      this.#reader.push(chunk)
      for (let payload = this.#reader.next(); payload !== undefined; payload = this.#reader.next())
        this.#take(decodeReply(payload))
    })
  }

  /** Number of requests without a reply. */
  get unanswered(): number {
    return this.#waiting.size
  }

  init(version = 3): Promise<ReplyOf<'version'>> {
    const answer = this.#wait(-1)
    this.stream.write(encodeRequest({ kind: 'init', version, extensions: [] }))
    return answer as Promise<ReplyOf<'version'>>
  }

  ask(request: Ask): Promise<Reply> {
    const id = ++this.#last
    return this.raw(id, encodeRequest({ ...request, id } as EncodableRequest))
  }

  /** Any bytes; the reply to `id`. */
  raw(id: number, bytes: Buffer): Promise<Reply> {
    const answer = this.#wait(id)
    this.stream.write(bytes)
    return answer
  }

  async handle(request: Ask): Promise<Buffer> {
    const reply = await this.ask(request)
    if (reply.kind !== 'handle') throw new Error(`no handle but ${JSON.stringify(reply)}`)
    return reply.handle
  }

  /** The code and message of a STATUS. */
  async status(request: Ask): Promise<{ code: number; message: string }> {
    const reply = await this.ask(request)
    if (reply.kind !== 'status') throw new Error(`no status but ${reply.kind}`)
    return { code: reply.code, message: reply.message }
  }

  #wait(id: number): Promise<Reply> {
    return new Promise((resolve) => this.#waiting.set(id, resolve))
  }

  #take(reply: Reply): void {
    const id = reply.kind === 'version' ? -1 : reply.id
    const resolve = this.#waiting.get(id)
    if (resolve === undefined) throw new Error(`reply to ${id}, which was not asked`)
    this.#waiting.delete(id)
    resolve(reply)
  }
}

export interface TestSession {
  readonly client: RawClient
  /** The client's end of the channel. */
  readonly pipe: ReturnType<typeof duplexPair>[0]
  readonly session: SftpSession
  readonly flow: Flow
  /** What the channel was closed with; undefined if it was not. */
  exit(): number | undefined
  stderr(): string
}

/** A session over a pair of streams, without SSH. */
export function startSession(space: Space, options: { handlesMax?: number; wire?: Wire; reads?: boolean } = {}): TestSession {
  const [near, pipe] = duplexPair()
  // As SSH does: the bytes are the session's again once they are called taken.
  const pass = near._write.bind(near)
  near._write = (bytes: Buffer, encoding, taken) => pass(Buffer.from(bytes), encoding, taken)
  let exit: number | undefined
  const stderr = new PassThrough()
  const channel = Object.assign(near, {
    stderr,
    exit: (status: number) => {
      exit = status
    },
  }) as SftpChannel
  const flow = new Flow(options.wire ?? { writableLength: 0, cork() {}, uncork() {} })
  const session = new SftpSession({
    channel,
    space,
    flow,
    handlesMax: options.handlesMax ?? 16,
    owner: 'pipeline',
    clock: systemClock,
    log: silentLog,
  })
  const client = new RawClient(options.reads === false ? { write: (bytes) => pipe.write(bytes), on: () => {} } : pipe)
  return { client, pipe, session, flow, exit: () => exit, stderr: () => String(stderr.read() ?? '') }
}
