import type { Caller } from '../../audit/caller.ts'
import { ID_PREFIX } from '../../base/id.ts'
import { dialectOf } from '../../dialects/index.ts'
import type { EventType } from '../../events/catalogue.ts'
import type { RecordedEvent } from '../../events/event.ts'
import type { EventStore } from '../../events/port.ts'
import type { WebhookAdmin } from '../admin/administer.ts'
import { wants } from '../plan.ts'
import type { Webhook } from '../webhook.ts'
import type { ReplayStore } from './replay-port.ts'

/** Events of one page that a call may ask for, and that it gets if it does not say. */
export const FEED_ITEMS_MAX = 500
export const FEED_ITEMS_DEFAULT = 100
/** Stored events that one call looks at, whatever it finds: so many stretches of so many. */
const STRETCHES_MAX = 10
const STRETCH_EVENTS = 500

/** In place of a cursor: behind everything that was said by now. */
export const FEED_NOW = 'now'

export interface FeedItem {
  /** Of its planned delivery; where none was planned, one that is always the same for this event. */
  readonly deliveryId: string
  readonly eventId: string
  readonly event: EventType
  readonly occurredAt: number
  /** As the dialect of the webhook writes it. */
  readonly body: string
  /** What follows this event. */
  readonly cursor: string
}

export interface FeedPage {
  readonly items: readonly FeedItem[]
  /** What follows this page, also where it is empty: a call looks at so many events and no more. */
  readonly nextCursor: string
  /** Nothing more was said by now. */
  readonly isEnd: boolean
}

/** What a webhook is for, to be fetched by a receiver that missed something: in the order in which it was said, from any cursor. */
export interface Feed {
  /** `after` null: from the oldest event that is stored. `invalid` for a cursor that is none, `not_found`. */
  feed(webhookId: string, after: string | null, limit: number, caller: Pick<Caller, 'accountId'>): Promise<FeedPage>
}

export interface FeedParts {
  readonly store: Pick<EventStore, 'eventsAfter' | 'eventsEnd'> & Pick<ReplayStore, 'sendingsOf'>
  readonly webhooks: Pick<WebhookAdmin, 'get'>
}

export function createFeed({ store, webhooks }: FeedParts): Feed {
  async function wantedAfter(webhook: Webhook, after: string | null, limit: number) {
    const found: { event: RecordedEvent; cursor: string }[] = []
    let cursor = after
    for (let stretches = 0; stretches < STRETCHES_MAX; stretches++) {
      const { events, cursors, next, isEnd } = await store.eventsAfter(cursor, STRETCH_EVENTS)
      for (const [index, event] of events.entries()) {
        if (!wants(webhook, event)) continue
        found.push({ event, cursor: cursors[index]! })
        if (found.length === limit) return { found, next: cursors[index]!, isEnd: isEnd && index === events.length - 1 }
      }
      cursor = next
      if (isEnd) return { found, next, isEnd: true }
    }
    return { found, next: cursor!, isEnd: false }
  }

  async function plannedIds(webhookId: string, events: readonly RecordedEvent[]): Promise<ReadonlyMap<string, string>> {
    const ids = events.map(({ id }) => id)
    const sendings = await store.sendingsOf(webhookId, ids)
    return new Map(sendings.filter(({ isResend }) => !isResend).map(({ eventId, id }) => [eventId, id]))
  }

  return {
    async feed(webhookId, after, limit, caller) {
      const webhook = await webhooks.get(webhookId, caller)
      const from = after === FEED_NOW ? await store.eventsEnd() : after
      const { found, next, isEnd } = await wantedAfter(webhook, from, limit)
      const events = found.map(({ event }) => event)
      const ids = await plannedIds(webhook.id, events)
      const items = found.map(({ event, cursor }): FeedItem => {
        const deliveryId = ids.get(event.id) ?? unplannedId(event)
        const body = dialectOf(webhook.dialect).body(event, deliveryId, webhook.options)
        return { deliveryId, eventId: event.id, event: event.type, occurredAt: event.occurredAt, body, cursor }
      })
      return { items, nextCursor: next, isEnd }
    },
  }
}

/** The id of a delivery that was not planned, made of that of its event: who gets it twice can tell. */
export function unplannedId({ id }: Pick<RecordedEvent, 'id'>): string {
  return ID_PREFIX.delivery + id.slice(ID_PREFIX.event.length)
}
