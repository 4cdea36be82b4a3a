import type { Page, PageRequest } from '../base/page.ts'
import type { EventType } from './catalogue.ts'
import type { EventDraft, RecordedEvent } from './event.ts'

export interface EventFilter {
  /** Only this account's; absent means all accounts and server-wide events. */
  accountId?: string
  types?: readonly EventType[]
  /** Occurred at or after, ms since 1970 UTC. */
  since?: number
  /** Occurred before, ms since 1970 UTC. */
  until?: number
}

/** A stretch of what was said, in the order in which it was. */
export interface SaidEvents {
  readonly events: readonly RecordedEvent[]
  /** For each of them, where what follows it begins: as if the stretch had ended there. The same event always has the same. */
  readonly cursors: readonly string[]
  /** Where the next stretch begins: opaque text of `[0-9a-z.]`, valid for as long as the event store lives. */
  readonly next: string
  /** Nothing more was said by now. */
  readonly isEnd: boolean
}

export interface EventStore {
  /** Records events that are true already: said at once, deliveries planned and due in the same transaction. */
  recordEvents(events: readonly EventDraft[]): Promise<void>
  findEvent(id: string): Promise<RecordedEvent | undefined>
  /** Said events, newest first; sample events of tests are not among them. */
  listEvents(filter: EventFilter, page: PageRequest): Promise<Page<RecordedEvent>>
  /**
   * Said events of all accounts after a cursor (null: from the oldest that is stored), at most `limit`, in the order of the commits that
   * said them: whoever goes on from `next` misses none, whatever commits meanwhile. Sample events of tests are not among them.
   * `invalid` for a cursor that is none.
   */
  eventsAfter(cursor: string | null, limit: number): Promise<SaidEvents>
  /** The cursor behind everything said by now. */
  eventsEnd(): Promise<string>
}
