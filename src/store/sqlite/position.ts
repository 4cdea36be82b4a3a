import { sql } from 'kysely'
import type { Writing } from './writing.ts'

/** The place of an event that becomes said, among all that were: there is one writer, so this is the order of the commits. */
export function nextPosition(writing: Writing): number {
  const row = writing.prepare('update said_position set position = position + 1 returning position').get()
  return row!.position as number
}

/** Everything that is said later stands from here on. */
export const SAID_END = sql<number>`(select position + 1 from said_position)`
