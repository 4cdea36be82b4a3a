import { type Clock, isoSeconds } from '../base/clock.ts'
import { AppError, codeOf } from '../base/error.ts'
import { randomText } from '../base/id.ts'
import type { Log } from '../base/log.ts'
import { Turns } from '../base/turns.ts'
import { SECOND_MS } from '../base/units.ts'
import { RETRIES_MAX } from '../transfers/check.ts'
import type { TransferStore } from '../transfers/port.ts'
import { LOSSES_MAX } from '../transfers/transfer.ts'
import { takerOf, type WorkSource } from '../transfers/work-source.ts'
import { isTransferFailureCode, TRANSFER_FAILURES, TransferFailure } from '../wire/agent/failure.ts'
import { LISTED_FILES_MAX, type ListedFile, type ListWork, type WorkReport } from '../wire/agent/work.ts'
import { createDryRuns, type DryRun, failureOf, type ListingFailure, notTrusted } from './dry-runs.ts'
import type { Job, Run } from './job.ts'
import type { Moving, Source } from './moving.ts'
import type { JobStore } from './port.ts'
import type { Runs } from './runs.ts'
import { byPlace, isGlob, notMovedYet } from './select-files.ts'

/** Listings that an agent holds, at most, as the store is asked for them. */
const LISTINGS_MAX = 100
/**
 * Listings of an agent at the same time, beside its transfers: most of one is waiting, for its far side or until files are known not to change.
 */
const AT_ONCE_MAX = 16
const LEASE_CHARACTERS = 24
/** Transfers that are made in one transaction: a tenth of a second, measured, for which others who write wait. */
export const TRANSFERS_STEP = 250
/** Decisions about one listing that somebody else was faster than, one after the other. */
const TRIES_MAX = 5

type Listed = Extract<WorkReport, { state: 'listed' }>

export interface ListingParts {
  readonly store: JobStore & Pick<TransferStore, 'pinHostKey'>
  readonly moving: Moving
  readonly runs: Runs
  readonly clock: Clock
  readonly log: Log
  readonly node: string
}

/** Has agents look for the files of runs, and makes transfers of what they find. */
export interface Listings extends WorkSource {
  /** What a run would move now. `conflict` where the agent does not answer in time. */
  dryRun(job: Job): Promise<DryRun>
  /** The job that this agent looks for the files of, on this lease. */
  jobOf(agentId: string, lease: string): Promise<Job | undefined>
}

export function createListings({ store, moving, runs, clock, log, node }: ListingParts): Listings {
  const dryRuns = createDryRuns({ workOf, choose, isPinned, nudge: moving.nudge, clock })
  /** Leases of listings that are being taken, or were but never answered because of a failure in between; and whose. No agent knows of them. */
  const unsent = new Map<string, string>()
  /** Who had no answer for long says it again, while what was said first is still being recorded. */
  const turns = new Turns()

  async function workOf(job: Job, lease: string, runId: string): Promise<ListWork> {
    const { quietSeconds, skipMoved } = job.options
    return {
      kind: 'list',
      ...{ lease, runId, source: await moving.sourceOf(job), quietMs: quietSeconds * SECOND_MS },
      ...{ wantsHash: skipMoved === 'hash', filesMax: LISTED_FILES_MAX },
    }
  }

  async function take(agentId: string, limit: number): Promise<readonly ListWork[]> {
    const work = await dryRuns.take(agentId, limit)
    const taken = await unsentOf(agentId, limit - work.length)
    const next = await store.nextListingDue(agentId)
    if (next !== null && next <= clock.now() && work.length + taken.length < limit) {
      const leases = Array.from({ length: limit - work.length - taken.length }, newLease)
      // Before they are taken: that may happen without our hearing of it.
      for (const lease of leases) unsent.set(lease, agentId)
      taken.push(...(await store.takeListings(takerOf(agentId, node, clock.now()), leases, clock.now())))
      const held = new Set(taken.map(({ lease }) => lease))
      for (const lease of leases) if (!held.has(lease)) unsent.delete(lease)
    }
    for (const run of taken) work.push(...(await workOfRun(run)))
    for (const { lease } of taken) unsent.delete(lease!)
    return work
  }

  /** Those that are still to be handed out: others are to stop meanwhile, or were never taken. */
  async function unsentOf(agentId: string, limit: number): Promise<Run[]> {
    const found: Run[] = []
    for (const [lease, holder] of [...unsent]) {
      if (holder !== agentId || found.length >= limit) continue
      const run = await heldBy(agentId, lease)
      if (run?.cancelAskedAt === null) {
        found.push(run)
        continue
      }
      if (run !== undefined) await giveBack(run)
      unsent.delete(lease)
    }
    return found
  }

  /** None where it cannot be prepared: then it has failed. */
  async function workOfRun(run: Run): Promise<ListWork[]> {
    const job = await store.findJob(run.jobId)
    if (job === undefined) {
      await giveUp(run, JOB_REMOVED)
      return []
    }
    try {
      return [await workOf(job, run.lease!, run.id)]
    } catch (error) {
      await failed(run, failureOf(error))
      return []
    }
  }

  async function heldBy(agentId: string, lease: string): Promise<Run | undefined> {
    const run = await store.findRunByLease(lease)
    return run?.agentId === agentId && run.status === 'running' && run.phase === 'listing' ? run : undefined
  }

  async function report(agentId: string, lease: string, report: WorkReport): Promise<{ go: boolean } | undefined> {
    const answer = await dryRuns.report(agentId, lease, report)
    if (answer !== undefined) return answer
    return turns.take(lease, () => record(agentId, lease, report))
  }

  async function record(agentId: string, lease: string, report: WorkReport): Promise<{ go: boolean } | undefined> {
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const run = await heldBy(agentId, lease)
      if (run === undefined) return undefined
      if (report.state === 'running') return { go: run.cancelAskedAt === null }
      if (report.state === 'host_key') {
        const job = await store.findAnyJob(run.jobId)
        if (job !== undefined && (await isPinned(job, report.hostKey))) return { go: true }
        if (await failed(run, notTrusted(report.hostKey))) return { go: false }
        continue
      }
      if (await isRecorded(run, report)) return { go: false }
    }
    throw new AppError('store_failed', 'others changed the run each time that it was looked at; say it again')
  }

  /** A key that was taken at first use is the one from now on. False: it is not one to be trusted. */
  async function isPinned({ remoteId }: Job, hostKey: string): Promise<boolean> {
    return remoteId !== null && (await store.pinHostKey(remoteId, hostKey, clock.now()))
  }

  /** False: somebody changed the run meanwhile, and it is to be judged anew. */
  async function isRecorded(run: Run, report: Exclude<WorkReport, { state: 'host_key' }>): Promise<boolean> {
    if (report.state === 'listed') {
      return listed(run, report).catch((error) => {
        // An agent is answered once it is recorded what became of its listing, whatever that is.
        if (error instanceof TransferFailure) return failed(run, failureOf(error))
        if (codeOf(error) === 'path_invalid') return giveUp(run, (error as AppError).message)
        throw error
      })
    }
    if (report.state === 'failed') return failed(run, report)
    if (report.state === 'cancelled') return giveBack(run)
    return true
  }

  async function listed(run: Run, { files, notQuiet = 0, isTruncated }: Listed): Promise<boolean> {
    const job = await store.findJob(run.jobId)
    if (job === undefined) return giveUp(run, JOB_REMOVED)
    if (run.cancelAskedAt !== null) return giveBack(run)
    if (files.length === 0 && notQuiet === 0 && !isGlob(job.sourcePath))
      return failed(run, { errorCode: 'NOT_FOUND', error: `nothing is at ${job.sourcePath}` })
    if (isTruncated)
      log.warn({ job: job.id, run: run.id, files: files.length }, 'more files than one run takes; the others wait for the next')
    const chosen = await choose(job, files)
    // The next look would find the same ones again: nobody should wait for what is behind them.
    if (isTruncated && chosen.length === 0) return giveUp(run, `there are more than ${files.length} files, ${NONE_LEFT}`)
    const { placeable, refused } = byPlace(job, chosen)
    if (refused.length === 0) return makeTransfers(job, run, placeable)
    const told: Run = { ...run, errorMessage: refusalOf(job, refused) }
    return (await store.changeRun(told, run, [])) && makeTransfers(job, told, placeable)
  }

  /**
   * In steps, so that nobody who writes waits for thousands. Each step goes on from the number of transfers that is stored with it: after a crash the same listing
   * comes again, or another one is made, and what it has transfers of already gets no second one.
   */
  async function makeTransfers(job: Job, run: Run, sources: readonly Source[]): Promise<boolean> {
    const made = new Set(run.transfersTotal === 0 ? [] : await store.sourcesOfRun(run.id))
    const left = sources.filter(({ sourceUrl }) => !made.has(sourceUrl))
    let { transfersTotal } = run
    for (let from = 0, isLast = false; !isLast; from += TRANSFERS_STEP) {
      isLast = from + TRANSFERS_STEP >= left.length
      const { transfers, events } = await moving.transfersOf(job, run, left.slice(from, from + TRANSFERS_STEP))
      if (!(await store.addToRun({ ...run, transfersTotal }, transfers, events, isLast))) return false
      transfersTotal += transfers.length
    }
    if (left.length === 0) await runs.settle({ ...run, phase: 'moving', lease: null, transfersTotal })
    else moving.nudge(run.agentId)
    return true
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
  async function failed(run: Run, { errorCode, error }: Pick<ListingFailure, 'errorCode' | 'error'>): Promise<boolean> {
    const job = await store.findJob(run.jobId)
    const retryIn = job?.options.retryDelaysSeconds[run.listings - 1]
    const isWorthRetrying = isTransferFailureCode(errorCode) && TRANSFER_FAILURES[errorCode].isWorthRetrying
    if (!isWorthRetrying || retryIn === undefined || run.cancelAskedAt !== null) return giveUp(run, `${errorCode}: ${error}`)
    const dueAt = clock.now() + retryIn * SECOND_MS
    const errorMessage = `${errorCode}: ${error}; its files are looked for again at ${isoSeconds(dueAt)}`
    return store.changeRun({ ...run, lease: null, dueAt, errorMessage }, run, [])
  }

  /** Nobody looks for its files any more: what is left of the run is its end. */
  async function giveUp(run: Run, reason: string): Promise<boolean> {
    const failed: Run = { ...run, lease: null, phase: 'moving', errorMessage: run.errorMessage ?? reason }
    const isDone = await store.changeRun(failed, run, [])
    if (isDone) await runs.settle(failed)
    return isDone
  }

  /** Nobody holds it: handed out again, or ended where it is to stop. */
  async function giveBack(run: Run): Promise<boolean> {
    const free = { ...run, lease: null, dueAt: clock.now() }
    const isDone = await store.changeRun(free, run, [])
    if (isDone) await runs.settle(free)
    return isDone
  }

  return {
    besideMax: AT_ONCE_MAX,
    take,
    report,
    async putBack(agentId, kept) {
      dryRuns.forget(agentId, kept)
      for (const [lease, holder] of unsent) if (holder === agentId) unsent.delete(lease)
      const held = await store.heldListings(agentId, LISTINGS_MAX)
      const lost = held.filter(({ lease }) => lease !== null && !kept.includes(lease))
      for (const run of lost) {
        const job = await store.findJob(run.jobId)
        const isTooOften = run.listings > RETRIES_MAX + LOSSES_MAX
        if (job?.options.onAgentLost === 'fail' || isTooOften)
          await giveUp(run, 'AGENT_LOST: its agent was lost while it looked for the files')
        else await giveBack(run)
      }
    },
    async held(agentId) {
      const held = await store.heldListings(agentId, LISTINGS_MAX)
      const ofRuns = held
        .filter(({ lease }) => !unsent.has(lease!))
        .map(({ lease, cancelAskedAt }) => ({ lease: lease!, isCancelled: cancelAskedAt !== null }))
      return [...dryRuns.held(agentId), ...ofRuns]
    },
    async jobOf(agentId, lease) {
      const job = dryRuns.jobOf(agentId, lease)
      if (job !== undefined) return job
      const run = await store.findRunByLease(lease)
      return run?.agentId === agentId && run.status === 'running' ? store.findJob(run.jobId) : undefined
    },
    dryRun: (job) => dryRuns.run(job),
  }
}

const JOB_REMOVED = 'its job was removed'
const NONE_LEFT = 'and those that were looked at were all moved before: narrow the glob, or have the sources deleted or moved'

/** Names that somebody else's server chose, and that would be no names at the destination. */
function refusalOf(job: Job, refused: readonly Source[]): string {
  const { file } = refused[0]!
  const others = refused.length === 1 ? '' : ` (and ${refused.length - 1} more)`
  return `files were left out whose names cannot be names below ${job.destinationPath}: ${JSON.stringify(file.relativePath.slice(0, 256))}${others}`
}

function newLease(): string {
  return `lst_${randomText(LEASE_CHARACTERS)}`
}
