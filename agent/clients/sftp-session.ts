import type { TransferFailure } from '../../src/wire/agent/failure.ts'
import { decodeFileSystem, type EncodableRequest, encodeRequest, type Reply } from '../../src/wire/sftp/client.ts'
import { EXTENSION, type Extension } from '../../src/wire/sftp/constants.ts'
import type { FileSystem } from '../../src/wire/sftp/reply.ts'
import type { SftpLine } from './sftp-line.ts'
import { replyFailure } from './sftp-status.ts'

type WithoutId<One> = One extends { id: number } ? Omit<One, 'id'> : never
export type Ask = WithoutId<EncodableRequest>
export type ReplyOf<Kind extends Reply['kind']> = Extract<Reply, { kind: Kind }>

/** What one client asks over a line that it may share. Ending it fails what it waits for, and nothing of the others'. */
export class SftpSession {
  readonly #line: SftpLine
  #ended: TransferFailure | undefined

  constructor(line: SftpLine) {
    this.#line = line
  }

  get readBytes(): number {
    return this.#line.readBytes
  }

  /** Whether less than was asked for is all that there is. */
  get readsWhole(): boolean {
    return this.#line.tellsLimits
  }

  get writeBytes(): number {
    return this.#line.writeBytes
  }

  offers(extension: Extension): boolean {
    return this.#line.offers(extension)
  }

  /** The reply to a request, of whatever kind. */
  ask(request: Ask): Promise<Reply> {
    const id = this.#line.nextId()
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

  takeRoom(): Buffer {
    return this.#line.takeRoom()
  }

  giveRoom(room: Buffer): void {
    this.#line.giveRoom(room)
  }

  nextId(): number {
    return this.#line.nextId()
  }

  /** A whole packet with an id from `nextId`. `taken` is called when its bytes are the caller's again. */
  send(id: number, packet: Buffer, taken?: () => void): Promise<Reply> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    return this.#line.send(this, id, packet, taken)
  }

  /** Closes a handle, after the end of the session too. Never rejects. */
  letGo(handle: Buffer): Promise<void> {
    return this.#line.letGo(handle)
  }

  beBulky(): () => void {
    return this.#line.beBulky()
  }

  end(failure: TransferFailure): void {
    if (this.#ended !== undefined) return
    this.#ended = failure
    this.#line.drop(this, failure)
  }
}
