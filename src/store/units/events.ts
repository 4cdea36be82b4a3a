import { sql } from 'kysely'
import { AppError } from '../../base/error.ts'
import { ID_PREFIX, idBound } from '../../base/id.ts'
import type { EventStore } from '../../events/port.ts'
import { toEvent } from '../rows.ts'
import { checkOffset, countOf, LOOKED_THROUGH_MAX, nextOf, ONE, TOTAL_COUNTED_MAX } from '../work.ts'
import type { Units } from './units.ts'

/** Reading events; recording them is hot and written by hand. */
export const eventUnits: Units<Omit<EventStore, 'recordEvents'>> = {
  async findEvent({ db }, id) {
    const row = await db.selectFrom('event').selectAll().where('id', '=', id).where('state', '=', 'said').executeTakeFirst()
    return row && toEvent(row)
  },

  async listEvents({ db }, { accountId, types, since, until }, page) {
    checkOffset(page)
    // Literals, not parameters: SQLite uses a partial index only where it can see the values.
    let all = db
      .selectFrom('event')
      .where((e) => e.and([e('state', '=', sql.lit<string>('said')), e('is_test', '=', sql.lit<number>(0))]))
    if (accountId !== undefined) all = all.where('account_id', '=', accountId)
    // Ids begin with the time of their event: newest first, and a stretch of time, without an index of its own.
    if (since !== undefined) all = all.where('id', '>=', idBound('event', since))
    if (until !== undefined) all = all.where('id', '<', idBound('event', until))
    if (page.after !== undefined) all = all.where('id', '<', page.after)
    // Types are in no index: they are looked for in a stretch of the list.
    const stretch = all.selectAll().orderBy('id', 'desc').limit(LOOKED_THROUGH_MAX)
    const query =
      types === undefined ? all : (db.selectFrom(stretch.as('stretch')) as unknown as typeof all).where('type', 'in', types)
    const rows = await query.selectAll().orderBy('id', 'desc').limit(page.limit).offset(page.offset).execute()
    const end =
      types === undefined
        ? undefined
        : await all
            .select('id')
            .orderBy('id', 'desc')
            .limit(1)
            .offset(LOOKED_THROUGH_MAX - 1)
            .executeTakeFirst()
    return {
      rows: rows.map(toEvent),
      total: await countOf(db, query.select(ONE).limit(TOTAL_COUNTED_MAX)),
      next: nextOf(rows, page, (row) => row.id, end?.id ?? null),
    }
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
