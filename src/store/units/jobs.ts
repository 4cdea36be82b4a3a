import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { AppError } from '../../base/error.ts'
import type { Job, Run } from '../../jobs/job.ts'
import type { JobStore, MovedFile } from '../../jobs/port.ts'
import type { Transfer } from '../../transfers/transfer.ts'
import { storable } from '../rows.ts'
import type { JobTable, RunTable } from '../tables.ts'
import { countOf, found, ONE, pageOf, TOTAL_COUNTED_MAX, type Work } from '../work.ts'
import { note } from './accounts.ts'
import { insertTransfers, mayTake } from './transfers.ts'
import type { Units } from './units.ts'

/** Parameters of one query stay far below what the databases take. */
const PATHS_STEP = 500

export const jobUnits: Units<JobStore> = {
  async createJob(work, job, entry) {
    await work.db.insertInto('job').values(fromJob(job)).execute()
    await note(work, entry)
  },

  async findJob({ db }, id) {
    const row = await db.selectFrom('job').selectAll().where('id', '=', id).where('removed_at', 'is', null).executeTakeFirst()
    return row && toJob(row)
  },

  async findAnyJob({ db }, id) {
    const row = await db.selectFrom('job').selectAll().where('id', '=', id).executeTakeFirst()
    return row && toJob(row)
  },

  listJobs({ db }, { agentId, isEnabled }, page) {
    let query = db.selectFrom('job').where('removed_at', 'is', null)
    if (agentId !== undefined) query = query.where('agent_id', '=', agentId)
    if (isEnabled !== undefined) query = query.where('is_enabled', '=', isEnabled ? 1 : 0)
    return pageOf(
      {
        count: () => countOf(db, query.select(ONE).limit(TOTAL_COUNTED_MAX)),
        list: ({ limit, offset }) => query.selectAll().orderBy('id').limit(limit).offset(offset).execute(),
      },
      page,
      toJob,
    )
  },

  async updateJob(work, job, before, entry) {
    await checkDependency(work, job)
    const { id, created_at, last_run_at, removed_at, ...columns } = fromJob(job)
    const row = await work.db
      .updateTable('job')
      .set(columns)
      .where('id', '=', id)
      .where('updated_at', '=', before.updatedAt)
      .where('removed_at', 'is', null)
      .returning('id')
      .executeTakeFirst()
    if (row === undefined) {
      found(await jobUnits.findJob(work, id), 'job')
      throw new AppError('conflict', 'The job was changed by somebody else at the same time; look at it and try again.')
    }
    await note(work, entry)
  },

  async removeJob(work, id, at, entry) {
    const row = await work.db
      .updateTable('job')
      .set({ removed_at: at, updated_at: at, next_run_at: null, is_enabled: 0 })
      .where('id', '=', id)
      .where('removed_at', 'is', null)
      .returning('id')
      .executeTakeFirst()
    found(row, 'job')
    await note(work, entry)
  },

  async dueJobs({ db }, now, limit) {
    const rows = await db
      .selectFrom('job')
      .selectAll()
      .where('next_run_at', '<=', now)
      .where('removed_at', 'is', null)
      .orderBy('next_run_at')
      .limit(limit)
      .execute()
    return rows.map(toJob)
  },

  async moveJob({ db }, id, from, to) {
    const due = db.updateTable('job').set({ next_run_at: to }).where('id', '=', id).where('next_run_at', '=', from)
    await due.where('removed_at', 'is', null).execute()
  },

  async beginRun(work, run, { nextRunAt: dueAt, isAlone }, nextRunAt, event, entry) {
    const begins = run.status !== 'skipped'
    // Others who would begin a run of this job wait for the end of this transaction.
    let due = work.db.selectFrom('job').select('id').where('id', '=', run.jobId).where('removed_at', 'is', null)
    if (dueAt !== null) due = due.where('next_run_at', '=', dueAt)
    const job = await due.$if(work.others === 'nodes', (query) => query.forUpdate()).executeTakeFirst()
    if (job === undefined || (begins && isAlone && (await hasOpenRun(work, run.jobId)))) return false
    const row = await work.db
      .insertInto('run')
      .values(fromRun(run))
      .onConflict((same) => same.columns(['job_id', 'scheduled_for']).where('scheduled_for', 'is not', null).doNothing())
      .returning('id')
      .executeTakeFirst()
    const isBegun = row !== undefined
    const changes = {
      ...(dueAt !== null && { next_run_at: nextRunAt }),
      ...(isBegun && begins && { last_run_at: run.startedAt }),
    }
    if (Object.keys(changes).length > 0) await work.db.updateTable('job').set(changes).where('id', '=', run.jobId).execute()
    if (!isBegun) return false
    await work.recordEvent(event)
    if (entry !== null) await note(work, entry)
    return true
  },

  async findRun({ db }, id) {
    const row = await db.selectFrom('run').selectAll().where('id', '=', id).executeTakeFirst()
    return row && toRun(row)
  },

  async findRunByLease({ db }, lease) {
    const row = await db.selectFrom('run').selectAll().where('lease', '=', lease).executeTakeFirst()
    return row && toRun(row)
  },

  listRuns({ db }, jobId, page) {
    const query = db.selectFrom('run').where('job_id', '=', jobId)
    return pageOf(
      {
        count: () => countOf(db, query.select(ONE).limit(TOTAL_COUNTED_MAX)),
        list: ({ limit, offset }) => query.selectAll().orderBy('id', 'desc').limit(limit).offset(offset).execute(),
      },
      page,
      toRun,
    )
  },

  async latestRun({ db }, jobId) {
    const row = await db
      .selectFrom('run')
      .selectAll()
      .where('job_id', '=', jobId)
      .where('status', '<>', 'skipped')
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst()
    return row && toRun(row)
  },

  async openRuns({ db }, after, limit) {
    const rows = await db
      .selectFrom('run')
      .selectAll()
      .where('status', '=', sql.lit<string>('running'))
      .where('id', '>', after)
      .orderBy('id')
      .limit(limit)
      .execute()
    return rows.map(toRun)
  },

  async nextListingDue({ db }, agentId) {
    const row = await db
      .selectFrom('run')
      .select('due_at')
      .where('agent_id', '=', agentId)
      .where('status', '=', sql.lit<string>('running'))
      .where('phase', '=', sql.lit<string>('listing'))
      .where('lease', 'is', null)
      .where('cancel_asked_at', 'is', null)
      .orderBy('due_at')
      .limit(1)
      .executeTakeFirst()
    return row?.due_at ?? null
  },

  async takeListings(work, taker, leases, now) {
    const { agentId } = taker
    if (!(await mayTake(work, taker))) return []
    const { db } = work
    const due = await db
      .selectFrom('run')
      .select('id')
      .where('agent_id', '=', agentId)
      .where('status', '=', sql.lit<string>('running'))
      .where('phase', '=', sql.lit<string>('listing'))
      .where('due_at', '<=', now)
      .where('lease', 'is', null)
      .where('cancel_asked_at', 'is', null)
      .orderBy('due_at')
      .limit(leases.length)
      .execute()
    const taken: Run[] = []
    for (const [index, { id }] of due.entries()) {
      const row = await db
        .updateTable('run')
        .set((e) => ({ lease: leases[index]!, listings: e('listings', '+', 1), error_message: null }))
        .where('id', '=', id)
        .where('status', '=', 'running')
        .where('phase', '=', 'listing')
        .where('lease', 'is', null)
        .returningAll()
        .executeTakeFirst()
      if (row !== undefined) taken.push(toRun(row))
    }
    return taken
  },

  async heldListings({ db }, agentId, limit) {
    const rows = await db
      .selectFrom('run')
      .selectAll()
      .where('agent_id', '=', agentId)
      .where('status', '=', sql.lit<string>('running'))
      .where('phase', '=', sql.lit<string>('listing'))
      .where('lease', 'is not', null)
      .limit(limit)
      .execute()
    return rows.map(toRun)
  },

  async changeRun(work, run, before, events, entry = null) {
    const { id, job_id, transfers_total, ...columns } = fromRun(run)
    const row = await work.db
      .updateTable('run')
      .set({ ...columns, ...(run.status !== 'running' && { transfers_total }) })
      .where('id', '=', id)
      .where('status', '=', before.status)
      .where(({ eb }) => eb('phase', before.phase === null ? 'is' : '=', before.phase))
      .where(({ eb }) => eb('lease', before.lease === null ? 'is' : '=', before.lease))
      .where(({ eb }) => eb('cancel_asked_at', before.cancelAskedAt === null ? 'is' : '=', before.cancelAskedAt))
      .returning('id')
      .executeTakeFirst()
    if (row === undefined) return false
    for (const event of events) await work.recordEvent(event)
    if (entry !== null) await note(work, entry)
    return true
  },

  async addToRun(work, { id, lease, transfersTotal }, transfers, events, isLast) {
    const row = await work.db
      .updateTable('run')
      .set({ transfers_total: transfersTotal + transfers.length, ...(isLast && { phase: 'moving', lease: null }) })
      .where('id', '=', id)
      .where('status', '=', 'running')
      .where('phase', '=', 'listing')
      .where('lease', '=', lease)
      .where('cancel_asked_at', 'is', null)
      .where('transfers_total', '=', transfersTotal)
      .returning('id')
      .executeTakeFirst()
    if (row === undefined) return false
    await insertTransfers(work, transfers)
    for (const event of events) await work.recordEvent(event)
    return true
  },

  async sourcesOfRun({ db }, runId) {
    const rows = await db.selectFrom('transfer').select('source_url').where('run_id', '=', runId).execute()
    return rows.map((row) => row.source_url)
  },

  async hasOpenTransfers({ db }, runId) {
    const open = db.selectFrom('transfer').select(ONE).where('run_id', '=', runId).where('status', 'in', ['queued', 'running'])
    return (await open.limit(1).executeTakeFirst()) !== undefined
  },

  async tallyOfRun({ db }, runId) {
    const rows = await db
      .selectFrom('transfer')
      .select((e) => [
        'status',
        e.fn.countAll<number>().as('count'),
        e.fn.sum<number>(sql`cast(bytes_transferred as double precision)`).as('bytes'),
      ])
      .where('run_id', '=', runId)
      .groupBy('status')
      .execute()
    const of = (status: string) => Number(rows.find((row) => row.status === status)?.count ?? 0)
    const sum = (values: number[]) => values.reduce((all, each) => all + each, 0)
    return {
      total: sum(rows.map(({ count }) => Number(count))),
      completed: of('completed'),
      failed: of('failed'),
      cancelled: of('cancelled'),
      open: of('queued') + of('running'),
      // Summed as floating point, which no file however large overflows.
      bytes: Math.min(sum(rows.map(({ bytes }) => Number(bytes))), Number.MAX_SAFE_INTEGER),
    }
  },

  async movedFiles({ db }, jobId, sources) {
    const moved: MovedFile[] = []
    for (let at = 0; at < sources.length; at += PATHS_STEP) {
      const step = sources.slice(at, at + PATHS_STEP)
      const byHash = new Map(step.map((source) => [hashOf(source.sourceUrl), source.sourceUrl]))
      const contents = step.flatMap(({ sha256 }) => (sha256 === undefined ? [] : [sha256]))
      const rows = await db
        .selectFrom('moved_file')
        .selectAll()
        .where('job_id', '=', jobId)
        .where((e) =>
          e.or([e('path_hash', 'in', [...byHash.keys()]), ...(contents.length > 0 ? [e('sha256', 'in', contents)] : [])]),
        )
        .execute()
      for (const row of rows) {
        moved.push({
          sourceUrl: byHash.get(row.path_hash) ?? null,
          size: row.size,
          modifiedAt: row.modified_at,
          sha256: row.sha256,
        })
      }
    }
    return moved
  },

  async countOpenRuns({ db }) {
    return countOf(db, db.selectFrom('run').select(ONE).where('status', '=', sql.lit<string>('running')).limit(TOTAL_COUNTED_MAX))
  },
}

/** Part of the unit that completes transfers: what a job moved is remembered with it, so that the next run leaves it alone. */
export async function rememberMoved(
  { db }: Work,
  { id, runId, sourceUrl, policy, size, sha256 }: Transfer,
  at: number,
): Promise<void> {
  if (runId === null) return
  const run = await db.selectFrom('run').select('job_id').where('id', '=', runId).executeTakeFirst()
  if (run === undefined) return
  const values = {
    ...{ size: size ?? 0, modified_at: policy.expected?.modifiedAt ?? null, sha256, transfer_id: id, moved_at: at },
  }
  await db
    .insertInto('moved_file')
    .values({ job_id: run.job_id, path_hash: hashOf(sourceUrl), ...values })
    .onConflict((same) => same.columns(['job_id', 'path_hash']).doUpdateSet(values))
    .execute()
}

function hashOf(sourceUrl: string): string {
  return createHash('sha256').update(sourceUrl).digest('hex')
}

/** Only what a job did not wait for before can lead back to it; so whatever else is wrong with it can be repaired. */
async function checkDependency(work: Work, { id, options: { dependsOn } }: Job): Promise<void> {
  if (dependsOn === null) return
  const stored = await jobUnits.findJob(work, id)
  if (stored === undefined || stored.options.dependsOn === dependsOn) return
  await work.changeDependencies()
  let next: string | null = dependsOn
  for (const seen = new Set<string>(); next !== null && !seen.has(next); ) {
    if (next === id)
      throw new AppError('invalid', `dependsOn '${dependsOn}' would make the job wait for itself`, { field: 'dependsOn' })
    seen.add(next)
    const other: Job | undefined = await jobUnits.findJob(work, next)
    // One that is gone is waited for by nobody: that is for those to repair who name it.
    next = other?.options.dependsOn ?? null
  }
}

async function hasOpenRun({ db }: Work, jobId: string): Promise<boolean> {
  const row = await db
    .selectFrom('run')
    .select('id')
    .where('job_id', '=', jobId)
    .where('status', '=', sql.lit<string>('running'))
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

function toJob(row: JobTable): Job {
  return {
    id: row.id,
    agentId: row.agent_id,
    name: row.name,
    remoteId: row.remote_id,
    sourcePath: row.source_path,
    destinationPath: row.destination_path,
    schedule: row.schedule,
    protocol: row.protocol,
    direction: row.direction as Job['direction'],
    isEnabled: row.is_enabled === 1,
    options: JSON.parse(row.options) as Job['options'],
    nextRunAt: row.next_run_at,
    lastRunAt: row.last_run_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

function fromJob(job: Job): JobTable {
  const { id, agentId, name, remoteId, sourcePath, destinationPath, schedule, protocol, direction, isEnabled } = job
  return {
    ...{ id, agent_id: agentId, name: storable(name), remote_id: remoteId },
    ...{ source_path: storable(sourcePath), destination_path: storable(destinationPath), schedule, protocol, direction },
    ...{ is_enabled: isEnabled ? 1 : 0, options: JSON.stringify(job.options), next_run_at: job.nextRunAt },
    ...{ last_run_at: job.lastRunAt, created_at: job.createdAt, updated_at: job.updatedAt, removed_at: null },
  }
}

function toRun(row: RunTable): Run {
  return {
    id: row.id,
    jobId: row.job_id,
    agentId: row.agent_id,
    cause: row.cause as Run['cause'],
    scheduledFor: row.scheduled_for,
    status: row.status as Run['status'],
    phase: row.phase as Run['phase'],
    lease: row.lease,
    listings: row.listings,
    dueAt: row.due_at,
    cancelAskedAt: row.cancel_asked_at,
    transfersTotal: row.transfers_total,
    transfersCompleted: row.transfers_completed,
    transfersFailed: row.transfers_failed,
    bytesTransferred: row.bytes_transferred,
    errorMessage: row.error_message,
    startedAt: row.started_at,
    completedAt: row.completed_at,
  }
}

function fromRun(run: Run): RunTable {
  return {
    ...{ id: run.id, job_id: run.jobId, agent_id: run.agentId, cause: run.cause, scheduled_for: run.scheduledFor },
    ...{ status: run.status, phase: run.phase, lease: run.lease, listings: run.listings, due_at: run.dueAt },
    ...{ cancel_asked_at: run.cancelAskedAt, transfers_total: run.transfersTotal },
    ...{ transfers_completed: run.transfersCompleted, transfers_failed: run.transfersFailed },
    ...{ bytes_transferred: run.bytesTransferred, error_message: storable(run.errorMessage) },
    ...{ started_at: run.startedAt, completed_at: run.completedAt },
  }
}
