/**
 * A space over a plain folder, for tests of the protocol alone: no events, no partials, no rights. A written file is
 * a temporary until it is closed.
 */
import { randomUUID } from 'node:crypto'
import { constants, type Dirent, type Stats } from 'node:fs'
import * as fs from 'node:fs/promises'
import { join, posix } from 'node:path'
import { AppError, type ErrorCode } from '../../base/error.ts'
import type { AttributeChanges, Attributes, DirectoryHandle, FileHandle, Space, WriteOptions } from '../../files/space.ts'

export interface FolderSpace extends Space {
  /** Handles that were abandoned. */
  readonly abandoned: string[]
  /** Size in bytes of each call of write, in order. */
  readonly writes: number[]
  /** When set, every write waits for it: a disk that stands still. */
  stall: Promise<void> | undefined
}

export function folderSpace(root: string): FolderSpace {
  const handles = new Set<FileHandle>()
  const host = (path: Buffer) => join(root, posix.join('/', path.toString()))

  const space: FolderSpace = {
    abandoned: [],
    writes: [],
    stall: undefined,
    async realPath(path) {
      return Buffer.from(posix.resolve('/', path.toString()))
    },
    attributes: (path, { follow }) => known(async () => attributesOf(await (follow ? fs.stat : fs.lstat)(host(path)))),
    setAttributes: (path, changes) => known(() => change(host(path), changes)),
    openRead: (path) => known(async () => openedFile(path, await fs.open(host(path), 'r'))),
    openWrite: (path, options) => known(() => openWrite(path, options)),
    openDirectory: (path) => known(() => openFolder(path)),
    makeDirectory: (path, mode) => known(() => fs.mkdir(host(path), mode)),
    removeDirectory: (path) => known(() => fs.rmdir(host(path))),
    remove: (path) => known(() => fs.unlink(host(path))),
    rename: (from, to, { replace }) =>
      known(async () => {
        if (!replace && (await exists(host(to)))) throw new AppError('file_exists', 'a file is there already')
        await fs.rename(host(from), host(to))
      }),
    readLink: (path) => known(async () => Buffer.from(await fs.readlink(host(path)))),
    makeLink: (target, path) => known(() => fs.symlink(target.toString(), host(path))),
    fileSystem: (path) =>
      known(async () => {
        const { bsize, blocks, bfree, bavail, files, ffree } = await fs.statfs(host(path))
        return {
          blockBytes: bsize,
          blocks,
          blocksFree: bfree,
          blocksAvailable: bavail,
          files,
          filesFree: ffree,
          nameBytesMax: 255,
        }
      }),
    async close() {
      for (const handle of handles) await handle.abandon('the session ended')
    },
  }

  async function openWrite(path: Buffer, { create, exclusive, truncate, append, mode }: WriteOptions): Promise<FileHandle> {
    const target = host(path)
    const isThere = await exists(target)
    if (exclusive && isThere) throw new AppError('file_exists', 'a file is there already')
    if (!create && !isThere) throw new AppError('file_not_found', 'no such file')
    const temporary = join(root, `.${randomUUID()}`)
    if (isThere && !truncate) await fs.copyFile(target, temporary)
    const flags = constants.O_RDWR | constants.O_CREAT | (append ? constants.O_APPEND : 0)
    const file = await fs.open(temporary, flags, mode ?? 0o644)
    return openedFile(path, file, { temporary, target, append })
  }

  function openedFile(
    path: Buffer,
    file: fs.FileHandle,
    place?: { temporary: string; target: string; append: boolean },
  ): FileHandle {
    let isOpen = true
    const end = async () => {
      if (!isOpen) throw new AppError('conflict', 'the file is closed')
      isOpen = false
      handles.delete(handle)
      await file.close()
    }
    const handle: FileHandle = {
      path: Buffer.from(path),
      attributes: async () => attributesOf(await file.stat()),
      async setAttributes({ size, mode, times }) {
        if (size !== undefined) await file.truncate(size)
        if (mode !== undefined) await file.chmod(mode)
        if (times !== undefined) await file.utimes(times.accessedAt, times.modifiedAt)
      },
      async read(into, offset) {
        return (await file.read(into, 0, into.length, offset)).bytesRead
      },
      async write(chunks, offset) {
        space.writes.push(chunks.reduce((sum, { length }) => sum + length, 0))
        if (space.stall !== undefined) await space.stall
        await file.writev(chunks, place?.append ? undefined : offset)
      },
      sync: () => file.sync(),
      async close() {
        await end()
        if (place !== undefined) await fs.rename(place.temporary, place.target)
      },
      async abandon() {
        space.abandoned.push(path.toString())
        await end()
        if (place !== undefined) await fs.unlink(place.temporary)
      },
    }
    handles.add(handle)
    return handle
  }

  async function openFolder(path: Buffer): Promise<DirectoryHandle> {
    const folder = await fs.opendir(host(path), { bufferSize: 100 })
    const entries = folder[Symbol.asyncIterator]() as AsyncIterator<Dirent>
    return {
      path: Buffer.from(path),
      async next(limit) {
        const names: string[] = []
        while (names.length < limit) {
          const { done, value } = await entries.next()
          if (done) break
          names.push(value.name)
        }
        return Promise.all(
          names.map(async (name) => ({
            name: Buffer.from(name),
            attributes: attributesOf(await fs.lstat(join(host(path), name))),
          })),
        )
      },
      close: async () => {
        await entries.return?.()
      },
    }
  }
  return space
}

const CODES: Record<string, ErrorCode> = {
  ENOENT: 'file_not_found',
  EEXIST: 'file_exists',
  ENOTDIR: 'not_a_directory',
  EISDIR: 'is_a_directory',
  ENOTEMPTY: 'directory_not_empty',
  EACCES: 'permission_denied',
}

async function known<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (cause) {
    const code = CODES[(cause as NodeJS.ErrnoException).code ?? '']
    throw code === undefined ? cause : new AppError(code, code.replaceAll('_', ' '), { cause })
  }
}

async function exists(path: string): Promise<boolean> {
  return fs.lstat(path).then(
    () => true,
    () => false,
  )
}

async function change(path: string, { size, mode, times }: AttributeChanges): Promise<void> {
  if (size !== undefined) await fs.truncate(path, size)
  if (mode !== undefined) await fs.chmod(path, mode)
  if (times !== undefined) await fs.utimes(path, times.accessedAt, times.modifiedAt)
}

function attributesOf(stats: Stats): Attributes {
  const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : stats.isSymbolicLink() ? 'symlink' : 'other'
  return {
    kind,
    size: stats.size,
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
    accessedAt: Math.floor(stats.atimeMs / 1000),
    modifiedAt: Math.floor(stats.mtimeMs / 1000),
    links: stats.nlink,
  }
}
