import { sql } from 'kysely'
import { idBound } from '../../base/id.ts'
import type { Purged, PurgedKind, PurgeStep, RetentionStore } from '../retention.ts'
import type { Reading, Work } from '../work.ts'
import { countTotals } from './ends.ts'
import type { Units } from './units.ts'

type Purge = (work: Work, step: PurgeStep) => Promise<Purged>

const PURGES: Record<PurgedKind, Purge> = {
  deliveries: purgeDeliveries,
  events: purgeEvents,
  minutes: (work, step) => purgeTallies(work, 'minute', step),
  hours: (work, step) => purgeTallies(work, 'hour', step),
  replays: purgeReplays,
  alerts: purgeAlerts,
  webhooks: purgeWebhooks,
  transfers: purgeTransfers,
  runs: purgeRuns,
  jobs: purgeJobs,
  audit: purgeAudit,
}

export const retentionUnits: Units<RetentionStore> = {
  purge: (work, step) => PURGES[step.kind](work, step),

  async databaseBytes({ db, storedBytes }: Reading) {
    const { rows } = await sql<{ bytes: number }>`select ${storedBytes} as bytes`.execute(db)
    return rows[0]!.bytes
  },
}

const ENDED: readonly string[] = ['delivered', 'failed', 'cancelled']

/** Steps go over the ids, which begin with a time, so that what must stay is looked at once a round and not again in every step. */
async function purgeDeliveries(work: Work, step: PurgeStep): Promise<Purged> {
  const { db } = work
  const rows = await db
    .selectFrom('delivery')
    .select(['id', 'state', 'settled_at'])
    .where('id', '>', step.after ?? '')
    .where('id', '<', idBound('delivery', step.before))
    .orderBy('id')
    .limit(step.limit)
    .execute()
  const old = rows.filter((row) => ENDED.includes(row.state) && row.settled_at! < step.before)
  const ids = old.map((row) => row.id)
  // What has ended stays as it is: nothing needs to be asked again.
  const gone = await db.deleteFrom('delivery').where(work.isAmong('id', ids)).returning(['webhook_id', 'state']).execute()
  const { numDeletedRows } = await db.deleteFrom('attempt').where(work.isAmong('delivery_id', ids)).executeTakeFirstOrThrow()
  await countTotals(work, gone.map((row) => ({ webhookId: row.webhook_id, state: row.state })), -1) // biome-ignore format: one line
  return { deleted: gone.length, attempts: Number(numDeletedRows), next: nextAfter(rows, step) }
}

async function purgeEvents(work: Work, step: PurgeStep): Promise<Purged> {
  const { db } = work
  const rows = await db
    .selectFrom('event')
    .select(['id', 'state'])
    .where('id', '>', step.after ?? '')
    .where('id', '<', idBound('event', step.before))
    .orderBy('id')
    .limit(step.limit)
    .execute()
  const ended = rows.filter((row) => row.state !== 'held').map((row) => row.id)
  // One question for each of the partial indexes.
  const needed = new Set<string>()
  for (const cause of ['event', 'resend', 'test']) {
    const using = await db
      .selectFrom('delivery')
      .select('event_id')
      .where(work.isAmong('event_id', ended))
      .where((e) => e('cause', '=', sql.lit(cause)))
      .execute()
    for (const row of using) needed.add(row.event_id)
  }
  const ids = ended.filter((id) => !needed.has(id))
  const { numDeletedRows } = await db.deleteFrom('event').where(work.isAmong('id', ids)).executeTakeFirstOrThrow()
  return { deleted: Number(numDeletedRows), attempts: 0, next: nextAfter(rows, step) }
}

async function purgeTallies({ db }: Work, grain: 'minute' | 'hour', { before, limit }: PurgeStep): Promise<Purged> {
  const { numDeletedRows } = await db
    .deleteFrom('tally')
    .where(
      sql<boolean>`(webhook_id, grain, at, part) in (
        select webhook_id, grain, at, part from tally where grain = ${grain} and at < ${before} order by at limit ${limit})`,
    )
    .executeTakeFirstOrThrow()
  return all(Number(numDeletedRows), limit)
}

async function purgeReplays({ db }: Work, { before, limit }: PurgeStep): Promise<Purged> {
  const old = db
    .selectFrom('replay')
    .select('id')
    .where('id', '<', idBound('replay', before))
    .where('is_open', '=', 0)
    .where('ended_at', '<', before)
  const oldest = old.orderBy('id').limit(limit)
  const { numDeletedRows } = await db.deleteFrom('replay').where('id', 'in', oldest).executeTakeFirstOrThrow()
  return all(Number(numDeletedRows), limit)
}

async function purgeAlerts({ db }: Work, { before, limit }: PurgeStep): Promise<Purged> {
  const old = db
    .selectFrom('alert')
    .select('id')
    .where('id', '<', idBound('alert', before))
    .where('cleared_at', '<', before)
    .where('mail_due_at', 'is', null)
  const oldest = old.orderBy('id').limit(limit)
  const { numDeletedRows } = await db.deleteFrom('alert').where('id', 'in', oldest).executeTakeFirstOrThrow()
  return all(Number(numDeletedRows), limit)
}

/** A removed webhook goes after the last of its deliveries. */
async function purgeWebhooks({ db }: Work, { before, limit }: PurgeStep): Promise<Purged> {
  const rows = await db
    .selectFrom('webhook')
    .select('id')
    .where('removed_at', 'is not', null)
    .where('removed_at', '<', before)
    .where((e) => e.not(e.exists(e.selectFrom('delivery').select('id').whereRef('delivery.webhook_id', '=', 'webhook.id'))))
    .limit(limit)
    .execute()
  const ids = rows.map((row) => row.id)
  if (ids.length > 0) {
    await db.deleteFrom('delivery_total').where('webhook_id', 'in', ids).execute()
    await db.deleteFrom('webhook').where('id', 'in', ids).execute()
  }
  return all(ids.length, limit)
}

async function purgeTransfers({ db }: Work, { before, limit }: PurgeStep): Promise<Purged> {
  const old = db
    .selectFrom('transfer')
    .select('id')
    .where('id', '<', idBound('transfer', before))
    .where('completed_at', '<', before)
  const oldest = old.orderBy('id').limit(limit)
  await db.deleteFrom('leftover').where('transfer_id', 'in', oldest).execute()
  const { numDeletedRows } = await db.deleteFrom('transfer').where('id', 'in', oldest).executeTakeFirstOrThrow()
  return all(Number(numDeletedRows), limit)
}

/** What a job did last says whether others may run. */
async function purgeRuns({ db }: Work, { before, limit }: PurgeStep): Promise<Purged> {
  const old = db
    .selectFrom('run')
    .select('id')
    .where('id', '<', idBound('run', before))
    .where('completed_at', '<', before)
    .where((e) =>
      e.exists(
        e
          .selectFrom('run as later')
          .select('later.id')
          .whereRef('later.job_id', '=', 'run.job_id')
          .whereRef('later.id', '>', 'run.id')
          .where('later.status', '<>', 'skipped'),
      ),
    )
  const oldest = old.orderBy('id').limit(limit)
  const { numDeletedRows } = await db.deleteFrom('run').where('id', 'in', oldest).executeTakeFirstOrThrow()
  return all(Number(numDeletedRows), limit)
}

/** A removed job goes after what it is remembered to have moved, and with its runs. */
async function purgeJobs({ db }: Work, { before, limit }: PurgeStep): Promise<Purged> {
  const removed = await db
    .selectFrom('job')
    .select('id')
    .where('removed_at', '<', before)
    .where((e) =>
      e.not(e.exists(e.selectFrom('run').select('run.id').whereRef('run.job_id', '=', 'job.id').where('status', '=', 'running'))),
    )
    .limit(limit)
    .execute()
  let left = limit
  for (const { id } of removed) {
    const moved = db.selectFrom('moved_file').select('path_hash').where('job_id', '=', id).limit(left)
    const files = await db
      .deleteFrom('moved_file')
      .where('job_id', '=', id)
      .where('path_hash', 'in', moved)
      .executeTakeFirstOrThrow()
    left -= Number(files.numDeletedRows)
    const runs = db.selectFrom('run').select('id').where('job_id', '=', id).limit(left)
    const gone = left > 0 ? await db.deleteFrom('run').where('id', 'in', runs).executeTakeFirstOrThrow() : null
    left -= Number(gone?.numDeletedRows ?? 0)
    if (left <= 0) break
    await db.deleteFrom('job').where('id', '=', id).execute()
    left--
  }
  return all(limit - left, limit)
}

async function purgeAudit({ db }: Work, { before, limit }: PurgeStep): Promise<Purged> {
  const oldest = db.selectFrom('audit').select('id').where('id', '<', idBound('audit', before)).orderBy('id').limit(limit)
  const { numDeletedRows } = await db.deleteFrom('audit').where('id', 'in', oldest).executeTakeFirstOrThrow()
  return all(Number(numDeletedRows), limit)
}

function nextAfter(rows: readonly { id: string }[], { limit }: PurgeStep): string | null {
  return rows.length < limit ? null : rows.at(-1)!.id
}

/** What is deleted from the start on needs no place to go on from. */
function all(deleted: number, limit: number): Purged {
  return { deleted, attempts: 0, next: deleted < limit ? null : '' }
}
