import { createHash } from 'node:crypto'
import {
  type BigIntStats,
  closeSync,
  constants,
  createReadStream,
  fstatSync,
  fsync,
  ftruncate,
  futimesSync,
  lstatSync,
  open,
  openSync,
  read,
  statfsSync,
  write,
} from 'node:fs'
import { link, lstat, mkdir, opendir, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { LocalEndpoint } from '../../src/wire/agent/work.ts'
import type { Client, Entry, FileFacts, PartialFile, WholeFile, WriteOptions } from './client.ts'
import { attempt } from './fault.ts'
import { syncFolder } from './folder-sync.ts'
import type { ClientContext } from './open.ts'
import { type AppendedFile, openPartial, partPath } from './rename.ts'
import { checkReplaceable } from './replace.ts'
import { openRoots, type Roots } from './roots.ts'

/** Bytes of one read: few enough to keep the loop free, enough that calls do not matter. */
const READ_BYTES = 256 * 1024

// Bare descriptors: they are closed on the spot, while a handle of `fs/promises` takes a trip over a thread for it.
const opening = promisify(open)
const reading = promisify(read)
const writing = promisify(write)
const syncing = promisify(fsync)
const truncating = promisify(ftruncate)

/**
 * Files of this machine below the folders that its owner opened. What the system knows without its disk, as a rule, is asked without the detour over a thread: looking at
 * a file is most of the work of moving a small one. What waits for a disk (making, reading, writing, syncing, renaming) goes over threads.
 */
export async function openLocal(_endpoint: LocalEndpoint, context: Pick<ClientContext, 'roots' | 'signal'>): Promise<Client> {
  const roots = openRoots(context.roots)
  return {
    stat: (path) => attempt(`Looking at “${path}”`, () => statIn(roots, path)),
    list: (folder) => listIn(roots, folder),
    listsAll: true,
    read: (path, offset) => attempt(`Reading “${path}”`, () => readIn(roots, path, offset, context.signal)),
    readWhole: (path, size) => attempt(`Reading “${path}”`, () => readWhole(roots, path, size)),
    write: (path, options) => attempt(`Writing “${path}”`, () => writeIn(roots, path, options)),
    removePart: (path, id) => attempt(`Deleting what is left for “${path}”`, () => removeIn(roots, partPath(path, id))),
    remove: (path) => attempt(`Deleting “${path}”`, () => removeIn(roots, path)),
    move: (from, to) =>
      attempt(`Moving “${from}” to “${to}”`, async () => {
        await makeFolders(roots, dirname(to))
        return moveIn(roots, from, to)
      }),
    hash: (path) => attempt(`Reading “${path}”`, async () => hashOf(await readIn(roots, path, 0, context.signal))),
    close: async () => {},
  }
}

async function statIn(roots: Roots, path: string): Promise<FileFacts | undefined> {
  const real = await roots.followed(path)
  return real === undefined ? undefined : factsOf(lstatSync(real, { bigint: true }))
}

function factsOf(stats: BigIntStats): FileFacts {
  const isFile = stats.isFile()
  return {
    kind: isFile ? 'file' : stats.isDirectory() ? 'folder' : 'other',
    size: isFile ? Number(stats.size) : 0,
    modifiedAt: Number(stats.mtimeNs / 1_000_000n),
    // A file that was replaced within the same ms with one of the same size is another one.
    tag: `${stats.ino}.${stats.mtimeNs}`,
  }
}

/** Symbolic links are neither files nor folders here: no listing goes in circles. */
async function* listIn(roots: Roots, folder: string): AsyncGenerator<Entry> {
  const doing = `Listing “${folder}”`
  const real = await attempt(doing, async () => {
    const found = await roots.followed(folder)
    if (found === undefined) throw new TransferFailure('NOT_FOUND', `There is no folder “${folder}”.`)
    return found
  })
  const entries = await attempt(doing, () => opendir(real))
  try {
    for (;;) {
      const entry = await attempt(doing, () => entries.read())
      if (entry === null) return
      // One that is gone since, or whose name is no UTF-8, cannot be moved.
      const stats = await lstat(join(real, entry.name), { bigint: true }).catch(() => undefined)
      if (stats !== undefined) yield { name: entry.name, ...factsOf(stats) }
    }
  } finally {
    await entries.close()
  }
}

async function readIn(roots: Roots, path: string, offset: number, signal: AbortSignal): Promise<Readable> {
  const { fd } = await openFile(roots, path)
  return createReadStream('', { fd, start: offset, highWaterMark: READ_BYTES, signal })
}

/** One byte more is asked for, so that a file that grew is not taken for whole. */
async function readWhole(roots: Roots, path: string, size: number): Promise<WholeFile> {
  const { fd, facts } = await openFile(roots, path)
  try {
    const bytes = Buffer.allocUnsafe(size + 1)
    let filled = 0
    for (let count = -1; count !== 0 && filled < bytes.length; filled += count) {
      count = (await reading(fd, bytes, filled, bytes.length - filled, filled)).bytesRead
    }
    // What took its name meanwhile was not read.
    const after = await statIn(roots, path)
    if (after?.tag !== facts.tag) throw new TransferFailure('SOURCE_CHANGED', `“${path}” changed while it was read.`)
    return { bytes: bytes.subarray(0, filled), facts: after }
  } finally {
    closeSync(fd)
  }
}

/** The descriptor is the caller's. */
async function openFile(roots: Roots, path: string): Promise<{ fd: number; facts: FileFacts }> {
  const real = await roots.followed(path)
  if (real === undefined) throw new TransferFailure('NOT_FOUND', `There is no file “${path}”.`)
  // The system has just looked it up, and opening it asks no more of its disk. (A named pipe would wait for its writer for ever.)
  const fd = openSync(real, constants.O_RDONLY | NO_FOLLOW | constants.O_NONBLOCK)
  try {
    const facts = factsOf(fstatSync(fd, { bigint: true }))
    if (facts.kind !== 'file') throw new TransferFailure('NOT_A_FILE', `“${path}” is not a file.`)
    await roots.checkOpened(fd, path)
    return { fd, facts }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** Nothing is followed at the last segment, where the system can be told so; everything above was checked as it really is. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0

async function writeIn(roots: Roots, path: string, options: WriteOptions): Promise<PartialFile> {
  const final = await roots.place(path)
  const there = lstatSync(final, { throwIfNoEntry: false })
  if (there !== undefined) checkReplaceable(there.mode, path)
  const doing = `Writing “${path}”`
  const partial = await openPartial(
    {
      stat: (part) => attempt(doing, () => statIn(roots, part)),
      openAt: (part, from) => attempt(doing, () => openAt(roots, part, from)),
      makeFolders: (folder) => attempt(`Making folder “${folder}”`, () => makeFolders(roots, folder)),
      rename: (from, to) => attempt(doing, () => renameIn(roots, from, to)),
      remove: (part) => attempt(doing, () => removeIn(roots, part)),
      // What this process has just written comes back from the memory of the system: that would prove nothing.
      hash: async () => undefined,
      hashPart: (part) => attempt(doing, () => hashOf(createReadStream(part))),
      readBack: (part) => createReadStream(part, { highWaterMark: READ_BYTES }),
    },
    final,
    options,
  )
  try {
    await checkRoom(final, path, options.size, partial.bytes)
  } catch (error) {
    await partial.discard()
    throw error
  }
  return partial
}

/** Better to begin nothing than to fill a disk that others need. */
async function checkRoom(final: string, path: string, size: number | null, present: number): Promise<void> {
  const disk = statfsSync(dirname(final))
  const free = disk.bavail * disk.bsize
  if (size === null || size - present <= free) return
  throw new TransferFailure('DISK_FULL', `The disk of “${path}” has ${free} bytes free, the file needs ${size - present} more.`)
}

async function openAt(roots: Roots, part: string, from: number): Promise<AppendedFile> {
  // What was removed since it was looked at does not come back as zeros.
  const flags = constants.O_WRONLY | (from === 0 ? constants.O_CREAT : 0) | NO_FOLLOW
  const fd = await opening(await roots.place(part), flags)
  try {
    await roots.checkOpened(fd, part)
    const { size } = fstatSync(fd)
    if (size < from) throw new TransferFailure('NOT_FOUND', `“${part}” has ${size} bytes by now, not ${from}.`)
    if (size > from) await truncating(fd, from)
  } catch (error) {
    closeSync(fd)
    throw error
  }
  return appendTo(fd, part, from)
}

/** One write is under way while the next chunk is read. */
function appendTo(fd: number, part: string, from: number): AppendedFile {
  let position = from
  let underWay: Promise<void> = Promise.resolve()
  let isOpen = true

  async function writeAll(chunk: Uint8Array, at: number): Promise<void> {
    for (let written = 0; written < chunk.length; ) {
      written += (await writing(fd, chunk, written, chunk.length - written, at + written)).bytesWritten
    }
  }
  function close(): void {
    if (!isOpen) return
    isOpen = false
    closeSync(fd)
  }
  return {
    append: (chunk) =>
      attempt(`Writing “${part}”`, async () => {
        await underWay
        underWay = writeAll(chunk, position)
        // Said by whoever waits for it next.
        underWay.catch(() => undefined)
        position += chunk.length
      }),
    finish: (modifiedAt) =>
      attempt(`Writing “${part}”`, async () => {
        await underWay
        if (modifiedAt !== null) setModifiedAt(fd, modifiedAt)
        underWay = syncing(fd)
        await underWay
        const { size } = fstatSync(fd)
        close()
        return size
      }),
    async abandon() {
      await underWay.catch(() => undefined)
      try {
        close()
      } catch {
        // Nobody waits for what was written.
      }
    },
  }
}

function setModifiedAt(fd: number, modifiedAt: number): void {
  try {
    futimesSync(fd, modifiedAt / 1000, modifiedAt / 1000)
  } catch {
    // Where it cannot be set, nobody minds.
  }
}

/** Folders that were made are as durable as what is put into them. */
async function makeFolders(roots: Roots, folder: string): Promise<void> {
  const real = await roots.place(folder)
  const first = await mkdir(real, { recursive: true })
  if (first === undefined) return
  for (let made = real; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made))
}

async function renameIn(roots: Roots, from: string, to: string): Promise<void> {
  const before = await roots.place(from)
  const after = dirname(from) === dirname(to) ? join(dirname(before), basename(to)) : await roots.place(to)
  await rename(before, after)
  await syncFolder(dirname(after))
  if (dirname(before) !== dirname(after)) await syncFolder(dirname(before))
}

/** A second name and then the first one taken away: a rename would replace what is there. A process that dies in between leaves both, and is found to have. */
async function moveIn(roots: Roots, from: string, to: string): Promise<boolean> {
  const before = await roots.place(from)
  const after = await roots.place(to)
  try {
    await link(before, after)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    const there = lstatSync(after, { bigint: true, throwIfNoEntry: false })
    if (there === undefined && WITHOUT_LINKS.has(code)) {
      await renameIn(roots, from, to)
      return true
    }
    if (code !== 'EEXIST' && there === undefined) throw error
    if (there === undefined || !areTwoNames(there, lstatSync(before, { bigint: true }))) return false
  }
  await syncFolder(dirname(after))
  await unlink(before)
  await syncFolder(dirname(before))
  return true
}

/** What file systems without links say of one, and systems that let nobody link files of others. */
const WITHOUT_LINKS: ReadonlySet<string> = new Set(['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL'])

/** Where one file has one name, spelt in two ways, taking away one of them would be its end. */
function areTwoNames(one: BigIntStats, other: BigIntStats): boolean {
  return one.isFile() && one.ino === other.ino && one.dev === other.dev && one.nlink > 1n
}

async function removeIn(roots: Roots, path: string): Promise<void> {
  const real = await roots.place(path)
  await unlink(real).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}

async function hashOf(bytes: Readable): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of bytes) hash.update(chunk)
  return hash.digest('hex')
}
