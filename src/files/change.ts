/**
 * The road of every change: recorded with its intent → carried out → durable → acknowledged → let go. The caller has
 * checked the state and holds the path's lock, which goes over to here.
 *
 * A change that is recorded ends in one of two ways. It is done, and its event said; or it certainly did not happen, and it
 * is undone. What cannot be decided yet stays open, its lock held, and is tried again until it can; a process that dies
 * leaves it to the recovery of the next one. Undecided changes make the node unhealthy and hold back nothing but themselves.
 */
import type { AuditEntry } from '../audit/entry.ts'
import type { Clock } from '../base/clock.ts'
import { AppError, codeOf } from '../base/error.ts'
import type { Log } from '../base/log.ts'
import { SECOND_MS } from '../base/units.ts'
import type { EventDraft } from '../events/event.ts'
import { type Backend, StorageError } from './backends/backend.ts'
import type { Lock } from './locks.ts'
import type { Reach } from './points.ts'
import type { FileStore, Held, Intent } from './port.ts'

/** Time before an open change is tried again, ms: doubled each time from the first to the last. */
const RETRY_FIRST_MS = SECOND_MS / 10
const RETRY_LAST_MS = 30 * SECOND_MS

/** A checked change, before it is recorded. */
export interface PlannedChange {
  readonly intent: Intent
  readonly event: EventDraft
  readonly audit: AuditEntry
  readonly endsUpload: string | null
  /** The audit entry in case the change is undone. */
  readonly auditOfUndoing: (error: unknown) => AuditEntry
  /** What the user is told when the storage refuses. */
  readonly explain: (cause: unknown) => unknown
  readonly lock: Lock
}

export interface Changes {
  /**
   * Resolves once the change is durable; its event is being said. Throws what the user is told: `storage_undecided` when
   * nobody knows yet, anything else when it did not happen.
   */
  make(change: PlannedChange): Promise<void>
  /** An intent of an earlier life: reads what became of it and ends it. Resolves to false when it stays undecided. */
  recover(intent: Intent, auditOfUndoing: (error: unknown) => AuditEntry, lock: Lock): Promise<boolean>
  /** Changes that are neither done nor undone, beyond the usual moment. */
  undecided(): number
  stop(): Promise<void>
}

/** find: not known to be recorded. carry_out, sync: recorded. close: done. undo: certainly did not happen. ended: let go. */
type Step = 'find' | 'carry_out' | 'sync' | 'close' | 'undo' | 'ended'

interface OpenChange {
  readonly intent: Intent
  readonly lock: Lock
  readonly auditOfUndoing: (error: unknown) => AuditEntry
  held: Held | undefined
  step: Step
  /** Whether the deed may have been carried out already, so that the storage must be asked first. */
  mayBeDone: boolean
  /** Why it did not happen, for `undo`. */
  refusal: unknown
  tries: number
}

export interface ChangesOptions {
  backend: Backend
  store: Pick<FileStore, 'recordChange' | 'closeIntent' | 'undoIntent' | 'findIntent'>
  clock: Clock
  log: Log
  reach: Reach
}

export function createChanges({ backend, store, clock, log, reach }: ChangesOptions): Changes {
  const undecided = new Set<OpenChange>()
  const ending = new Set<Promise<void>>()
  const timers = new Set<() => void>()
  let stopped = false

  /** Takes the change one step on; throws when it cannot. */
  async function advance(change: OpenChange): Promise<void> {
    const { intent } = change
    switch (change.step) {
      case 'find':
        if ((await store.findIntent(intent.id)) === undefined) return end(change)
        change.step = 'carry_out'
        return
      case 'carry_out':
        change.step = (await carryOut(change)) ? 'sync' : 'undo'
        return
      case 'sync':
        await backend.syncDeed(intent.deed)
        reach('change.placed')
        change.step = 'close'
        return
      case 'close':
        await store.closeIntent({ id: intent.id, node: intent.node }, change.held)
        reach('change.closed')
        return end(change)
      case 'undo':
        await store.undoIntent({ id: intent.id, node: intent.node }, change.auditOfUndoing(change.refusal))
        return end(change)
      case 'ended':
        return
    }
  }

  /** True: it is done. False: it certainly is not. Throws when the storage does not say. */
  async function carryOut(change: OpenChange): Promise<boolean> {
    const { deed } = change.intent
    if (change.mayBeDone && (await backend.isDone(deed))) return true
    change.mayBeDone = true
    try {
      await backend.carryOut(deed)
    } catch (cause) {
      change.refusal = cause
      if (cause instanceof StorageError && cause.certain) return false
      // The storage failed in the middle: what it shows now decides, or nothing yet does.
      return backend.isDone(deed)
    }
    reach('change.carried_out')
    return true
  }

  function end(change: OpenChange): void {
    undecided.delete(change)
    change.step = 'ended'
    change.lock.release()
  }

  /** Goes on in the background until the change has ended or the process stops. */
  function goOn(change: OpenChange): void {
    const work = (async () => {
      try {
        while (change.step !== 'ended') await advance(change)
      } catch (cause) {
        undecided.add(change)
        const { id } = change.intent
        log.error({ err: cause, intent: id, step: change.step, tries: change.tries }, 'a change stays open and is tried again')
        if (stopped) return
        const cancel = clock.after(Math.min(RETRY_FIRST_MS * 2 ** change.tries++, RETRY_LAST_MS), () => {
          timers.delete(cancel)
          goOn(change)
        })
        timers.add(cancel)
      }
    })()
    ending.add(work)
    void work.finally(() => ending.delete(work))
  }

  /** Records the change. Throws when it is not recorded, or `storage_undecided` when the store does not say. */
  async function record(change: OpenChange, planned: PlannedChange): Promise<void> {
    const { intent, event, audit, endsUpload } = planned
    try {
      change.held = await store.recordChange({ intent, event, audit, endsUpload })
    } catch (cause) {
      if (isCertain(cause)) throw cause
      // The commit may have happened and only its answer be lost.
      const found = await store.findIntent(intent.id).catch((failure: unknown) => {
        goOn(change)
        throw undecidedFor(failure)
      })
      if (found === undefined) throw cause
    }
    change.step = 'carry_out'
  }

  return {
    async make(planned) {
      if (stopped) throw new AppError('stopping', 'the server is stopping')
      const { intent, lock, auditOfUndoing, explain } = planned
      const change: OpenChange = {
        ...{ intent, lock, auditOfUndoing },
        ...{ held: undefined, step: 'find', mayBeDone: false, refusal: undefined, tries: 0 },
      }
      try {
        await record(change, planned)
      } catch (cause) {
        if (codeOf(cause) !== 'storage_undecided') lock.release()
        throw cause
      }
      reach('change.recorded')
      try {
        while (change.step === 'carry_out' || change.step === 'sync') await advance(change)
      } catch (cause) {
        goOn(change)
        throw undecidedFor(cause)
      }
      const { refusal } = change
      const done = change.step === 'close'
      // Saying the event begins here, before the client hears of it, and ends on its own.
      goOn(change)
      if (!done) throw explain(refusal)
      reach('change.acknowledged')
    },

    async recover(intent, auditOfUndoing, lock) {
      const change: OpenChange = {
        ...{ intent, lock, auditOfUndoing },
        ...{ held: undefined, step: 'carry_out', mayBeDone: true, refusal: undefined, tries: 0 },
      }
      try {
        while (change.step !== 'ended') await advance(change)
        return true
      } catch {
        goOn(change)
        return false
      }
    },

    undecided: () => undecided.size,

    async stop() {
      stopped = true
      for (const cancel of timers) cancel()
      await Promise.all(ending)
    },
  }
}

/** Whether the store's refusal says that nothing was stored. A commit whose answer was lost looks like `store_failed`. */
function isCertain(cause: unknown): boolean {
  return cause instanceof AppError && cause.code !== 'store_failed' && cause.code !== 'internal'
}

function undecidedFor(cause: unknown): AppError {
  const message = 'the storage did not say whether this happened; it is held and tried again'
  return new AppError('storage_undecided', message, { cause })
}
