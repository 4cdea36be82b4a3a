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
}

/** Shares in percent at which a check warns and fails (MFTPlus, "Monitoring and Observability"). */
const MEMORY_PERCENT = { warn: 75, fail: 90 }
const DISK_PERCENT = { warn: 80, fail: 90 }
/** A database this slow is worth an alert (the same page), ms. */
const LATENCY_WARN_MS = 500
/** A database that has not answered by then counts as down. */
const DATABASE_DEADLINE_MS = 5 * SECOND_MS
/** Anybody may ask for the health; the parts are asked at most this often. */
const REPORT_KEPT_MS = SECOND_MS

/** Asks the parts; unhealthy when one fails, degraded when one warns. */
export function createHealth(probes: HealthProbes, clock: Clock): () => Promise<HealthReport> {
  let kept: { report: Promise<HealthReport>; until: number } | undefined

  async function ask(): Promise<HealthReport> {
    const [database, disk] = await Promise.all([checkDatabase(probes, clock), checkDisk(probes)])
    const { usedBytes, totalBytes } = probes.memory()
    const undecided = probes.undecided()
    const storage = { status: undecided === 0 ? ('pass' as const) : ('fail' as const), undecided }
    const checks = { database, memory: checkSpace(usedBytes, totalBytes, MEMORY_PERCENT), disk, storage }
    return { status: overall(Object.values(checks)), checks }
  }

  return () => {
    const now = clock.monotonic()
    if (kept === undefined || kept.until <= now) kept = { report: ask(), until: now + REPORT_KEPT_MS }
    return kept.report
  }
}

async function checkDatabase(probes: HealthProbes, clock: Clock): Promise<HealthReport['checks']['database']> {
  const startedAt = clock.monotonic()
  const failed = await within(probes.database(), clock, DATABASE_DEADLINE_MS)
  const latency = Math.round((clock.monotonic() - startedAt) * 10) / 10
  return { status: failed ? 'fail' : latency > LATENCY_WARN_MS ? 'warn' : 'pass', latency }
}

/** A storage that cannot say how full it is does not answer at all. */
async function checkDisk(probes: HealthProbes): Promise<SpaceCheck> {
  try {
    const { totalBytes, freeBytes } = await probes.disk()
    return checkSpace(totalBytes - freeBytes, totalBytes, DISK_PERCENT)
  } catch {
    return { status: 'fail', used: 0, total: 0, percentage: 0 }
  }
}

function checkSpace(used: number, total: number, limits: { warn: number; fail: number }): SpaceCheck {
  const percentage = total > 0 ? Math.round((used / total) * 1_000) / 10 : 0
  return { status: percentage > limits.fail ? 'fail' : percentage > limits.warn ? 'warn' : 'pass', used, total, percentage }
}

function overall(checks: { status: CheckStatus }[]): HealthReport['status'] {
  if (checks.some(({ status }) => status === 'fail')) return 'unhealthy'
  return checks.some(({ status }) => status === 'warn') ? 'degraded' : 'healthy'
}

/** Whether the work rejected or did not end in time. */
function within(work: Promise<unknown>, clock: Clock, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, () => resolve(true))
    work
      .then(
        () => resolve(false),
        () => resolve(true),
      )
      .finally(cancel)
  })
}
