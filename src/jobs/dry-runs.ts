import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { randomText } from '../base/id.ts'
import { SECOND_MS } from '../base/units.ts'
import type { HeldWork } from '../transfers/work-source.ts'
import { TransferFailure } from '../wire/agent/failure.ts'
import type { ListedFile, ListWork, WorkReport } from '../wire/agent/work.ts'
import type { Job } from './job.ts'
import type { Source } from './moving.ts'
import { byPlace, destinationOf } from './select-files.ts'

/** Dry runs that wait at the same time. */
const DRY_RUNS_MAX = 100
/** How long somebody waits for a dry run, ms. */
export const DRY_RUN_MAX_MS = 60 * SECOND_MS
/** An agent that was told to stop, and has not said that it has, is not told again after this, ms. */
const STOPPED_MAX_MS = 60 * SECOND_MS
const LEASE_CHARACTERS = 24

/** What a dry run found. */
export interface DryRun {
  readonly files: readonly {
    readonly source: string
    readonly destination: string
    readonly size: number
    readonly modifiedAt: number | null
  }[]
  /** Found, but moved before. */
  readonly skipped: number
  /** Found below the folder of the glob under names that cannot be names at the destination: a run leaves them out, and fails. */
  readonly refused: readonly string[]
  /** There are more files than one run takes. */
  readonly isTruncated: boolean
}

export interface DryRunParts {
  workOf(job: Job, lease: string, runId: string): Promise<ListWork>
  /** Of what was listed, what a run would move. */
  choose(job: Job, files: readonly ListedFile[]): Promise<Source[]>
  /** Pins a host key that was shown first, where that may be. */
  isPinned(job: Job, hostKey: string): Promise<boolean>
  readonly nudge: (agentId: string) => void
  readonly clock: Clock
}

/** Until the agent has answered, whoever waited for it may have gone. */
interface Waiting {
  readonly job: Job
  readonly agentId: string
  isSent: boolean
  isCancelled: boolean
  answer(report: WorkReport): void
}

/** Listings whose files nobody moves. They are nobody's but of who waits for them: a process that dies takes them along. */
export function createDryRuns({ workOf, choose, isPinned, nudge, clock }: DryRunParts) {
  const waiting = new Map<string, Waiting>()

  function ofAgent(agentId: string, lease: string): Waiting | undefined {
    const dryRun = waiting.get(lease)
    return dryRun?.agentId === agentId ? dryRun : undefined
  }

  async function take(agentId: string, limit: number): Promise<ListWork[]> {
    const work: ListWork[] = []
    for (const [lease, dryRun] of waiting) {
      if (dryRun.agentId !== agentId || dryRun.isSent || work.length >= limit) continue
      dryRun.isSent = true
      try {
        // Somebody waits: which files still change is for the run to find out.
        work.push({ ...(await workOf(dryRun.job, lease, lease)), quietMs: 0 })
      } catch (error) {
        dryRun.answer(failureOf(error))
        waiting.delete(lease)
      }
    }
    return work
  }

  async function report(agentId: string, lease: string, report: WorkReport): Promise<{ go: boolean } | undefined> {
    const dryRun = ofAgent(agentId, lease)
    if (dryRun === undefined) return undefined
    if (report.state !== 'host_key') {
      dryRun.answer(report)
      if (report.state !== 'running') waiting.delete(lease)
      return { go: report.state === 'running' && !dryRun.isCancelled }
    }
    const go = await isPinned(dryRun.job, report.hostKey)
    if (!go) {
      dryRun.answer({ ...notTrusted(report.hostKey), state: 'failed', bytesTransferred: 0 })
      waiting.delete(lease)
    }
    return { go }
  }

  async function run(job: Job): Promise<DryRun> {
    if (waiting.size >= DRY_RUNS_MAX)
      throw new AppError('limit_reached', `${DRY_RUNS_MAX} dry runs are under way already; try again in a moment`)
    const lease = `dry_${randomText(LEASE_CHARACTERS)}`
    const report = await new Promise<WorkReport | undefined>((resolve) => {
      const cancel = clock.after(DRY_RUN_MAX_MS, () => {
        giveUp(lease)
        resolve(undefined)
      })
      const answer = (report: WorkReport) => {
        if (report.state === 'running') return
        cancel()
        resolve(report)
      }
      waiting.set(lease, { job, agentId: job.agentId, isSent: false, isCancelled: false, answer })
      nudge(job.agentId)
    })
    if (report?.state === 'listed') return planOf(job, report)
    if (report?.state === 'failed')
      throw new AppError('conflict', `the agent could not look for the files: ${report.errorCode}: ${report.error}`)
    throw new AppError(
      'conflict',
      `the agent of the job did not answer within ${DRY_RUN_MAX_MS / SECOND_MS} seconds; is it connected to this server?`,
    )
  }

  /** Nobody waits for it any more: an agent that has it is to stop. */
  function giveUp(lease: string): void {
    const dryRun = waiting.get(lease)
    if (dryRun?.isSent !== true) waiting.delete(lease)
    else {
      dryRun.isCancelled = true
      nudge(dryRun.agentId)
      clock.after(STOPPED_MAX_MS, () => waiting.delete(lease))
    }
  }

  async function planOf(job: Job, listed: Extract<WorkReport, { state: 'listed' }>): Promise<DryRun> {
    const { files, isTruncated } = listed
    const chosen = await choose(job, files)
    const { placeable, refused } = byPlace(job, chosen)
    return {
      files: placeable.map(({ file, sourceUrl }) => ({
        source: sourceUrl,
        destination: destinationOf(job, file),
        ...{ size: file.size, modifiedAt: file.modifiedAt },
      })),
      skipped: files.length - chosen.length,
      refused: refused.map(({ file }) => file.relativePath),
      isTruncated,
    }
  }

  return {
    take,
    /** Undefined: the lease is not one of a dry run. */
    report,
    /** What a run of this job would move now. `conflict` where its agent does not answer in time. */
    run,
    jobOf: (agentId: string, lease: string) => ofAgent(agentId, lease)?.job,
    /** What this agent has in hand. */
    held: (agentId: string): HeldWork[] =>
      [...waiting]
        .filter(([, dryRun]) => dryRun.agentId === agentId && dryRun.isSent)
        .map(([lease, { isCancelled }]) => ({ lease, isCancelled })),
    /** The agent has none but `kept`. */
    forget(agentId: string, kept: readonly string[]): void {
      for (const [lease, dryRun] of waiting) {
        if (dryRun.agentId !== agentId || !dryRun.isSent || kept.includes(lease)) continue
        if (dryRun.isCancelled) waiting.delete(lease)
        else dryRun.isSent = false
      }
    },
  }
}

export type ListingFailure = Extract<WorkReport, { state: 'failed' }>

/** A listing that could not be prepared. */
export function failureOf(error: unknown): ListingFailure {
  const known = error instanceof TransferFailure ? { errorCode: error.code, error: error.message } : null
  return {
    state: 'failed',
    ...(known ?? { errorCode: 'INTERNAL', error: 'the work could not be prepared; the log has the details' }),
    bytesTransferred: 0,
  }
}

export function notTrusted(hostKey: string): Pick<ListingFailure, 'errorCode' | 'error'> {
  const error = `The other side showed the host key ${hostKey}, which is not one to be trusted at first use.`
  return { errorCode: 'HOST_KEY_MISMATCH', error }
}
