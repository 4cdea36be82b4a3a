import type { Webhook } from '../../webhooks/webhook.ts'
import { toWebhook } from '../rows.ts'
import type { WebhookTable } from '../tables.ts'
import type { Queryable } from './connection.ts'

/** All webhooks at one version of the set. Whoever plans with it checks the version in its transaction. */
export interface WebhookSet {
  readonly version: number
  readonly active: readonly Webhook[]
  readonly byId: ReadonlyMap<string, Webhook>
}

/** The last set that this process has read. */
export class WebhookSets {
  #last: WebhookSet | undefined

  async current(db: Queryable): Promise<WebhookSet> {
    return this.#last ?? this.read(db)
  }

  async read(db: Queryable): Promise<WebhookSet> {
    const { rows } = await db.query<{ set_version: number } & WebhookTable>(
      `select webhook_set.version as set_version, webhook.*
       from webhook_set left join webhook on webhook.removed_at is null order by webhook.id`,
    )
    const webhooks = rows.filter((row) => row.id !== null).map(toWebhook)
    const read = {
      version: rows[0]!.set_version,
      active: webhooks.filter((webhook) => webhook.state === 'active'),
      byId: new Map(webhooks.map((webhook) => [webhook.id, webhook])),
    }
    // A reader that was overtaken must not bring back an older set.
    if (this.#last === undefined || read.version >= this.#last.version) this.#last = read
    return read
  }
}

/** The set as it is now, for `targets`: one small query when nothing has changed. */
export async function readIfChanged(sets: WebhookSets, db: Queryable): Promise<WebhookSet> {
  const known = await sets.current(db)
  const { rows } = await db.query<{ version: number }>({ name: 'webhook_version', text: 'select version from webhook_set' })
  return rows[0]!.version === known.version ? known : sets.read(db)
}
