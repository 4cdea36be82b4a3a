import type { AuditEntry } from '../audit/entry.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Recorder } from '../events/record.ts'
import type { Backend } from './backends/backend.ts'
import type { Changes } from './change.ts'
import type { HashThreads } from './hash.ts'
import type { PathLocks } from './locks.ts'
import type { StoredPath } from './path.ts'
import type { Reach } from './points.ts'
import type { FileStore } from './port.ts'

/** What every part of the files layer is handed. */
export interface Context {
  readonly backend: Backend
  readonly store: FileStore
  readonly changes: Changes
  readonly locks: PathLocks
  readonly hashes: HashThreads
  readonly audit: { append(entries: readonly AuditEntry[]): void }
  readonly recorder: Recorder
  readonly clock: Clock
  readonly log: Log
  /** Id of this process: the owner of its intents and partials. */
  readonly node: string
  readonly reach: Reach
  /** Temporaries that a handle of this process owns: a sweep leaves them alone. */
  readonly liveTemporaries: Set<StoredPath>
}
