import { AppError } from '../../base/error.ts'
import { DATA_BYTES_MAX, STATUS } from '../../wire/sftp/constants.ts'
import { DATA_HEAD_BYTES, encodeStatus, finishData } from '../../wire/sftp/reply.ts'
import type { RequestOf } from '../../wire/sftp/request.ts'
import type { OpenFile } from './handles.ts'

/** What a READ may answer at most; a longer one is answered with this much, as the draft allows (section 6.4). */
export function readBytes(request: RequestOf<'read'>): number {
  return Math.min(request.length, DATA_BYTES_MAX)
}

/** Reads straight into the reply. The end of the file is EOF; a read of nothing succeeds anywhere, as with OpenSSH. */
export async function read(open: OpenFile, request: RequestOf<'read'>): Promise<Buffer> {
  if (!open.readable) throw new AppError('permission_denied', 'this handle was opened for writing only')
  const bytes = readBytes(request)
  const room = Buffer.allocUnsafeSlow(DATA_HEAD_BYTES + bytes)
  if (bytes === 0) return finishData(room, request.id, 0)
  const got = await open.file.read(room.subarray(DATA_HEAD_BYTES), request.offset)
  return got === 0 ? encodeStatus(request.id, STATUS.EOF, 'end of file') : finishData(room, request.id, got)
}
