import { newId, type RandomBytes } from '../base/id.ts'
import { SECOND_MS } from '../base/units.ts'
import type { EventData } from '../events/event.ts'
import type { Job, Run } from './job.ts'

/** How the transfers of a run are. */
export interface RunTally {
  readonly total: number
  readonly completed: number
  readonly failed: number
  readonly cancelled: number
  /** Queued or running. */
  readonly open: number
  readonly bytes: number
}

export function newRun(
  job: Job,
  now: number,
  begun: Pick<Run, 'cause' | 'scheduledFor'> & { readonly skippedFor?: string },
  random?: RandomBytes,
): Run {
  const { cause, scheduledFor, skippedFor } = begun
  const isSkipped = skippedFor !== undefined
  return {
    id: newId('run', now, random),
    jobId: job.id,
    agentId: job.agentId,
    ...{ cause, scheduledFor },
    status: isSkipped ? 'skipped' : 'running',
    // An agent that moves its files by itself has looked for them as well.
    phase: isSkipped ? null : cause === 'agent' ? 'moving' : 'listing',
    ...{ lease: null, listings: 0, dueAt: now, cancelAskedAt: null },
    ...{ transfersTotal: 0, transfersCompleted: 0, transfersFailed: 0, bytesTransferred: 0 },
    errorMessage: skippedFor ?? null,
    startedAt: now,
    completedAt: isSkipped ? now : null,
  }
}

/** What is said of the end of a run, by whoever ends it. */
export interface Ending {
  /** It has failed for this reason. */
  readonly failure?: string
  /** Why it was to stop. */
  readonly cancelledFor?: string
}

/**
 * How a run ends once none of its transfers is open. Completed only when every one of its transfers is and nothing else went wrong; a transfer that was
 * cancelled did not complete.
 */
export function ended(run: Run, tally: RunTally, now: number, { failure, cancelledFor }: Ending = {}): Run {
  const failed = tally.failed + tally.cancelled
  const wasStopped = run.cancelAskedAt !== null && failure === undefined && run.errorMessage === null
  const incomplete = failed > 0 ? `${failed} of ${tally.total} transfers did not complete` : null
  const wasCancelled = cancelledFor === undefined ? 'the run was cancelled' : `the run was cancelled: ${cancelledFor}`
  const cancelled = incomplete === null ? wasCancelled : `${wasCancelled}; ${incomplete}`
  const errorMessage = failure ?? run.errorMessage ?? (wasStopped ? cancelled : incomplete)
  return {
    ...run,
    status: wasStopped ? 'cancelled' : errorMessage === null ? 'completed' : 'failed',
    ...{ phase: null, lease: null, errorMessage },
    ...{
      transfersTotal: tally.total,
      transfersCompleted: tally.completed,
      transfersFailed: failed,
      bytesTransferred: tally.bytes,
    },
    completedAt: now,
  }
}

export function startedData(job: Job, run: Run): EventData {
  return { ...whatOf(job), status: 'running', runId: run.id }
}

export function skippedData(job: Job, run: Run): EventData {
  return { ...whatOf(job), reason: run.errorMessage ?? '', status: 'skipped', runId: run.id }
}

/** Of `job.completed` and `job.failed`; a run that was cancelled has failed for whoever waits for its files. */
export function endData(job: Job, run: Run): EventData {
  return {
    ...whatOf(job),
    transfersTotal: run.transfersTotal,
    transfersCompleted: run.transfersCompleted,
    transfersFailed: run.transfersFailed,
    duration: Math.round(((run.completedAt ?? run.startedAt) - run.startedAt) / SECOND_MS),
    status: run.status === 'completed' ? 'completed' : 'failed',
    runId: run.id,
    ...(run.status !== 'completed' && { error: run.errorMessage ?? '' }),
  }
}

function whatOf({ id, name, agentId, schedule }: Job) {
  return { jobId: id, jobName: name, agentId, schedule }
}
