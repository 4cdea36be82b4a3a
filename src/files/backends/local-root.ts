/**
 * A user's tree on a local disk: paths are walked here, not by the kernel, so links lead where they would lead if the home
 * were the root of the machine (as under OpenSSH's ChrootDirectory): a link to `/a` means the user's `/a`. A link that climbs
 * above the home is refused; `..` that a user names at the home stays there.
 */
import { constants } from 'node:fs'
import { chmod, type FileHandle, lutimes, open, opendir, readlink, stat, statfs, symlink, unlink, utimes } from 'node:fs/promises'
import { AppError } from '../../base/error.ts'
import { SECOND_MS } from '../../base/units.ts'
import { childOf, folderOf, isDotDot, joinNames, joinPaths, nameOf, pathBelow, splitPath } from '../path.ts'
import type { AttributeChanges, FileSystem } from '../space.ts'
import { type Entry, type Listing, type OpenFile, type Place, type Root, StorageError } from './backend.ts'
import { closedOnFailure } from './closing.ts'
import {
  entryOf,
  errnoOf,
  type Folder,
  isMissing,
  isReserved,
  lookAt,
  pathOfDescriptor,
  Raced,
  type Tree,
  translated,
  unlessMissing,
} from './local-tree.ts'

/** Links followed in one path, as Linux counts them (path_resolution(7)). */
const LINKS_MAX = 40
/** Times a path is walked again because something in it was being replaced. */
const RACES_MAX = 16
/** Entries that the system reads from a folder at once. */
const READ_ENTRIES = 256
/** Names looked at together; more would only queue in the thread pool. */
const LOOKS_MAX = 64

const { O_RDONLY, O_NONBLOCK = 0, O_NOFOLLOW = 0 } = constants
// Linux's O_PATH, which node:fs does not name: the object itself, whatever its permissions. 0 where the system has none.
const O_PATH = process.platform === 'linux' ? 0o10000000 : 0
const SELF = Buffer.from('.')

export interface LocalRootOptions {
  tree: Tree
  home: Buffer
  byDescriptor: boolean
  /** Device of the folder of temporaries: only on the same one can they be renamed into place. */
  temporariesDevice: () => bigint
}

/** Where a walk ended: a name in an open folder, and the names after it when it could not go on there. */
interface Walked {
  folder: Folder
  name: Buffer
  entry: Entry | undefined
  rest: Buffer[]
}

/** A step still to be walked. Names from a link may not climb above the home, names from the user stay there. */
interface Step {
  name: Buffer
  fromLink: boolean
}

export function createLocalRoot({ tree, home, byDescriptor, temporariesDevice }: LocalRootOptions): Root {
  /** Opens the folder of a path and looks at its last name. */
  async function walk(path: Buffer, follow: boolean): Promise<Walked> {
    const names = splitPath(path)
    const direct = await walkDirect(names)
    if (direct !== undefined && !(follow && direct.entry?.kind === 'symlink')) return direct
    await direct?.folder.close()
    return walkSteps(names, follow)
  }

  /** The usual case in one step: no link and no `..` in the path of the folder. */
  async function walkDirect(names: Buffer[]) {
    if (names.some(isDotDot)) return undefined
    const name = names.at(-1)
    if (name === undefined) return lookIn(await tree.open(home), SELF)
    try {
      return await lookIn(await tree.open(joinPaths(home, joinNames(names.slice(0, -1)))), name)
    } catch (cause) {
      if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(cause) ?? '')) return undefined
      throw cause
    }
  }

  async function walkSteps(names: Buffer[], follow: boolean) {
    const steps: Step[] = names.map((name) => ({ name, fromLink: false })).reverse()
    let links = 0
    let folder = await tree.open(home)
    try {
      for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
        if (isDotDot(step.name)) {
          folder = await moveTo(folder, parent(folder.path, step.fromLink))
          continue
        }
        const isLast = steps.length === 0
        const { entry } = await lookIn(folder, step.name)
        if (entry?.kind === 'symlink' && (follow || !isLast)) {
          if (++links > LINKS_MAX) throw new StorageError('ELOOP')
          const target = (await translated(() => readlink(folder.entry(step.name), { encoding: 'buffer' }))) as Buffer
          await folder.confirm()
          if (target[0] === 0x2f) folder = await moveTo(folder, home)
          for (const name of splitPath(target).reverse()) steps.push({ name, fromLink: true })
          continue
        }
        if (isLast || entry?.kind !== 'directory') {
          return { folder, name: step.name, entry, rest: steps.reverse().map(({ name }) => name) }
        }
        folder = await moveTo(folder, childOf(folder.path, step.name))
      }
      // The path ended in `..`, in the home itself, or in a link to a folder named by either.
      return await lookAtSelf(folder)
    } catch (cause) {
      await folder.close()
      throw cause
    }
  }

  /** The folder that was reached, as an entry of the folder above it. */
  async function lookAtSelf(folder: Folder) {
    if (folder.path.equals(home)) return lookIn(folder, SELF)
    const { path } = folder
    return lookIn(await moveTo(folder, folderOf(path)), nameOf(path))
  }

  /** Takes the folder over: it is closed when the look fails. */
  async function lookIn(folder: Folder, name: Buffer): Promise<Walked> {
    return closedOnFailure(folder, async () => {
      if (isReserved(childOf(folder.path, name))) throw new StorageError('ENOENT')
      const entry = await unlessMissing(() => lookAt(folder.entry(name)))
      await folder.confirm()
      return { folder, name, entry, rest: [] }
    })
  }

  async function moveTo(from: Folder, path: Buffer): Promise<Folder> {
    try {
      const to = await tree.open(path)
      await from.close()
      return to
    } catch (cause) {
      // It was a folder a moment ago.
      if (errnoOf(cause) === 'ENOTDIR' || isMissing(cause)) throw new Raced()
      throw cause
    }
  }

  function parent(path: Buffer, fromLink: boolean): Buffer {
    if (!path.equals(home)) return folderOf(path)
    if (fromLink) throw new AppError('path_outside_space', 'a link in the path leads outside your space')
    return home
  }

  return {
    home,

    at(path, { follow }, use) {
      return again(async () => {
        const { folder, name, entry, rest } = await walk(path, follow)
        try {
          if (rest.length > 0) throw new StorageError(entry === undefined ? 'ENOENT' : 'ENOTDIR')
          return await use(createPlace(folder, name, entry))
        } finally {
          await folder.close()
        }
      })
    },

    realPath(path) {
      return again(async () => {
        const { folder, name, rest } = await walk(path, true)
        await folder.close()
        return appendLiterally(name === SELF ? folder.path : childOf(folder.path, name), rest)
      })
    },
  }

  /** Walks again while somebody changes the path under us. */
  async function again<Answer>(act: () => Promise<Answer>): Promise<Answer> {
    for (let races = 0; ; races++) {
      try {
        return await translated(act)
      } catch (cause) {
        if (!(cause instanceof Raced)) throw cause
        if (races >= RACES_MAX) throw new AppError('path_busy', 'the path is being changed', { cause })
      }
    }
  }

  function appendLiterally(path: Buffer, names: Buffer[]): Buffer {
    return names.reduce((at, name) => (isDotDot(name) ? parent(at, false) : childOf(at, name)), path)
  }

  function createPlace(folder: Folder, name: Buffer, entry: Entry | undefined): Place {
    const itself = name === SELF
    const path = itself ? folder.path : childOf(folder.path, name)
    const where = folder.entry(name)

    async function openObject(flags: number): Promise<FileHandle> {
      // O_NONBLOCK: a pipe at this path must not hang us.
      const handle = await translated(() => open(where, flags | O_NONBLOCK | O_NOFOLLOW)).catch((cause: unknown) => {
        // It became a link after we looked.
        throw errnoOf(cause) === 'ELOOP' ? new Raced() : cause
      })
      return closedOnFailure(handle, async () => {
        if (!byDescriptor) {
          const { identity } = entryOf(await handle.stat({ bigint: true }))
          if (identity !== (await lookAt(where)).identity) throw new Raced()
        }
        await folder.confirm()
        return handle
      })
    }

    return {
      path,
      isRoot: path.equals(home),
      entry,

      async canPlace() {
        const { dev } = await translated(() => stat(folder.self, { bigint: true }))
        return dev === temporariesDevice()
      },

      async open() {
        const handle = await openObject(O_RDONLY)
        return closedOnFailure(handle, async () => {
          const { kind } = entryOf(await handle.stat({ bigint: true }))
          if (kind === 'directory') throw new StorageError('EISDIR')
          if (kind !== 'file') throw new StorageError('EACCES')
          return openFile(handle)
        })
      },

      list: async () => openListing(await tree.open(path)),

      async isEmpty() {
        const listing = await openListing(await tree.open(path))
        try {
          return (await listing.next(1)).length === 0
        } finally {
          await listing.close()
        }
      },

      async readLink() {
        const target = (await translated(() => readlink(where, { encoding: 'buffer' }))) as Buffer
        await folder.confirm()
        return target
      },

      async makeLink(target) {
        climbCheck(target)
        await translated(() => symlink(target, where))
        await folder.sync()
      },

      async unlink() {
        await translated(() => unlink(where))
        await folder.sync()
      },

      async setAttributes({ mode, times }) {
        if (entry?.kind === 'symlink') {
          // Linux has no permissions of links; their times it has.
          if (mode !== undefined) throw new StorageError('EOPNOTSUPP')
          if (times !== undefined) await translated(() => lutimes(where, ...datesOf(times)))
          return
        }
        const handle = await openObject(O_PATH === 0 || !byDescriptor ? O_RDONLY : O_PATH)
        const object = byDescriptor ? pathOfDescriptor(handle.fd) : where
        try {
          if (entryOf(await handle.stat({ bigint: true })).kind === 'symlink') throw new Raced()
          if (mode !== undefined) await translated(() => chmod(object, mode))
          if (times !== undefined) await translated(() => utimes(object, ...datesOf(times)))
        } finally {
          await handle.close()
        }
      },

      async fileSystem(): Promise<FileSystem> {
        const { bsize, blocks, bfree, bavail, files, ffree } = await translated(() => statfs(folder.self, { bigint: true }))
        return {
          blockBytes: Number(bsize),
          blocks: Number(blocks),
          blocksFree: Number(bfree),
          blocksAvailable: Number(bavail),
          files: Number(files),
          filesFree: Number(ffree),
          nameBytesMax: 255,
        }
      },
    }

    /** Refuses a target that climbs above the home when read from this folder; what is followed is judged again then. */
    function climbCheck(target: Buffer): void {
      const view = pathBelow(home, folder.path) ?? folder.path
      let depth = target[0] === 0x2f ? 0 : splitPath(view).length
      for (const step of splitPath(target)) {
        depth += isDotDot(step) ? -1 : 1
        if (depth < 0) throw new AppError('path_outside_space', 'the link would lead outside your space')
      }
    }
  }
}

/** As dates: node:fs takes a negative number for the present time. */
export function datesOf({ accessedAt, modifiedAt }: NonNullable<AttributeChanges['times']>): [Date, Date] {
  return [new Date(accessedAt * SECOND_MS), new Date(modifiedAt * SECOND_MS)]
}

export function openFile(handle: FileHandle): OpenFile {
  return {
    descriptor: handle.fd,
    entry: () => translated(async () => entryOf(await handle.stat({ bigint: true }))),
    read: (into, offset) => translated(async () => (await handle.read(into, 0, into.length, offset)).bytesRead),
    close: () => translated(() => handle.close()),
  }
}

async function openListing(folder: Folder): Promise<Listing> {
  const directory = await closedOnFailure(folder, () =>
    // Types of node:fs know only text encodings here; the documentation has 'buffer' for names as bytes.
    translated(() => opendir(folder.self, { encoding: 'buffer' as BufferEncoding, bufferSize: READ_ENTRIES })),
  )
  const look = (name: Buffer) => unlessMissing(() => lookAt(folder.entry(name)))
  return {
    look,
    async next(limit) {
      const entries: { name: Buffer; attributes: Entry }[] = []
      while (entries.length < limit) {
        const names: Buffer[] = []
        while (names.length < Math.min(limit - entries.length, LOOKS_MAX)) {
          const found = await translated(() => directory.read())
          if (found === null) break
          const name = found.name as unknown as Buffer
          if (!isReserved(childOf(folder.path, name))) names.push(name)
        }
        if (names.length === 0) break
        const looks = await Promise.all(names.map(look))
        looks.forEach((attributes, n) => {
          if (attributes !== undefined) entries.push({ name: names[n]!, attributes })
        })
      }
      return entries
    },
    async close() {
      await directory.close()
      await folder.close()
    },
  }
}
