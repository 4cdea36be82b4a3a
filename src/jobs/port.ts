import type { Taker } from '../agents/port.ts'
import type { AuditEntry } from '../audit/entry.ts'
import type { Page, PageRequest } from '../base/page.ts'
import type { EventDraft } from '../events/event.ts'
import type { Transfer } from '../transfers/transfer.ts'
import type { Job, Run } from './job.ts'

export interface JobFilter {
  readonly agentId?: string
  readonly isEnabled?: boolean
}

/** A file as it was when a job moved it last. */
export interface MovedFile {
  /** Null: another one than was asked for, with the same content. */
  readonly sourceUrl: string | null
  readonly size: number
  readonly modifiedAt: number | null
  readonly sha256: string | null
}

export interface JobStore {
  createJob(job: Job, entry: AuditEntry): Promise<void>
  findJob(id: string): Promise<Job | undefined>
  /** One that was removed as well: its runs still end. */
  findAnyJob(id: string): Promise<Job | undefined>
  /** In the order of their ids. */
  listJobs(filter: JobFilter, page: PageRequest): Promise<Page<Job>>
  /** Only while it is as it was at `before.updatedAt`, else `conflict`; and only where what it newly waits for does not wait for it, else `invalid`. */
  updateJob(job: Job, before: Pick<Job, 'updatedAt'>, entry: AuditEntry): Promise<void>
  removeJob(id: string, at: number, entry: AuditEntry): Promise<void>
  /** Enabled jobs that are due, oldest first; at most `limit`. */
  dueJobs(now: number, limit: number): Promise<Job[]>

  /** Only while it is due at `from` still; else nothing is written. */
  moveJob(id: string, from: number, to: number): Promise<void>

  /**
   * A run (or one that is skipped) with its event, and the job's next moment, in one transaction; only where the job still is due at `basis.nextRunAt` (null: not asked
   * for by the schedule), that moment has no run yet, and, with `isAlone`, no other run of it is under way. False: one of these does not hold, and nothing was written, but
   * that a moment which has its run already is passed over.
   */
  beginRun(
    run: Run,
    basis: { readonly nextRunAt: number | null; readonly isAlone: boolean },
    nextRunAt: number | null,
    event: EventDraft,
    entry: AuditEntry | null,
  ): Promise<boolean>
  findRun(id: string): Promise<Run | undefined>
  findRunByLease(lease: string): Promise<Run | undefined>
  /** Newest first. */
  listRuns(jobId: string, page: PageRequest): Promise<Page<Run>>
  /** The newest run of a job that began, whatever became of it; skipped ones did not begin. */
  latestRun(jobId: string): Promise<Run | undefined>
  /** Under way, with ids after this one; at most `limit`. */
  openRuns(after: string, limit: number): Promise<Run[]>
  /** When a listing of this agent that nobody holds becomes due next; null: none. */
  nextListingDue(agentId: string): Promise<number | null>
  /** Hands out the listings that are due for this agent, a lease each, and forgets why the one before failed; those that are being cancelled are not, nor any to an agent that may not have it. */
  takeListings(taker: Taker, leases: readonly string[], now: number): Promise<Run[]>
  heldListings(agentId: string, limit: number): Promise<Run[]>
  /** Only while status, phase, lease and what was asked for are as in `before`. How many transfers it has is not changed by it before its end. False: nothing was written. */
  changeRun(
    run: Run,
    before: Pick<Run, 'status' | 'phase' | 'lease' | 'cancelAskedAt'>,
    events: readonly EventDraft[],
    entry?: AuditEntry | null,
  ): Promise<boolean>
  /**
   * Makes transfers of what a listing found, with their events, and with `isLast` ends that listing; only while the run is as `listing` in lease and number of transfers and nobody
   * asked to stop it: whoever goes on after a crash makes each once, and so do two that record the same listing. False: nothing was written.
   */
  addToRun(
    listing: Pick<Run, 'id' | 'lease' | 'transfersTotal'>,
    transfers: readonly Transfer[],
    events: readonly EventDraft[],
    isLast: boolean,
  ): Promise<boolean>
  /** Where the transfers that a run has so far come from. */
  sourcesOfRun(runId: string): Promise<string[]>
  /** Whether a transfer of a run is queued or running; next to nothing to ask, however many it has. */
  hasOpenTransfers(runId: string): Promise<boolean>
  /** How the transfers of a run are. */
  tallyOfRun(
    runId: string,
  ): Promise<{ total: number; completed: number; failed: number; cancelled: number; open: number; bytes: number }>

  /** What of these this job has moved before, by where it came from or by its content. */
  movedFiles(jobId: string, sources: readonly { readonly sourceUrl: string; readonly sha256?: string }[]): Promise<MovedFile[]>
  countOpenRuns(): Promise<number>
}
