import type { Clock } from '../../base/clock.ts'
import type { RandomBytes } from '../../base/id.ts'
import type { RecordedEvent } from '../../events/event.ts'
import type { EventStore } from '../../events/port.ts'
import { type Condition, memberValue, unmetMember } from '../filter.ts'
import { invalid, shortened } from '../invalid.ts'
import { planDelivery } from '../plan.ts'
import type { Webhook } from '../webhook.ts'
import { typesOf } from './members.ts'
import { type ShownRequest, shownRequest } from './shown-request.ts'

/** What a webhook would send of the events recorded last. */
export interface Preview {
  readonly wouldSend: number
  /** Newest first: those that its scope and its event types cover. */
  readonly events: readonly PreviewedEvent[]
}

export interface PreviewedEvent {
  readonly event: RecordedEvent
  /** The first condition of its filter that does not hold; null: it would be sent. */
  readonly unmet: Unmet | null
  /** The request of a first attempt made now, secrets masked; null: it would not be sent. */
  readonly request: ShownRequest | null
}

export interface Unmet {
  readonly member: string
  readonly condition: Condition
  /** For people: what the event has there. */
  readonly reason: string
}

export const PREVIEW_EVENTS_DEFAULT = 20
export const PREVIEW_EVENTS_MAX = 200

export interface PreviewParts {
  readonly events: Pick<EventStore, 'listEvents'>
  readonly clock: Pick<Clock, 'now'>
  readonly random?: RandomBytes | undefined
}

/** Runs filter and dialect as planning would, whether the webhook is active or not. Nothing is stored or sent. */
export async function previewOf(
  webhook: Webhook,
  limit: number | undefined,
  { events, clock, random }: PreviewParts,
): Promise<Preview> {
  const count = limit ?? PREVIEW_EVENTS_DEFAULT
  if (!Number.isInteger(count) || count < 1 || count > PREVIEW_EVENTS_MAX)
    throw invalid('limit', `limit must be a whole number from 1 to ${PREVIEW_EVENTS_MAX}, not ${count}`)
  const scope = webhook.accountId === null ? {} : { accountId: webhook.accountId }
  const types = webhook.events.includes('*') ? {} : { types: typesOf(webhook.events) }
  const { rows } = await events.listEvents({ ...scope, ...types }, { limit: count, offset: 0 })
  const now = clock.now()
  const previewed = rows.map((event): PreviewedEvent => {
    const unmet = unmetOf(webhook, event)
    if (unmet !== null) return { event, unmet, request: null }
    return { event, unmet, request: shownRequest(planDelivery(event, webhook, 'event', now, random), webhook, now) }
  })
  return { wouldSend: previewed.filter(({ unmet }) => unmet === null).length, events: previewed }
}

function unmetOf({ filter }: Webhook, event: RecordedEvent): Unmet | null {
  const member = filter === null ? null : unmetMember(filter, event)
  if (filter === null || member === null) return null
  const condition = filter[member]!
  const value = memberValue(member, event)
  const has = value === undefined ? 'is not there' : `is ${shortened(JSON.stringify(value))}`
  return { member, condition, reason: `${member} ${has}, which does not meet ${shortened(JSON.stringify(condition))}` }
}
