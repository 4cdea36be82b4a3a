import { createHash } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import { AppError, codeOf } from '../../base/error.ts'
import { KIB, SECOND_MS } from '../../base/units.ts'
import type { Attributes, FileHandle, Space } from '../../files/space.ts'
import type { SpaceAction, SpaceGrant } from '../../transfers/space-grant.ts'
import type { OpenedSpace } from './spaces.ts'

/** Bytes of one read of a file. */
const READ_BYTES = 256 * KIB
/** Entries of a folder that are read at a time. */
const ENTRIES_STEP = 500

/** What is at a path, as agents see it. */
export interface Facts {
  readonly kind: 'file' | 'folder' | 'other'
  readonly size: number
  /** Ms since 1970 UTC. */
  readonly modifiedAt: number
}

/**
 * The space of one user as one piece of work sees it: what its grant lets through, carried out as that user. The user's permissions are the space's
 * own matter. At most one file is being written at a time.
 */
export class SpaceSession {
  readonly #opened: OpenedSpace
  readonly #space: Space
  readonly #grant: Pick<SpaceGrant, 'may'>
  readonly #clock: Clock
  #part: Part | undefined
  /** When it was used last, ms of the monotonic clock. */
  usedAt: number
  /** Requests under way. */
  busy = 0

  constructor(opened: OpenedSpace, grant: Pick<SpaceGrant, 'may'>, clock: Clock) {
    this.#opened = opened
    this.#space = opened.space
    this.#grant = grant
    this.#clock = clock
    this.usedAt = clock.monotonic()
  }

  refresh(): Promise<void> {
    return this.#opened.refresh()
  }

  /** Counts as used until it has ended. */
  async use<Answer>(act: () => Promise<Answer>): Promise<Answer> {
    this.busy++
    try {
      return await act()
    } finally {
      this.busy--
      this.usedAt = this.#clock.monotonic()
    }
  }

  /** What is sent bit by bit is used until its end. */
  async *#counted<Item>(items: AsyncGenerator<Item>): AsyncGenerator<Item> {
    this.busy++
    try {
      yield* items
    } finally {
      this.busy--
      this.usedAt = this.#clock.monotonic()
    }
  }

  /** Null: nothing is there. A file that is only on its way is not there. */
  async facts(path: string): Promise<Facts | null> {
    const attributes = await this.#space
      .attributes(this.#let('look', path), { follow: true })
      .catch((error) => (isNothing(error) ? null : Promise.reject(error)))
    return attributes === null || attributes.isUnfinished ? null : factsOf(attributes)
  }

  entries(folder: string): AsyncGenerator<{ name: string } & Facts> {
    return this.#counted(this.#list(folder))
  }

  async *#list(folder: string): AsyncGenerator<{ name: string } & Facts> {
    const handle = await this.#space.openDirectory(this.#let('list', folder))
    try {
      for (let entries = await handle.next(ENTRIES_STEP); entries.length > 0; entries = await handle.next(ENTRIES_STEP)) {
        for (const { name, attributes } of entries) {
          if (attributes.isUnfinished) continue
          const text = name.toString()
          // A name that is no text cannot be said in JSON: it is not one that an agent could ask for.
          if (Buffer.from(text).equals(name)) yield { name: text, ...factsOf(attributes) }
        }
      }
    } finally {
      await handle.close()
    }
  }

  /** The bytes of a file from `offset` on. Reading it to its end is a download, which the space says. */
  async read(path: string, offset: number): Promise<AsyncGenerator<Buffer>> {
    const handle = await this.#space.openRead(this.#let('read', path))
    return this.#counted(bytesOf(handle, offset))
  }

  async remove(path: string): Promise<void> {
    await this.#space.remove(this.#let('remove', path)).catch((error) => (isNothing(error) ? undefined : Promise.reject(error)))
  }

  /** False: something has that name, and both stay. */
  async move(from: string, to: string): Promise<boolean> {
    const [source, target] = [this.#let('remove', from), this.#let('write', to)]
    await this.#makeFolders(target)
    try {
      await this.#space.rename(source, target, { replace: false })
      return true
    } catch (error) {
      if (codeOf(error) === 'file_exists') return false
      throw error
    }
  }

  /** Of a file that is there. */
  async setModifiedAt(path: string, modifiedAt: number): Promise<void> {
    await this.#space.setAttributes(this.#let('write', path), { times: timesOf(modifiedAt) }, { follow: true })
  }

  /**
   * Opens the file that is to be written, of so many bytes (null: not known yet); answers how many bytes of it an earlier attempt has left. One that the quota has no room
   * for is refused before it comes; whether there is room in the end is decided when it is recorded.
   */
  async open(path: string, { resumes, size }: { readonly resumes: boolean; readonly size: number | null }): Promise<number> {
    await this.abandon('another attempt began')
    const target = this.#let('write', path)
    if (size !== null) await this.#opened.checkRoom(size - (await this.#sizeAt(target)))
    const bytes = resumes ? await this.#leftAt(target) : 0
    await this.#makeFolders(target)
    const handle = await this.#space.openWrite(target, { create: true, exclusive: false, truncate: bytes === 0, append: false })
    this.#part = { target, handle, bytes, isAppending: false }
    return bytes
  }

  /** SHA-256 of what an earlier attempt has left, lower-case hex; null: this user may write, but not read. */
  async hashPart(): Promise<string | null> {
    const { handle, bytes } = this.#writing()
    try {
      const hash = createHash('sha256')
      for await (const chunk of bytesOf(handle, 0, { until: bytes, closes: false })) hash.update(chunk)
      return hash.digest('hex')
    } catch (error) {
      if (codeOf(error) === 'permission_denied') return null
      throw error
    }
  }

  /** Writes bytes that follow what is there; answers how many are there then. */
  async append(offset: number, chunks: AsyncIterable<Buffer>): Promise<number> {
    const part = this.#writing()
    if (offset !== part.bytes)
      throw new AppError('conflict', `offset: ${part.bytes} bytes are there, so ${offset} is not where more begin`)
    part.isAppending = true
    try {
      for await (const chunk of chunks) {
        await part.handle.write([chunk], part.bytes)
        part.bytes += chunk.length
      }
    } finally {
      part.isAppending = false
    }
    return part.bytes
  }

  /** All is there, and what was sent: the file is stored, with its event, when this answers. */
  async commit(size: number, sha256: string, modifiedAt: number | null): Promise<void> {
    const part = this.#writing()
    const { handle, bytes } = part
    if (bytes !== size) throw new AppError('conflict', `size: ${bytes} bytes are there, not ${size}`)
    if (modifiedAt !== null) await handle.setAttributes({ times: timesOf(modifiedAt) })
    // Where an earlier attempt had brought every byte, nothing was written now: closing alone would leave it a part.
    await handle.setAttributes({ size })
    part.ending = handle.close(sha256)
    await part.ending
    if (this.#part === part) this.#part = undefined
  }

  /** The file is given up for now, and what there is of it kept for another attempt; with `keeps` false nothing is kept. */
  async abandon(reason: string, { keeps = true } = {}): Promise<void> {
    const part = this.#part
    this.#part = undefined
    if (part === undefined) return
    if (part.ending === undefined) return part.handle.abandon(reason, { keeps })
    const isStored = await part.ending.then(
      () => true,
      () => false,
    )
    if (!isStored && !keeps) await this.#removeLeft(part.target, reason)
  }

  /** What a failed commit has kept; where it would have replaced a file, opening that one removes it. */
  async #removeLeft(target: Buffer, reason: string): Promise<void> {
    const handle = await this.#space
      .openWrite(target, { create: false, exclusive: false, truncate: false, append: false })
      .catch((error) => (isNothing(error) ? undefined : Promise.reject(error)))
    await handle?.abandon(reason, { keeps: false })
  }

  async close({ keeps = true } = {}): Promise<void> {
    await this.abandon('the agent was gone', { keeps })
    await this.#space.close()
  }

  /** Of the whole file that is there, which the one to be written replaces. */
  async #sizeAt(target: Buffer): Promise<number> {
    const attributes = await this.#space.attributes(target, { follow: true }).catch(() => undefined)
    return attributes?.kind === 'file' && !attributes.isUnfinished ? attributes.size : 0
  }

  /** What an earlier attempt has left: a file on its way shows its size where no whole file is. */
  async #leftAt(path: Buffer): Promise<number> {
    const attributes = await this.#space
      .attributes(path, { follow: true })
      .catch((error) => (isNothing(error) ? undefined : Promise.reject(error)))
    return attributes?.isUnfinished ? attributes.size : 0
  }

  async #makeFolders(path: Buffer): Promise<void> {
    const segments = path.toString('latin1').split('/').slice(1, -1)
    const folders = segments.map((_, index) => Buffer.from(`/${segments.slice(0, index + 1).join('/')}`, 'latin1'))
    const isThere = (folder: Buffer) =>
      this.#space.attributes(folder, { follow: true }).then(
        () => true,
        (error) => (isNothing(error) ? false : Promise.reject(error)),
      )
    for (const folder of folders) {
      if (await isThere(folder)) continue
      // Two transfers into the same new folder make it at the same time.
      await this.#space
        .makeDirectory(folder, FOLDER_MODE)
        .catch((error) => (codeOf(error) === 'file_exists' ? undefined : Promise.reject(error)))
    }
  }

  #let(action: SpaceAction, path: string): Buffer {
    if (!this.#grant.may(action, path)) throw new AppError('forbidden', `the work of this lease does not ${action} at ${path}`)
    return Buffer.from(path)
  }

  #writing(): Part {
    if (this.#part?.ending !== undefined) throw new AppError('conflict', 'the file is being stored, or was not')
    if (this.#part?.isAppending) throw new AppError('conflict', 'another request is still writing the file')
    if (this.#part !== undefined) return this.#part
    throw new AppError('conflict', 'no file is being written on this lease; open it first')
  }
}

const FOLDER_MODE = 0o755

interface Part {
  readonly target: Buffer
  readonly handle: FileHandle
  bytes: number
  /** Bytes come one request after the other. */
  isAppending: boolean
  /** Since its commit: how that goes. A file that is being stored is not given up any more, but waited for. */
  ending?: Promise<void>
}

function factsOf({ kind, size, modifiedAt }: Attributes): Facts {
  const of = { file: 'file', directory: 'folder', symlink: 'other', other: 'other' } as const
  return { kind: of[kind], size: kind === 'file' ? size : 0, modifiedAt: modifiedAt * SECOND_MS }
}

function timesOf(modifiedAt: number): { accessedAt: number; modifiedAt: number } {
  const seconds = Math.floor(modifiedAt / SECOND_MS)
  return { accessedAt: seconds, modifiedAt: seconds }
}

function isNothing(error: unknown): boolean {
  return codeOf(error) === 'file_not_found'
}

async function* bytesOf(
  handle: FileHandle,
  offset: number,
  { until = Number.MAX_SAFE_INTEGER, closes = true } = {},
): AsyncGenerator<Buffer> {
  try {
    for (let at = offset; at < until; ) {
      const into = Buffer.allocUnsafe(Math.min(READ_BYTES, until - at))
      const read = await handle.read(into, at)
      if (read === 0) return
      at += read
      yield into.subarray(0, read)
    }
  } finally {
    if (closes) await handle.close()
  }
}
