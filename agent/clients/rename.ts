import { posix } from 'node:path'
import type { Readable } from 'node:stream'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { FileFacts, PartAtHand, PartialFile, WriteOptions } from './client.ts'
import { partialName } from './client.ts'

/** What a file tree must be able to do so that a file is written under a hidden name beside its final one, and renamed at its end. */
export interface RenameSteps {
  stat(path: string): Promise<FileFacts | undefined>
  /**
   * Opens a file to be written behind its first `from` bytes; what is behind them may stay until it is written over, unless `readBack` is there. 0: made, or
   * emptied where it is there. `NOT_FOUND` where its folder is missing, or the bytes that are to be there.
   */
  openAt(path: string, from: number): Promise<AppendedFile>
  /** Makes a folder with those above it; fine where it is there. */
  makeFolders(folder: string): Promise<void>
  /** Over what is there, in one step, as durably as can be. */
  rename(from: string, to: string): Promise<void>
  /** Nothing there is fine. */
  remove(path: string): Promise<void>
  /** Where it can be set, and is not set by `finish`; whether that worked is nobody's concern. */
  setModifiedAt?(path: string, modifiedAt: number): Promise<void>
  /** SHA-256 of a file, lower-case hex, where the other side tells it without the bytes being sent back. */
  hash(path: string): Promise<string | undefined>
  /** The same, and reading it back where it does not: a part that an earlier attempt left is checked by it before it is gone on with. */
  hashPart(path: string): Promise<string | undefined>
  /** Only where its bytes are at hand, on this machine. */
  readBack?(path: string): Readable
}

/** A file that is open for writing. Ends by `finish` or `abandon`; an `abandon` after a `finish` has nothing left to do. */
export interface AppendedFile {
  /** Answers when more may come. */
  append(chunk: Uint8Array): Promise<void>
  /**
   * Everything is stored as durably as can be; closed. Answers how many bytes the other side has, where it tells that on this occasion. `modifiedAt` is set
   * here where the steps have no `setModifiedAt`.
   */
  finish(modifiedAt: number | null): Promise<number | undefined>
  /** Closes it, whatever becomes of what is still on its way, also while an `append` has not answered. Never rejects. */
  abandon(): Promise<void>
}

/** A file on its way as a hidden file in the folder of its final name. */
export async function openPartial(steps: RenameSteps, path: string, options: WriteOptions): Promise<PartialFile> {
  const part = partPath(path, options.id)
  const found = options.resumes ? await steps.stat(part) : undefined
  const bytes = found?.kind === 'file' ? found.size : 0

  // Opened at the first byte, so that looking at the part and cutting it come before.
  let opened: Promise<AppendedFile> | undefined
  let from = bytes
  function file(): Promise<AppendedFile> {
    opened ??= openInFolder(steps, part, from)
    return opened
  }
  /** What was begun is closed; a failure of opening it was said where it was waited for. */
  async function abandon(): Promise<void> {
    const one = await opened?.catch(() => undefined)
    await one?.abandon()
  }
  // A folder that is missing or may not be written shows before the source is read.
  if (bytes === 0) await file()
  const atHand: PartAtHand | undefined = steps.readBack && {
    read: () => steps.readBack!(part),
    async cut(kept) {
      from = kept
    },
  }

  return {
    bytes,
    ...(atHand && { atHand }),
    hash: () => steps.hashPart(part),
    async append(chunk) {
      const one = await file()
      await one.append(chunk)
    },
    async commit(size, sha256) {
      const one = await file()
      const stored = await one.finish(options.modifiedAt)
      await checkPart(steps, part, { size, sha256, stored })
      if (options.modifiedAt !== null) await steps.setModifiedAt?.(part, options.modifiedAt)
      await options.beforeNamed?.(part)
      await steps.rename(part, path).catch((error) => {
        throw isNotFound(error) ? removed(part, error) : error
      })
    },
    suspend: abandon,
    async discard() {
      await abandon()
      await steps.remove(part)
    },
  }
}

/** Where a transfer writes a file before it has its name. */
export function partPath(path: string, transferId: string): string {
  return posix.join(posix.dirname(path), partialName(posix.basename(path), transferId))
}

async function openInFolder(steps: RenameSteps, part: string, from: number): Promise<AppendedFile> {
  try {
    return await steps.openAt(part, from)
  } catch (error) {
    if (!isNotFound(error)) throw error
    if (from > 0) throw removed(part, error)
    await steps.makeFolders(posix.dirname(part))
    return await steps.openAt(part, from)
  }
}

/** Somebody else's doing, and no reason why another attempt should fail. */
function removed(part: string, cause: unknown): TransferFailure {
  const told = `“${part}” was removed by somebody while the file was on its way.`
  return new TransferFailure('CHECKSUM_MISMATCH', told, { cause })
}

function isNotFound(error: unknown): boolean {
  return error instanceof TransferFailure && error.code === 'NOT_FOUND'
}

async function checkPart(
  steps: RenameSteps,
  part: string,
  { size, sha256, stored }: { readonly size: number; readonly sha256: string; readonly stored: number | undefined },
): Promise<void> {
  // A server may be behind with what it tells of a file that is open.
  const found = stored === size ? size : (await steps.stat(part))?.size
  if (found !== size) {
    throw new TransferFailure('CHECKSUM_MISMATCH', `The destination stored ${found ?? 0} of ${size} bytes.`)
  }
  const hash = await steps.hash(part)
  if (hash !== undefined && hash !== sha256) {
    throw new TransferFailure('CHECKSUM_MISMATCH', `What the destination stored has SHA-256 ${hash} instead of ${sha256}.`)
  }
}
