import { randomBytes } from 'node:crypto'
import { AppError } from '../../base/error.ts'
import type { DirectoryEntry, DirectoryHandle, FileHandle } from '../../files/space.ts'
import { Order, type Sharing } from './order.ts'
import type { WriteBatch } from './writes.ts'

export class OpenFile {
  readonly kind = 'file'
  readonly file: FileHandle
  readonly readable: boolean
  readonly writable: boolean
  readonly append: boolean
  readonly order = new Order()
  /** The writes that wait at the end of the order, as long as nothing came behind them. */
  batch: WriteBatch | undefined

  constructor(file: FileHandle, options: { readable: boolean; writable: boolean; append: boolean }) {
    this.file = file
    this.readable = options.readable
    this.writable = options.writable
    this.append = options.append
  }
}

export class OpenFolder {
  readonly kind = 'folder'
  readonly folder: DirectoryHandle
  readonly order = new Order()
  /** Entries that were read and did not fit into the last reply. */
  left: DirectoryEntry[] = []

  constructor(folder: DirectoryHandle) {
    this.folder = folder
  }
}

export type Open = OpenFile | OpenFolder

const PREFIX_BYTES = 8

/**
 * The open handles of one session, at most `max`. A handle is random bytes of the session and a number that counts
 * up: never used twice, and one of another session is none here.
 */
export class Handles {
  readonly #max: number
  readonly #prefix = randomBytes(PREFIX_BYTES)
  readonly #open = new Map<number, Open>()
  #opening = 0
  #last = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Keeps a place while a file is being opened; `add` or `giveBack` follows. */
  reserve(): void {
    const count = this.#open.size + this.#opening
    if (count >= this.#max) {
      throw new AppError('limit_reached', `too many open handles: ${count} of ${this.#max} in this session; close one first`)
    }
    this.#opening++
  }

  giveBack(): void {
    this.#opening--
  }

  add(open: Open): Buffer {
    this.#opening--
    this.#last++
    this.#open.set(this.#last, open)
    const handle = Buffer.allocUnsafe(PREFIX_BYTES + 4)
    handle.set(this.#prefix)
    handle.writeUInt32BE(this.#last, PREFIX_BYTES)
    return handle
  }

  get(handle: Buffer): Open {
    const open = this.#open.get(this.#number(handle))
    if (open === undefined) throw new AppError('conflict', 'no such handle: it was closed, or it is not of this session')
    return open
  }

  file(handle: Buffer): OpenFile {
    const open = this.get(handle)
    if (open.kind !== 'file') throw new AppError('is_a_directory', 'this handle is of a folder, not of a file')
    return open
  }

  folder(handle: Buffer): OpenFolder {
    const open = this.get(handle)
    if (open.kind !== 'folder') throw new AppError('not_a_directory', 'this handle is of a file, not of a folder')
    return open
  }

  /** For CLOSE: from now on the handle is none. */
  take(handle: Buffer): Open {
    const open = this.get(handle)
    this.#open.delete(this.#number(handle))
    return open
  }

  #number(handle: Buffer): number {
    const isOurs = handle.length === PREFIX_BYTES + 4 && this.#prefix.compare(handle, 0, PREFIX_BYTES) === 0
    return isOurs ? handle.readUInt32BE(PREFIX_BYTES) : 0
  }
}

/** A turn on the handle of a file. Whatever comes behind waiting writes ends their batch, so that order is kept. */
export function turnOn(open: Open, sharing: Sharing): { order: Order; sharing: Sharing } {
  if (open.kind === 'file') open.batch = undefined
  return { order: open.order, sharing }
}
