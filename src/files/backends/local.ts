/** Files on a local disk. Temporaries lie in `<storage>/.landfall/uploads`, on the same file system as the homes. */
import { constants, existsSync } from 'node:fs'
import { copyFile, type FileHandle, mkdir, open, opendir, realpath, rename, rmdir, stat, unlink } from 'node:fs/promises'
import { createSyncGate } from '../../base/sync-gate.ts'
import { childOf, folderOf, fromStoredPath, joinNames, nameOf, type StoredPath, splitPath, toStoredPath } from '../path.ts'
import type { Deed } from '../port.ts'
import { type Backend, type Entry, StorageError, type Temporary } from './backend.ts'
import { closedOnFailure } from './closing.ts'
import { createLocalRoot, datesOf, openFile } from './local-root.ts'
import {
  createTree,
  type Folder,
  isReserved,
  lookAt,
  pathOfDescriptor,
  RESERVED_NAME,
  type Tree,
  translated,
  unlessMissing,
} from './local-tree.ts'

const UPLOADS = Buffer.from(`/${RESERVED_NAME}/uploads`)
const { COPYFILE_EXCL, COPYFILE_FICLONE, O_CREAT, O_EXCL, O_NOFOLLOW = 0, O_RDWR } = constants
/** Mode of homes and of folders above them; a home is for the user and who runs the server. */
const HOME_MODE = 0o750

export interface LocalBackendOptions {
  /** Folder of the storage; made if missing. */
  folder: string
  /** Whether open files show up in `/proc/self/fd`; found out when absent. Tests pass false to try the other way. */
  byDescriptor?: boolean
}

export function createLocalBackend({ folder, byDescriptor = existsSync('/proc/self/fd') }: LocalBackendOptions): Backend {
  let tree: Tree
  let uploads: Folder
  let uploadsDevice: bigint
  const syncUploads = createSyncGate(() => uploads.sync())

  async function withFolder<Answer>(path: StoredPath, act: (folder: Folder, name: Buffer) => Promise<Answer>): Promise<Answer> {
    const bytes = fromStoredPath(path)
    const parent = await tree.open(folderOf(bytes))
    try {
      return await act(parent, nameOf(bytes))
    } finally {
      await parent.close()
    }
  }

  /** What is at a canonical path; undefined also where its folder is gone. */
  async function look(path: StoredPath): Promise<Entry | undefined> {
    return unlessMissing(() => withFolder(path, (parent, name) => lookAt(parent.entry(name))))
  }

  async function syncFolderOf(path: StoredPath): Promise<void> {
    await withFolder(path, (parent) => parent.sync())
  }

  function temporary(path: StoredPath, handle: FileHandle): Temporary {
    return {
      ...openFile(handle),
      path,
      write: (chunks, offset) => translated(() => writeAll(handle, chunks, offset)),
      resize: (bytes) => translated(() => handle.truncate(bytes)),
      async setAttributes({ mode, times }) {
        if (mode !== undefined) await translated(() => handle.chmod(mode))
        if (times !== undefined) await translated(() => handle.utimes(...datesOf(times)))
      },
      sync: () => translated(() => handle.sync()),
    }
  }

  const temporaryPath = (name: string) => toStoredPath(childOf(UPLOADS, Buffer.from(name)))
  const temporaryEntry = (path: StoredPath) => uploads.entry(nameOf(fromStoredPath(path)))

  return {
    async start() {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const host = (await realpath(folder, { encoding: 'buffer' })) as Buffer
      tree = createTree(host, byDescriptor)
      await makeFolders(tree, UPLOADS, 0o700)
      uploads = await tree.open(UPLOADS)
      uploadsDevice = (await stat(uploads.self, { bigint: true })).dev
    },

    async stop() {
      await uploads?.close()
    },

    async openRoot(home) {
      const path = joinNames(splitPath(home))
      if (isReserved(path)) throw new StorageError('ENOENT')
      await makeFolders(tree, path, HOME_MODE)
      return createLocalRoot({ tree, home: path, byDescriptor, temporariesDevice: () => uploadsDevice })
    },

    temporaryPath,

    async createTemporary(name) {
      const path = temporaryPath(name)
      return temporary(path, await translated(() => open(temporaryEntry(path), O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW, 0o600)))
    },

    async copyToTemporary(name, source) {
      const path = temporaryPath(name)
      if (!byDescriptor) {
        const copy = await this.createTemporary(name)
        return closedOnFailure(copy, () => copyByHand(copy, source))
      }
      const from = pathOfDescriptor(source.descriptor)
      await translated(() => copyFile(from, temporaryEntry(path), COPYFILE_EXCL | COPYFILE_FICLONE))
      return temporary(path, await openOwn(temporaryEntry(path)))
    },

    async openTemporary(path, identity) {
      const handle = await unlessMissing(() => translated(() => open(temporaryEntry(path), O_RDWR | O_NOFOLLOW)))
      if (handle === undefined) return undefined
      const found = temporary(path, handle)
      const entry = await closedOnFailure(handle, () => found.entry())
      if (entry.identity === identity) return found
      await handle.close()
      return undefined
    },

    async *temporaries() {
      const directory = await translated(() => opendir(uploads.self))
      for await (const { name } of directory) {
        const path = temporaryPath(name)
        const entry = await unlessMissing(() => lookAt(temporaryEntry(path)))
        if (entry !== undefined) yield { path, modifiedAt: entry.modifiedAt * 1000 }
      }
    },

    async removeTemporary(path) {
      await unlessMissing(() => translated(() => unlink(temporaryEntry(path))))
    },

    syncTemporaries: syncUploads,

    async carryOut(deed) {
      await translated(() =>
        withFolder(deed.path, async (parent, name) => {
          const where = parent.entry(name)
          switch (deed.kind) {
            case 'place':
              return rename(temporaryEntry(deed.temporary), where)
            case 'rename':
              return withFolder(deed.to, (parentOfTo, to) => rename(where, parentOfTo.entry(to)))
            case 'remove':
              return unlink(where)
            case 'mkdir':
              return mkdir(where, { mode: deed.mode }).then(() => {})
            case 'rmdir':
              return rmdir(where)
          }
        }),
      )
    },

    async syncDeed(deed) {
      const folders = deed.kind === 'rename' ? [deed.path, deed.to] : [deed.path]
      await Promise.all([
        ...folders.map((path) => unlessMissing(() => syncFolderOf(path))),
        ...(deed.kind === 'place' ? [syncUploads()] : []),
      ])
    },

    async isDone(deed: Deed) {
      switch (deed.kind) {
        case 'place':
          return (await look(deed.temporary))?.identity !== deed.identity
        case 'rename':
          return (await look(deed.to))?.identity === deed.identity || (await look(deed.path))?.identity !== deed.identity
        case 'mkdir':
          return (await look(deed.path))?.kind === 'directory'
        case 'remove':
        case 'rmdir':
          return (await look(deed.path))?.identity !== deed.identity
      }
    },
  }
}

/** Makes a folder and those above it, each durable before the next. A link on the way is refused. */
async function makeFolders(tree: Tree, path: Buffer, mode: number): Promise<void> {
  const names = splitPath(path)
  for (let depth = 0; depth < names.length; depth++) {
    const parent = await tree.open(joinNames(names.slice(0, depth)))
    try {
      const where = parent.entry(names[depth]!)
      if ((await unlessMissing(() => lookAt(where))) !== undefined) continue
      await translated(() => mkdir(where, { mode })).catch((cause: unknown) => {
        // Somebody made it at the same moment.
        if ((cause as StorageError).errno !== 'EEXIST') throw cause
      })
      await parent.sync()
    } finally {
      await parent.close()
    }
  }
  await (await tree.open(path)).close()
}

async function openOwn(where: Buffer): Promise<FileHandle> {
  return translated(() => open(where, O_RDWR | O_NOFOLLOW))
}

async function writeAll(handle: FileHandle, chunks: readonly Buffer[], offset: number): Promise<void> {
  let rest = chunks
  let at = offset
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest as Buffer[], at)
    at += bytesWritten
    rest = after(rest, bytesWritten)
  }
}

/** The chunks without their first `bytes` bytes: a write may be cut short, for instance when the disk fills up. */
function after(chunks: readonly Buffer[], bytes: number): readonly Buffer[] {
  let skip = bytes
  let n = 0
  while (n < chunks.length && chunks[n]!.length <= skip) skip -= chunks[n++]!.length
  return skip === 0 ? chunks.slice(n) : [chunks[n]!.subarray(skip), ...chunks.slice(n + 1)]
}

const COPY_BYTES = 1024 * 1024

async function copyByHand(to: Temporary, source: { read(into: Buffer, offset: number): Promise<number> }): Promise<Temporary> {
  const buffer = Buffer.allocUnsafe(COPY_BYTES)
  for (let offset = 0; ; ) {
    const read = await source.read(buffer, offset)
    if (read === 0) return to
    await to.write([buffer.subarray(0, read)], offset)
    offset += read
  }
}
