import type { EventType } from './catalogue.ts'

/** The members of `data`, as every dialect sends them. Names are those of the contract the type comes from. */
export type EventData = { readonly [member: string]: unknown }

/** One thing that happened, before it is stored. */
export interface EventDraft {
  readonly id: string
  readonly type: EventType
  /** The account that it belongs to; null for server-wide events (agents, jobs, system). */
  readonly accountId: string | null
  /** When it happened, ms since 1970 UTC. */
  readonly occurredAt: number
  readonly data: EventData
}

/**
 * `held`: recorded, its change not yet carried out; `said`: true for the outside; `void`: its change was undone.
 * held → said | void; said and void are final. Lists, feeds and replay show only what is said.
 */
export type EventState = 'held' | 'said' | 'void'

/** A stored event as the outside sees it: always one that is said. */
export type RecordedEvent = EventDraft
