import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { SftpEndpoint } from '../../src/wire/agent/work.ts'
import { EXTENSION, OPEN_FLAG, STATUS } from '../../src/wire/sftp/constants.ts'
import type { NameEntry } from '../../src/wire/sftp/reply.ts'
import type { Client, Entry, FileFacts, PartialFile, WholeFile, WriteOptions } from './client.ts'
import type { ClientContext } from './open.ts'
import { openPartial, partPath, type RenameSteps } from './rename.ts'
import { checkReplaceable, renameOver } from './replace.ts'
import { FILE_TYPE, factsOf, typeOf } from './sftp-facts.ts'
import { leaveLine, takeLine } from './sftp-lines.ts'
import { SftpReadable } from './sftp-read.ts'
import { SftpSession } from './sftp-session.ts'
import { replyFailure } from './sftp-status.ts'
import { SftpAppendedFile } from './sftp-write.ts'

/** The files of an SFTP server, over a connection that it may share with other clients of the same endpoint. */
export async function openSftp(endpoint: SftpEndpoint, context: ClientContext): Promise<Client> {
  const { signal } = context
  const line = await takeLine(endpoint, context)
  const session = new SftpSession(line)
  const stop = () => session.end(new TransferFailure('CANCELLED', 'The transfer was stopped.'))
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()
  const files = new SftpFiles(session)
  return {
    stat: (path) => files.stat(path),
    list: (folder) => files.list(folder),
    listsAll: true,
    read: (path, offset) => files.read(path, offset),
    readWhole: (path, size) => files.readWhole(path, size),
    write: (path, options) => files.write(path, options),
    removePart: (path, id) => files.remove(partPath(path, id)),
    remove: (path) => files.remove(path),
    move: (from, to) => files.move(from, to),
    hash: () => files.hash(),
    learnedHostKey: line.learnedHostKey,
    async close() {
      signal.removeEventListener('abort', stop)
      leaveLine(endpoint, line, context)
    },
  }
}

/** Paths are sent as UTF-8. What a server lists under a name that is not UTF-8 cannot be reached: asked for, it is not found. */
class SftpFiles implements RenameSteps {
  readonly #session: SftpSession

  constructor(session: SftpSession) {
    this.#session = session
  }

  async stat(path: string): Promise<FileFacts | undefined> {
    const reply = await this.#session.ask({ kind: 'stat', path: bytesOf(path) })
    if (reply.kind === 'attributes') return factsOf(reply.attributes)
    if (reply.kind === 'status' && reply.code === STATUS.NO_SUCH_FILE) return undefined
    throw replyFailure(reply, `looking at ${path}`)
  }

  async *list(folder: string): AsyncGenerator<Entry> {
    const about = `listing ${folder}`
    const { handle: view } = await this.#session.expect('handle', { kind: 'opendir', path: bytesOf(folder) }, about)
    const handle = Buffer.from(view)
    try {
      for (;;) {
        const reply = await this.#session.ask({ kind: 'readdir', handle })
        if (reply.kind === 'status' && reply.code === STATUS.EOF) return
        if (reply.kind !== 'name') throw replyFailure(reply, about)
        for (const entry of reply.entries) yield* this.#entry(folder, entry)
      }
    } finally {
      this.#session.letGo(handle)
    }
  }

  async read(path: string, offset: number): Promise<SftpReadable> {
    const about = `reading ${path}`
    const request = { kind: 'open', path: bytesOf(path), flags: OPEN_FLAG.READ, attributes: {} } as const
    const { handle } = await this.#session.expect('handle', request, about)
    return new SftpReadable(this.#session, Buffer.from(handle), { offset, about })
  }

  /** Two flights: OPEN, then everything else. One byte more is asked for, so that a file that grew is not taken for whole. */
  async readWhole(path: string, size: number): Promise<WholeFile | undefined> {
    const { readBytes, readsWhole } = this.#session
    if (!readsWhole || size >= readBytes) return undefined
    const about = `reading ${path}`
    const request = { kind: 'open', path: bytesOf(path), flags: OPEN_FLAG.READ, attributes: {} } as const
    const { handle: view } = await this.#session.expect('handle', request, about)
    const handle = Buffer.from(view)
    const reading = this.#session.ask({ kind: 'read', handle, offset: 0, length: size + 1 })
    const looking = this.#session.ask({ kind: 'fstat', handle }).catch(() => undefined)
    this.#session.letGo(handle)
    const [read, looked] = await Promise.all([reading, looking])
    const isEmpty = read.kind === 'status' && read.code === STATUS.EOF
    if (read.kind !== 'data' && !isEmpty) throw replyFailure(read, about)
    const bytes = read.kind === 'data' ? read.data : Buffer.alloc(0)
    return { bytes, facts: looked?.kind === 'attributes' ? factsOf(looked.attributes) : undefined }
  }

  async remove(path: string): Promise<void> {
    const reply = await this.#session.ask({ kind: 'remove', path: bytesOf(path) })
    if (reply.kind === 'status' && (reply.code === STATUS.OK || reply.code === STATUS.NO_SUCH_FILE)) return
    throw replyFailure(reply, `deleting ${path}`)
  }

  /** RENAME of version 3 is to refuse a name that is taken. As there are servers that replace all the same, it is looked at first. */
  async move(from: string, to: string): Promise<boolean> {
    if (await this.#isTaken(to)) return false
    try {
      await this.#renamePlainly(from, to)
    } catch (error) {
      if (isNotFound(error) && (await this.stat(from)) === undefined) throw error
      if (isNotFound(error)) await this.makeFolders(posix.dirname(to))
      // Somebody was faster; or the server makes another name first, which not every file may have.
      if (await this.#isTaken(to)) return false
      await this.rename(from, to)
    }
    return true
  }

  async #isTaken(path: string): Promise<boolean> {
    return (await this.#session.ask({ kind: 'lstat', path: bytesOf(path) })).kind === 'attributes'
  }

  async #renamePlainly(from: string, to: string): Promise<void> {
    await this.#session.tell({ kind: 'rename', from: bytesOf(from), to: bytesOf(to) }, `renaming ${from} to ${to}`)
  }

  /** SFTP version 3 has no way to ask for it, and the extensions for it are offered by few. */
  async hash(): Promise<string | undefined> {
    return undefined
  }

  /** The whole part comes back over the line: dear, and the only way to know that what is there is what was sent. */
  async hashPart(path: string): Promise<string | undefined> {
    const hash = createHash('sha256')
    await pipeline(await this.read(path, 0), hash)
    return hash.digest('hex')
  }

  /** What is there is looked at in the flight of the opening. */
  async write(path: string, options: WriteOptions): Promise<PartialFile> {
    const looking = this.#session.ask({ kind: 'lstat', path: bytesOf(path) })
    looking.catch(() => {})
    const partial = await openPartial(this, path, options)
    try {
      const there = await looking
      if (there.kind === 'attributes') checkReplaceable(there.attributes.permissions ?? 0, path)
    } catch (error) {
      await partial.discard()
      throw error
    }
    return partial
  }

  async openAt(path: string, from: number): Promise<SftpAppendedFile> {
    const about = `writing ${path}`
    // What was removed since it was looked at does not come back as zeros.
    const flags = OPEN_FLAG.WRITE | (from === 0 ? OPEN_FLAG.CREATE | OPEN_FLAG.TRUNCATE : 0)
    const request = { kind: 'open', path: bytesOf(path), flags, attributes: {} } as const
    const reply = await this.#session.ask(request)
    const explain = (failure: TransferFailure) => this.#explain(failure, path)
    if (reply.kind !== 'handle') throw await explain(replyFailure(reply, about))
    return new SftpAppendedFile(this.#session, Buffer.from(reply.handle), { offset: from, about, explain })
  }

  async makeFolders(folder: string): Promise<void> {
    const reply = await this.#session.ask({ kind: 'mkdir', path: bytesOf(folder), attributes: {} })
    if (reply.kind === 'status' && reply.code === STATUS.OK) return
    // Servers say different things of a folder that is there, so it is looked at.
    if ((await this.stat(folder))?.kind === 'folder') return
    const above = posix.dirname(folder)
    if (reply.kind !== 'status' || reply.code !== STATUS.NO_SUCH_FILE || above === folder) {
      throw replyFailure(reply, `making the folder ${folder}`)
    }
    await this.makeFolders(above)
    await this.makeFolders(folder)
  }

  /** In one step where the server offers it: RENAME of version 3 refuses to replace. */
  async rename(from: string, to: string): Promise<void> {
    if (this.#session.offers(EXTENSION.POSIX_RENAME)) {
      const request = { kind: 'posix_rename', from: bytesOf(from), to: bytesOf(to) } as const
      await this.#session.tell(request, `renaming ${from} to ${to}`)
      return
    }
    const plain = (one: string, other: string) => this.#renamePlainly(one, other)
    await renameOver({ stat: (path) => this.stat(path), rename: plain, remove: (path) => this.remove(path) }, from, to)
  }

  /** Sent and not waited for: what follows is handled after it. */
  async setModifiedAt(path: string, modifiedAt: number): Promise<void> {
    const seconds = Math.floor(modifiedAt / 1000)
    this.#session.ask({ kind: 'setstat', path: bytesOf(path), attributes: { atime: seconds, mtime: seconds } }).catch(() => {})
  }

  /** A link to a file is that file; a link to a folder is neither, so that nobody walks in circles. */
  async *#entry(folder: string, { filename, attributes }: NameEntry): AsyncGenerator<Entry> {
    const name = filename.toString()
    if (name === '.' || name === '..') return
    if (name === '' || /[/\0]/.test(name)) {
      throw new TransferFailure(
        'PROTOCOL_ERROR',
        `The server lists ${JSON.stringify(name.slice(0, 100))} in ${folder}, which is not a name.`,
      )
    }
    if (typeOf(attributes) !== FILE_TYPE.LINK) {
      yield { name, ...factsOf(attributes) }
      return
    }
    const target = await this.stat(posix.join(folder, name)).catch(() => undefined)
    yield { name, ...(target?.kind === 'file' ? target : factsOf(attributes)) }
  }

  /** Version 3 says no more than FAILURE of a full disk: what the disk has left tells. */
  async #explain(failure: TransferFailure, path: string): Promise<TransferFailure> {
    if (failure.code !== 'PROTOCOL_ERROR') return failure
    const system = await this.#session.fileSystem(posix.dirname(path)).catch(() => undefined)
    if (system === undefined) return failure
    const leftBytes = system.blocksAvailable * system.fragmentBytes
    const isFull = leftBytes < this.#session.writeBytes || (system.files > 0 && system.filesAvailable === 0)
    return isFull ? new TransferFailure('DISK_FULL', `The server has no room left for ${path}.`, { cause: failure }) : failure
  }
}

function bytesOf(path: string): Buffer {
  if (path.includes('\0')) throw new TransferFailure('NOT_FOUND', 'A path with a NUL byte names nothing.')
  return Buffer.from(path)
}

function isNotFound(error: unknown): boolean {
  return error instanceof TransferFailure && error.code === 'NOT_FOUND'
}
