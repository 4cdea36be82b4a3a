import type { StatementSync } from 'node:sqlite'
import type { EventDraft } from '../../events/event.ts'
import type { PlannedDelivery } from '../../webhooks/webhook.ts'
import type { WebhookSet } from './webhook-set.ts'

/** What the hot path has in its hands: the writer's open transaction. */
export interface Writing {
  prepare(sql: string): StatementSync
  readonly webhooks: WebhookSet
  /** The deliveries that an event asks for, of the webhooks as this transaction sees them. */
  plan(event: EventDraft): PlannedDelivery[]
  /** The place of an event that becomes said. */
  nextPosition(): number
  /** Call before a write of a webhook. */
  changeWebhooks(): void
  nudge(webhookId: string): void
}
