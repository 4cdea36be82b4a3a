import type { AuditStore } from '../../audit/port.ts'
import { fromAudit, toAudit } from '../rows.ts'
import { checkOffset, countOf, LOOKED_THROUGH_MAX, nextOf, ONE, TOTAL_COUNTED_MAX } from '../work.ts'
import type { Units } from './units.ts'

/** Rows of one statement, so that its parameters stay below the limit of 32,766 (SQLite) and 65,535 (PostgreSQL). */
const ROWS_PER_INSERT_MAX = 500

export const auditUnits: Units<AuditStore> = {
  async appendAudit({ db }, entries) {
    for (let start = 0; start < entries.length; start += ROWS_PER_INSERT_MAX) {
      const rows = entries.slice(start, start + ROWS_PER_INSERT_MAX).map(fromAudit)
      await db.insertInto('audit').values(rows).execute()
    }
  },

  async listAudit({ db }, { accountId, actor, action }, page) {
    checkOffset(page)
    let all = db.selectFrom('audit')
    if (accountId !== undefined) all = all.where('account_id', '=', accountId)
    if (page.after !== undefined) all = all.where('id', '<', page.after)
    // Actors and actions are in no index: they are looked for in a stretch of the list.
    const isIndexed = actor === undefined && action === undefined
    const stretch = all.selectAll().orderBy('id', 'desc').limit(LOOKED_THROUGH_MAX)
    let query = isIndexed ? all : (db.selectFrom(stretch.as('stretch')) as unknown as typeof all)
    if (actor !== undefined) query = query.where('actor', '=', actor)
    if (action !== undefined) query = query.where('action', '=', action)
    // Ids begin with their time: newest first without an index of its own.
    const rows = await query.selectAll().orderBy('id', 'desc').limit(page.limit).offset(page.offset).execute()
    const end = isIndexed ? undefined : await all.select('id').orderBy('id', 'desc').limit(1).offset(LOOKED_THROUGH_MAX - 1).executeTakeFirst() // biome-ignore format: one line
    return {
      rows: rows.map(toAudit),
      total: await countOf(db, query.select(ONE).limit(TOTAL_COUNTED_MAX)),
      next: nextOf(rows, page, (row) => row.id, end?.id ?? null),
    }
  },
}
