import type { Readable } from 'node:stream'

/**
 * One side of a transfer: the files of another server, of this machine or of a space. Everything that fails throws a
 * `TransferFailure` whose code says why; `signal` ends what is under way within a second.
 *
 * A client is opened for one transfer or listing and closed after it. Its connections are its own.
 */
export interface Client {
  /** What is at a path; undefined: nothing. */
  stat(path: string): Promise<FileFacts | undefined>
  /** The entries of a folder, in any order, without `.` and `..`; names are single segments. `NOT_FOUND` where there is none. */
  list(folder: string): AsyncIterable<Entry>
  /** Whether a listing tells of a file all that `stat` would: what was just listed need not be looked at again. */
  readonly listsAll?: boolean
  /** The bytes of a file from `offset` on, with back-pressure. Destroying the stream ends the reading. */
  read(path: string, offset: number): Promise<Readable>
  /** A file of so many bytes as a whole, in as few steps as can be; more bytes than `size` where it has more. Undefined: only `read` can read it. */
  readWhole?(path: string, size: number): Promise<WholeFile | undefined>
  /**
   * A file to be written, invisible at `path` until it is committed. `id` names the attempt's transfer: with `resumes`, what an earlier
   * attempt of the same transfer left is gone on with.
   */
  write(path: string, options: WriteOptions): Promise<PartialFile>
  /** Takes away what a transfer has left of a file that it was to write; nothing there is fine. Absent: only `write` finds it again. */
  removePart?(path: string, transferId: string): Promise<void>
  /** Deletes a file; nothing there is fine. */
  remove(path: string): Promise<void>
  /**
   * Gives a file another name in the same storage, folders made as needed. False: something has that name, and both stay. Certain where the storage has such a
   * step; FTP and S3 look first.
   */
  move(from: string, to: string): Promise<boolean>
  /** What was moved is a copy, which has a time of its own. */
  readonly movesByCopy?: boolean
  /** Only where a file on its way shows nowhere until it has its name: sets the time of a file that is there, ms since 1970 UTC. */
  setModifiedAt?(path: string, modifiedAt: number): Promise<void>
  /** SHA-256 of a file, lower-case hex, told by the other side; undefined where it cannot tell. */
  hash(path: string): Promise<string | undefined>
  /** The host key that was taken at first use, to be pinned; undefined where none was. */
  readonly learnedHostKey?: string | undefined
  close(): Promise<void>
}

export interface WholeFile {
  readonly bytes: Uint8Array
  /** What it was after that, where that came with the bytes. */
  readonly facts: FileFacts | undefined
}

export interface FileFacts {
  readonly kind: 'file' | 'folder' | 'other'
  /** Bytes; 0 for what is not a file. */
  readonly size: number
  /** Ms since 1970 UTC; null where the protocol tells none. Only as exact as it tells. */
  readonly modifiedAt: number | null
  /** Time that a copy gets, where it is another one: S3 knows when an object was stored, and may have been told how old its content is. */
  readonly contentFrom?: number
  /** Changes whenever the content does, where the protocol has such a thing (ETag, version). */
  readonly tag?: string
  /** Id of the transfer that wrote it, where its storage keeps that. */
  readonly transferId?: string
}

export interface Entry extends FileFacts {
  readonly name: string
}

export interface WriteOptions {
  /** Id of the transfer: `[0-9a-z_]`. */
  readonly id: string
  /** Whether to go on with what an earlier attempt left. */
  readonly resumes: boolean
  /** The `ticket` of what an earlier attempt left. Where it is not gone on with, it goes. */
  readonly ticket?: string | undefined
  /** Bytes of the whole file, where known: room can be asked for before. */
  readonly size: number | null
  /** Time that the file gets, ms since 1970 UTC; null: none in particular. */
  readonly modifiedAt: number | null
  /**
   * Called by `commit` when all is there, before it gets its final name: where it rejects, so does the commit, and nothing new is at the final name. `part`: the path
   * that it has until then; undefined where it shows nowhere. Not called where the storage keeps whose it is (`FileFacts.transferId`), and by HTTP, which has no step before the name.
   */
  readonly beforeNamed?: (part?: string) => Promise<void>
}

/**
 * A file on its way. `append` answers when more may come, not when all is stored; a failure of what was taken shows at the next
 * call. Ends by exactly one of `commit`, `suspend` and `discard`; `discard` may follow a `commit` that failed, too. `suspend` and `discard` are also
 * called while an `append` has not answered, which then fails.
 */
export interface PartialFile {
  /** Bytes that were there when it was opened: 0 for a new one. */
  readonly bytes: number
  /** SHA-256 of those bytes, lower-case hex; undefined where this side can neither tell it nor be read. */
  hash(): Promise<string | undefined>
  append(chunk: Uint8Array): Promise<void>
  /** Only where its bytes are at hand, on this machine. */
  readonly atHand?: PartAtHand
  /** What those bytes are, piece by piece from the first, where this side can tell no hash of all of them. */
  readonly pieces?: readonly Piece[]
  /** Finds it again, where neither its path nor the transfer's id does. May come with an `append`; public, and never longer than `TICKET_CHARACTERS_MAX`. */
  readonly ticket?: string | undefined
  /**
   * All is there: stored as durably as this side can, its time set where it can be, and under its final name in one step, over what was there. The folders
   * above it are made. Checks before that the size is `size` and, where this side can tell it, that the SHA-256 is `sha256` (lower-case hex), else
   * `CHECKSUM_MISMATCH` and nothing new is at the final name.
   */
  commit(size: number, sha256: string): Promise<void>
  /** Closes it; what arrived stays for a later attempt where this side can resume, and goes where it cannot. */
  suspend(): Promise<void>
  /** Closes it and leaves nothing. */
  discard(): Promise<void>
}

export const TICKET_CHARACTERS_MAX = 2048

/** A piece of a file that one request brought. */
export interface Piece {
  readonly bytes: number
  readonly algorithm: 'sha256' | 'md5'
  /** Lower-case hex. */
  readonly hash: string
}

/** What is already there of a file on its way, where looking at it costs next to nothing. */
export interface PartAtHand {
  /** Its bytes, from the first. */
  read(): Readable
  /** Keeps the first `bytes` only; called before the first `append`. */
  cut(bytes: number): Promise<void>
}

/** The name of a file on its way, in the folder of its final name: hidden, and known again by the id of its transfer. */
export function partialName(name: string, transferId: string): string {
  // Names have at most 255 bytes nearly everywhere: a long one is cut, its id keeps it apart.
  const kept = Buffer.from(name)
    .subarray(0, NAME_BYTES_KEPT)
    .toString()
    .replace(/\uFFFD+$/, '')
  return `.${kept}.${transferId}.part`
}
const NAME_BYTES_KEPT = 200

const PARTIAL_NAME = /^\..*\.trf_[0-9a-z]+\.part$/s

export function isPartialName(name: string): boolean {
  return PARTIAL_NAME.test(name)
}
