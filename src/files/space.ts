/** What a protocol sees of the files of one user in one session. Paths are bytes, absolute in the space: `/` is the user's home. */
export interface Space {
  /** The path without `.`, `..` and doubled slashes; links in it are followed. It need not exist. */
  realPath(path: Buffer): Promise<Buffer>
  attributes(path: Buffer, options: { follow: boolean }): Promise<Attributes>
  setAttributes(path: Buffer, changes: AttributeChanges, options: { follow: boolean }): Promise<void>
  /** Always the whole file, never a partial. */
  openRead(path: Buffer): Promise<FileHandle>
  openWrite(path: Buffer, options: WriteOptions): Promise<FileHandle>
  openDirectory(path: Buffer): Promise<DirectoryHandle>
  makeDirectory(path: Buffer, mode: number): Promise<void>
  removeDirectory(path: Buffer): Promise<void>
  remove(path: Buffer): Promise<void>
  /** `replace`: an existing file at `to` is replaced (posix-rename); else it is `file_exists`. */
  rename(from: Buffer, to: Buffer, options: { replace: boolean }): Promise<void>
  readLink(path: Buffer): Promise<Buffer>
  /** Makes a link at `path` that leads to `target`; refused when it would lead outside the space. */
  makeLink(target: Buffer, path: Buffer): Promise<void>
  fileSystem(path: Buffer): Promise<FileSystem>
  /** The session is over: handles that are still open are abandoned. */
  close(): Promise<void>
}

export interface WriteOptions {
  create: boolean
  /** With `create`: the path must not exist. */
  exclusive: boolean
  truncate: boolean
  /** Every write goes to the end, whatever offset the client names. */
  append: boolean
  /** Permission bits of a file that is made; without them what the space gives. */
  mode?: number
}

/**
 * An open file. A written one is a hidden temporary until `close`. open → closed | abandoned; after that every call
 * throws `conflict`.
 */
export interface FileHandle {
  readonly path: Buffer
  attributes(): Promise<Attributes>
  setAttributes(changes: AttributeChanges): Promise<void>
  /** Fills `into` from `offset`; returns the bytes read, 0 at the end of the file. */
  read(into: Buffer, offset: number): Promise<number>
  /**
   * Writes the chunks one after the other at `offset` (at the end for an append handle). Once it resolves their memory is the
   * caller's again, who may fill it with other bytes.
   */
  write(chunks: readonly Buffer[], offset: number): Promise<void>
  sync(): Promise<void>
  /**
   * Ends the handle. Resolves once the event is durable and the file in its place; a rejection means: not uploaded. Given the SHA-256 of what was sent (lower-case
   * hex), it is `checksum_mismatch` where something else has arrived, of which nothing is kept; nor is of what there is no room for.
   */
  close(sha256?: string): Promise<void>
  /** The session died or gave up: a written file becomes a partial (with `keeps` false nothing is kept), nothing becomes an upload. */
  abandon(reason: string, options?: { readonly keeps?: boolean }): Promise<void>
}

export interface DirectoryHandle {
  readonly path: Buffer
  /** The next entries, at most `limit`; empty at the end, and from then on. */
  next(limit: number): Promise<DirectoryEntry[]>
  close(): Promise<void>
}

export interface DirectoryEntry {
  name: Buffer
  attributes: Attributes
}

export interface Attributes {
  kind: 'file' | 'directory' | 'symlink' | 'other'
  /** Bytes. For a partial: its prefix without a hole. */
  size: number
  /** Permission bits, without the file type. */
  mode: number
  uid: number
  gid: number
  /** Seconds since 1970 UTC. */
  accessedAt: number
  modifiedAt: number
  links: number
  /** A file on its way, which shows at its path where no whole file is. */
  isUnfinished?: true
}

export interface AttributeChanges {
  size?: number
  mode?: number
  owner?: { uid: number; gid: number }
  /** Seconds since 1970 UTC. */
  times?: { accessedAt: number; modifiedAt: number }
}

/** Units as in statvfs(3). */
export interface FileSystem {
  blockBytes: number
  blocks: number
  blocksFree: number
  blocksAvailable: number
  files: number
  filesFree: number
  nameBytesMax: number
}
