import { type Clock, isoSeconds } from '../base/clock.ts'
import { newId, type RandomBytes } from '../base/id.ts'
import type { Log } from '../base/log.ts'
import { Rounds } from '../base/rounds.ts'
import { MINUTE_MS, SECOND_MS } from '../base/units.ts'
import type { EventType } from '../events/catalogue.ts'
import type { EventDraft } from '../events/event.ts'
import type { Data } from '../events/payloads.ts'
import { beginOf } from '../webhooks/monitoring/stats.ts'
import { type Alert, FACTS_MS, type Facts, judge } from './alert.ts'
import type { AlertStore, Basis } from './port.ts'

/** Time between two looks, ms. */
export const LOOK_EVERY_MS = 3 * SECOND_MS
/** What a look reads for new trouble; the whole hour is read when a minute has begun, because old attempts leave it then. */
const NEWS_MS = 2 * MINUTE_MS
/** Webhooks with trouble, and open alerts, that one look takes; the next look goes on. */
const LOOK_MAX = 1_000
/** Webhooks whose facts are read at once. */
const FACTS_STEP = 100

export interface AlertWatchParts {
  readonly store: Pick<AlertStore, 'troubledWebhooks' | 'openAlerts' | 'watchFacts' | 'raiseAlert' | 'clearAlert'>
  readonly clock: Clock
  readonly log: Log
  /** Whether alerts are sent by mail. */
  readonly mails: boolean
  /** A mail is due. */
  readonly mailDue?: () => void
  readonly random?: RandomBytes
}

/**
 * Raises and clears alerts: looks every few seconds at webhooks with recent trouble and at those with open alerts, judges each, and
 * writes what changed, each alert with its events and its mail in one transaction. It keeps nothing that is not in the store, so after
 * a crash the next look goes on where the last one was, and several nodes raise and clear an alert once.
 *
 * new → running (start) → stopped (stop).
 */
export class AlertWatch {
  readonly #parts: AlertWatchParts
  readonly #looks: Rounds
  /** The open alerts up to this id were looked at; empty: begin again. */
  #lookedUpTo = ''
  #minuteRead = Number.NaN

  constructor(parts: AlertWatchParts) {
    this.#parts = parts
    this.#looks = new Rounds({
      clock: parts.clock,
      round: () => this.look(),
      everyMs: LOOK_EVERY_MS,
      failed: (error) => parts.log.warn({ err: error }, 'alerts could not be judged; tried again'),
    })
  }

  start(): void {
    this.#looks.start()
  }

  stop(): Promise<void> {
    return this.#looks.stop()
  }

  /** One look at everything that may have changed. */
  async look(): Promise<void> {
    const { store, clock } = this.#parts
    const now = clock.now()
    const minute = beginOf(now, 'minute')
    const since = minute === this.#minuteRead ? beginOf(now - NEWS_MS, 'minute') : beginOf(now - FACTS_MS, 'minute')
    const troubled = await store.troubledWebhooks(since, LOOK_MAX)
    const open = await store.openAlerts(this.#lookedUpTo, LOOK_MAX)
    await this.lookAt([...new Set([...troubled, ...open.map(({ subjectId }) => subjectId)])], open)
    this.#minuteRead = minute
    this.#lookedUpTo = open.length < LOOK_MAX ? '' : open.at(-1)!.id
  }

  /** Judges these webhooks now. `open` are alerts known to be open, some of them perhaps of webhooks that are gone. */
  async lookAt(webhookIds: readonly string[], open: readonly Alert[] = []): Promise<void> {
    const { store, clock } = this.#parts
    for (let start = 0; start < webhookIds.length; start += FACTS_STEP) {
      const ids = webhookIds.slice(start, start + FACTS_STEP)
      const now = clock.now()
      const facts = new Map(
        (await store.watchFacts(ids, beginOf(now - FACTS_MS, 'minute'))).map((each) => [each.webhook.id, each]),
      )
      for (const id of ids) {
        const known = facts.get(id) ?? null
        await this.#carryOut(known?.open ?? open.filter(({ subjectId }) => subjectId === id), known, now)
      }
    }
  }

  async #carryOut(open: readonly Alert[], facts: Facts | null, now: number): Promise<void> {
    const { raise, clear } = judge(open, facts, now)
    for (const { kind, message, raisedAt } of raise) {
      const { id: subjectId, accountId } = facts!.webhook
      const id = newId('alert', now, this.#parts.random)
      await this.#raise({ id, kind, subjectId, accountId, message, raisedAt, clearedAt: null }, facts!, now)
    }
    for (const alert of clear) await this.#clear(alert, facts, now)
  }

  async #raise(alert: Alert, facts: Facts, now: number): Promise<void> {
    const { store, log, mails, mailDue } = this.#parts
    const events = [this.#event('alert.raised', alert, now, alertData(alert))]
    if (alert.kind === 'webhook_failed') events.push(this.#event('webhook.failed', alert, now, failedData(facts)))
    if (!(await store.raiseAlert(alert, basisOf(facts), events, mails ? now : null))) return
    log.warn({ alertId: alert.id, kind: alert.kind, subjectId: alert.subjectId }, alert.message)
    mailDue?.()
  }

  async #clear(alert: Alert, facts: Facts | null, now: number): Promise<void> {
    const { store, log, mails, mailDue } = this.#parts
    const events = [this.#event('alert.cleared', alert, now, { ...alertData(alert), clearedAt: isoSeconds(now) })]
    if (alert.kind === 'webhook_failed' && facts?.webhook.state === 'active')
      events.push(this.#event('webhook.recovered', alert, now, recoveredData(alert, facts)))
    const { id, subjectId, kind } = alert
    if (!(await store.clearAlert({ id, subjectId, clearedAt: now }, facts && basisOf(facts), events, mails ? now : null))) return
    log.info({ alertId: id, kind, subjectId }, 'an alert is over')
    mailDue?.()
  }

  #event<T extends EventType>(type: T, { accountId }: Alert, now: number, data: Data<T> & object): EventDraft {
    return { id: newId('event', now, this.#parts.random), type, accountId, occurredAt: now, data: data as EventDraft['data'] }
  }
}

function basisOf({ webhook: { id, state, updatedAt } }: Facts): Basis {
  return { id, state, updatedAt }
}

function alertData({ id, kind, subjectId, message, raisedAt }: Alert): Data<'alert.raised'> {
  return { alertId: id, kind, subjectId, message, raisedAt: isoSeconds(raisedAt) }
}

function failedData({ webhook, failure }: Facts): Data<'webhook.failed'> {
  const { deliveryId = '', attempts = 0, error = webhook.failedReason ?? '' } = failure ?? {}
  return { webhookId: webhook.id, webhookName: webhook.name, deliveryId, attempts, error, status: 'failed' }
}

function recoveredData({ raisedAt }: Alert, { webhook, recovery }: Facts): Data<'webhook.recovered'> {
  const { deliveryId = '' } = recovery ?? {}
  return { webhookId: webhook.id, webhookName: webhook.name, deliveryId, failedAt: isoSeconds(raisedAt), status: 'active' }
}
