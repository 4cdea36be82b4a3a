import { type Expression, type Kysely, type RawBuilder, sql } from 'kysely'
import { AppError } from '../base/error.ts'
import { LIST_OFFSET_MAX, type Page, type PageRequest, TOTAL_COUNTED_MAX } from '../base/page.ts'
import type { EventDraft } from '../events/event.ts'
import type { Tables } from './tables.ts'

/** A delivery that has just become waiting, as far as others with the same keys are concerned. */
export interface Arrival {
  readonly id: string
  readonly webhookId: string
  readonly orderKey: string | null
  readonly collapseKey: string | null
  readonly createdAt: number
}

/** What of a unit of work only reads. */
export type Reading = Pick<Work, 'db' | 'saidEnd' | 'storedBytes'>

/** What a unit of work has in its hands: one transaction, which its runner begins and ends. */
export interface Work {
  readonly db: Kysely<Tables>
  /**
   * Who may still be alive beside this node. `nobody`: one process a data folder, so everything of another node is of an earlier life.
   * `nodes`: only what belongs to a node without a recent beat is lost.
   */
  readonly others: 'nobody' | 'nodes'
  /** Events said from this position on may still be joined by others before them. */
  readonly saidEnd: RawBuilder<number>
  /** Bytes that the stored rows take, without room that is free again. */
  readonly storedBytes: RawBuilder<number>
  /** The part of the totals that this transaction writes. */
  readonly part: RawBuilder<number>
  /** Whether the column has one of these values; one parameter, however many they are. */
  isAmong(column: 'id' | 'event_id' | 'delivery_id', values: readonly string[]): RawBuilder<boolean>
  /** Stores an event that is true already, its deliveries planned and due. */
  recordEvent(event: EventDraft): Promise<void>
  /** Call with deliveries that were just inserted as waiting: those with keys replace others and get their places. */
  takePlaces(arrivals: readonly Arrival[]): Promise<void>
  /** Call before deliveries of these ids end otherwise than by settling; the function that it answers, after that. */
  endingOf(deliveryIds: readonly string[]): Promise<() => Promise<void>>
  /** Call before any write of a webhook: makes other writers of webhooks wait and copies of the set stale. */
  changeWebhooks(): Promise<void>
  /** Call before judging whether what one job waits for leads back to it: others who change that wait for the end of this transaction. */
  changeDependencies(): Promise<void>
  /** This webhook has got deliveries that are due and nobody's: told to the owner after the commit. */
  nudge(webhookId: string): void
}

const SQLITE_UNIQUE = new Set([1555, 2067])
const POSTGRES_UNIQUE = '23505'

/** Runs an insert whose name may be taken. */
export async function orTaken<T>(insert: Promise<T>, message: string, field?: string): Promise<T> {
  try {
    return await insert
  } catch (error) {
    if (isUniqueViolation(error)) throw new AppError('already_exists', message, { cause: error, ...(field && { field }) })
    throw error
  }
}

export function isUniqueViolation(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('errcode' in error) return SQLITE_UNIQUE.has(Number(error.errcode))
  return 'code' in error && error.code === POSTGRES_UNIQUE
}

/** The row, or `not_found`. */
export function found<T>(row: T | undefined, what: string): T {
  if (row === undefined) throw new AppError('not_found', `There is no such ${what}.`)
  return row
}

export { TOTAL_COUNTED_MAX }

/** Rows that a list looks through at a time when no index answers its filter. Measured: 10 ms (SQLite). */
export const LOOKED_THROUGH_MAX = 10_000

/** What a count selects of the rows it counts. */
export const ONE = sql.lit(1).as('one')

/** Number of the rows of a query that selects ONE up to TOTAL_COUNTED_MAX. */
export async function countOf(db: Kysely<Tables>, rows: Expression<unknown>): Promise<number> {
  const counted = await sql<{ total: number }>`select count(*) as total from ${rows} as counted`.execute(db)
  return counted.rows[0]!.total
}

/** Refuses to skip what would cost more than reading a page. */
export function checkOffset({ offset }: PageRequest): void {
  if (offset <= LIST_OFFSET_MAX) return
  throw new AppError(
    'invalid',
    `a page of this list begins at most ${LIST_OFFSET_MAX} rows from its start, not ${offset}; go on with "after", the id of the last row seen`,
    { field: 'offset' },
  )
}

/** Where a list goes on: behind a full page, or behind the stretch that was looked through. */
export function nextOf<Row>(rows: readonly Row[], { limit }: PageRequest, idOf: (row: Row) => string, lookedUpTo: string | null) {
  return rows.length === limit && limit > 0 ? idOf(rows[limit - 1]!) : lookedUpTo
}

/** What one page needs of a query that counts and lists the same rows. */
interface Pageable<Row> {
  count(): Promise<number>
  list(page: PageRequest): Promise<Row[]>
}

export async function pageOf<Row, Value>(
  query: Pageable<Row>,
  page: PageRequest,
  toValue: (row: Row) => Value,
): Promise<Page<Value>> {
  const total = await query.count()
  const rows = await query.list(page)
  return { rows: rows.map(toValue), total }
}
