import { createHash, type Hash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { addAbortSignal } from 'node:stream'
import { TRANSFER_FAILURES, TransferFailure } from '../../src/wire/agent/failure.ts'
import type { PartialFile, Piece } from '../clients/client.ts'
import { addCheckpoint, type Checkpoint } from './journal.ts'
import type { Stop } from './stop.ts'

/** How much of a file is there and proven, and the state of its hash. */
export interface Beginning {
  readonly bytes: number
  readonly hash: Hash
  readonly checkpoints: Checkpoint[]
}

/**
 * What of a part that an earlier attempt left can be trusted; undefined: nothing. The state of a hash cannot be stored, so it is made again, from the bytes that are
 * cheapest to read: a part on this machine is read and compared with the checkpoints, and cut to the last one that fits (what lies behind may be torn by a crash);
 * else the first bytes of the source are read, which is a file of this machine in every push, and compared with the hash that the other side tells of its part.
 */
export async function trustedBeginning(
  partial: PartialFile,
  checkpoints: readonly Checkpoint[],
  readSource: () => Promise<Readable>,
  stop: Stop,
): Promise<Beginning | undefined> {
  if (partial.atHand !== undefined) {
    const beginning = await lastFitting(partial.atHand.read(), checkpoints, partial.bytes, stop)
    if (beginning !== undefined) await stop.or(partial.atHand.cut(beginning.bytes))
    return beginning
  }
  if (partial.pieces !== undefined) return await fittingPieces(await stop.or(readSource()), partial.pieces, stop)
  const told = await stop.or(partial.hash().catch(unreadable))
  if (told === undefined) return undefined
  const checkpoint = { bytes: partial.bytes, sha256: told }
  const beginning = await lastFitting(await stop.or(readSource()), [checkpoint], partial.bytes, stop)
  return beginning && { ...beginning, checkpoints: addCheckpoint(checkpoints, checkpoint) }
}

/** Servers may let a part be written on and not be read; what may work at the next attempt is another matter. */
function unreadable(error: unknown): undefined {
  if (error instanceof TransferFailure && !TRANSFER_FAILURES[error.code].isWorthRetrying) return undefined
  throw error
}

/** Reads the first bytes up to the last checkpoint within `bytes`, and stops at the first one that does not fit. */
async function lastFitting(
  stream: Readable,
  checkpoints: readonly Checkpoint[],
  bytes: number,
  stop: Stop,
): Promise<Beginning | undefined> {
  const wanted = checkpoints.filter((one) => one.bytes > 0 && one.bytes <= bytes)
  const hash = createHash('sha256')
  let fitting: Beginning | undefined
  const ends = wanted.map((one) => one.bytes)
  for await (const { slice, ended } of slicesTo(ends, stream, stop)) {
    hash.update(slice)
    if (ended === undefined) continue
    if (hash.copy().digest('hex') !== wanted[ended]!.sha256) return fitting
    fitting = { bytes: ends[ended]!, hash: hash.copy(), checkpoints: wanted.slice(0, ended + 1) }
  }
  return fitting
}

/** Reads as many first bytes as the pieces have; all of them must fit, since none can be taken away. */
async function fittingPieces(stream: Readable, pieces: readonly Piece[], stop: Stop): Promise<Beginning | undefined> {
  const hash = createHash('sha256')
  let bytes = 0
  const ends = pieces.map((piece) => {
    bytes += piece.bytes
    return bytes
  })
  const hashes = pieces.map(({ algorithm }) => createHash(algorithm))
  let at = 0
  for await (const { slice, ended } of slicesTo(ends, stream, stop)) {
    hash.update(slice)
    hashes[at]!.update(slice)
    if (ended === undefined) continue
    if (hashes[at]!.digest('hex') !== pieces[at]!.hash) return undefined
    at++
  }
  return at === pieces.length ? { bytes, hash, checkpoints: [] } : undefined
}

/** A stream cut where the first bytes come to each of the ends, which grow; it is read no further than the last one. `ended`: the end that a slice comes to. */
async function* slicesTo(
  ends: readonly number[],
  stream: Readable,
  stop: Stop,
): AsyncGenerator<{ slice: Uint8Array; ended: number | undefined }> {
  let position = 0
  let at = 0
  addAbortSignal(stop.signal, stream)
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      for (let from = 0; from < chunk.length; ) {
        const end = ends[at]
        if (end === undefined) return
        const slice = chunk.subarray(from, from + end - position)
        from += slice.length
        position += slice.length
        yield { slice, ended: position === end ? at++ : undefined }
      }
    }
  } finally {
    stream.destroy()
  }
}
