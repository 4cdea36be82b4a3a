import { AppError } from '../../base/error.ts'
import type { TransferStore } from '../../transfers/port.ts'
import type { Remote } from '../../transfers/transfer.ts'
import type { RemoteTable } from '../tables.ts'
import { countOf, found, ONE, orTaken, pageOf, TOTAL_COUNTED_MAX, type Work } from '../work.ts'
import { note } from './accounts.ts'
import type { Units } from './units.ts'

type RemoteUnits = Pick<
  TransferStore,
  | 'createRemote'
  | 'findRemote'
  | 'listRemotes'
  | 'updateRemote'
  | 'removeRemote'
  | 'pinHostKey'
  | 'listSealedRemotes'
  | 'resealRemote'
>

export const remoteUnits: Units<RemoteUnits> = {
  async createRemote(work, remote, entry) {
    await orTaken(work.db.insertInto('remote').values(fromRemote(remote)).execute(), ...taken(remote))
    await note(work, entry)
  },

  async findRemote({ db }, id) {
    const row = await db.selectFrom('remote').selectAll().where('id', '=', id).executeTakeFirst()
    return row && toRemote(row)
  },

  listRemotes({ db }, page) {
    const query = db.selectFrom('remote')
    return pageOf(
      {
        count: () => countOf(db, query.select(ONE).limit(TOTAL_COUNTED_MAX)),
        list: ({ limit, offset }) => query.selectAll().orderBy('id').limit(limit).offset(offset).execute(),
      },
      page,
      toRemote,
    )
  },

  async updateRemote(work, remote, before, entry) {
    const { id, created_at, ...columns } = fromRemote(remote)
    const update = work.db
      .updateTable('remote')
      .set(columns)
      .where('id', '=', id)
      .where('updated_at', '=', before.updatedAt)
      .returning('id')
      .executeTakeFirst()
    if ((await orTaken(update, ...taken(remote))) === undefined) {
      found(await remoteUnits.findRemote(work, id), 'remote')
      throw new AppError('conflict', 'The remote was changed by somebody else at the same time; look at it and try again.')
    }
    await note(work, entry)
  },

  async removeRemote(work, id, entry) {
    const row = await work.db.deleteFrom('remote').where('id', '=', id).returning('id').executeTakeFirst()
    found(row, 'remote')
    const user = await userOf(work, id)
    if (user !== undefined) throw new AppError('conflict', `The remote is used by ${user}; end or change that first.`)
    await note(work, entry)
  },

  async pinHostKey({ db, others }, remoteId, hostKey, at) {
    const found = db.selectFrom('remote').selectAll().where('id', '=', remoteId)
    // Of two agents that meet a server at the same time, the second one sees what the first one has pinned.
    const row = await found.$if(others === 'nodes', (query) => query.forUpdate()).executeTakeFirst()
    if (row === undefined) return false
    const { options, updatedAt } = toRemote(row)
    const pinned = options.hostKeys ?? []
    if (pinned.length > 0) return pinned.includes(hostKey)
    if (options.trustFirstHostKey !== true) return false
    const own = await db
      .updateTable('remote')
      // Two changes within one millisecond are two changes: whoever read it before must notice.
      .set({ options: JSON.stringify({ ...options, hostKeys: [hostKey] }), updated_at: Math.max(at, updatedAt + 1) })
      .where('id', '=', remoteId)
      .where('options', '=', row.options)
      .returning('id')
      .executeTakeFirst()
    return own !== undefined
  },

  async listSealedRemotes({ db }, after, limit) {
    const rows = await db
      .selectFrom('remote')
      .selectAll()
      .where('sealed_secrets', 'is not', null)
      .where('id', '>', after)
      .orderBy('id')
      .limit(limit)
      .execute()
    return rows.map(toRemote)
  },

  async resealRemote({ db }, id, before, after) {
    await db
      .updateTable('remote')
      .set({ sealed_secrets: after })
      .where('id', '=', id)
      .where('sealed_secrets', '=', before)
      .execute()
  },
}

function taken({ name }: Remote) {
  return [`name: the remote "${name}" exists already.`, 'name'] as const
}

/** What would fail without the remote, for people. */
async function userOf({ db }: Work, remoteId: string): Promise<string | undefined> {
  const job = await db
    .selectFrom('job')
    .select('id')
    .where('remote_id', '=', remoteId)
    .where('removed_at', 'is', null)
    .limit(1)
    .executeTakeFirst()
  if (job !== undefined) return `the job ${job.id}`
  const transfer = await db
    .selectFrom('transfer')
    .select('id')
    .where('remote_id', '=', remoteId)
    .where('status', 'in', ['queued', 'running'])
    .limit(1)
    .executeTakeFirst()
  return transfer && `the transfer ${transfer.id}`
}

function toRemote(row: RemoteTable): Remote {
  return {
    ...{ id: row.id, name: row.name, host: row.host, port: row.port, username: row.username },
    protocol: row.protocol as Remote['protocol'],
    options: JSON.parse(row.options),
    ...{ sealedSecrets: row.sealed_secrets, createdAt: row.created_at, updatedAt: row.updated_at },
  }
}

function fromRemote(remote: Remote): RemoteTable {
  const { id, name, protocol, host, port, username, options, sealedSecrets, createdAt, updatedAt } = remote
  return {
    ...{ id, name, protocol, host, port, username, options: JSON.stringify(options) },
    ...{ sealed_secrets: sealedSecrets, created_at: createdAt, updated_at: updatedAt },
  }
}
