/** The extensions that are offered on top of version 3, and what they do. */
import { AppError } from '../../base/error.ts'
import { KIB } from '../../base/units.ts'
import { DATA_BYTES_MAX, EXTENSION, type Extension, PACKET_BYTES_MAX, STATVFS_FLAG } from '../../wire/sftp/constants.ts'
import { encodeFileSystem, encodeLimits, encodePath } from '../../wire/sftp/reply.ts'
import type { RequestOf } from '../../wire/sftp/request.ts'
import type { OpenFile } from './handles.ts'
import type { Desk } from './requests.ts'

/** Named in the answer to INIT. hardlink is not: it is refused with a sentence. */
export const OFFERED: readonly Extension[] = [
  EXTENSION.POSIX_RENAME,
  EXTENSION.STATVFS,
  EXTENSION.FSTATVFS,
  EXTENSION.FSYNC,
  EXTENSION.LSETSTAT,
  EXTENSION.LIMITS,
  EXTENSION.EXPAND_PATH,
  EXTENSION.COPY_DATA,
  EXTENSION.HOME_DIRECTORY,
]

export function limits({ handlesMax }: Desk, id: number): Buffer {
  return encodeLimits(id, {
    packetBytes: PACKET_BYTES_MAX,
    readBytes: DATA_BYTES_MAX,
    writeBytes: DATA_BYTES_MAX,
    openHandles: handlesMax,
  })
}

export async function fileSystem({ space }: Desk, id: number, path: Buffer): Promise<Buffer> {
  const { files, filesFree, ...system } = await space.fileSystem(path)
  return encodeFileSystem(id, {
    ...system,
    fragmentBytes: system.blockBytes,
    files,
    filesFree,
    filesAvailable: filesFree,
    // The host's own number would tell strangers about it.
    fileSystemId: 0,
    flags: STATVFS_FLAG.NO_SETUID,
  })
}

const SLASH = 0x2f
const TILDE = 0x7e

/** `~` is the user's home, which is `/` of the space. */
export async function expandPath({ space, owner }: Desk, { id, path }: RequestOf<'expand_path'>): Promise<Buffer> {
  if (path[0] !== TILDE) return encodePath(id, await space.realPath(path))
  const end = path.indexOf(SLASH)
  const name = path.subarray(1, end === -1 ? path.length : end).toString()
  if (name !== '' && name !== owner) throw new AppError('file_not_found', 'the home of another user is not to be seen here')
  const rest = end === -1 ? Buffer.from('/') : path.subarray(end)
  return encodePath(id, await space.realPath(rest))
}

export function homeDirectory({ owner }: Desk, { id, username }: RequestOf<'home_directory'>): Buffer {
  const name = username.toString()
  if (name !== '' && name !== owner) throw new AppError('file_not_found', 'the home of another user is not to be seen here')
  return encodePath(id, Buffer.from('/'))
}

/** Bytes that copy-data moves at a time. */
const COPY_BYTES = 256 * KIB

/** Copies until `length` bytes or the end of the source; a length of 0 means the end. */
export async function copyData(desk: Desk, source: OpenFile, target: OpenFile, request: RequestOf<'copy_data'>): Promise<void> {
  const { readOffset, writeOffset } = request
  const length = request.length === 0 ? Number.POSITIVE_INFINITY : request.length
  if (!source.readable) throw new AppError('permission_denied', 'the source was opened for writing only')
  if (!target.writable) throw new AppError('permission_denied', 'the target was opened for reading only')
  if (source === target && readOffset < writeOffset + length && writeOffset < readOffset + length) {
    throw new AppError('invalid', 'the two ranges of one file overlap')
  }
  const room = Buffer.allocUnsafeSlow(Math.min(COPY_BYTES, length))
  for (let copied = 0; copied < length; ) {
    if (desk.isOver()) throw new AppError('conflict', 'the session ended')
    const bytes = await source.file.read(room.subarray(0, Math.min(room.length, length - copied)), readOffset + copied)
    if (bytes === 0) return
    await target.file.write([room.subarray(0, bytes)], writeOffset + copied)
    copied += bytes
  }
}
