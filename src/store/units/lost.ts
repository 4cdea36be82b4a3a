import { type RawBuilder, sql } from 'kysely'
import { NODE_SILENT_MS } from '../store.ts'
import type { Work } from '../work.ts'

type OwnerColumn = 'delivery.claimed_by' | 'intent.node' | 'partial.node' | 'replay.node'

/**
 * Whether a row belongs to somebody who can no longer answer for it: with one process a data folder everybody else; otherwise
 * nodes whose last beat is before `since`, or that never beat.
 */
export function isLost({ others }: Work, column: OwnerColumn, node: string, since: RawBuilder<number>): RawBuilder<boolean> {
  const owner = sql.ref(column)
  if (others === 'nobody') return sql<boolean>`${owner} <> ${node}`
  return sql<boolean>`(${owner} <> ${node} and not exists (select 1 from node where node.id = ${owner} and node.beat_at >= ${since}))`
}

/**
 * The time before which a beat is too old, as seen from the asking node's own last beat: beats are compared with beats and with no
 * other clock. A node beats before it takes anything; one that did not takes only from nodes that are unknown.
 */
export function silentSince(node: string): RawBuilder<number> {
  return sql<number>`coalesce((select own.beat_at from node as own where own.id = ${node}), 0) - ${sql.lit(NODE_SILENT_MS)}`
}
