import type { StoredPath } from '../path.ts'
import type { Deed, Identity } from '../port.ts'
import type { AttributeChanges, Attributes, FileSystem } from '../space.ts'

/**
 * Where files lie. Everything here may throw a `StorageError`; `files` turns it into the sentence for the user.
 * Two halves: `Root`, what a user's paths lead to, and temporaries and deeds, which are about paths of the storage.
 */
export interface Backend {
  /** Makes what the backend keeps for itself. Call once, before anything else. */
  start(): Promise<void>
  stop(): Promise<void>

  /** The tree that a user sees, made if it is missing. `home` is a path of the storage. */
  openRoot(home: Buffer): Promise<Root>

  /** Where the temporary of this name lies or would lie. */
  temporaryPath(name: string): StoredPath
  createTemporary(name: string): Promise<Temporary>
  /** A temporary that begins as a copy of an open file, with its permissions (a reflink where the file system can). */
  copyToTemporary(name: string, source: OpenFile): Promise<Temporary>
  /** The temporary again, if it is there and still the same file. */
  openTemporary(path: StoredPath, identity: Identity): Promise<Temporary | undefined>
  /** All temporaries, one at a time. */
  temporaries(): AsyncIterable<{ path: StoredPath; modifiedAt: number }>
  /** Removing one that is gone does nothing. */
  removeTemporary(path: StoredPath): Promise<void>
  /** Makes the names of all temporaries made so far durable. */
  syncTemporaries(): Promise<void>

  /** Does what the deed says, once; nothing is durable yet. Throws a `StorageError`, whose `certain` says that nothing happened. */
  carryOut(deed: Deed): Promise<void>
  /** Makes a deed that was carried out durable: the entries of its folders. */
  syncDeed(deed: Deed): Promise<void>
  /** Whether the deed was carried out, as the storage shows it now. What is gone altogether counts as done. */
  isDone(deed: Deed): Promise<boolean>
}

/** A user's tree. Paths are what the user sees; no link in them leads out of it. */
export interface Root {
  /** Its canonical path in the storage. */
  readonly home: Buffer
  /**
   * What a path leads to, for the time of `use`. Links before the last name are always followed, the last one with
   * `follow`. The last name need not exist, its folder must. `use` runs again when the path changed under it, so it
   * must not have done anything by then.
   */
  at<Answer>(path: Buffer, options: { follow: boolean }, use: (place: Place) => Promise<Answer>): Promise<Answer>
  /** The canonical storage path of a user's path; what does not exist is taken literally. */
  realPath(path: Buffer): Promise<Buffer>
}

/** A name in an open folder, and what it was when it was looked up. */
export interface Place {
  /** Canonical path in the storage. */
  readonly path: Buffer
  readonly isRoot: boolean
  readonly entry: Entry | undefined
  /** Whether a temporary can become this path by a rename. */
  canPlace(): Promise<boolean>
  open(): Promise<OpenFile>
  list(): Promise<Listing>
  isEmpty(): Promise<boolean>
  readLink(): Promise<Buffer>
  makeLink(target: Buffer): Promise<void>
  /** Removes what is not a regular file: a link, a socket, a pipe. */
  unlink(): Promise<void>
  setAttributes(changes: Omit<AttributeChanges, 'size' | 'owner'>): Promise<void>
  fileSystem(): Promise<FileSystem>
}

export interface Entry extends Attributes {
  readonly identity: Identity
}

export interface OpenFile {
  entry(): Promise<Entry>
  read(into: Buffer, offset: number): Promise<number>
  /** For a thread that reads the same open file. */
  readonly descriptor: number
  close(): Promise<void>
}

/** A file that only we know, outside every space. */
export interface Temporary extends OpenFile {
  readonly path: StoredPath
  /** Writes all of the chunks, one after the other. */
  write(chunks: readonly Buffer[], offset: number): Promise<void>
  resize(bytes: number): Promise<void>
  setAttributes(changes: Omit<AttributeChanges, 'size' | 'owner'>): Promise<void>
  sync(): Promise<void>
}

export interface Listing {
  /** The next names, at most `limit`, with what they are; names that went meanwhile are left out. Empty at the end. */
  next(limit: number): Promise<{ name: Buffer; attributes: Attributes }[]>
  /** What the name is now, if it is there. */
  look(name: Buffer): Promise<Attributes | undefined>
  close(): Promise<void>
}

/** Why the storage refused, in the words of errno(3): every backend translates its own failures into these. */
export class StorageError extends Error {
  /** `ENOENT`, `ENOSPC`, ... */
  readonly errno: string

  constructor(errno: string, cause?: unknown) {
    super(`the storage answered ${errno}`, cause === undefined ? undefined : { cause })
    this.name = 'StorageError'
    this.errno = errno
  }

  /** Whether it says for certain that a change did not happen. EIO, EINTR, a time limit and what we do not know do not. */
  get certain(): boolean {
    return CERTAIN.has(this.errno)
  }
}

const CERTAIN = new Set(
  'EACCES EBUSY EDQUOT EEXIST EFBIG EINVAL EISDIR ELOOP EMFILE EMLINK ENAMETOOLONG ENFILE ENOENT ENOSPC ENOTDIR ENOTEMPTY EPERM EROFS EXDEV'.split(
    ' ',
  ),
)
