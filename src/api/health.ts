import type { Clock } from '../base/clock.ts'
import { SECOND_MS } from '../base/units.ts'

/** How the parts are asked whether they are well. */
export interface HealthProbes {
  /** Reads something from the database; rejects when it does not answer. */
  database(): Promise<unknown>
  /** Room of the storage, bytes. */
  disk(): Promise<{ totalBytes: number; freeBytes: number }>
  /** Resident memory of this process and what it may have, bytes. */
  memory(): { usedBytes: number; totalBytes: number }
  /** Changes of files whose outcome the storage has not said; each is held and tried again. */
  undecided(): number
  /** What is under way; rejects when the database does not answer. */
  figures(): Promise<Figures>
}

export interface Figures {
  readonly activeAgents: number
  readonly activeTransfers: number
  readonly pendingJobs: number
}

export type CheckStatus = 'pass' | 'warn' | 'fail'
export interface SpaceCheck {
  status: CheckStatus
  used: number
  total: number
  percentage: number
}
export interface HealthReport {
  status: 'healthy' | 'degraded' | 'unhealthy'
  checks: {
    database: { status: CheckStatus; latency: number }
    memory: SpaceCheck
    disk: SpaceCheck
    storage: { status: CheckStatus; undecided: number }
  }
  metrics: Figures
}

/** Shares in percent at which a check warns and fails (MFTPlus, "Monitoring and Observability"). */
const MEMORY_PERCENT = { warn: 75, fail: 90 }
const DISK_PERCENT = { warn: 80, fail: 90 }
/** A database this slow is worth an alert (the same page), ms. */
const LATENCY_WARN_MS = 500
/** A part that has not answered by then counts as down. */
const ANSWER_MS = 5 * SECOND_MS
/** Anybody may ask for the health; the parts are asked at most this often. */
const REPORT_KEPT_MS = SECOND_MS

/** What the page shows while the database does not answer; its check says so. */
const NOTHING_KNOWN: Figures = { activeAgents: 0, activeTransfers: 0, pendingJobs: 0 }

/** Asks the parts; unhealthy when one fails, degraded when one warns. */
export function createHealth(probes: HealthProbes, clock: Clock): () => Promise<HealthReport> {
  let kept: { report: Promise<HealthReport>; until: number } | undefined

  async function ask(): Promise<HealthReport> {
    const [database, disk, figures] = await Promise.all([
      checkDatabase(probes, clock),
      checkDisk(probes, clock),
      inTime(probes.figures(), clock),
    ])
    const { usedBytes, totalBytes } = probes.memory()
    const undecided = probes.undecided()
    const storage = { status: undecided === 0 ? ('pass' as const) : ('fail' as const), undecided }
    const checks = { database, memory: checkSpace(usedBytes, totalBytes, MEMORY_PERCENT), disk, storage }
    return { status: overall(Object.values(checks)), checks, metrics: figures?.value ?? NOTHING_KNOWN }
  }

  return () => {
    const now = clock.monotonic()
    if (kept === undefined || kept.until <= now) kept = { report: ask(), until: now + REPORT_KEPT_MS }
    return kept.report
  }
}

async function checkDatabase(probes: HealthProbes, clock: Clock): Promise<HealthReport['checks']['database']> {
  const startedAt = clock.monotonic()
  const answer = await inTime(probes.database(), clock)
  const latency = Math.round((clock.monotonic() - startedAt) * 10) / 10
  return { status: answer === undefined ? 'fail' : latency > LATENCY_WARN_MS ? 'warn' : 'pass', latency }
}

/** A storage that cannot say how full it is does not answer at all. */
async function checkDisk(probes: HealthProbes, clock: Clock): Promise<SpaceCheck> {
  const answer = await inTime(probes.disk(), clock)
  if (answer === undefined) return { status: 'fail', used: 0, total: 0, percentage: 0 }
  const { totalBytes, freeBytes } = answer.value
  return checkSpace(totalBytes - freeBytes, totalBytes, DISK_PERCENT)
}

function checkSpace(used: number, total: number, limits: { warn: number; fail: number }): SpaceCheck {
  const percentage = total > 0 ? Math.round((used / total) * 1_000) / 10 : 0
  return { status: percentage > limits.fail ? 'fail' : percentage > limits.warn ? 'warn' : 'pass', used, total, percentage }
}

function overall(checks: { status: CheckStatus }[]): HealthReport['status'] {
  if (checks.some(({ status }) => status === 'fail')) return 'unhealthy'
  return checks.some(({ status }) => status === 'warn') ? 'degraded' : 'healthy'
}

/** What the work resolved to; undefined when it rejected or did not end in time. */
function inTime<Value>(work: Promise<Value>, clock: Clock): Promise<{ value: Value } | undefined> {
  return new Promise((resolve) => {
    const cancel = clock.after(ANSWER_MS, () => resolve(undefined))
    work
      .then(
        (value) => resolve({ value }),
        () => resolve(undefined),
      )
      .finally(cancel)
  })
}
