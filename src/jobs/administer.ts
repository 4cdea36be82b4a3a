import type { AgentStore } from '../agents/port.ts'
import { type Caller, changeEntry } from '../audit/caller.ts'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { newId } from '../base/id.ts'
import type { Page, PageRequest } from '../base/page.ts'
import type { Direction } from '../transfers/transfer.ts'
import { checkJob, checkOptions, JOB_DEFAULTS, type JobOptionsInput } from './check.ts'
import type { DryRun } from './dry-runs.ts'
import type { Job, JobOptions, Run } from './job.ts'
import type { Listings } from './listing.ts'
import type { Moving } from './moving.ts'
import type { JobFilter, JobStore } from './port.ts'
import type { ForeignEnd, Runs } from './runs.ts'
import { createSchedule } from './schedule.ts'

/** Jobs that one server keeps. */
export const JOBS_MAX = 10_000
/** Newest runs of a job among which those under way are looked for. */
const OPEN_RUNS_MAX = 100

export interface JobInput extends JobOptionsInput {
  readonly agentId: string
  readonly name: string
  readonly remoteId?: string | null
  readonly sourcePath: string
  readonly destinationPath: string
  readonly schedule: string
  /** Absent: that of the remote. */
  readonly protocol?: string
  /** Absent: `pull`. */
  readonly direction?: Direction
  readonly isEnabled?: boolean
}

export type JobChanges = Partial<Omit<JobInput, 'direction' | 'protocol' | 'remoteId'>>

/** What people and foreign agents ask about jobs. */
export interface JobAdmin {
  create(input: JobInput, caller: Caller): Promise<Job>
  find(id: string): Promise<Job>
  list(filter: JobFilter, page: PageRequest): Promise<Page<Job>>
  /** Switched off: no run begins by itself, those under way go on. With another agent: these go on with the one that they have. */
  update(id: string, changes: JobChanges, caller: Caller): Promise<Job>
  /** Runs under way are stopped; what ran is kept. */
  remove(id: string, caller: Caller): Promise<void>
  dryRun(id: string): Promise<DryRun>

  /** `conflict` while another run is under way that this one may not join. */
  runNow(id: string, caller: Caller): Promise<Run>
  /** Those under way as far as they are now. */
  listRuns(id: string, page: PageRequest): Promise<Page<Run>>
  findRun(id: string, runId: string): Promise<Run>
  /** `conflict` where it has ended. */
  cancelRun(id: string, runId: string, caller: Caller): Promise<Run>

  /** A foreign agent begins a run of its own job and reports the transfers of it by itself. */
  beginForeign(id: string, agentId: string, caller: Caller): Promise<Run>
  /** … and says that it has ended: as completed only if all of its transfers are. `conflict` while one is open. */
  endForeign(id: string, runId: string, agentId: string, end: ForeignEnd): Promise<Run>
}

export interface JobAdminParts {
  readonly store: JobStore & Pick<AgentStore, 'findAgent'>
  readonly moving: Moving
  readonly runs: Runs
  readonly listings: Pick<Listings, 'dryRun'>
  readonly clock: Clock
  /** Something is due, or has changed. */
  readonly wake: () => void
}

export function createJobAdmin({ store, moving, runs, listings, clock, wake }: JobAdminParts): JobAdmin {
  async function find(id: string): Promise<Job> {
    return found(await store.findJob(id), 'job')
  }

  async function storedRun(id: string, runId: string): Promise<Run> {
    const run = await store.findRun(runId)
    return found(run?.jobId === id ? run : undefined, 'run')
  }

  const findRun = async (id: string, runId: string) => tallied(await storedRun(id, runId))

  /** A run is stored with its tally at its end; until then it is counted when somebody asks. */
  async function tallied(run: Run): Promise<Run> {
    if (run.status !== 'running') return run
    const { total, completed, failed, cancelled, bytes } = await store.tallyOfRun(run.id)
    const counts = { transfersTotal: total, transfersCompleted: completed, transfersFailed: failed + cancelled }
    return { ...run, ...counts, bytesTransferred: bytes }
  }

  /** A foreign agent keeps the schedule by itself: without a stream to it, nobody can hand it work. */
  async function nextRunAt(job: Pick<Job, 'agentId' | 'isEnabled' | 'schedule' | 'options'>): Promise<number | null> {
    const agent = await store.findAgent(job.agentId)
    if (!job.isEnabled || agent?.publicKeyHash === null) return null
    return createSchedule(job.schedule, job.options.timeZone).next(clock.now())
  }

  async function optionsOf(given: JobOptionsInput, before: JobOptions, job: Pick<Job, 'remoteId' | 'direction'>) {
    const postAction = given.postAction ? await moving.checkPostAction(job, given.postAction) : before.postAction
    return checkOptions({ ...given, postAction }, before)
  }

  /** That it does not lead back to the job is seen to where it is stored, in order with the changes of others. */
  async function checkDependency(dependsOn: string | null): Promise<void> {
    if (dependsOn !== null && (await store.findJob(dependsOn)) === undefined)
      throw invalid('dependsOn', `dependsOn '${dependsOn}' is the id of no job`)
  }

  async function checkAgent(agentId: string): Promise<void> {
    const agent = await store.findAgent(agentId)
    if (agent === undefined) throw invalid('agentId', `agentId '${agentId.slice(0, 64)}' is the id of no agent`)
    if (agent.revokedAt !== null)
      throw new AppError('conflict', `The agent ${agent.name} is revoked; enrol it again first.`, { field: 'agentId' })
  }

  async function create(input: JobInput, caller: Caller): Promise<Job> {
    const now = clock.now()
    const {
      agentId,
      name,
      remoteId = null,
      sourcePath,
      destinationPath,
      schedule,
      direction = 'pull',
      isEnabled = true,
      protocol,
      ...given
    } = input
    await checkAgent(agentId)
    const options = await optionsOf(given, JOB_DEFAULTS, { remoteId, direction })
    checkJob({ name, sourcePath, destinationPath, schedule }, options, now)
    const id = newId('job', now)
    await checkDependency(options.dependsOn)
    const route = { agentId, remoteId, sourcePath, destinationPath, direction, ...(protocol !== undefined && { protocol }) }
    const made = {
      ...{ id, name, ...(await moving.checkRoute(route)), schedule: normal(schedule), isEnabled, options },
      ...{ lastRunAt: null, createdAt: now, updatedAt: now },
    }
    await moving.checkLoop(made)
    const job: Job = { ...made, nextRunAt: await nextRunAt(made) }
    const { total } = await store.listJobs({}, { limit: 0, offset: 0 })
    if (total >= JOBS_MAX) throw new AppError('limit_reached', `${JOBS_MAX} jobs are stored already; remove some first`)
    await store.createJob(job, changeEntry(caller, now, { accountId: null, action: 'job.create', target: id }))
    wake()
    return job
  }

  /** What is not changed is not checked: whatever it refers to may be gone, and the job can still be paused and repaired. */
  async function update(id: string, changes: JobChanges, caller: Caller): Promise<Job> {
    const before = await find(id)
    const now = clock.now()
    const { agentId = before.agentId, name, sourcePath, destinationPath, schedule, isEnabled, ...given } = changes
    if (agentId !== before.agentId) await checkAgent(agentId)
    const options = await optionsOf(given, before.options, before)
    const fields = {
      agentId,
      name: name ?? before.name,
      sourcePath: sourcePath ?? before.sourcePath,
      destinationPath: destinationPath ?? before.destinationPath,
      schedule: normal(schedule ?? before.schedule),
      isEnabled: isEnabled ?? before.isEnabled,
    }
    checkJob(fields, options, now)
    if (given.dependsOn !== undefined) await checkDependency(options.dependsOn)
    const isRerouted = agentId !== before.agentId || sourcePath !== undefined || destinationPath !== undefined
    const route = isRerouted ? await moving.checkRoute({ ...before, ...fields }) : before
    const after = {
      ...{ ...before, ...fields, options },
      ...{ protocol: route.protocol, sourcePath: route.sourcePath, destinationPath: route.destinationPath },
      updatedAt: Math.max(now, before.updatedAt + 1),
    }
    if (isRerouted || given.postAction !== undefined) await moving.checkLoop(after)
    const isDueAnew =
      after.agentId !== before.agentId ||
      after.schedule !== before.schedule ||
      after.options.timeZone !== before.options.timeZone ||
      after.isEnabled !== before.isEnabled
    const job: Job = isDueAnew ? { ...after, nextRunAt: await nextRunAt(after) } : after
    await store.updateJob(job, before, changeEntry(caller, now, { accountId: null, action: 'job.update', target: id }))
    wake()
    return job
  }

  async function cancel(run: Run, caller: Caller): Promise<void> {
    if (!(await runs.cancel(run, caller))) throw hasEnded(await storedRun(run.jobId, run.id))
    wake()
  }

  return {
    create,
    find,
    list: (filter, page) => store.listJobs(filter, page),
    update,
    async remove(id, caller) {
      const now = clock.now()
      const { rows } = await store.listRuns(id, { limit: OPEN_RUNS_MAX, offset: 0 })
      for (const run of rows) if (run.status === 'running') await runs.cancel(run, caller)
      await store.removeJob(id, now, changeEntry(caller, now, { accountId: null, action: 'job.remove', target: id }))
    },
    dryRun: async (id) => listings.dryRun(await workable(id)),

    async runNow(id, caller) {
      return begun(await runs.begin(await workable(id), { cause: 'manual', caller }))
    },
    async listRuns(id, page) {
      await find(id)
      const { rows, total } = await store.listRuns(id, page)
      const runs: Run[] = []
      // One after the other: seldom more than one of them is under way.
      for (const run of rows) runs.push(await tallied(run))
      return { rows: runs, total }
    },
    findRun,
    async cancelRun(id, runId, caller) {
      await cancel(await storedRun(id, runId), caller)
      return findRun(id, runId)
    },

    async beginForeign(id, agentId, caller) {
      return begun(await runs.begin(await own(id, agentId), { cause: 'agent', caller }))
    },
    async endForeign(id, runId, agentId, end) {
      const run = await storedRun(id, runId)
      // Also after its job went to another agent.
      found(run.agentId === agentId ? run : undefined, 'run')
      if (run.cause !== 'agent')
        throw new AppError('conflict', `The run ${runId} was begun by this server, which ends it when its transfers have ended.`)
      if (end.status === 'completed' && end.errorMessage !== undefined)
        throw invalid('errorMessage', 'errorMessage says why a run failed or was cancelled; one that completed has none')
      if (!(await runs.endForeign(run, end))) {
        const now = await storedRun(id, runId)
        if (now.status !== 'running') throw hasEnded(now)
        throw new AppError('conflict', `The run ${runId} has open transfers; end these first.`)
      }
      return findRun(id, runId)
    },
  }

  /** A job whose agent takes work from us. */
  async function workable(id: string): Promise<Job> {
    const job = await find(id)
    const agent = await store.findAgent(job.agentId)
    if (agent === undefined || agent.revokedAt !== null)
      throw new AppError(
        'conflict',
        `The agent of this job${agent === undefined ? '' : `, ${agent.name},`} is revoked; enrol it again first.`,
      )
    if (agent.publicKeyHash === null)
      throw new AppError(
        'conflict',
        `The agent of this job, ${agent.name}, has no certificate: it begins its runs by itself and takes no work.`,
      )
    return job
  }

  async function own(id: string, agentId: string): Promise<Job> {
    const job = await find(id)
    // To another agent it does not exist.
    return found(job.agentId === agentId ? job : undefined, 'job')
  }
}

function begun(run: Run | undefined): Run {
  if (run === undefined)
    throw new AppError('conflict', 'Another run of this job is under way, and it waits for the one before (waitsForPrevious).')
  return run
}

function hasEnded({ id, status }: Run): AppError {
  return new AppError('conflict', `The run ${id} has ended: it is ${status}.`)
}

/** One space between the fields, so that what is stored is what was meant. */
function normal(schedule: string): string {
  return schedule.trim().split(/\s+/).join(' ')
}

function found<Value>(value: Value | undefined, what: string): Value {
  if (value === undefined) throw new AppError('not_found', `There is no such ${what}.`)
  return value
}

function invalid(field: string, message: string): AppError {
  return new AppError('invalid', message, { field })
}
