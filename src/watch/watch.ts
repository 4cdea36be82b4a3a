import type { Clock } from '../base/clock.ts'
import type { Running } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import type { WebhookStore } from '../webhooks/port.ts'
import { AlertWatch } from './alerts.ts'
import { Mailer, type MailSettings } from './mail.ts'
import type { AlertStore } from './port.ts'

export interface WatchParts {
  readonly store: AlertStore
  readonly settings: MailSettings
  readonly clock: Clock
  readonly log: Log
}

/** What watches over webhooks: raises and clears alerts and, where a mail server is set, sends mails about them. */
export interface Watch extends Running {
  start(): void
  /** Judges these webhooks now instead of at the next look. */
  lookAt(webhookIds: readonly string[]): Promise<void>
}

export function createWatch({ store, settings, clock, log }: WatchParts): Watch {
  const mailer = settings.smtpUrl === '' ? undefined : new Mailer({ store, settings, clock, log })
  const alerts = new AlertWatch({ store, clock, log, mails: mailer !== undefined, mailDue: () => mailer?.nudge() })
  return {
    start() {
      mailer?.start()
      alerts.start()
    },
    lookAt: (webhookIds) => alerts.lookAt(webhookIds),
    async stop() {
      await alerts.stop()
      await mailer?.stop()
    },
  }
}

/**
 * The store of webhooks for those who administer them: before a webhook that has failed is changed or removed, its failure is noticed.
 * Otherwise one that is turned on again within seconds would never have been seen as failed, and nobody would hear of it.
 */
export function noticingFailures(store: WebhookStore, watch: Pick<Watch, 'lookAt'>): WebhookStore {
  return {
    ...store,
    async updateWebhook(webhook, before, audit) {
      if (before.state === 'failed') await watch.lookAt([webhook.id])
      await store.updateWebhook(webhook, before, audit)
    },
    async removeWebhook(id, audit) {
      const webhook = await store.findWebhook(id)
      if (webhook?.state === 'failed') await watch.lookAt([id])
      await store.removeWebhook(id, audit)
    },
  }
}
