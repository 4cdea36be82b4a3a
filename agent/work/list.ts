import { createHash } from 'node:crypto'
import { addAbortSignal } from 'node:stream'
import { delay } from '../../src/base/clock.ts'
import type { ListedFile, ListWork } from '../../src/wire/agent/work.ts'
import type { Client } from '../clients/client.ts'
import { failureOf } from '../clients/fault.ts'
import type { WorkContext } from './context.ts'
import { openSides } from './side.ts'
import { Stop } from './stop.ts'
import { type Found, findFiles } from './walk.ts'

/** Looks for the files of a run and reports them, or why it could not. Never rejects. */
export async function listFiles(work: ListWork, context: WorkContext): Promise<void> {
  const stop = new Stop(context.signal, context.clock, null)
  try {
    const [side] = await openSides([work.source.endpoint], context, stop)
    stop.signal.addEventListener('abort', side!.cut, { once: true })
    try {
      await context.report({ state: 'listed', ...(await look(work, side!.client, stop, context)) })
    } finally {
      await side!.close()
    }
  } catch (error) {
    const { reason } = stop
    if (reason === 'cancelled') await context.report({ state: 'cancelled', bytesTransferred: 0 })
    if (reason !== undefined) return
    const failure = failureOf(error, `Listing “${work.source.path}”`)
    if (failure.code === 'INTERNAL') context.log.error({ runId: work.runId, err: error }, 'a listing met a fault')
    await context.report({ state: 'failed', error: failure.message, errorCode: failure.code, bytesTransferred: 0 })
  } finally {
    stop.close()
  }
}

async function look(
  work: ListWork,
  client: Client,
  stop: Stop,
  context: WorkContext,
): Promise<{ files: ListedFile[]; notQuiet: number; isTruncated: boolean }> {
  let files: Found[] = []
  let notQuiet = 0
  let isTruncated = false
  const bounds = { onBound: () => (isTruncated = true), log: context.log }
  for await (const file of findFiles(client, work.source.path, bounds)) {
    stop.check()
    if (files.length === work.filesMax) {
      isTruncated = true
      break
    }
    files.push(file)
  }
  if (work.quietMs > 0 && files.length > 0) {
    await stop.or(delay(context.clock, work.quietMs))
    const seen = new Map(files.map((file) => [file.path, file]))
    files = []
    for await (const file of findFiles(client, work.source.path, bounds)) {
      stop.check()
      const before = seen.get(file.path)
      if (before?.size === file.size && before.modifiedAt === file.modifiedAt) files.push(file)
      else notQuiet++
    }
  }
  files.sort((one, other) => (one.path < other.path ? -1 : 1))
  return { files: work.wantsHash ? await withHashes(files, client, stop) : files, notQuiet, isTruncated }
}

async function withHashes(files: readonly Found[], client: Client, stop: Stop): Promise<ListedFile[]> {
  const listed: ListedFile[] = []
  for (const file of files) {
    const sha256 = (await stop.or(client.hash(file.path))) ?? (await hashByReading(client, file, stop))
    listed.push({ ...file, sha256 })
  }
  return listed
}

/** Where the other side cannot tell, there is no way but to fetch it: as much as was listed, since one that grows as fast as it is read would be read for ever. */
async function hashByReading(client: Client, { path, size }: Found, stop: Stop): Promise<string> {
  const hash = createHash('sha256')
  let left = size
  const stream = addAbortSignal(stop.signal, await stop.or(client.read(path, 0)))
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    hash.update(chunk.subarray(0, Math.max(0, left)))
    left -= chunk.length
    // One that ends with what was listed is read to its end, which keeps its connection.
    if (left < 0) break
  }
  return hash.digest('hex')
}
