import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { randomText } from '../base/id.ts'
import type { Log } from '../base/log.ts'
import { SECOND_MS } from '../base/units.ts'
import type { WorkSource } from '../transfers/work-source.ts'
import { isTransferFailureCode, TRANSFER_FAILURES, TransferFailure } from '../wire/agent/failure.ts'
import { LISTED_FILES_MAX, type ListedFile, type ListWork, type WorkReport } from '../wire/agent/work.ts'
import type { Job, Run } from './job.ts'
import type { Moving, Source } from './moving.ts'
import type { JobStore } from './port.ts'
import type { Runs } from './runs.ts'
import { destinationOf, isGlob, notMovedYet } from './select-files.ts'

/** Listings that an agent holds, and dry runs that wait, at most. */
const LISTINGS_MAX = 100
/** How long somebody waits for a dry run, ms. */
export const DRY_RUN_MAX_MS = 60 * SECOND_MS
const LEASE_CHARACTERS = 24

export interface ListingParts {
  readonly store: JobStore
  readonly moving: Moving
  readonly runs: Runs
  readonly clock: Clock
  readonly log: Log
  readonly node: string
}

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
  /** There are more files than one run takes. */
  readonly isTruncated: boolean
}

/** Has agents look for the files of runs, and makes transfers of what they find. */
export interface Listings extends WorkSource {
  /** What a run would move now. `conflict` where the agent does not answer in time. */
  dryRun(job: Job): Promise<DryRun>
  /** The job that this agent looks for the files of, on this lease. */
  jobOf(agentId: string, lease: string): Promise<Job | undefined>
}

interface WaitingDryRun {
  readonly job: Job
  readonly agentId: string
  isSent: boolean
  answer(report: WorkReport): void
}

export function createListings({ store, moving, runs, clock, log, node }: ListingParts): Listings {
  /** Dry runs are nobody's but of who waits for them: a process that dies takes them along. */
  const dryRuns = new Map<string, WaitingDryRun>()

  async function workOf(job: Job, lease: string, runId: string): Promise<ListWork> {
    const { quietSeconds, skipMoved } = job.options
    return {
      kind: 'list',
      ...{ lease, runId, source: await moving.sourceOf(job), quietMs: quietSeconds * SECOND_MS },
      ...{ wantsHash: skipMoved === 'hash', filesMax: LISTED_FILES_MAX },
    }
  }

  async function take(agentId: string, limit: number): Promise<readonly ListWork[]> {
    const work: ListWork[] = []
    for (const [lease, waiting] of dryRuns) {
      if (waiting.agentId !== agentId || waiting.isSent || work.length >= limit) continue
      waiting.isSent = true
      try {
        work.push(await workOf(waiting.job, lease, lease))
      } catch (error) {
        waiting.answer(failureOf(error))
      }
    }
    const leases = Array.from({ length: limit - work.length }, newLease)
    for (const run of await store.takeListings(agentId, node, leases, clock.now())) {
      try {
        const job = await store.findJob(run.jobId)
        if (job === undefined) await runs.fail(run, 'its job was removed')
        else work.push(await workOf(job, run.lease!, run.id))
      } catch (error) {
        await failed(run, failureOf(error))
      }
    }
    return work
  }

  async function report(agentId: string, lease: string, report: WorkReport): Promise<{ go: boolean } | undefined> {
    const dryRun = dryRuns.get(lease)
    if (dryRun !== undefined && dryRun.agentId === agentId) {
      dryRun.answer(report)
      return { go: report.state === 'running' }
    }
    const run = await store.findRunByLease(lease)
    if (run === undefined || run.agentId !== agentId || run.status !== 'running' || run.phase !== 'listing') return undefined
    if (report.state === 'running') return { go: run.cancelAskedAt === null }
    if (report.state === 'listed') await listed(run, report.files, report.isTruncated)
    else if (report.state === 'failed') await failed(run, report)
    else if (report.state === 'cancelled') await giveBack(run)
    return { go: false }
  }

  async function listed(run: Run, files: readonly ListedFile[], isTruncated: boolean): Promise<void> {
    const job = await store.findJob(run.jobId)
    if (job === undefined) return void (await runs.fail(run, 'its job was removed'))
    if (run.cancelAskedAt !== null) return giveBack(run)
    if (files.length === 0 && !isGlob(job.sourcePath))
      return failed(run, { errorCode: 'NOT_FOUND', error: `nothing is at ${job.sourcePath}` })
    const chosen = await choose(job, files)
    if (isTruncated)
      log.warn({ job: job.id, run: run.id, files: files.length }, 'more files than one run takes; the others wait for the next')
    const { transfers, events } = await moving.transfersOf(job, run, chosen)
    const after: Run = { ...run, phase: 'moving', lease: null, transfersTotal: transfers.length }
    if (!(await store.changeRun(after, run, transfers, events))) return
    if (transfers.length === 0) await runs.settle(after)
    else moving.nudge(run.agentId)
  }

  async function choose(job: Job, files: readonly ListedFile[]): Promise<Source[]> {
    const urlOf = await moving.sourceUrlsOf(job)
    const candidates = files.map((file) => ({ file, sourceUrl: urlOf(file.path) }))
    if (job.options.skipMoved === 'none') return candidates
    const asked = candidates.map(({ file, sourceUrl }) => ({
      sourceUrl,
      ...(file.sha256 !== undefined && { sha256: file.sha256 }),
    }))
    return notMovedYet(job.options.skipMoved, candidates, await store.movedFiles(job.id, asked))
  }

  /** Tried again by the job's own delays where that may help; else the run has failed. */
  async function failed(run: Run, failure: Pick<ListingFailure, 'errorCode' | 'error'>): Promise<void> {
    const job = await store.findJob(run.jobId)
    const retryIn = job?.options.retryDelaysSeconds[run.listings - 1]
    const isWorthRetrying = isTransferFailureCode(failure.errorCode) && TRANSFER_FAILURES[failure.errorCode].isWorthRetrying
    if (!isWorthRetrying || retryIn === undefined || run.cancelAskedAt !== null) return giveUp(run, failure)
    await store.changeRun({ ...run, lease: null, dueAt: clock.now() + retryIn * SECOND_MS }, run, [], [])
  }

  /** Nobody looks for its files any more: what is left of the run is its end. */
  async function giveUp(run: Run, { errorCode, error }: Pick<ListingFailure, 'errorCode' | 'error'>): Promise<void> {
    const failed: Run = { ...run, lease: null, phase: 'moving', errorMessage: `${errorCode}: ${error}` }
    if (await store.changeRun(failed, run, [], [])) await runs.settle(failed)
  }

  /** Nobody holds it: handed out again, or ended where it is to stop. */
  async function giveBack(run: Run): Promise<void> {
    const free = { ...run, lease: null }
    if (await store.changeRun(free, run, [], [])) await runs.settle(free)
  }

  return {
    take,
    report,
    async putBack(agentId, kept) {
      const held = await store.heldListings(agentId, LISTINGS_MAX)
      const lost = held.filter(({ lease }) => lease !== null && !kept.includes(lease))
      for (const run of lost) {
        const job = await store.findJob(run.jobId)
        if (job?.options.onAgentLost === 'fail')
          await giveUp(run, { errorCode: 'AGENT_LOST', error: 'its agent was lost while it looked for the files' })
        else await giveBack(run)
      }
    },
    async held(agentId) {
      const held = await store.heldListings(agentId, LISTINGS_MAX)
      return held.map(({ lease, cancelAskedAt }) => ({ lease: lease!, isCancelled: cancelAskedAt !== null }))
    },
    async jobOf(agentId, lease) {
      const dryRun = dryRuns.get(lease)
      if (dryRun !== undefined) return dryRun.agentId === agentId ? dryRun.job : undefined
      const run = await store.findRunByLease(lease)
      return run?.agentId === agentId && run.status === 'running' ? store.findJob(run.jobId) : undefined
    },
    async dryRun(job) {
      if (dryRuns.size >= LISTINGS_MAX)
        throw new AppError('limit_reached', `${LISTINGS_MAX} dry runs are under way already; try again in a moment`)
      const lease = `dry_${newLease()}`
      const report = await new Promise<WorkReport | undefined>((resolve) => {
        const cancel = clock.after(DRY_RUN_MAX_MS, () => resolve(undefined))
        const answer = (report: WorkReport) => {
          if (report.state === 'running') return
          cancel()
          resolve(report)
        }
        dryRuns.set(lease, { job, agentId: job.agentId, isSent: false, answer })
        moving.nudge(job.agentId)
      }).finally(() => dryRuns.delete(lease))
      if (report?.state === 'listed') return planOf(job, report)
      if (report?.state === 'failed')
        throw new AppError('conflict', `the agent could not look for the files: ${report.errorCode}: ${report.error}`)
      throw new AppError(
        'conflict',
        `the agent of the job did not answer within ${DRY_RUN_MAX_MS / SECOND_MS} seconds; is it connected to this server?`,
      )
    },
  }

  async function planOf(
    job: Job,
    { files, isTruncated }: { files: readonly ListedFile[]; isTruncated: boolean },
  ): Promise<DryRun> {
    const chosen = await choose(job, files)
    return {
      files: chosen.map(({ file, sourceUrl }) => ({
        source: sourceUrl,
        destination: destinationOf(job, file),
        ...{ size: file.size, modifiedAt: file.modifiedAt },
      })),
      skipped: files.length - chosen.length,
      isTruncated,
    }
  }
}

function newLease(): string {
  return `lst_${randomText(LEASE_CHARACTERS)}`
}

type ListingFailure = Extract<WorkReport, { state: 'failed' }>

function failureOf(error: unknown): ListingFailure {
  const known = error instanceof TransferFailure ? { errorCode: error.code, error: error.message } : null
  return {
    state: 'failed',
    ...(known ?? { errorCode: 'INTERNAL', error: 'the work could not be prepared; the log has the details' }),
    bytesTransferred: 0,
  }
}
