import type { Direction } from '../transfers/transfer.ts'
import type { PostAction } from '../wire/agent/work.ts'

/** Transfers on a schedule. */
export interface Job {
  readonly id: string
  readonly agentId: string
  readonly name: string
  readonly remoteId: string | null
  /** A path, a url or a glob over many files. */
  readonly sourcePath: string
  /** A path; ending in `/`, or with a glob as the source: the folder that files go into. */
  readonly destinationPath: string
  /** Cron expression of five fields. */
  readonly schedule: string
  readonly protocol: string
  readonly direction: Direction
  readonly isEnabled: boolean
  readonly options: JobOptions
  /** When it is due next, ms since 1970 UTC; null: never, or paused. */
  readonly nextRunAt: number | null
  readonly lastRunAt: number | null
  readonly createdAt: number
  readonly updatedAt: number
}

/** What shapes a job; plain data with every member present, stored with it. */
export interface JobOptions {
  /** IANA name. */
  readonly timeZone: string
  readonly postAction: PostAction
  /** Files already moved by this job are left alone when they are the same by: `none`: never left alone. */
  readonly skipMoved: 'none' | 'name' | 'size' | 'time' | 'hash'
  /** Only files that did not change for this long, seconds. */
  readonly quietSeconds: number
  /** Transfers of a run at the same time. */
  readonly parallelism: number
  /** Seconds that a run may take; null: no bound. */
  readonly timeoutSeconds: number | null
  readonly retryDelaysSeconds: readonly number[]
  readonly bytesPerSecond: number | null
  /** Weekly windows in the job's time zone in which no run begins: `{days: ['sat', 'sun'], from: '22:00', to: '06:00'}`. */
  readonly blackouts: readonly Blackout[]
  /** Dates of the job's time zone (`2026-12-25`) on which no run begins. */
  readonly closedDates: readonly string[]
  /** Where given, runs begin only on these dates. */
  readonly openDates: readonly string[] | null
  /** A run does not begin while the one before is under way. */
  readonly waitsForPrevious: boolean
  /** The last run of this job must have completed since this job's last run; null: none. */
  readonly dependsOn: string | null
  /** A run that was due while no server ran: made once, or skipped. */
  readonly missedRuns: 'once' | 'skip'
  readonly onAgentLost: 'retry' | 'fail'
}

export interface Blackout {
  readonly days: readonly Weekday[]
  /** `HH:MM`; `to` at or before `from` means the next day. */
  readonly from: string
  readonly to: string
}
export type Weekday = 'mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun'

/** One execution of a job. */
export interface Run {
  readonly id: string
  readonly jobId: string
  readonly agentId: string
  /** What began it. `agent`: a foreign agent that moves its files by itself. */
  readonly cause: 'schedule' | 'missed' | 'manual' | 'agent'
  /** The moment of the schedule that it stands for: one run for each; null: none. */
  readonly scheduledFor: number | null
  readonly status: RunStatus
  /** `listing`: its agent looks for the files; `moving`: its transfers are made. Null once it has ended. */
  readonly phase: 'listing' | 'moving' | null
  /** Names the handing-out of its listing. */
  readonly lease: string | null
  /** Listings begun. */
  readonly listings: number
  /** When its listing may be handed out (again). */
  readonly dueAt: number
  readonly cancelAskedAt: number | null
  readonly transfersTotal: number
  readonly transfersCompleted: number
  readonly transfersFailed: number
  readonly bytesTransferred: number
  /** Why it failed or was skipped, or why its files are looked for again, for people. */
  readonly errorMessage: string | null
  readonly startedAt: number
  readonly completedAt: number | null
}

/** `skipped` is ours: a run that was due but whose conditions were not met. */
export type RunStatus = 'running' | 'completed' | 'failed' | 'cancelled' | 'skipped'
