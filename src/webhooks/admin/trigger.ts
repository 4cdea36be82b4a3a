import type { Caller } from '../../audit/caller.ts'
import type { Clock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import { newId } from '../../base/id.ts'
import { isEventType, matches, nearestEventType } from '../../events/catalogue.ts'
import type { RecordedEvent } from '../../events/event.ts'
import { SAMPLES } from '../../events/samples.ts'
import { invalid, shortened } from '../invalid.ts'
import type { DeliveryRecord, Webhook } from '../webhook.ts'
import type { WebhookAdmin } from './administer.ts'

/** Webhooks that one sample is sent to at most; who has more names those that are meant. */
export const TRIGGERED_MAX = 100

/** Webhooks that are looked at in one go. */
const PAGE_ROWS = 100

export interface Triggered {
  readonly deliveries: readonly { readonly webhook: Webhook; readonly delivery: DeliveryRecord }[]
  /** Live listeners that were shown the sample. */
  readonly listeners: number
}

/** Sends a sample of an event type through the real path to every webhook that subscribes to it, and to whoever listens live. */
export interface Trigger {
  /**
   * `webhookId`: only to this one, subscribed or not; `accountId`: only to webhooks of this account. `invalid` for a type that
   * does not exist, `limit_reached` for too many webhooks that subscribe, `conflict` for one named that is not active.
   */
  trigger(type: string, to: { webhookId?: string; accountId?: string }, caller: Caller): Promise<Triggered>
}

export interface TriggerParts {
  readonly webhooks: Pick<WebhookAdmin, 'get' | 'list' | 'test'>
  /** Shows a sample that is not stored to the live streams; returns to how many. */
  readonly show: (sample: RecordedEvent) => number
  readonly clock: Pick<Clock, 'now'>
}

export function createTrigger({ webhooks, show, clock }: TriggerParts): Trigger {
  async function chosen(type: RecordedEvent['type'], to: { webhookId?: string; accountId?: string }, caller: Caller) {
    if (to.webhookId !== undefined) return [await webhooks.get(to.webhookId, caller)]
    const filter = to.accountId === undefined ? {} : { accountId: to.accountId }
    // By id: one that is made meanwhile may move another one to the next page.
    const subscribed = new Map<string, Webhook>()
    for (let offset = 0, total = 1; offset < total; offset += PAGE_ROWS) {
      const page = await webhooks.list(filter, { limit: PAGE_ROWS, offset }, caller)
      total = page.total
      for (const webhook of page.rows) if (isFor(webhook, type)) subscribed.set(webhook.id, webhook)
      if (subscribed.size > TRIGGERED_MAX)
        throw new AppError(
          'limit_reached',
          `more than ${TRIGGERED_MAX} active webhooks subscribe to ${type}, and a sample goes to at most ${TRIGGERED_MAX}: name one`,
        )
    }
    return [...subscribed.values()]
  }

  return {
    async trigger(type, to, caller) {
      if (!isEventType(type))
        throw invalid('event', `event: "${shortened(type)}" is no event type; did you mean "${nearestEventType(type)}"?`)
      const receivers = await chosen(type, to, caller)
      const deliveries = []
      for (const webhook of receivers) deliveries.push({ webhook, delivery: await webhooks.test(webhook.id, type, caller) })
      const now = clock.now()
      const sample = { id: newId('event', now), type, accountId: to.accountId ?? null, occurredAt: now, data: SAMPLES[type] }
      return { deliveries, listeners: to.webhookId === undefined ? show(sample) : 0 }
    },
  }
}

function isFor({ state, events }: Webhook, type: RecordedEvent['type']): boolean {
  return state === 'active' && events.some((subscription) => matches(subscription, type))
}
