/**
 * Folders of a local disk, opened so that nobody can lead us elsewhere. A folder is known by its canonical path. On Linux it is
 * opened, and the kernel then says (`/proc/self/fd/N`) where the open folder really is: if that is not the canonical path, a
 * link was on the way, or it moved. Its entries are reached through the descriptor, `/proc/self/fd/N/name`, as openat(2)
 * would, so a link swapped in above them afterwards changes nothing. The last name is never followed by the kernel.
 *
 * Elsewhere there is no such view of a descriptor: the real path is asked before an entry is used and again after (`confirm`).
 * That finds most swapped links, but not one that is put there and taken away again between the two: there, who may rename at the
 * right moment could be led out. SECURITY.md says so.
 */
import { type BigIntStats, constants, readlinkSync } from 'node:fs'
import { lstat, open, realpath } from 'node:fs/promises'
import { childOf, isRoot, joinPaths } from '../path.ts'
import type { Attributes } from '../space.ts'
import { type Entry, StorageError } from './backend.ts'
import { closedOnFailure } from './closing.ts'

// Windows has neither flag; there a folder cannot be opened anyway.
const FOLDER_FLAGS = constants.O_RDONLY | (constants.O_DIRECTORY ?? 0) | (constants.O_NOFOLLOW ?? 0)
const DESCRIPTORS = '/proc/self/fd/'

/** The path changed while it was being walked: look again. */
export class Raced extends Error {}

export interface Folder {
  /** Canonical path in the storage. */
  readonly path: Buffer
  /** Path for calls on an entry of the folder. */
  entry(name: Buffer): Buffer
  /** Path for calls on the folder itself. */
  readonly self: Buffer
  /** Throws `Raced` when the folder is not the one that was opened; call after using `entry`, before relying on it. */
  confirm(): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

export interface Tree {
  /** The real path of the storage on this machine. */
  readonly host: Buffer
  /** Opens a folder by its canonical path in the storage. ENOTDIR where a part of the path is a link or no folder. */
  open(path: Buffer): Promise<Folder>
}

export function createTree(host: Buffer, byDescriptor: boolean): Tree {
  return {
    host,
    open: (path) => translated(() => (byDescriptor ? openByDescriptor(host, path) : openByPath(host, path))),
  }
}

async function openByDescriptor(host: Buffer, path: Buffer): Promise<Folder> {
  const where = joinPaths(host, path)
  const handle = await open(where, FOLDER_FLAGS)
  const self = pathOfDescriptor(handle.fd)
  // At once: the kernel reads this out of its memory, and a trip through the thread pool costs far more (an upload makes four).
  const real = await closedOnFailure(handle, async () => readlinkSync(self, { encoding: 'buffer' }))
  if (!real.equals(where)) {
    await handle.close()
    throw new StorageError('ENOTDIR')
  }
  return {
    path,
    self,
    entry: (name) => childOf(self, name),
    confirm: async () => {},
    sync: () => translated(() => handle.sync()),
    close: () => handle.close(),
  }
}

async function openByPath(host: Buffer, path: Buffer): Promise<Folder> {
  const where = joinPaths(host, path)
  const look = async () => {
    const real = (await realpath(where, { encoding: 'buffer' })) as Buffer
    const stats = await lstat(where, { bigint: true })
    if (!real.equals(where) || !stats.isDirectory()) throw new StorageError('ENOTDIR')
    return identityOf(stats)
  }
  const identity = await look()
  return {
    path,
    self: where,
    entry: (name) => childOf(where, name),
    async confirm() {
      const now = await look().catch(() => undefined)
      if (now !== identity) throw new Raced()
    },
    sync: () => translated(() => syncFolder(where)),
    close: async () => {},
  }
}

async function syncFolder(where: Buffer): Promise<void> {
  // Windows cannot sync a folder; NTFS journals its entries itself.
  if (process.platform === 'win32') return
  const handle = await open(where, FOLDER_FLAGS)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The path that leads to what a descriptor has open, whatever becomes of its name. Only with `byDescriptor`. */
export function pathOfDescriptor(descriptor: number): Buffer {
  return Buffer.from(DESCRIPTORS + descriptor)
}

/** Turns what `node:fs` throws into a StorageError; other errors pass. */
export async function translated<Answer>(act: () => Promise<Answer>): Promise<Answer> {
  try {
    return await act()
  } catch (cause) {
    throw storageError(cause)
  }
}

function storageError(cause: unknown): unknown {
  if (cause instanceof StorageError || cause instanceof Raced) return cause
  const errno = (cause as NodeJS.ErrnoException).code
  return errno !== undefined && /^E[A-Z0-9]+$/.test(errno) ? new StorageError(errno, cause) : cause
}

/** The answer, or undefined where nothing is at that path. */
export async function unlessMissing<Answer>(act: () => Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await act()
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw cause
  }
}

export function isMissing(cause: unknown): boolean {
  return errnoOf(cause) === 'ENOENT'
}

export function errnoOf(cause: unknown): string | undefined {
  return cause instanceof StorageError ? cause.errno : (cause as NodeJS.ErrnoException | undefined)?.code
}

export function lookAt(path: Buffer): Promise<Entry> {
  return translated(async () => entryOf(await lstat(path, { bigint: true })))
}

export function entryOf(stats: BigIntStats): Entry {
  return {
    ...attributesOf(stats),
    identity: identityOf(stats),
  }
}

function attributesOf(stats: BigIntStats): Attributes {
  return {
    kind: stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : stats.isSymbolicLink() ? 'symlink' : 'other',
    size: Number(stats.size),
    mode: Number(stats.mode) & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    accessedAt: Number(stats.atimeNs / 1_000_000_000n),
    modifiedAt: Number(stats.mtimeNs / 1_000_000_000n),
    links: Number(stats.nlink),
  }
}

function identityOf(stats: BigIntStats): string {
  return `${stats.ino}:${stats.birthtimeNs}`
}

/** Whether this is what the backend keeps for itself, or lies in it. Letters compare without case, as some disks do. */
export function isReserved(path: Buffer): boolean {
  if (isRoot(path)) return false
  const end = path.indexOf('/', 1)
  return (
    path
      .subarray(1, end < 0 ? path.length : end)
      .toString('latin1')
      .toLowerCase() === RESERVED_NAME
  )
}

/** The folder in the storage that holds temporaries; no space shows it. */
export const RESERVED_NAME = '.landfall'
