import { newId, type RandomBytes } from '../base/id.ts'
import { dialectOf } from '../dialects/index.ts'
import { matches } from '../events/catalogue.ts'
import type { EventDraft, RecordedEvent } from '../events/event.ts'
import type { Plan } from './port.ts'
import type { DeliveryCause, PlannedDelivery, Webhook } from './webhook.ts'

/** The plan that the server uses; see `createPlan`. */
export const plan: Plan = createPlan()

/**
 * Which deliveries an event asks for: one for each active webhook that subscribes to its type and whose scope holds
 * it. Pure but for the ids, which are made of the event's time and `random`; planning twice plans other ids, so the
 * caller sees to it that an event is planned once.
 */
export function createPlan(random?: RandomBytes): Plan {
  return (event, webhooks) =>
    webhooks
      .filter((webhook) => asksFor(webhook, event))
      .map((webhook) => planDelivery(event, webhook, 'event', event.occurredAt, random))
}

/** A webhook without account hears everything, server-wide events included; one with an account hears only that account's. */
function asksFor(webhook: Webhook, event: EventDraft): boolean {
  const isInScope = webhook.accountId === null || webhook.accountId === event.accountId
  return webhook.state === 'active' && isInScope && webhook.events.some((subscription) => matches(subscription, event.type))
}

/** One delivery of an event to a webhook, matching or not (a resend, a test). Its body is fixed from here on. `now` is the time in its id. */
export function planDelivery(
  event: RecordedEvent,
  webhook: Pick<Webhook, 'id' | 'dialect' | 'order' | 'options'>,
  cause: DeliveryCause,
  now: number,
  random?: RandomBytes,
): PlannedDelivery {
  const id = newId('delivery', now, random)
  return {
    id,
    eventId: event.id,
    eventType: event.type,
    webhookId: webhook.id,
    cause,
    dialect: webhook.dialect,
    body: dialectOf(webhook.dialect).body(event, id),
    headers: null,
    orderKey: null,
    collapseKey: null,
    replayId: null,
  }
}
