/**
 * What each request does, and behind which others it waits.
 *
 * The rule of order: requests on one handle keep their order (reads run together), requests that name a path keep
 * theirs (those that only look run together), and the CLOSE of a written file is both, because it puts the file in
 * its place. Such a CLOSE runs beside others and beside an OPEN that begins an empty file: neither sees what the other does,
 * so that a client with many files under way does not wait for the sync of each. A handle's and a path's requests do not
 * wait for each other otherwise.
 */

import type { Clock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import type { Space, WriteOptions } from '../../files/space.ts'
import { OPEN_FLAG, STATUS } from '../../wire/sftp/constants.ts'
import { encodeAttributes, encodeHandle, encodePath, encodeStatus } from '../../wire/sftp/reply.ts'
import type { Request, RequestOf } from '../../wire/sftp/request.ts'
import { changesOf, wireAttributes } from './attributes.ts'
import { copyData, expandPath, fileSystem, homeDirectory, limits } from './extensions.ts'
import { type Handles, OpenFile, OpenFolder, turnOn } from './handles.ts'
import { LISTING_BYTES, readFolder } from './listing.ts'
import type { Order, Sharing, Turn } from './order.ts'
import { read, readReplyBytes } from './reads.ts'

/** What the requests of one session work on. */
export interface Desk {
  readonly space: Space
  readonly handles: Handles
  readonly handlesMax: number
  /** Of everything that names a path. */
  readonly paths: Order
  /** Name of the user: owner and group of what is listed. */
  readonly owner: string
  readonly clock: Clock
  /** True once the session is over; what was opened since then is let go at once. */
  isOver(): boolean
}

export interface Plan {
  readonly turns: readonly Turn[]
  /** Bytes that the reply may take, for those with long ones. */
  readonly replyBytes?: number
  work(): Promise<Buffer>
}

/** Throws an AppError for what cannot even wait its turn, such as a handle that is none. */
export function plan(desk: Desk, request: Exclude<Request, { kind: 'init' | 'write' | 'malformed' }>): Plan {
  const { space, handles, paths } = desk
  const { id } = request
  const looking: Turn[] = [{ order: paths, sharing: 'looking' }]
  const changing: Turn[] = [{ order: paths, sharing: 'alone' }]
  const done = (change: Promise<void>) => change.then(() => encodeStatus(id, STATUS.OK, 'done'))

  switch (request.kind) {
    case 'open':
      return { turns: [{ order: paths, sharing: sharingOf(request.flags) }], work: () => openFile(desk, request) }
    case 'close':
      return close(desk, request)
    case 'read': {
      const open = handles.file(request.handle)
      return { turns: [turnOn(open, 'reading')], replyBytes: readReplyBytes(request), work: () => read(open, request) }
    }
    case 'fstat': {
      const open = handles.get(request.handle)
      const attributes = () =>
        open.kind === 'file' ? open.file.attributes() : space.attributes(open.folder.path, { follow: true })
      return { turns: [turnOn(open, 'reading')], work: async () => encodeAttributes(id, wireAttributes(await attributes())) }
    }
    case 'fsetstat': {
      const open = handles.get(request.handle)
      const changes = changesOf(request.attributes)
      const set = async () => {
        if (changes === undefined) return
        if (open.kind === 'file') await open.file.setAttributes(changes)
        else await space.setAttributes(open.folder.path, changes, { follow: true })
      }
      return { turns: [turnOn(open, 'alone')], work: () => done(set()) }
    }
    case 'fsync': {
      const open = handles.file(request.handle)
      return { turns: [turnOn(open, 'alone')], work: () => done(open.file.sync()) }
    }
    case 'opendir':
      return { turns: looking, work: () => openFolder(desk, request) }
    case 'readdir': {
      const open = handles.folder(request.handle)
      const work = () => readFolder(open, id, desk.owner, Math.floor(desk.clock.now() / 1000))
      return { turns: [turnOn(open, 'alone')], replyBytes: LISTING_BYTES, work }
    }
    case 'stat':
    case 'lstat': {
      const follow = request.kind === 'stat'
      return {
        turns: looking,
        work: async () => encodeAttributes(id, wireAttributes(await space.attributes(request.path, { follow }))),
      }
    }
    case 'setstat':
    case 'lsetstat': {
      const changes = changesOf(request.attributes)
      const follow = request.kind === 'setstat'
      const set = async () => (changes === undefined ? undefined : space.setAttributes(request.path, changes, { follow }))
      return { turns: changing, work: () => done(set()) }
    }
    case 'realpath':
      return { turns: looking, work: async () => encodePath(id, await space.realPath(request.path)) }
    case 'readlink':
      return { turns: looking, work: async () => encodePath(id, await space.readLink(request.path)) }
    case 'mkdir': {
      const mode = (request.attributes.permissions ?? FOLDER_MODE) & 0o7777
      return { turns: changing, work: () => done(space.makeDirectory(request.path, mode)) }
    }
    case 'rmdir':
      return { turns: changing, work: () => done(space.removeDirectory(request.path)) }
    case 'remove':
      return { turns: changing, work: () => done(space.remove(request.path)) }
    case 'rename':
      return { turns: changing, work: () => done(space.rename(request.from, request.to, { replace: false })) }
    case 'posix_rename':
      return { turns: changing, work: () => done(space.rename(request.from, request.to, { replace: true })) }
    case 'symlink':
      return { turns: changing, work: () => done(space.makeLink(request.targetPath, request.linkPath)) }
    case 'copy_data': {
      const source = handles.file(request.readHandle)
      const target = handles.file(request.writeHandle)
      const turns = source === target ? [turnOn(target, 'alone')] : [turnOn(source, 'reading'), turnOn(target, 'alone')]
      return { turns, work: () => done(copyData(desk, source, target, request)) }
    }
    case 'statvfs':
      return { turns: looking, work: () => fileSystem(desk, id, request.path) }
    case 'fstatvfs': {
      const open = handles.get(request.handle)
      const path = open.kind === 'file' ? open.file.path : open.folder.path
      return { turns: [turnOn(open, 'reading')], work: () => fileSystem(desk, id, path) }
    }
    case 'expand_path':
      return { turns: looking, work: () => expandPath(desk, request) }
    case 'home_directory':
      return { turns: looking, work: async () => homeDirectory(desk, request) }
    case 'limits':
      return { turns: [], work: async () => limits(desk, id) }
    case 'hardlink':
      throw new AppError('unsupported', 'hard links are not offered: a file has one name here; copy it instead')
    case 'unknown_extension':
      throw new AppError('unsupported', `the extension ${JSON.stringify(request.name)} is not offered`)
    case 'unsupported':
      throw new AppError('unsupported', `packet type ${request.type} is not offered`)
  }
}

/** Of a folder made without naming a mode. */
const FOLDER_MODE = 0o755
const CHANGING_FLAGS = OPEN_FLAG.CREATE | OPEN_FLAG.TRUNCATE | OPEN_FLAG.EXCLUSIVE

function sharingOf(flags: number): Sharing {
  if (!isWriting(flags)) return 'looking'
  const startsEmpty = (flags & OPEN_FLAG.TRUNCATE) !== 0 && (flags & OPEN_FLAG.EXCLUSIVE) === 0
  return startsEmpty ? 'placing' : 'alone'
}

function isWriting(flags: number): boolean {
  return (flags & OPEN_FLAG.WRITE) !== 0
}

async function openFile(desk: Desk, request: RequestOf<'open'>): Promise<Buffer> {
  const { flags, path } = request
  if (!isWriting(flags) && (flags & CHANGING_FLAGS) !== 0) {
    throw new AppError('invalid', `flags: ${flags} would make or empty a file without opening it for writing`, { field: 'flags' })
  }
  // No flag at all means reading, as with OpenSSH.
  const readable = (flags & OPEN_FLAG.READ) !== 0 || !isWriting(flags)
  const append = (flags & OPEN_FLAG.APPEND) !== 0
  const open = async () => {
    const file = await (isWriting(flags) ? desk.space.openWrite(path, writeOptions(request)) : desk.space.openRead(path))
    return new OpenFile(file, { readable, writable: isWriting(flags), append })
  }
  return admit(desk, request.id, open, ({ file }) => file.abandon('the session ended'))
}

function writeOptions({ flags, attributes }: RequestOf<'open'>): WriteOptions {
  const options: WriteOptions = {
    create: (flags & OPEN_FLAG.CREATE) !== 0,
    exclusive: (flags & OPEN_FLAG.EXCLUSIVE) !== 0,
    truncate: (flags & OPEN_FLAG.TRUNCATE) !== 0,
    append: (flags & OPEN_FLAG.APPEND) !== 0,
  }
  if (attributes.permissions !== undefined) options.mode = attributes.permissions & 0o777
  return options
}

async function openFolder(desk: Desk, request: RequestOf<'opendir'>): Promise<Buffer> {
  const open = async () => new OpenFolder(await desk.space.openDirectory(request.path))
  return admit(desk, request.id, open, ({ folder }) => folder.close())
}

/** Opens within the limit of handles, and answers with the handle. */
async function admit<Opened extends OpenFile | OpenFolder>(
  { handles, isOver }: Desk,
  id: number,
  open: () => Promise<Opened>,
  letGo: (opened: Opened) => Promise<void>,
): Promise<Buffer> {
  handles.reserve()
  let opened: Opened
  try {
    opened = await open()
  } catch (error) {
    handles.giveBack()
    throw error
  }
  if (isOver()) {
    handles.giveBack()
    await letGo(opened)
    throw new AppError('conflict', 'the session ended')
  }
  return encodeHandle(id, handles.add(opened))
}

function close({ handles, paths }: Desk, { id, handle }: RequestOf<'close'>): Plan {
  const open = handles.take(handle)
  const turns: Turn[] = [turnOn(open, 'alone')]
  if (open.kind === 'file' && open.writable) turns.push({ order: paths, sharing: 'placing' })
  const work = async () => {
    await (open.kind === 'file' ? open.file.close() : open.folder.close())
    return encodeStatus(id, STATUS.OK, 'done')
  }
  return { turns, work }
}
