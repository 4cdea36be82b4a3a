import assert from 'node:assert/strict'
import { type Caller, SERVER_CALLER } from '../audit/caller.ts'
import { newId } from '../base/id.ts'
import { silentLog } from '../base/log.ts'
import { movingClock } from '../base/testing.ts'
import { createRecorder } from '../events/record.ts'
import { openFresh } from '../store/sqlite/testing.ts'
import type { Store } from '../store/store.ts'
import { anAudit, anEvent, heard } from '../store/testing.ts'
import { anAgent } from '../transfers/testing.ts'
import { newTransfer, type Transfer } from '../transfers/transfer.ts'
import type { ListedFile, WorkReport } from '../wire/agent/work.ts'
import type { Job, JobOptions, Run } from './job.ts'
import { createListings, type Listings } from './listing.ts'
import type { Moving } from './moving.ts'
import { createRuns, type Runs } from './runs.ts'
import { Scheduler } from './scheduler.ts'
import { jobOf, OPTIONS } from './testing.ts'

export const ADMIN: Caller = { ...SERVER_CALLER, actor: 'admin' }
/** When the clock of a test begins: 2026-11-20, a Friday, 01:59:30. */
export const START = Date.UTC(2026, 10, 20, 1, 59, 30)
/** When its jobs are due. */
export const DUE = Date.UTC(2026, 10, 20, 2, 0, 0)
const PAGE = { limit: 100, offset: 0 }

/** What an agent finds below `/out`. */
export function files(...names: string[]): ListedFile[] {
  return names.map((name) => ({ path: `/out/${name}`, relativePath: name, size: 5, modifiedAt: 1_000 }))
}

export async function openJobWorld(): Promise<JobWorld> {
  const { store, close } = await openFresh()
  return new JobWorld(store, close)
}

/** Everything of jobs but the agent, which each test plays, on a real store and a clock that moves when told. */
export class JobWorld {
  readonly store: Store
  readonly close: () => Promise<void>
  time = movingClock(START)
  runs!: Runs
  listings!: Listings
  scheduler!: Scheduler
  /** Of every agent. */
  isRevoked = false
  offlineSince: number | null = null

  constructor(store: Store, close: () => Promise<void>) {
    this.store = store
    this.close = close
  }

  /** For a test of its own; what others have stored stays. */
  begin(): void {
    this.time = movingClock(START)
    this.isRevoked = false
    this.offlineSince = null
    this.build()
  }

  /** As after a new start: nothing is remembered but what is stored. */
  build(faulty: Partial<Store> = {}): void {
    const { clock } = this.time
    const agents = {
      findAgent: async (id: string) => {
        const presence = this.offlineSince === null ? 'online' : 'offline'
        const times = { lastSeenAt: this.offlineSince ?? clock.now(), revokedAt: this.isRevoked ? 1 : null }
        const agent = { id, name: 'one', status: presence, ...times }
        return agent as unknown as Awaited<ReturnType<Store['findAgent']>>
      },
    }
    const store = { ...this.store, ...agents, ...faulty }
    const parts = { store, moving: this.#moving(), recorder: createRecorder(clock), clock, log: silentLog }
    this.runs = createRuns(parts)
    this.listings = createListings({ ...parts, runs: this.runs, node: 'node_a' })
    this.scheduler = new Scheduler({ store: this.store, runs: this.runs, clock, log: silentLog })
  }

  #moving(): Moving {
    return {
      sourceOf: async (job) => ({ endpoint: { protocol: 'local' }, path: job.sourcePath }),
      sourceUrlsOf: async () => (path) => `sftp://host${path}`,
      transfersOf: async (job, run, found) => ({
        transfers: found.map(({ file, sourceUrl }) => this.transferOf(job, run, file, sourceUrl)),
        events: [],
      }),
      cancelOpenOf: async (runId) => {
        const { rows } = await this.store.listTransfers({ runId }, PAGE)
        const queued = rows.filter(({ status }) => status === 'queued')
        await this.end(queued, 'cancelled')
      },
      checkRoute: async (route) => ({ protocol: 'sftp', ...route }),
      checkLoop: async () => {},
      checkPostAction: async () => ({ kind: 'keep' }),
      nudge: () => {},
    }
  }

  transferOf(job: Job, run: Run, file: ListedFile, sourceUrl: string): Transfer {
    const policy: Transfer['policy'] = {
      ...{ retryDelaysMs: [], bytesPerSecond: null, postAction: { kind: 'keep' }, deadlineMs: null, onAgentLost: 'retry' },
      ...{ expected: { size: file.size, modifiedAt: file.modifiedAt }, parallelism: null },
    }
    const route = { sourceUrl, destinationPath: '/in/x', direction: job.direction, protocol: 'sftp' }
    return newTransfer({ agentId: job.agentId, runId: run.id, ...route, isForeign: false, policy }, this.time.clock.now())
  }

  async aJob(options: Partial<JobOptions> = {}, more: Partial<Job> = {}): Promise<Job> {
    const now = this.time.clock.now()
    const agent = anAgent(now)
    await this.store.registerAgent(agent, null, null, anEvent(null, { type: 'agent.registered' }), anAudit('agent.register'))
    const ids = { id: newId('job', now), agentId: agent.id }
    const job = jobOf({ ...ids, createdAt: now, updatedAt: now, nextRunAt: DUE, ...more, options: { ...OPTIONS, ...options } })
    await this.store.createJob(job, anAudit('job.create'))
    return job
  }

  async runsOf({ id }: Job): Promise<Run[]> {
    return (await this.store.listRuns(id, PAGE)).rows
  }

  async transfersOf({ id: runId }: Run): Promise<Transfer[]> {
    return (await this.store.listTransfers({ runId }, PAGE)).rows
  }

  async openOf({ id: runId }: Run): Promise<Transfer[]> {
    return (await this.store.listTransfers({ runId, status: 'queued' }, PAGE)).rows
  }

  /** Names below `/out` that the run has transfers of. */
  async namesOf({ id }: Run): Promise<string[]> {
    return (await this.store.sourcesOfRun(id)).map((url) => url.replace('sftp://host/out/', '')).sort()
  }

  /** What was said of a job, in order: the type and what its data says besides. */
  async said({ id }: Job): Promise<string[]> {
    const types = ['job.started', 'job.completed', 'job.failed', 'job.skipped'] as const
    const { rows } = await this.store.listEvents({ types }, { limit: 1_000, offset: 0 })
    return rows
      .filter(({ data }) => data.jobId === id)
      .map(({ type, data }) => ((data.reason ?? data.error) === undefined ? type : `${type}: ${data.reason ?? data.error}`))
      .reverse()
  }

  /** The agent is heard of and takes its listing. */
  async lists(job: Job): Promise<string> {
    await heard(this.store, job.agentId, this.time.clock.now())
    const [work] = await this.listings.take(job.agentId, 5)
    assert(work !== undefined, 'a listing is handed out')
    return work.lease
  }

  async answers(job: Job, lease: string, report: WorkReport): Promise<void> {
    // Ids made later sort later, but not those of one ms.
    await this.time.pass(1)
    await this.listings.report(job.agentId, lease, report)
  }

  async end(transfers: readonly Transfer[], status: 'completed' | 'failed' | 'cancelled'): Promise<void> {
    const at = this.time.clock.now()
    const changes = transfers.map((basis) => {
      const arrivedAt = status === 'completed' ? at : null
      return { basis, after: { ...basis, status, size: 5, completedAt: at, arrivedAt, lease: null }, events: [], entry: null }
    })
    await this.store.changeTransfers(changes)
  }
}
