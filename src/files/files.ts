/**
 * The files of all users over one storage. A session gets a `Space`; everything that changes a file goes: a temporary or a
 * check → `change.ts` (record, carry out, acknowledge, let go). Call `recover` before anybody may open a space.
 */
import type { AuditEntry } from '../audit/entry.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../base/units.ts'
import type { Recorder } from '../events/record.ts'
import type { Backend } from './backends/backend.ts'
import { createChanges } from './change.ts'
import type { Context } from './context.ts'
import { createHashThreads } from './hash.ts'
import { createPathLocks } from './locks.ts'
import type { Reach } from './points.ts'
import type { FileStore } from './port.ts'
import { type RecoveryReport, recover, sweep } from './recover.ts'
import type { Session } from './session.ts'
import type { Space } from './space.ts'
import { createUserSpace } from './user-space.ts'

/** Time a cut upload is kept to be resumed, ms. */
export const PARTIAL_KEEP_MS = 7 * DAY_MS
/** Time between two sweeps, ms. */
export const SWEEP_EVERY_MS = HOUR_MS
/** Time a change waits for an earlier one of the same path, ms; hashing a large file takes part of it. */
export const PATH_WAIT_MS = MINUTE_MS

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
  /** Once, before the first space: starts the storage and ends what an earlier life left open. Then sweeps every hour. */
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
  let cancelSweep = () => {}
  let sweeping: Promise<unknown> = Promise.resolve()
  let stopped = false

  function sweepLater(): void {
    cancelSweep = clock.after(SWEEP_EVERY_MS, () => {
      sweeping = sweep(context, sweepOptions)
        .catch((cause: unknown) => log.warn({ err: cause }, 'the sweep of temporaries failed; the next one is in an hour'))
        .then(() => {
          if (!stopped) sweepLater()
        })
    })
  }

  return {
    openSpace: (session) => createUserSpace(context, session),

    async recover() {
      await backend.start()
      const report = await recover(context, sweepOptions)
      sweepLater()
      return report
    },

    sweep: () => sweep(context, sweepOptions),

    undecided: () => changes.undecided(),

    async stop() {
      stopped = true
      cancelSweep()
      await sweeping
      await changes.stop()
      await context.hashes.stop()
      await backend.stop()
    },
  }
}
