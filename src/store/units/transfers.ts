import { type ExpressionBuilder, sql } from 'kysely'
import type { Taker } from '../../agents/port.ts'
import type { TransferChange, TransferStore } from '../../transfers/port.ts'
import type { Transfer } from '../../transfers/transfer.ts'
import { storable } from '../rows.ts'
import type { Tables, TransferTable } from '../tables.ts'
import { countOf, ONE, pageOf, TOTAL_COUNTED_MAX, type Work } from '../work.ts'
import { note } from './accounts.ts'
import { rememberMoved } from './jobs.ts'
import { insertLeftover } from './leftovers.ts'
import type { Units } from './units.ts'

type TransferUnits = Pick<
  TransferStore,
  | 'createTransfers'
  | 'findTransfer'
  | 'findTransferByLease'
  | 'listTransfers'
  | 'takeTransfers'
  | 'heldTransfers'
  | 'silentHolders'
  | 'stoppingAgents'
  | 'strandedTransfers'
  | 'changeTransfers'
  | 'countOpenTransfers'
  | 'nextTransferDue'
>

export const transferUnits: Units<TransferUnits> = {
  async createTransfers(work, transfers, events, entry) {
    const made = new Set(await insertTransfers(work, transfers))
    for (const event of events) if (made.has(String(event.data.transferId))) await work.recordEvent(event)
    if (entry !== null && made.size > 0) await note(work, entry)
  },

  async findTransfer({ db }, id) {
    const row = await db.selectFrom('transfer').selectAll().where('id', '=', id).executeTakeFirst()
    return row && toTransfer(row)
  },

  async findTransferByLease({ db }, lease) {
    const row = await db.selectFrom('transfer').selectAll().where('lease', '=', lease).executeTakeFirst()
    return row && toTransfer(row)
  },

  listTransfers({ db }, { agentId, runId, status }, page) {
    let query = db.selectFrom('transfer')
    if (agentId !== undefined) query = query.where('agent_id', '=', agentId)
    if (runId !== undefined) query = query.where('run_id', '=', runId)
    if (status !== undefined) query = query.where('status', '=', status)
    return pageOf(
      {
        count: () => countOf(db, query.select(ONE).limit(TOTAL_COUNTED_MAX)),
        list({ limit, offset, after }) {
          const behind = after === undefined ? query : query.where('id', '<', after)
          return behind.selectAll().orderBy('id', 'desc').limit(limit).offset(offset).execute()
        },
      },
      page,
      toTransfer,
    )
  },

  async takeTransfers(work, taker, leases, now) {
    const { agentId } = taker
    if (!(await mayTake(work, taker))) return []
    const { db } = work
    const runs = await runsUnderWay(work, agentId)
    const left = [...leases]
    const taken: Transfer[] = []
    for (let isMore = true; isMore && left.length > 0; ) {
      const due = await dueTransfers(work, agentId, now, { limit: left.length, besides: runs })
      // A full page may hold more of a run than may be handed out: the next one leaves that run out.
      isMore = due.length === left.length
      for (const { id, ...transfer } of due) {
        const run = runOf(runs, transfer)
        if (run !== undefined && run.held >= run.most) continue
        const own = await db
          .updateTable('transfer')
          .set({ status: 'running', lease: left[0]!, started_at: transfer.startedAt ?? now })
          .where('id', '=', id)
          .where('status', '=', 'queued')
          .returningAll()
          .executeTakeFirst()
        // Cancelled since it was read.
        if (own === undefined) continue
        left.shift()
        if (run !== undefined) run.held += 1
        taken.push(toTransfer(own))
      }
    }
    return taken
  },

  async heldTransfers({ db }, agentId, limit) {
    const rows = await db
      .selectFrom('transfer')
      .selectAll()
      .where('agent_id', '=', agentId)
      .where(isRunning)
      .where('is_foreign', '=', 0)
      .orderBy('id')
      .limit(limit)
      .execute()
    return rows.map(toTransfer)
  },

  async silentHolders({ db }, seenBefore, limit) {
    const rows = await db
      .selectFrom('agent')
      .select('id')
      .where('last_seen_at', '<', seenBefore)
      .where((e) => {
        const moving = e.selectFrom('transfer').select(ONE).whereRef('transfer.agent_id', '=', 'agent.id')
        const listing = e.selectFrom('run').select(ONE).whereRef('run.agent_id', '=', 'agent.id')
        return e.or([
          e.exists(moving.where('transfer.status', '=', sql.lit<string>('running')).where('transfer.is_foreign', '=', 0)),
          e.exists(
            listing
              .where('run.status', '=', sql.lit<string>('running'))
              .where('run.phase', '=', sql.lit<string>('listing'))
              .where('run.lease', 'is not', null),
          ),
        ])
      })
      .orderBy('id')
      .limit(limit)
      .execute()
    return rows.map(({ id }) => id)
  },

  async stoppingAgents({ db }, limit) {
    const moving = db.selectFrom('transfer').select('agent_id').where(isRunning).where('cancel_asked_at', 'is not', null)
    const listing = db
      .selectFrom('run')
      .select('agent_id')
      .where('status', '=', sql.lit<string>('running'))
      .where('lease', 'is not', null)
      .where('cancel_asked_at', 'is not', null)
    const rows = await moving.union(listing).limit(limit).execute()
    return rows.map((row) => row.agent_id)
  },

  async strandedTransfers({ db }, foreignSeenBefore, limit) {
    const stranded: TransferTable[] = []
    for (const status of ['queued', 'running']) {
      const rows = await db
        .selectFrom('transfer')
        .innerJoin('agent', 'agent.id', 'transfer.agent_id')
        .selectAll('transfer')
        .where('transfer.status', '=', status)
        .where((e) =>
          e.or([
            e('agent.revoked_at', 'is not', null),
            e.and([e('transfer.is_foreign', '=', 1), e('agent.last_seen_at', '<', foreignSeenBefore)]),
          ]),
        )
        .orderBy('transfer.id')
        .limit(limit - stranded.length)
        .execute()
      stranded.push(...rows)
    }
    return stranded.map(toTransfer)
  },

  async changeTransfers(work, changes) {
    const done = new Array<boolean>(changes.length).fill(false)
    // In one order for all, and events after all rows: nobody who holds one waits for another that waits for it.
    const inOrder = [...changes.entries()].sort(([, one], [, other]) => (one.after.id < other.after.id ? -1 : 1))
    for (const [at, change] of inOrder) done[at] = await changeTransfer(work, change)
    for (const [, { basis, after, events, leavesPart, entry }] of inOrder.filter(([at]) => done[at])) {
      if (leavesPart) await insertLeftover(work, after.id, after.agentId, after.completedAt ?? after.dueAt)
      // Not at its arrival: where something is still to be done with its source, the next run has to find it again.
      if (basis.status !== 'completed' && after.status === 'completed')
        await rememberMoved(work, after, after.arrivedAt ?? after.completedAt!)
      for (const event of events) await work.recordEvent(event)
      if (entry !== null) await note(work, entry)
    }
    return done
  },

  async countOpenTransfers({ db }) {
    const of = (status: string) =>
      countOf(db, db.selectFrom('transfer').select(ONE).where('status', '=', status).limit(TOTAL_COUNTED_MAX))
    return (await of('queued')) + (await of('running'))
  },

  async nextTransferDue({ db }, agentIds) {
    let next: number | null = null
    for (const agentId of agentIds) {
      const row = await db
        .selectFrom('transfer')
        .select('due_at')
        .where('agent_id', '=', agentId)
        .where(isQueued)
        .orderBy('due_at')
        .limit(1)
        .executeTakeFirst()
      if (row !== undefined && (next === null || row.due_at < next)) next = row.due_at
    }
    return next
  },
}

/** Part of a unit of work; answers the ids of those that were not there yet. */
export async function insertTransfers({ db }: Work, transfers: readonly Transfer[]): Promise<string[]> {
  const made: string[] = []
  for (let from = 0; from < transfers.length; from += INSERTED_AT_ONCE) {
    const rows = await db
      .insertInto('transfer')
      .values(transfers.slice(from, from + INSERTED_AT_ONCE).map(fromTransfer))
      .onConflict((same) => same.column('id').doNothing())
      .returning('id')
      .execute()
    made.push(...rows.map(({ id }) => id))
  }
  return made
}
/** Rows of one statement: 29 parameters each, and PostgreSQL takes 65,535, SQLite 32,766. */
const INSERTED_AT_ONCE = 500

/**
 * Whether it may have work. The agent's row stays locked until the end of the transaction: of two that take for one agent the
 * second sees what the first took.
 */
export async function mayTake(work: Work, { agentId, node, seenSince }: Taker): Promise<boolean> {
  const agent = await work.db
    .selectFrom('agent')
    .select(['stream_node'])
    .where('id', '=', agentId)
    .where('revoked_at', 'is', null)
    .where('last_seen_at', '>=', seenSince)
    .$if(work.others === 'nodes', (query) => query.forUpdate())
    .executeTakeFirst()
  return agent !== undefined && (agent.stream_node === null || agent.stream_node === node)
}

interface RunUnderWay {
  /** Transfers of it that are handed out. */
  held: number
  /** As many may be. */
  readonly most: number
}

/** A run is one agent's: what this agent holds of it is all that is handed out of it. */
async function runsUnderWay(work: Work, agentId: string): Promise<Map<string, RunUnderWay>> {
  const runs = new Map<string, RunUnderWay>()
  for (const transfer of await transferUnits.heldTransfers(work, agentId, HELD_MAX)) {
    const run = runOf(runs, transfer)
    if (run !== undefined) run.held += 1
  }
  return runs
}
/** More than any agent has slots. */
const HELD_MAX = 10_000

function runOf(runs: Map<string, RunUnderWay>, { runId, policy }: Pick<Transfer, 'runId' | 'policy'>): RunUnderWay | undefined {
  if (runId === null || policy.parallelism === null) return undefined
  if (!runs.has(runId)) runs.set(runId, { held: 0, most: policy.parallelism })
  return runs.get(runId)
}

interface Sought {
  readonly limit: number
  /** Those of them that are full are left out. */
  readonly besides: ReadonlyMap<string, RunUnderWay>
}

async function dueTransfers({ db }: Work, agentId: string, now: number, { limit, besides }: Sought): Promise<Transfer[]> {
  const full = [...besides].filter(([, { held, most }]) => held >= most).map(([id]) => id)
  let due = db.selectFrom('transfer').selectAll().where('agent_id', '=', agentId).where(isQueued).where('due_at', '<=', now)
  if (full.length > 0) due = due.where((e) => e.or([e('run_id', 'is', null), e('run_id', 'not in', full)]))
  return (await due.orderBy('due_at').orderBy('id').limit(limit).execute()).map(toTransfer)
}

async function changeTransfer({ db }: Work, { basis, after }: TransferChange): Promise<boolean> {
  const { id, created_at, ...columns } = fromTransfer(after)
  const row = await db
    .updateTable('transfer')
    .set(columns)
    .where('id', '=', id)
    .where('status', '=', basis.status)
    .where(is('lease', basis.lease))
    .where(is('cancel_asked_at', basis.cancelAskedAt))
    .where(is('arrived_at', basis.arrivedAt))
    .where('said_tenth', '=', basis.saidTenth)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

function is(column: 'lease' | 'cancel_asked_at' | 'arrived_at', value: string | number | null) {
  return (e: ExpressionBuilder<Tables, 'transfer'>) => (value === null ? e(column, 'is', null) : e(column, '=', value))
}

// Literals, not parameters: SQLite uses a partial index only where it can see the values.
function isQueued(e: ExpressionBuilder<Tables, 'transfer'>) {
  return e.and([e('status', '=', sql.lit<string>('queued')), e('is_foreign', '=', sql.lit<number>(0))])
}

function isRunning(e: ExpressionBuilder<Tables, 'transfer'>) {
  return e('status', '=', sql.lit<string>('running'))
}

export function toTransfer(row: TransferTable): Transfer {
  return {
    ...{ id: row.id, agentId: row.agent_id, runId: row.run_id, remoteId: row.remote_id },
    ...{ sourceUrl: row.source_url, destinationPath: row.destination_path },
    direction: row.direction as Transfer['direction'],
    protocol: row.protocol,
    isForeign: row.is_foreign === 1,
    policy: JSON.parse(row.policy),
    status: row.status as Transfer['status'],
    ...{ size: row.size, bytesTransferred: row.bytes_transferred, progress: row.progress, speed: row.speed },
    ...{ saidTenth: row.said_tenth, error: row.error, errorCode: row.error_code },
    ...{ retryCount: row.retry_count, losses: row.losses, sha256: row.sha256, lease: row.lease, dueAt: row.due_at },
    ...{ cancelAskedAt: row.cancel_asked_at, arrivedAt: row.arrived_at },
    ...{ createdAt: row.created_at, startedAt: row.started_at, completedAt: row.completed_at },
  }
}

function fromTransfer(transfer: Transfer): TransferTable {
  const { id, agentId, runId, remoteId, sourceUrl, destinationPath, direction, protocol, isForeign, policy, ...rest } = transfer
  return {
    ...{ id, agent_id: agentId, run_id: runId, remote_id: remoteId },
    ...{ source_url: storable(sourceUrl), destination_path: storable(destinationPath), direction, protocol },
    ...{ is_foreign: isForeign ? 1 : 0, policy: JSON.stringify(policy), status: rest.status },
    ...{ size: rest.size, bytes_transferred: rest.bytesTransferred, progress: rest.progress, speed: rest.speed },
    ...{ said_tenth: rest.saidTenth, error: storable(rest.error), error_code: rest.errorCode },
    ...{ retry_count: rest.retryCount, losses: rest.losses, sha256: rest.sha256, lease: rest.lease, due_at: rest.dueAt },
    ...{ cancel_asked_at: rest.cancelAskedAt, arrived_at: rest.arrivedAt },
    ...{ created_at: rest.createdAt, started_at: rest.startedAt, completed_at: rest.completedAt },
  }
}
