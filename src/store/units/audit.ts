import type { AuditStore } from '../../audit/port.ts'
import { fromAudit, toAudit } from '../rows.ts'
import { countOf, ONE, pageOf, TOTAL_COUNTED_MAX } from '../work.ts'
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

  listAudit({ db }, filter, page) {
    let query = db.selectFrom('audit')
    if (filter.accountId !== undefined) query = query.where('account_id', '=', filter.accountId)
    if (filter.actor !== undefined) query = query.where('actor', '=', filter.actor)
    if (filter.action !== undefined) query = query.where('action', '=', filter.action)
    return pageOf(
      {
        count: () => countOf(db, query.select(ONE).limit(TOTAL_COUNTED_MAX)),
        // Ids begin with their time: newest first without an index of its own.
        list: ({ limit, offset }) => query.selectAll().orderBy('id', 'desc').limit(limit).offset(offset).execute(),
      },
      page,
      toAudit,
    )
  },
}
