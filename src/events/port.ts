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

export interface EventStore {
  /** Records events that are true already: said at once, deliveries planned and due in the same transaction. */
  recordEvents(events: readonly EventDraft[]): Promise<void>
  findEvent(id: string): Promise<RecordedEvent | undefined>
  /** Said events, newest first; sample events of tests are not among them. */
  listEvents(filter: EventFilter, page: PageRequest): Promise<Page<RecordedEvent>>
}
