import type { Webhook } from '../../webhooks/webhook.ts'
import { toWebhook } from '../rows.ts'
import type { WebhookTable } from '../tables.ts'
import type { Connection } from './database.ts'

const ALL = 'select * from webhook where removed_at is null order by id'

/** All webhooks as the writer's transaction sees them, so that planning needs no query. Only the writer changes them. */
export class WebhookSet {
  #connection: Connection
  #byId: Map<string, Webhook> | undefined
  #active: Webhook[] = []

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** After a write of a webhook, and after the rollback of one. */
  forget(): void {
    this.#byId = undefined
  }

  active(): readonly Webhook[] {
    this.#load()
    return this.#active
  }

  get(id: string): Webhook | undefined {
    return this.#load().get(id)
  }

  #load(): Map<string, Webhook> {
    if (this.#byId !== undefined) return this.#byId
    const webhooks = (this.#connection.prepare(ALL).all() as unknown as WebhookTable[]).map(toWebhook)
    this.#active = webhooks.filter((webhook) => webhook.state === 'active')
    this.#byId = new Map(webhooks.map((webhook) => [webhook.id, webhook]))
    return this.#byId
  }
}
