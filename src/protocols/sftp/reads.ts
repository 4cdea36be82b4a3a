import { AppError } from '../../base/error.ts'
import { DATA_BYTES_MAX, STATUS } from '../../wire/sftp/constants.ts'
import { DATA_HEAD_BYTES, encodeStatus, finishData } from '../../wire/sftp/reply.ts'
import type { RequestOf } from '../../wire/sftp/request.ts'
import type { OpenFile } from './handles.ts'
import { Rooms, rooms } from './rooms.ts'

/** What a READ may answer at most; a longer one is answered with this much, as the draft allows (section 6.4). */
function readBytes(request: RequestOf<'read'>): number {
  return Math.min(request.length, DATA_BYTES_MAX)
}

/** What the answer holds at most while it is made and waits to be sent. */
export function readReplyBytes(request: RequestOf<'read'>): number {
  return Rooms.sizeFor(DATA_HEAD_BYTES + readBytes(request))
}

/** Reads straight into the reply. The end of the file is EOF; a read of nothing succeeds anywhere, as with OpenSSH. */
export async function read(open: OpenFile, request: RequestOf<'read'>): Promise<Buffer> {
  if (!open.readable) throw new AppError('permission_denied', 'this handle was opened for writing only')
  const bytes = readBytes(request)
  const room = rooms.take(DATA_HEAD_BYTES + bytes)
  if (bytes === 0) return finishData(room, request.id, 0)
  const got = await open.file.read(room.subarray(DATA_HEAD_BYTES, DATA_HEAD_BYTES + bytes), request.offset)
  const reply = got === 0 ? encodeStatus(request.id, STATUS.EOF, 'end of file') : finishData(room, request.id, got)
  // A reply that is not made of the room needs it no longer; the others give it back once they are sent.
  if (reply.buffer !== room.buffer) rooms.giveBack(room)
  return reply
}
