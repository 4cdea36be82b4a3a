import { sql } from 'kysely'
import type { EventStore } from '../../events/port.ts'
import { toEvent } from '../rows.ts'
import { countOf, ONE, pageOf, TOTAL_COUNTED_MAX } from '../work.ts'
import type { Units } from './units.ts'

/** Reading events; recording them is hot and written by hand. */
export const eventUnits: Units<Omit<EventStore, 'recordEvents'>> = {
  async findEvent({ db }, id) {
    const row = await db.selectFrom('event').selectAll().where('id', '=', id).where('state', '=', 'said').executeTakeFirst()
    return row && toEvent(row)
  },

  listEvents({ db }, filter, page) {
    // Literals, not parameters: SQLite uses a partial index only where it can see the values.
    let query = db
      .selectFrom('event')
      .where((e) => e.and([e('state', '=', sql.lit<string>('said')), e('is_test', '=', sql.lit<number>(0))]))
    if (filter.accountId !== undefined) query = query.where('account_id', '=', filter.accountId)
    if (filter.types !== undefined) query = query.where('type', 'in', filter.types)
    if (filter.since !== undefined) query = query.where('occurred_at', '>=', filter.since)
    if (filter.until !== undefined) query = query.where('occurred_at', '<', filter.until)
    return pageOf(
      {
        count: () => countOf(db, query.select(ONE).limit(TOTAL_COUNTED_MAX)),
        // Ids begin with their time: newest first without an index of its own.
        list: ({ limit, offset }) => query.selectAll().orderBy('id', 'desc').limit(limit).offset(offset).execute(),
      },
      page,
      toEvent,
    )
  },
}
