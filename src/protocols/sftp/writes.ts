import { AppError } from '../../base/error.ts'
import { MIB } from '../../base/units.ts'
import type { RequestOf } from '../../wire/sftp/request.ts'
import type { OpenFile } from './handles.ts'
import { rooms } from './rooms.ts'

/** Bytes of contiguous writes that are handed to the storage in one call. */
const BATCH_BYTES_MAX = MIB
/** Chunks in one: Linux takes 1,024 in one writev(2). */
const BATCH_CHUNKS_MAX = 512

/** Writes that follow each other in the file and wait for the one before them. */
export interface WriteBatch {
  readonly offset: number
  readonly chunks: Buffer[]
  bytes: number
  /** Called for each write, with the one outcome of all: which of a failed call's bytes were written, nobody knows. */
  readonly settle: ((failure?: unknown) => void)[]
}

/** Writes at its turn. `settle` is called when the bytes are written, or with the reason why not. */
export function write(open: OpenFile, request: RequestOf<'write'>, settle: (failure?: unknown) => void): void {
  const { offset, data } = request
  if (!open.writable) {
    settle(new AppError('permission_denied', 'this handle was opened for reading only'))
    return
  }
  if (!Number.isSafeInteger(offset + data.length)) {
    settle(
      new AppError('invalid', `offset: ${offset} and ${data.length} bytes are above ${Number.MAX_SAFE_INTEGER}`, {
        field: 'offset',
      }),
    )
    return
  }
  const waiting = open.batch
  if (waiting !== undefined && takes(waiting, open, request)) {
    waiting.chunks.push(data)
    waiting.bytes += data.length
    waiting.settle.push(settle)
    return
  }
  const batch: WriteBatch = { offset, chunks: [data], bytes: data.length, settle: [settle] }
  open.batch = batch
  open.order.enter('alone', () => {
    if (open.batch === batch) open.batch = undefined
    void carryOut(open, batch)
  })
}

function takes(batch: WriteBatch, open: OpenFile, { offset, data }: RequestOf<'write'>): boolean {
  const follows = open.append || offset === batch.offset + batch.bytes
  return follows && batch.bytes + data.length <= BATCH_BYTES_MAX && batch.chunks.length < BATCH_CHUNKS_MAX
}

async function carryOut(open: OpenFile, batch: WriteBatch): Promise<void> {
  let failure: unknown
  try {
    await open.file.write(batch.chunks, batch.offset)
    for (const chunk of batch.chunks) rooms.giveBack(chunk)
  } catch (error) {
    failure = error
  }
  for (const settle of batch.settle) settle(failure)
  open.order.leave()
}
