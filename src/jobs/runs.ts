import type { AgentStore } from '../agents/port.ts'
import { type Caller, changeEntry } from '../audit/caller.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { HOUR_MS, SECOND_MS } from '../base/units.ts'
import type { Recorder } from '../events/record.ts'
import { type Circumstances, unmetCondition } from './conditions.ts'
import type { Job, Run } from './job.ts'
import type { Moving } from './moving.ts'
import type { JobStore } from './port.ts'
import { type Ending, endData, ended, newRun, skippedData, startedData } from './run.ts'

/** A run whose agent has not looked for its files by then fails, ms: an agent that is away this long is not coming back for it. */
export const LISTING_WAIT_MAX_MS = HOUR_MS
/** A run whose files are moved, and whose agent was silent for this long, fails, ms: a foreign one is not going to end it, and the next run waits for this one. */
export const AGENT_AWAY_MAX_MS = HOUR_MS

/** Times that a run is looked at anew because others change it while it is to stop. */
const TRIES_MAX = 5

export interface RunsParts {
  readonly store: JobStore & Pick<AgentStore, 'findAgent'>
  readonly moving: Moving
  readonly recorder: Recorder
  readonly clock: Clock
  readonly log: Log
}

/** What asks for a run. */
export type Asking =
  | { readonly cause: 'schedule' | 'missed'; readonly nextRunAt: number | null; readonly skippedFor?: string }
  | { readonly cause: 'manual' | 'agent'; readonly caller: Caller }

export interface Runs {
  /**
   * Begins a run, or records that it was skipped, with its event, in one transaction. Undefined: another node was first, or another run is under way that this
   * one may not join.
   */
  begin(job: Job, asking: Asking): Promise<Run | undefined>
  /** Ends a run if nothing of it is left to do, stops one that took too long; otherwise does nothing. Once, whoever calls. */
  settle(run: Run): Promise<void>
  /** Ends one now, as failed for this reason; what is open of it is stopped. */
  fail(run: Run, reason: string): Promise<boolean>
  /** A person, or the foreign agent that began it, wants it stopped. False: it has ended. */
  cancel(run: Run, caller: Caller): Promise<boolean>
  /** A foreign agent says that its run has ended. False: it has ended before, or has open transfers. */
  endForeign(run: Run, end: ForeignEnd): Promise<boolean>
}

export interface ForeignEnd {
  readonly status: 'completed' | 'failed' | 'cancelled'
  /** Why it failed or was cancelled. */
  readonly errorMessage?: string
}

export function createRuns(parts: RunsParts): Runs {
  const { store, moving, recorder, clock, log } = parts

  async function begin(job: Job, asking: Asking): Promise<Run | undefined> {
    const now = clock.now()
    const caller = 'caller' in asking ? asking.caller : null
    const moment = 'caller' in asking ? null : asking
    const skippedFor = moment === null ? null : (moment.skippedFor ?? unmetCondition(job, now, await circumstancesOf(job)))
    const scheduledFor = moment === null ? null : job.nextRunAt
    const run = newRun(job, now, { cause: asking.cause, scheduledFor, ...(skippedFor !== null && { skippedFor }) })
    const event =
      skippedFor === null
        ? recorder.draft('job.started', null, startedData(job, run))
        : recorder.draft('job.skipped', null, skippedData(job, run))
    const change = { accountId: null, action: 'job.run', target: job.id, detail: run.id } as const
    const isBegun = await store.beginRun(
      run,
      { nextRunAt: scheduledFor, isAlone: job.options.waitsForPrevious },
      moment?.nextRunAt ?? null,
      event,
      caller && changeEntry(caller, now, change),
    )
    if (!isBegun) return undefined
    log.info({ job: job.id, run: run.id, status: run.status, reason: skippedFor ?? undefined }, 'a run')
    if (run.phase === 'listing') moving.nudge(job.agentId)
    return run
  }

  async function circumstancesOf(job: Job): Promise<Circumstances> {
    const { dependsOn } = job.options
    const other = dependsOn === null ? null : await store.findJob(dependsOn)
    const agent = await store.findAgent(job.agentId)
    return {
      latestRun: await store.latestRun(job.id),
      dependency: other && { name: other.name, latestRun: await store.latestRun(other.id) },
      isAgentRevoked: agent === undefined || agent.revokedAt !== null,
    }
  }

  async function settle(run: Run): Promise<void> {
    if (run.status !== 'running') return
    const tooLong = await overdue(run)
    if (tooLong !== null && run.cancelAskedAt === null) return void (await stop(run, tooLong))
    if (run.phase === 'listing') {
      // Its agent hears of it through its lease; without one nobody looks for anything.
      if (run.cancelAskedAt !== null && run.lease === null) await end(run)
      return
    }
    const isForeign = run.cause === 'agent'
    if (!isForeign || run.cancelAskedAt !== null) await end(run)
  }

  /** Why a run may not go on, for people; null: it may. */
  async function overdue(run: Run): Promise<string | null> {
    const now = clock.now()
    const job = await store.findAnyJob(run.jobId)
    const timeoutSeconds = job?.options.timeoutSeconds ?? null
    if (timeoutSeconds !== null && now >= run.startedAt + timeoutSeconds * SECOND_MS)
      return `it took longer than its timeoutSeconds of ${timeoutSeconds}`
    const agent = await store.findAgent(run.agentId)
    if (agent === undefined || agent.revokedAt !== null) return 'its agent is revoked'
    if (run.phase === 'listing' && run.lease === null && now - run.dueAt >= LISTING_WAIT_MAX_MS)
      return `its agent did not look for the files within ${LISTING_WAIT_MAX_MS / SECOND_MS} seconds`
    if (run.phase === 'moving' && agent.status === 'offline' && now - agent.lastSeenAt >= AGENT_AWAY_MAX_MS)
      return `its agent was not heard of for ${AGENT_AWAY_MAX_MS / SECOND_MS} seconds`
    return null
  }

  /** Records that it is to stop, so that whoever comes after a crash goes on with that, and stops what is open. False: it has ended. */
  async function stop(run: Run, reason: string | null, caller: Caller | null = null): Promise<boolean> {
    const change = { accountId: null, action: 'run.cancel', target: run.id } as const
    const entry = caller && changeEntry(caller, clock.now(), change)
    let current: Run | undefined = run
    for (let tries = 0; tries < TRIES_MAX && current?.status === 'running'; tries += 1) {
      // Why it was going to look again is not why it ends.
      const known = isWaitingToLook(current) ? null : current.errorMessage
      const stopping: Run = { ...current, cancelAskedAt: current.cancelAskedAt ?? clock.now(), errorMessage: known ?? reason }
      if (await store.changeRun(stopping, current, [], entry)) {
        await moving.cancelOpenOf(run.id)
        moving.nudge(run.agentId)
        await settle(stopping)
        return true
      }
      current = await store.findRun(run.id)
    }
    return false
  }

  /** Ends a run that has nothing open; its transfers stay as they are. */
  async function end(run: Run, ending: Ending = {}, before = run): Promise<boolean> {
    if (run.status !== 'running') return false
    if (await store.hasOpenTransfers(run.id)) {
      if (run.cancelAskedAt !== null) await moving.cancelOpenOf(run.id)
      return false
    }
    const tally = await store.tallyOfRun(run.id)
    const job = await store.findAnyJob(run.jobId)
    const after = ended(run, tally, clock.now(), ending)
    const type = after.status === 'completed' ? 'job.completed' : 'job.failed'
    const events = job === undefined ? [] : [recorder.draft(type, null, endData(job, after))]
    const isEnded = await store.changeRun(after, before, events)
    if (isEnded) log.info({ run: run.id, status: after.status, transfers: tally.total }, 'a run has ended')
    return isEnded
  }

  return {
    begin,
    settle,
    fail: (run, reason) => stop(run, reason),
    cancel: (run, caller) => stop(run, null, caller),
    endForeign(run, { status, errorMessage }) {
      if (status === 'completed') return end(run)
      if (status === 'failed') return end(run, { failure: errorMessage ?? 'the agent says: failed' })
      const stopped = { ...run, cancelAskedAt: run.cancelAskedAt ?? clock.now() }
      return end(stopped, errorMessage === undefined ? {} : { cancelledFor: errorMessage }, run)
    },
  }
}

function isWaitingToLook({ phase, lease, cancelAskedAt }: Run): boolean {
  return phase === 'listing' && lease === null && cancelAskedAt === null
}
