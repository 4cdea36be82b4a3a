import { sql } from 'kysely'
import { AppError } from '../../base/error.ts'
import { ID_PREFIX } from '../../base/id.ts'
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

  async eventsAfter({ db, saidEnd }, cursor, limit) {
    const { position, id } = cursor === null ? OLDEST : parseCursor(cursor)
    const rows = await db
      .selectFrom('event')
      .selectAll()
      .where((e) => e.and([e('state', '=', sql.lit<string>('said')), e('is_test', '=', sql.lit<number>(0))]))
      .where(sql<boolean>`(position, id) > (${position}, ${id})`)
      .where('position', '<', saidEnd)
      .orderBy('position')
      .orderBy('id')
      .limit(limit)
      .execute()
    const cursors = rows.map((row) => toCursor({ position: row.position!, id: row.id }))
    return { events: rows.map(toEvent), cursors, next: cursors.at(-1) ?? toCursor({ position, id }), isEnd: rows.length < limit }
  },

  async eventsEnd({ db, saidEnd }) {
    const { rows } = await sql<{ position: number }>`select ${saidEnd} as position`.execute(db)
    return toCursor({ position: rows[0]!.position, id: '' })
  },
}

/** A place in what was said: behind the event of this id at this position; an empty id is before all of that position. */
interface Place {
  position: number
  id: string
}

/** Before everything: positions of events begin at 0. */
const OLDEST: Place = { position: 0, id: '' }

function toCursor({ position, id }: Place): string {
  return `${position.toString(36)}.${id.slice(ID_PREFIX.event.length)}`
}

function parseCursor(cursor: string): Place {
  const parts = /^([0-9a-z]{1,10})\.([0-9a-z]{0,64})$/.exec(cursor)
  if (parts === null) {
    throw new AppError('invalid', `the cursor ${JSON.stringify(cursor.slice(0, 80))} is none that this server gave`, {
      field: 'cursor',
    })
  }
  const [, position, id] = parts as unknown as [string, string, string]
  return { position: Number.parseInt(position, 36), id: id === '' ? '' : ID_PREFIX.event + id }
}
