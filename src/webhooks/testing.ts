import type { EventDraft } from '../events/event.ts'
import type { ClaimedDelivery, Webhook } from './webhook.ts'

/** Values for the tests of this folder. */
export const NOW = Date.UTC(2026, 10, 21, 12, 0, 0)

/** A webhook that asks for nothing special. */
export const PLAIN = {
  ...{
    filter: null,
    order: 'none' as const,
    options: {},
    sealedOptions: null,
    sealedSecretBefore: null,
    secretBeforeUntil: null,
  },
  ...{ egressAllow: null, failedDeliveryId: null, inactiveReason: null, offSince: null },
}

/** A delivery that is neither in an order nor part of a replay. */
export const LOOSE = { headers: null, orderKey: null, collapseKey: null, replayId: null } as const

export function webhookOf(changes: Partial<Webhook> = {}): Webhook {
  return {
    ...PLAIN,
    ...{ id: 'wh_1', accountId: null, name: 'orders', url: 'https://receiver.example/hook', events: ['*'], dialect: 'mftplus' },
    ...{ sealedSecret: null, retryDelaysSeconds: null, state: 'active', failedReason: null, createdAt: NOW, updatedAt: NOW },
    ...changes,
  }
}

export function eventOf(changes: Partial<EventDraft> = {}): EventDraft {
  return {
    ...{
      id: 'whevt_1a2b3c4d5e6f7g8h',
      type: 'file.uploaded',
      accountId: 'acc_1',
      occurredAt: NOW,
      data: { path: '/données.csv' },
    },
    ...changes,
  }
}

export function deliveryOf(number: number, changes: Partial<ClaimedDelivery> = {}): ClaimedDelivery {
  return {
    ...{ id: `dlv_${number}`, eventId: `whevt_${number}`, eventType: 'file.uploaded', webhookId: 'wh_1', cause: 'event' },
    ...{ dialect: 'mftplus', body: `{"id":"whevt_${number}","path":"/données.csv"}`, attempts: 0, createdAt: NOW },
    ...LOOSE,
    ...changes,
  }
}
