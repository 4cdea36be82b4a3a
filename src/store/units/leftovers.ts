import type { TransferStore } from '../../transfers/port.ts'
import type { Leftover } from '../../transfers/transfer.ts'
import type { LeftoverTable } from '../tables.ts'
import type { Work } from '../work.ts'
import { mayTake } from './transfers.ts'
import type { Units } from './units.ts'

type LeftoverUnits = Pick<
  TransferStore,
  'nextLeftoverDue' | 'takeLeftovers' | 'findLeftoverByLease' | 'heldLeftovers' | 'changeLeftover'
>

export const leftoverUnits: Units<LeftoverUnits> = {
  async nextLeftoverDue({ db }, agentId) {
    const rows = db.selectFrom('leftover').select('due_at').where('agent_id', '=', agentId)
    return (await rows.orderBy('due_at').limit(1).executeTakeFirst())?.due_at ?? null
  },

  async takeLeftovers(work, taker, leases, now, lapsesAt) {
    const { agentId } = taker
    if (!(await mayTake(work, taker))) return []
    const { db } = work
    const due = db.selectFrom('leftover').select('transfer_id').where('agent_id', '=', agentId).where('due_at', '<=', now)
    const taken: Leftover[] = []
    for (const [at, { transfer_id }] of (await due.orderBy('due_at').limit(leases.length).execute()).entries()) {
      const row = await db
        .updateTable('leftover')
        .set((e) => ({ lease: leases[at]!, tries: e('tries', '+', 1), due_at: lapsesAt }))
        .where('transfer_id', '=', transfer_id)
        .where('due_at', '<=', now)
        .returningAll()
        .executeTakeFirst()
      if (row !== undefined) taken.push(toLeftover(row))
    }
    return taken
  },

  async findLeftoverByLease({ db }, lease) {
    const row = await db.selectFrom('leftover').selectAll().where('lease', '=', lease).executeTakeFirst()
    return row && toLeftover(row)
  },

  async heldLeftovers({ db }, agentId, limit) {
    const held = db.selectFrom('leftover').selectAll().where('agent_id', '=', agentId).where('lease', 'is not', null)
    return (await held.orderBy('due_at', 'desc').limit(limit).execute()).map(toLeftover)
  },

  async changeLeftover({ db }, { transferId, lease }, after) {
    if (after === null) await db.deleteFrom('leftover').where('transfer_id', '=', transferId).where('lease', '=', lease).execute()
    else {
      const { lease: next, tries, dueAt } = after
      const changes = { lease: next, tries, due_at: dueAt }
      await db.updateTable('leftover').set(changes).where('transfer_id', '=', transferId).where('lease', '=', lease).execute()
    }
  },
}

/** Part of the unit that ends a transfer. */
export async function insertLeftover({ db }: Work, transferId: string, agentId: string, dueAt: number): Promise<void> {
  await db
    .insertInto('leftover')
    .values({ transfer_id: transferId, agent_id: agentId, lease: null, tries: 0, due_at: dueAt })
    .execute()
}

function toLeftover({ transfer_id, agent_id, lease, tries, due_at }: LeftoverTable): Leftover {
  return { transferId: transfer_id, agentId: agent_id, lease, tries, dueAt: due_at }
}
