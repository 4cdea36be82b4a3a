/**
 * The files of all users over one storage. A session gets a `Space`; everything that changes a file goes: a temporary or a
 * check → `change.ts` (record, carry out, acknowledge, let go). Call `recover` before anybody may open a space.
 */
import type { AuditEntry } from '../audit/entry.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts'
import type { Recorder } from '../events/record.ts'
import type { Backend } from './backends/backend.ts'
import { createChanges } from './change.ts'
import type { Context } from './context.ts'
import { createHashThreads } from './hash.ts'
import { createPathLocks } from './locks.ts'
import type { Reach } from './points.ts'
import type { FileStore } from './port.ts'
import { type RecoveryReport, recover, sweep, takeOver } from './recover.ts'
import type { Session } from './session.ts'
import type { Space } from './space.ts'
import { createUserSpace } from './user-space.ts'

/** Time a cut upload is kept to be resumed, ms. */
const PARTIAL_KEEP_MS = 7 * DAY_MS
/** Time between two sweeps, ms. */
const SWEEP_EVERY_MS = HOUR_MS
/** Time between two looks for changes and cut uploads of nodes that are gone, ms. */
export const TAKE_OVER_EVERY_MS = 10 * SECOND_MS
/** Time a change waits for an earlier one of the same path, ms; hashing a large file takes part of it. */
const PATH_WAIT_MS = MINUTE_MS

export interface FilesOptions {
  storage: Backend
  store: FileStore
  /** Takes entries at once and writes them in batches of its own; bounded there. */
  audit: { append(entries: readonly AuditEntry[]): void }
  recorder: Recorder
  clock: Clock
  log: Log
  /** Id of this process. */
  node: string
  partialKeepMs?: number
  /** Whether other processes use this storage too. */
  isShared?: boolean
  /** For the crash storm: called at each of FAIL_POINTS. */
  reach?: Reach
}

export interface Files {
  openSpace(session: Session): Space
  /** Once, before the first space: starts the storage and ends what an earlier life left open. Then looks for more now and then, and sweeps. */
  recover(): Promise<RecoveryReport>
  /** Removes temporaries that nobody needs; their number. */
  sweep(): Promise<number>
  /** Changes that are recorded but not decided: the node is unhealthy while there are any, and tries again. */
  undecided(): number
  /** Ends what goes on in the background. Spaces are to be closed before. */
  stop(): Promise<void>
}

export function createFiles(options: FilesOptions): Files {
  const { storage: backend, store, audit, recorder, clock, log, node } = options
  const { partialKeepMs = PARTIAL_KEEP_MS, isShared = false, reach = () => {} } = options
  const changes = createChanges({ backend, store, clock, log, reach })
  const context: Context = {
    ...{ backend, store, changes, audit, recorder, clock, log, node, reach },
    locks: createPathLocks(clock, PATH_WAIT_MS),
    hashes: createHashThreads(),
    liveTemporaries: new Set(),
  }
  const sweepOptions = { partialKeepMs, isShared }
  const timers = new Map<string, () => void>()
  const working = new Set<Promise<void>>()
  let stopped = false

  /** Does the work again and again, the time between two counted from the end of the one before. */
  function every(ms: number, what: string, work: () => Promise<unknown>): void {
    async function once(): Promise<void> {
      await work().catch((cause: unknown) => log.warn({ err: cause }, `${what} failed; trying again later`))
      if (!stopped) every(ms, what, work)
    }
    const cancel = clock.after(ms, () => {
      const running = once().finally(() => working.delete(running))
      working.add(running)
    })
    timers.set(what, cancel)
  }

  return {
    openSpace: (session) => createUserSpace(context, session),

    async recover() {
      await backend.start()
      const report = await recover(context, sweepOptions)
      every(SWEEP_EVERY_MS, 'the sweep of temporaries', () => sweep(context, sweepOptions))
      every(TAKE_OVER_EVERY_MS, 'taking over from nodes that are gone', () => takeOver(context))
      return report
    },

    sweep: () => sweep(context, sweepOptions),

    undecided: () => changes.undecided(),

    async stop() {
      stopped = true
      for (const cancel of timers.values()) cancel()
      await Promise.all(working)
      await changes.stop()
      await context.hashes.stop()
      await backend.stop()
    },
  }
}
