import type { Page, PageRequest } from '../base/page.ts'
import type { EventDraft } from '../events/event.ts'
import type { Webhook } from '../webhooks/webhook.ts'
import type { Alert, AlertKind, Facts } from './alert.ts'

/** What a judgement was based on: it is carried out only while the webhook is still like this. */
export type Basis = Pick<Webhook, 'id' | 'state' | 'updatedAt'>

export interface AlertFilter {
  readonly status?: 'open' | 'cleared'
  readonly kind?: AlertKind
  readonly subjectId?: string
  readonly accountId?: string
}

/** Which mail about an alert. */
export type Notice = 'raised' | 'cleared'

export interface MailDue {
  readonly alert: Alert
  readonly notice: Notice
  /** Tries to send it, this one included. */
  readonly tries: number
}

export interface AlertStore {
  /**
   * Webhooks with a failure or a slow answer in a minute that begins at or after `since`, and those that have failed without an
   * open alert that says so; at most `limit` of each.
   */
  troubledWebhooks(since: number, limit: number): Promise<string[]>
  /** Open alerts with ids after this one, oldest first. */
  openAlerts(after: string, limit: number): Promise<Alert[]>
  /** What these webhooks are judged by, with evidence of minutes from `since` on; removed ones are left out. */
  watchFacts(webhookIds: readonly string[], since: number): Promise<Facts[]>
  /**
   * Alert, events and, where `mailDueAt` is not null, its mail, in one transaction. False and nothing written when the webhook is no
   * longer as in `basis`, or one of the kind is open already: several nodes raise once.
   */
  raiseAlert(alert: Alert, basis: Basis, events: readonly EventDraft[], mailDueAt: number | null): Promise<boolean>
  /** The same for its end. `basis` null: the webhook must be gone. False when it was cleared already. */
  clearAlert(
    alert: { id: string; subjectId: string; clearedAt: number },
    basis: Basis | null,
    events: readonly EventDraft[],
    mailDueAt: number | null,
  ): Promise<boolean>

  /** Newest first. */
  listAlerts(filter: AlertFilter, page: PageRequest): Promise<Page<Alert>>
  findAlert(id: string): Promise<Alert | undefined>

  /** Takes mails that are due, at most `limit`: nobody else gets them before `leaseUntil`. A mail about the end of an alert comes after that about its begin. */
  takeMails(now: number, leaseUntil: number, limit: number): Promise<MailDue[]>
  /** It was sent; that about the end, where it waits, is due now. */
  mailSent(id: string, notice: Notice, at: number): Promise<void>
  /** It was not sent: due again then; null: given up. */
  mailFailed(id: string, notice: Notice, dueAt: number | null): Promise<void>
}
