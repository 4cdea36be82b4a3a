import { sql } from 'kysely'
import type { StoredPath } from '../../files/path.ts'
import type { FileStore, Partial } from '../../files/port.ts'
import { folderHash, pathHash } from '../path.ts'
import { fromAudit, toIntent, toPartial } from '../rows.ts'
import { countTotals } from './ends.ts'
import { isLost, silentSince } from './lost.ts'
import type { Units } from './units.ts'

type Cold = Omit<FileStore, 'recordChange' | 'closeIntent' | 'recordFact'>

/** Intents beyond the usual road, and partials. */
export const fileUnits: Units<Cold> = {
  async undoIntent(work, intent, audit) {
    const { db } = work
    const undone = await db
      .deleteFrom('intent')
      .where('id', '=', intent.id)
      .where('node', '=', intent.node)
      .returningAll()
      .executeTakeFirst()
    if (undone === undefined) return
    await db.deleteFrom('intent_path').where('intent_id', '=', undone.id).execute()
    await db.updateTable('event').set({ state: 'void' }).where('id', '=', undone.event_id).where('state', '=', 'held').execute()
    const cancelled = await db
      .updateTable('delivery')
      .set({ state: 'cancelled', settled_at: audit.at })
      .where((e) =>
        e.and([e('event_id', '=', undone.event_id), e('cause', '=', sql.lit<string>('event')), e('state', '=', 'held')]),
      )
      .returning(['webhook_id', 'state'])
      .execute()
    const ended = cancelled.map((row) => ({ webhookId: row.webhook_id, state: row.state }))
    await countTotals(work, ended, 1)
    await db
      .updateTable('account_usage')
      .set((e) => ({ bytes: e('bytes', '-', undone.usage_bytes), files: e('files', '-', undone.usage_files) }))
      .where('account_id', '=', undone.account_id)
      .execute()
    await db.insertInto('audit').values(fromAudit(audit)).execute()
  },

  async findIntent({ db }, id) {
    const row = await db.selectFrom('intent').selectAll().where('id', '=', id).executeTakeFirst()
    return row && toIntent(row)
  },

  async takeIntents(work, node, limit) {
    const oldest = work.db
      .selectFrom('intent')
      .select('id')
      .where(isLost(work, 'intent.node', node, silentSince(node)))
      .orderBy('created_at')
      .orderBy('id')
      .limit(limit)
    const rows = await work.db
      .updateTable('intent')
      .set({ node })
      .where('id', 'in', oldest)
      // Again, because another node may have taken it while this statement waited for the row.
      .where(isLost(work, 'intent.node', node, silentSince(node)))
      .returningAll()
      .execute()
    return rows.sort((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1)).map(toIntent)
  },

  async savePartial({ db }, partial) {
    const { id, ...columns } = fromPartial(partial)
    await db
      .insertInto('partial')
      .values({ id, ...columns })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(columns))
      .execute()
  },

  async takePartial({ db }, id, node) {
    const row = await db
      .updateTable('partial')
      .set({ node })
      .where('id', '=', id)
      .where('node', 'is', null)
      .returningAll()
      .executeTakeFirst()
    return row && toPartial(row)
  },

  async removePartial({ db }, id) {
    await db.deleteFrom('partial').where('id', '=', id).execute()
  },

  async findPartial({ db }, userId, path) {
    const row = await db
      .selectFrom('partial')
      .selectAll()
      .where('user_id', '=', userId)
      .where('folder_hash', '=', folderHash(path))
      .where('path', '=', path)
      .where('node', 'is', null)
      .orderBy('updated_at', 'desc')
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst()
    return row && toPartial(row)
  },

  async listPartials({ db }, userId, folder, limit) {
    const rows = await db
      .selectFrom('partial')
      .selectAll()
      .where('user_id', '=', userId)
      .where('folder_hash', '=', pathHash(folder))
      .where('node', 'is', null)
      .orderBy('id')
      .limit(limit)
      .execute()
    return rows.map(toPartial)
  },

  async releasePartials(work, node) {
    const { numUpdatedRows } = await work.db
      .updateTable('partial')
      .set({ node: null })
      .where('node', 'is not', null)
      .where(isLost(work, 'partial.node', node, silentSince(node)))
      .executeTakeFirstOrThrow()
    return Number(numUpdatedRows)
  },

  async keptTemporaries({ db }, olderThan) {
    await db.deleteFrom('partial').where('node', 'is', null).where('updated_at', '<', olderThan).execute()
    const partials = await db.selectFrom('partial').select('temporary').execute()
    const intents = await db.selectFrom('intent').select('deed').execute()
    return [...partials.map((row) => row.temporary), ...intents.flatMap((row) => temporaryOf(row.deed))]
  },
}

function fromPartial(partial: Partial) {
  return {
    id: partial.id,
    account_id: partial.accountId,
    user_id: partial.userId,
    node: partial.node,
    path: partial.path,
    folder_hash: folderHash(partial.path),
    temporary: partial.temporary,
    identity: partial.identity,
    prefix_bytes: partial.prefixBytes,
    started_at: partial.startedAt,
    updated_at: partial.updatedAt,
  }
}

function temporaryOf(deed: string): StoredPath[] {
  const parsed = JSON.parse(deed)
  return parsed.kind === 'place' ? [parsed.temporary] : []
}
