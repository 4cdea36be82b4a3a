import { type RawBuilder, sql } from 'kysely'
import { AppError } from '../../base/error.ts'
import { ID_PREFIX, idBound } from '../../base/id.ts'
import type { EventStore } from '../../events/port.ts'
import { toEvent } from '../rows.ts'
import { checkOffset, countOf, LOOKED_THROUGH_MAX, nextOf, ONE, TOTAL_COUNTED_MAX, type Work } from '../work.ts'
import type { Units } from './units.ts'

/** Literals, not parameters: SQLite uses a partial index only where it can see the values. */
const SHOWN = sql<boolean>`state = 'said' and is_test = 0`

/** The same in words that no partial index answers: PostgreSQL would collect and sort a long one in place of walking over the ids. */
const SHOWN_BY_ID = sql<boolean>`state || '' = 'said' and is_test + 0 = 0`

/** Reading events; recording them is hot and written by hand. */
export const eventUnits: Units<Omit<EventStore, 'recordEvents'>> = {
  async findEvent({ db }, id) {
    const row = await db.selectFrom('event').selectAll().where('id', '=', id).where('state', '=', 'said').executeTakeFirst()
    return row && toEvent(row)
  },

  async listEvents({ db }, { accountId, types, since, until }, page) {
    checkOffset(page)
    const shown = (isShown: RawBuilder<boolean>) => {
      let rows = db.selectFrom('event').where(isShown)
      if (accountId !== undefined) rows = rows.where('account_id', '=', accountId)
      // Ids begin with the time of their event: newest first, and a stretch of time, without an index of its own.
      if (since !== undefined) rows = rows.where('id', '>=', idBound('event', since))
      if (until !== undefined) rows = rows.where('id', '<', idBound('event', until))
      return page.after === undefined ? rows : rows.where('id', '<', page.after)
    }
    const all = shown(accountId === undefined ? SHOWN_BY_ID : SHOWN)
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
      total: await countOf(db, (types === undefined ? shown(SHOWN) : query).select(ONE).limit(TOTAL_COUNTED_MAX)),
      next: nextOf(rows, page, (row) => row.id, end?.id ?? null),
    }
  },

  async eventsAfter({ db, saidEnd }, cursor, limit) {
    const { position, id } = cursor === null ? OLDEST : parseCursor(cursor)
    const rows = await db
      .selectFrom('event')
      .selectAll()
      .where(SHOWN)
      .where(sql<boolean>`(position, id) > (${position}, ${id})`)
      .where('position', '<', saidEnd)
      .orderBy('position')
      .orderBy('id')
      .limit(limit)
      .execute()
    if (rows.length === 0 && position > (await endOf(db, saidEnd))) throw unknownCursor(cursor!)
    const cursors = rows.map((row) => toCursor({ position: row.position!, id: row.id }))
    return { events: rows.map(toEvent), cursors, next: cursors.at(-1) ?? toCursor({ position, id }), isEnd: rows.length < limit }
  },

  async eventsEnd({ db, saidEnd }) {
    return toCursor({ position: await endOf(db, saidEnd), id: '' })
  },
}

async function endOf(db: Work['db'], saidEnd: Work['saidEnd']): Promise<number> {
  const { rows } = await sql<{ position: number }>`select ${saidEnd} as position`.execute(db)
  return rows[0]!.position
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
  if (parts === null) throw unknownCursor(cursor)
  const [, position, id] = parts as unknown as [string, string, string]
  return { position: Number.parseInt(position, 36), id: id === '' ? '' : ID_PREFIX.event + id }
}

/** Also one of a database before this one, or from before it was restored: whoever asks must not wait for what will never come behind it. */
function unknownCursor(cursor: string): AppError {
  const shown = JSON.stringify(cursor.slice(0, 80))
  return new AppError('invalid', `the cursor ${shown} is none that this server gave, or is of a database before this one`, {
    field: 'after',
  })
}
