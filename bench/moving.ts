/** Moves files as the agent does, without a server: what it would report is answered at once. */
import { idleConnections } from '../agent/clients/idle.ts'
import { openClient } from '../agent/clients/open.ts'
// Loaded for its memory's sake: the whole agent is to be measured.
import '../agent/main.ts'
import type { WorkContext } from '../agent/work/context.ts'
import { listFiles } from '../agent/work/list.ts'
import { moveFile } from '../agent/work/move.ts'
import { systemClock } from '../src/base/clock.ts'
import { silentLog } from '../src/base/log.ts'
import { LISTED_FILES_MAX, type Place, type WorkReport } from '../src/wire/agent/work.ts'

/** Everything that a glob finds, to a folder of another place. */
export interface MoveOrder {
  readonly source: Place
  readonly destination: Place
  /** Files at the same time. */
  readonly concurrency: number
  /** Folder of the agent, and the folders of this machine that it may use. */
  readonly folder: string
  readonly roots: readonly string[]
}

export type MoveResult = { readonly files: number; readonly seconds: number } | { readonly error: string }

process.on('message', async (order: MoveOrder) => {
  const begun = performance.now()
  const result: MoveResult = await moveAll(order).then(
    (files) => ({ files, seconds: (performance.now() - begun) / 1000 }),
    (error) => ({ error: String(error) }),
  )
  process.send!(result)
})
process.on('disconnect', () => idleConnections.closeAll())

let transfers = 0

async function moveAll({ source, destination, concurrency, ...order }: MoveOrder): Promise<number> {
  const found = await work(order, (context) =>
    listFiles(
      { kind: 'list', lease: 'l', runId: 'r', source, quietMs: 0, wantsHash: false, filesMax: LISTED_FILES_MAX },
      context,
    ),
  )
  if (found?.state !== 'listed') throw new Error(`listing failed: ${JSON.stringify(found)}`)
  const files = [...found.files]
  const mover = async () => {
    for (let file = files.pop(); file !== undefined; file = files.pop()) {
      const { path, relativePath, size, modifiedAt } = file
      const end = await work(order, (context) =>
        moveFile(
          {
            kind: 'transfer',
            lease: 'l',
            transferId: `trf_${String(++transfers).padStart(12, '0')}`,
            direction: source.endpoint.protocol === 'local' ? 'push' : 'pull',
            source: { ...source, path },
            destination: { ...destination, path: `${destination.path}/${relativePath}` },
            bytesPerSecond: null,
            postAction: { kind: 'keep' },
            hasArrived: false,
            expected: { size, modifiedAt },
            deadlineMs: null,
            isLastAttempt: false,
          },
          context,
        ),
      )
      if (end?.state !== 'completed') throw new Error(`moving ${path} failed: ${JSON.stringify(end)}`)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, mover))
  return found.files.length
}

/** Does one piece of work; returns its last report. */
async function work(
  { folder, roots }: Pick<MoveOrder, 'folder' | 'roots'>,
  run: (context: WorkContext) => Promise<void>,
): Promise<WorkReport | undefined> {
  let last: WorkReport | undefined
  const server = { origin: '', dispatcher: undefined as never }
  await run({
    folder,
    clock: systemClock,
    log: silentLog,
    signal: new AbortController().signal,
    open: (endpoint, signal) => openClient(endpoint, { clock: systemClock, log: silentLog, signal, roots, lease: 'l', server }),
    async report(report) {
      last = report
      return { go: true }
    },
  })
  return last
}
