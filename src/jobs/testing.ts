import type { Job, JobOptions, Run } from './job.ts'

/** A job as the API makes it when nothing more is said. */
export const OPTIONS: JobOptions = {
  timeZone: 'UTC',
  postAction: { kind: 'keep' },
  skipMoved: 'none',
  quietSeconds: 0,
  parallelism: 4,
  timeoutSeconds: null,
  retryDelaysSeconds: [30, 120, 480],
  bytesPerSecond: null,
  blackouts: [],
  closedDates: [],
  openDates: null,
  waitsForPrevious: true,
  dependsOn: null,
  missedRuns: 'once',
  onAgentLost: 'retry',
}

export function jobOf(more: Partial<Omit<Job, 'options'>> & { options?: Partial<JobOptions> } = {}): Job {
  return {
    id: 'job_1',
    agentId: 'agent_1',
    name: 'Daily Backup',
    remoteId: 'rmt_1',
    sourcePath: '/out/*.csv',
    destinationPath: '/in/',
    schedule: '0 2 * * *',
    protocol: 'sftp',
    direction: 'pull',
    isEnabled: true,
    nextRunAt: null,
    lastRunAt: null,
    createdAt: 0,
    updatedAt: 0,
    ...more,
    options: { ...OPTIONS, ...more.options },
  }
}

export function runOf(more: Partial<Run> = {}): Run {
  return {
    id: 'run_1',
    jobId: 'job_1',
    agentId: 'agent_1',
    cause: 'schedule',
    scheduledFor: 0,
    status: 'running',
    phase: 'listing',
    lease: null,
    listings: 0,
    dueAt: 0,
    cancelAskedAt: null,
    transfersTotal: 0,
    transfersCompleted: 0,
    transfersFailed: 0,
    bytesTransferred: 0,
    errorMessage: null,
    startedAt: 0,
    completedAt: null,
    ...more,
  }
}
