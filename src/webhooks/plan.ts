import { newId, type RandomBytes } from '../base/id.ts'
import { dialectOf } from '../dialects/index.ts'
import { matches } from '../events/catalogue.ts'
import type { RecordedEvent } from '../events/event.ts'
import { type Filtered, matchesFilter } from './filter.ts'
import { keysOf } from './order.ts'
import type { Plan } from './port.ts'
import type { DeliveryCause, PlannedDelivery, Webhook } from './webhook.ts'

/** The plan that the server uses; see `createPlan`. */
export const plan: Plan = createPlan()

/**
 * Which deliveries an event asks for: one for each active webhook that subscribes to its type, whose scope holds
 * it and whose filter takes it. Pure but for the ids, which are made of the event's time and `random`; planning twice plans
 * other ids, so the caller sees to it that an event is planned once.
 */
export function createPlan(random?: RandomBytes): Plan {
  return (event, webhooks) =>
    webhooks
      .filter((webhook) => webhook.state === 'active' && wants(webhook, event))
      .map((webhook) => planDelivery(event, webhook, 'event', event.occurredAt, random))
}

/**
 * Whether the event is one that the webhook is for, active or not: one without account hears everything, server-wide events
 * included; one with an account hears only that account's. None hears of its own alerts: a receiver that fails would fail with them,
 * and each would be the reason of the next.
 */
export function wants(webhook: Wanting, event: Filtered): boolean {
  return (
    isInScope(webhook, event) && subscribes(webhook, event) && !isOwnAlert(webhook, event) && matchesFilter(webhook.filter, event)
  )
}

export type Wanting = Pick<Webhook, 'id' | 'accountId' | 'events' | 'filter'>

function isOwnAlert({ id }: Pick<Webhook, 'id'>, { type, data }: Filtered): boolean {
  return matches('alert.*', type) && data.subjectId === id
}

export function isInScope({ accountId }: Pick<Webhook, 'accountId'>, event: Filtered): boolean {
  return accountId === null || accountId === event.accountId
}

export function subscribes({ events }: Pick<Webhook, 'events'>, { type }: Filtered): boolean {
  return events.some((subscription) => matches(subscription, type))
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
  const dialect = dialectOf(webhook.dialect)
  return {
    id,
    eventId: event.id,
    eventType: event.type,
    webhookId: webhook.id,
    cause,
    dialect: webhook.dialect,
    body: dialect.body(event, id, webhook.options),
    headers: dialect.fixedHeaders(event, webhook.options),
    ...keysOf(event, webhook, cause),
    replayId: null,
  }
}
