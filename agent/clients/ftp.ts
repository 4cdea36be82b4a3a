import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { posix } from 'node:path'
import { type Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { MIB, MINUTE_MS } from '../../src/base/units.ts'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { FtpEndpoint } from '../../src/wire/agent/work.ts'
import type { Client, Entry, FileFacts, PartialFile, WriteOptions } from './client.ts'
import { FtpConnection } from './ftp-connection.ts'
import { readFacts, readListing, readTime, specialInFacts, specialInListing, writeTime } from './ftp-listing.ts'
import { ArrivingFile, SentFile, UnsentBytes } from './ftp-streams.ts'
import { idleConnections } from './idle.ts'
import type { ClientContext } from './open.ts'
import { type AppendedFile, openPartial, partPath, type RenameSteps } from './rename.ts'
import { notReplaced, renameOver } from './replace.ts'

/** A listing is read as a whole before its first entry is known, bytes. */
const LISTING_BYTES_MAX = 32 * MIB

/** The files of an FTP server. Logging in is the first thing that it does, so that wrong credentials show at once. */
export async function openFtp(endpoint: FtpEndpoint, context: ClientContext): Promise<Client> {
  const lines = new Lines(endpoint, context)
  await lines.use(async () => {})
  const files = new FtpFiles(lines)
  return {
    stat: (path) => files.stat(path),
    list: (folder) => files.list(folder),
    read: (path, offset) => files.read(path, offset),
    write: (path, options) => files.write(path, options),
    removePart: (path, id) => files.remove(partPath(path, id)),
    remove: (path) => files.remove(path),
    move: (from, to) => files.move(from, to),
    hash: (path) => files.hash(path),
    close: async () => lines.close(),
  }
}

/**
 * Connections of one client, one for each thing that is under way at the same time, which is one as a rule: FTP does one thing at a time. What breaks one does
 * not stop the next thing from having another.
 */
class Lines {
  readonly #endpoint: FtpEndpoint
  readonly #context: ClientContext
  readonly #inUse = new Set<FtpConnection>()
  readonly #stop = () => {
    for (const connection of this.#inUse) connection.end(new TransferFailure('CANCELLED', 'The transfer was stopped.'))
  }

  constructor(endpoint: FtpEndpoint, context: ClientContext) {
    this.#endpoint = endpoint
    this.#context = context
    context.signal.addEventListener('abort', this.#stop)
  }

  async use<Result>(call: (connection: FtpConnection) => Promise<Result>): Promise<Result> {
    const { clock, signal } = this.#context
    if (signal.aborted) throw new TransferFailure('CANCELLED', 'The transfer was stopped.')
    const kept = idleConnections.take<FtpConnection>(this.#endpoint)
    const connection = kept ?? (await FtpConnection.open(this.#endpoint, clock, signal))
    this.#inUse.add(connection)
    try {
      return await call(connection)
    } finally {
      this.#inUse.delete(connection)
      idleConnections.keep(this.#endpoint, connection, clock)
    }
  }

  close(): void {
    this.#context.signal.removeEventListener('abort', this.#stop)
    this.#stop()
  }
}

class FtpFiles implements RenameSteps {
  readonly #lines: Lines

  constructor(lines: Lines) {
    this.#lines = lines
  }

  stat(path: string): Promise<FileFacts | undefined> {
    return this.#lines.use((connection) => statOn(connection, path))
  }

  async *list(folder: string): AsyncGenerator<Entry> {
    const doing = `Listing “${folder}”`
    const listed = await this.#lines.use(async (connection) => {
      // Many servers list a folder that is not there as an empty one; and a folder's name could be read as an option.
      await connection.send(`CWD ${folder}`, doing)
      const command = connection.feature('MLST') === undefined ? 'LIST -a' : 'MLSD'
      return readListing(await readText(connection, command, doing))
    })
    for (const { isLink, ...entry } of listed) {
      if (entry.name === '' || entry.name.includes('/')) {
        throw new TransferFailure('PROTOCOL_ERROR', `${doing} failed: ${JSON.stringify(entry.name.slice(0, 100))} is not a name.`)
      }
      yield await this.#exactly(posix.join(folder, entry.name), entry, isLink)
    }
  }

  async read(path: string, offset: number): Promise<Readable> {
    const doing = `Reading “${path}”`
    // It shows before the first byte that there is no such file, as with every other protocol.
    const begun = Promise.withResolvers<Readable>()
    this.#lines
      .use(async (connection) => {
        const readable = new ArrivingFile(() => connection.close())
        const carry = async (socket: Socket) => {
          begun.resolve(readable)
          await pipeline(socket, readable.sink)
        }
        const receiving = connection.transfer({ command: `RETR ${path}`, direction: 'in', carry }, doing, offset)
        await receiving.then(
          () => readable.finish(),
          (error) => readable.fail(error),
        )
      })
      .catch(begun.reject)
    return begun.promise
  }

  /** What is at the destination is looked at before anything is sent; what the server does not tell stops nothing. */
  async write(path: string, options: WriteOptions): Promise<PartialFile> {
    const special = await this.#lines.use((connection) => specialOn(connection, path))
    if (special !== undefined) throw notReplaced(special, path)
    return openPartial(this, path, options)
  }

  async openAt(path: string, from: number): Promise<AppendedFile> {
    const doing = `Writing “${path}”`
    const opened = Promise.withResolvers<void>()
    const source = new UnsentBytes()
    let connectionInUse: FtpConnection | undefined
    const sent = this.#lines.use(async (connection) => {
      connectionInUse = connection
      // APPE and not REST with STOR: servers are known that fill what is before the offset with zeros.
      const command = from === 0 ? 'STOR' : 'APPE'
      const carry = (socket: Writable) => {
        opened.resolve()
        return pipeline(source, socket)
      }
      await connection.transfer({ command: `${command} ${path}`, direction: 'out', carry }, doing)
    })
    sent.catch((error) => {
      source.destroy()
      opened.reject(error)
    })
    await opened.promise.catch(async (error) => {
      throw await this.#whyNotWritten(error, path)
    })
    return new SentFile(source, sent, () => connectionInUse?.close())
  }

  async makeFolders(folder: string): Promise<void> {
    const doing = `Making the folder “${folder}”`
    const made = await this.#lines.use((connection) => connection.ask(`MKD ${folder}`, doing))
    if (made.code < 300 || (await this.#isFolder(folder))) return
    const above = posix.dirname(folder)
    // Above is a folder, or there is nothing above: the refusal is for good.
    const isLast = above === folder || (await this.#isFolder(above))
    if (!isLast) await this.makeFolders(above)
    await this.#lines.use((connection) => connection.send(`MKD ${folder}`, doing))
  }

  async rename(from: string, to: string): Promise<void> {
    const doing = `Renaming “${from}” to “${to}”`
    const plain = (one: string, other: string) =>
      this.#lines.use(async (connection) => {
        await connection.send(`RNFR ${one}`, doing)
        await connection.send(`RNTO ${other}`, doing)
      })
    await renameOver({ stat: (path) => this.stat(path), rename: plain, remove: (path) => this.remove(path) }, from, to)
  }

  /** Most servers replace what has the name: it is looked at first. */
  async move(from: string, to: string): Promise<boolean> {
    if ((await this.stat(to)) !== undefined) return false
    const folder = posix.dirname(to)
    // The reply to a rename does not tell a missing folder from a missing file.
    if (!(await this.#isFolder(folder))) {
      if ((await this.stat(from)) === undefined) throw new TransferFailure('NOT_FOUND', `There is no file “${from}”.`)
      await this.makeFolders(folder)
    }
    await this.rename(from, to)
    return true
  }

  async remove(path: string): Promise<void> {
    const doing = `Deleting “${path}”`
    await this.#lines.use(async (connection) => {
      try {
        await connection.send(`DELE ${path}`, doing)
      } catch (error) {
        const isRefused = error instanceof TransferFailure && ['NOT_FOUND', 'PERMISSION_DENIED'].includes(error.code)
        if (!isRefused || (await statOn(connection, path)) !== undefined) throw error
      }
    })
  }

  /** `MFMT` where it is offered; `MDTM` with a time is what servers had before, and reads a time where a server has it not. */
  async setModifiedAt(path: string, modifiedAt: number): Promise<void> {
    await this.#lines.use(async (connection) => {
      const command = ['MFMT', 'MDTM'].find((name) => connection.feature(name) !== undefined)
      if (command !== undefined)
        await connection.ask(`${command} ${writeTime(modifiedAt)} ${path}`, `Setting the time of “${path}”`)
    })
  }

  /** HASH is draft-bryan-ftpext-hash, XSHA256 what servers had before it. */
  hash(path: string): Promise<string | undefined> {
    return this.#lines.use(async (connection) => {
      const doing = `Asking for the hash of “${path}”`
      if (/SHA-256/i.test(connection.feature('HASH') ?? '')) {
        const chosen = await connection.ask('OPTS HASH SHA-256', doing)
        if (chosen.code < 300) return hexIn(await connection.ask(`HASH ${path}`, doing, HASH_MS))
      }
      if (connection.feature('XSHA256') === undefined) return undefined
      return hexIn(await connection.ask(`XSHA256 ${path}`, doing, HASH_MS))
    })
  }

  async hashPart(path: string): Promise<string | undefined> {
    const told = await this.hash(path)
    if (told !== undefined) return told
    const hash = createHash('sha256')
    await pipeline(await this.read(path, 0), hash)
    return hash.digest('hex')
  }

  #isFolder(path: string): Promise<boolean> {
    return this.#lines.use((connection) => isFolderOn(connection, path))
  }

  /** LIST leaves out the year or the time, and says them in a zone of the server's: files are asked for theirs. */
  async #exactly(path: string, entry: Entry, isLink: boolean): Promise<Entry> {
    if (isLink) {
      const target = await this.stat(path)
      return { name: entry.name, ...(target?.kind === 'file' ? target : { kind: 'other', size: 0, modifiedAt: null }) }
    }
    if (entry.kind !== 'file' || entry.modifiedAt !== null) return entry
    return { ...entry, modifiedAt: await this.#lines.use((connection) => timeOn(connection, path)) }
  }

  /** Servers say the same of a missing folder and of one that may not be written. */
  async #whyNotWritten(error: unknown, path: string): Promise<unknown> {
    if (!(error instanceof TransferFailure) || !['NOT_FOUND', 'PERMISSION_DENIED'].includes(error.code)) return error
    const isThere = await this.#isFolder(posix.dirname(path))
    const code = isThere ? 'PERMISSION_DENIED' : 'NOT_FOUND'
    return code === error.code ? error : new TransferFailure(code, error.message, { cause: error.cause })
  }
}

/** Hashing a large file takes the server its time, ms. */
const HASH_MS = 30 * MINUTE_MS

async function statOn(connection: FtpConnection, path: string): Promise<FileFacts | undefined> {
  const doing = `Looking at “${path}”`
  if (connection.feature('MLST') !== undefined) {
    const reply = await connection.ask(`MLST ${path}`, doing)
    if (reply.code === 250) return readFacts(reply.message)
    if (reply.code === 550) return undefined
  }
  const size = await connection.ask(`SIZE ${path}`, doing)
  const found = /^213 (\d+)/.exec(size.message)
  if (found !== null) return { kind: 'file', size: Number(found[1]), modifiedAt: await timeOn(connection, path) }
  if (await isFolderOn(connection, path)) return { kind: 'folder', size: 0, modifiedAt: null }
  if (size.code === 550) return undefined
  throw new TransferFailure('UNSUPPORTED', `${doing} failed: the server tells no sizes (${size.code}).`)
}

/** What is there that no file may replace, for people. Servers without MLST tell no size of such a thing, and show it in a listing. */
async function specialOn(connection: FtpConnection, path: string): Promise<string | undefined> {
  const doing = `Looking at “${path}”`
  if (connection.feature('MLST') !== undefined) {
    const reply = await connection.ask(`MLST ${path}`, doing)
    if (reply.code === 250) return specialInFacts(reply.message)
    if (reply.code === 550) return undefined
  }
  if ((await connection.ask(`SIZE ${path}`, doing)).code === 213) return undefined
  if (await isFolderOn(connection, path)) return 'a folder'
  try {
    return specialInListing(await readText(connection, `LIST ${path}`, doing), posix.basename(path))
  } catch (error) {
    if (error instanceof TransferFailure && UNLISTED.has(error.code)) return undefined
    throw error
  }
}
/** Nothing is there, or the server does not list a single name. */
const UNLISTED: ReadonlySet<string> = new Set(['NOT_FOUND', 'PERMISSION_DENIED', 'UNSUPPORTED', 'PROTOCOL_ERROR'])

async function timeOn(connection: FtpConnection, path: string): Promise<number | null> {
  const { code, message } = await connection.ask(`MDTM ${path}`, `Asking for the time of “${path}”`)
  return code === 213 ? readTime(message.slice('213 '.length)) : null
}

async function isFolderOn(connection: FtpConnection, path: string): Promise<boolean> {
  return (await connection.ask(`CWD ${path}`, `Looking at “${path}”`)).code < 300
}

async function readText(connection: FtpConnection, command: string, doing: string): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  const take = new Writable({
    write(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      chunks.push(chunk)
      done(
        bytes > LISTING_BYTES_MAX
          ? new TransferFailure('PROTOCOL_ERROR', `${doing} failed: more than ${LISTING_BYTES_MAX} bytes.`)
          : null,
      )
    },
  })
  await connection.transfer({ command, direction: 'in', carry: (socket) => pipeline(socket, take) }, doing)
  return Buffer.concat(chunks).toString()
}

function hexIn({ code, message }: { readonly code: number; readonly message: string }): string | undefined {
  if (code >= 300) return undefined
  return /\b[0-9a-f]{64}\b/i.exec(message)?.[0].toLowerCase()
}
