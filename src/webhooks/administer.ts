import { type Caller, changeEntry } from '../audit/caller.ts'
import type { AuditAction, AuditEntry } from '../audit/entry.ts'
import type { Clock } from '../base/clock.ts'
import { AppError, codeOf } from '../base/error.ts'
import { newId, type RandomBytes } from '../base/id.ts'
import { nearest } from '../base/nearest.ts'
import type { Page, PageRequest } from '../base/page.ts'
import type { Seal } from '../base/seal.ts'
import type { DialectName } from '../dialects/dialect.ts'
import { DIALECT_NAMES, dialectOf, isDialectName } from '../dialects/index.ts'
import { isEventType, nearestEventType } from '../events/catalogue.ts'
import type { RecordedEvent } from '../events/event.ts'
import type { EventStore } from '../events/port.ts'
import { SAMPLES } from '../events/samples.ts'
import type { EgressGuard } from '../http/guard.ts'
import { checkInput, type WebhookInput } from './input.ts'
import { invalid, shortened } from './invalid.ts'
import { secretAfter } from './new-secret.ts'
import { planDelivery } from './plan.ts'
import type { WebhookStore } from './port.ts'
import { maskedSignatures, signedHeaders } from './sign.ts'
import type { Attempt, DeliveryRecord, DeliveryState, PlannedDelivery, Webhook } from './webhook.ts'

/** Where a new webhook belongs, and what the plan of that account allows. */
export interface Placement {
  /** Null: all accounts and server-wide events. */
  readonly accountId: string | null
  readonly allowed: boolean
  readonly webhooksMax: number
  /** Of the face on which it is made, used when the input names none. */
  readonly dialect: DialectName
}

export interface SavedWebhook {
  readonly webhook: Webhook
  /** Only when one was made here; it is never shown again. */
  readonly madeSecret: string | null
  /** What the caller should know although it was accepted. */
  readonly warnings: readonly string[]
}

export interface DeliveryDetail {
  readonly delivery: DeliveryRecord
  /** As the next attempt would be sent, or the last one was; the signature is masked. */
  readonly request: { readonly url: string; readonly headers: Record<string, string>; readonly body: string }
  /** Oldest first. */
  readonly attemptLog: readonly Attempt[]
}

/**
 * What people do with webhooks, for every face. Throws `not_found` for a webhook outside the caller's scope,
 * `invalid` and `url_refused` for input, `plan_refused` and `limit_reached` for the plan; nothing is stored then.
 */
export interface WebhookAdmin {
  create(input: WebhookInput, placement: Placement, caller: Caller): Promise<SavedWebhook>
  /** Members left out stay. `active: true` also brings a failed webhook back; its waiting deliveries go on. */
  update(id: string, patch: Partial<WebhookInput>, caller: Caller): Promise<SavedWebhook>
  remove(id: string, caller: Caller): Promise<void>
  get(id: string, caller: Pick<Caller, 'accountId'>): Promise<Webhook>
  /** `accountId` narrows an administrator's view. */
  list(filter: { accountId?: string }, page: PageRequest, caller: Pick<Caller, 'accountId'>): Promise<Page<Webhook>>
  deliveries(
    id: string,
    filter: DeliveryFilter,
    page: PageRequest,
    caller: Pick<Caller, 'accountId'>,
  ): Promise<Page<DeliveryRecord>>
  attempts(id: string, page: PageRequest, caller: Pick<Caller, 'accountId'>): ReturnType<WebhookStore['listAttempts']>
  delivery(id: string, deliveryId: string, caller: Pick<Caller, 'accountId'>): Promise<DeliveryDetail>
  /** A new delivery of the same event in the webhook's present dialect; it waits while the webhook is not active. */
  redeliver(id: string, deliveryId: string, caller: Caller): Promise<DeliveryRecord>
  /** A sample of this type through the real path. `conflict` while the webhook is not active. */
  test(id: string, eventType: string, caller: Caller): Promise<DeliveryRecord>
}

export type DeliveryFilter = { state?: Exclude<DeliveryState, 'held'>; eventType?: string }

export interface WebhookAdminParts {
  readonly store: WebhookStore
  readonly events: Pick<EventStore, 'findEvent'>
  readonly guard: Pick<EgressGuard, 'checkUrl' | 'checkHost'>
  readonly seal: Seal
  readonly clock: Pick<Clock, 'now'>
  /** Wakes the engine for these webhooks. */
  readonly nudge: (webhookIds: readonly string[]) => void
  readonly random?: RandomBytes
}

/** Tries to change a webhook that others change at the same time. */
const UPDATE_TRIES_MAX = 5

export function createWebhookAdmin(parts: WebhookAdminParts): WebhookAdmin {
  const { store, events, guard, seal, clock, nudge, random } = parts

  async function create(input: WebhookInput, placement: Placement, caller: Caller): Promise<SavedWebhook> {
    if (!placement.allowed) throw new AppError('plan_refused', 'the plan of the account does not include webhooks')
    const { url, warnings } = await checkedUrl(input.url)
    checkInput(input)
    const dialect = dialectNamed(input.dialect ?? placement.dialect)
    const now = clock.now()
    const id = newId('webhook', now, random)
    const { madeSecret, ...secret } = secretAfter({ id, dialect, options: {} }, input.secret, null, { seal, random })
    const webhook: Webhook = {
      id,
      accountId: placement.accountId,
      name: input.name ?? url.hostname,
      url: input.url,
      events: [...new Set(input.events)],
      dialect,
      filter: null,
      order: 'none',
      ...secret,
      options: {},
      sealedOptions: null,
      egressAllow: null,
      retryDelaysSeconds: input.retry?.delaysSeconds ?? null,
      state: input.active === false ? 'inactive' : 'active',
      failedReason: null,
      failedDeliveryId: null,
      offSince: input.active === false ? now : null,
      createdAt: now,
      updatedAt: now,
    }
    await store.createWebhook(webhook, { webhooksMax: placement.webhooksMax }, audit('webhook.create', webhook, caller))
    return { webhook, madeSecret, warnings }
  }

  /** Applied to the webhook as it is: read again, when the engine or another caller changed it in between. */
  async function update(id: string, patch: Partial<WebhookInput>, caller: Caller): Promise<SavedWebhook> {
    for (let tries = 1; ; tries++) {
      try {
        return await updateOnce(id, patch, caller)
      } catch (error) {
        if (codeOf(error) !== 'conflict' || tries === UPDATE_TRIES_MAX) throw error
      }
    }
  }

  async function updateOnce(id: string, patch: Partial<WebhookInput>, caller: Caller): Promise<SavedWebhook> {
    const now = clock.now()
    const before = await get(id, caller)
    const { warnings } = patch.url === undefined || patch.url === before.url ? { warnings: [] } : await checkedUrl(patch.url)
    checkInput(patch)
    const dialect = patch.dialect === undefined ? before.dialect : dialectNamed(patch.dialect)
    const { madeSecret, ...secret } = secretAfter({ ...before, dialect }, patch.secret, before, { seal, random })
    const webhook: Webhook = {
      ...before,
      name: patch.name ?? before.name,
      url: patch.url ?? before.url,
      events: patch.events === undefined ? before.events : [...new Set(patch.events)],
      dialect,
      ...secret,
      retryDelaysSeconds: patch.retry === undefined ? before.retryDelaysSeconds : (patch.retry?.delaysSeconds ?? null),
      state: patch.active === undefined ? before.state : patch.active ? 'active' : 'inactive',
      failedReason: patch.active === undefined ? before.failedReason : null,
      failedDeliveryId: patch.active === undefined ? before.failedDeliveryId : null,
      offSince: patch.active === undefined ? before.offSince : patch.active ? null : (before.offSince ?? now),
      updatedAt: now,
    }
    await store.updateWebhook(webhook, before, audit('webhook.update', webhook, caller))
    if (webhook.state === 'active') nudge([id])
    return { webhook, madeSecret, warnings }
  }

  async function remove(id: string, caller: Caller): Promise<void> {
    await store.removeWebhook(id, audit('webhook.remove', await get(id, caller), caller))
  }

  async function get(id: string, { accountId }: Pick<Caller, 'accountId'>): Promise<Webhook> {
    const webhook = await store.findWebhook(id)
    if (webhook === undefined || (accountId !== null && webhook.accountId !== accountId))
      throw new AppError('not_found', `no webhook ${shortened(id)}`)
    return webhook
  }

  async function delivery(id: string, deliveryId: string, caller: Pick<Caller, 'accountId'>): Promise<DeliveryDetail> {
    const webhook = await get(id, caller)
    const { delivery, planned, attempts } = await found(id, deliveryId)
    const startedAt = attempts.at(-1)?.startedAt ?? clock.now()
    return {
      delivery,
      request: { url: webhook.url, headers: maskedHeaders(planned, webhook, startedAt), body: planned.body },
      attemptLog: attempts,
    }
  }

  async function redeliver(id: string, deliveryId: string, caller: Caller): Promise<DeliveryRecord> {
    const webhook = await get(id, caller)
    const { planned } = await found(id, deliveryId)
    const event = await events.findEvent(planned.eventId)
    if (event === undefined) throw new AppError('not_found', `the event of delivery ${deliveryId} is no longer stored`)
    const now = clock.now()
    const resend = planDelivery(event, webhook, 'resend', now, random)
    await store.addDelivery(resend, now, audit('webhook.redeliver', webhook, caller, deliveryId))
    nudge([id])
    return newRecord(resend, now, webhook)
  }

  async function test(id: string, eventType: string, caller: Caller): Promise<DeliveryRecord> {
    const webhook = await get(id, caller)
    if (!isEventType(eventType))
      throw invalid('event', `event: "${shortened(eventType)}" is no event type; did you mean "${nearestEventType(eventType)}"?`)
    if (webhook.state !== 'active') throw new AppError('conflict', `the webhook is ${webhook.state}; set active to true first`)
    const now = clock.now()
    const sample: RecordedEvent = {
      id: newId('event', now, random),
      type: eventType,
      accountId: webhook.accountId,
      occurredAt: now,
      data: SAMPLES[eventType],
    }
    const planned = planDelivery(sample, webhook, 'test', now, random)
    await store.addTest(sample, planned, audit('webhook.test', webhook, caller, eventType))
    nudge([id])
    return newRecord(planned, now, webhook)
  }

  async function found(id: string, deliveryId: string) {
    const found = await store.findDelivery(id, deliveryId)
    if (found === undefined) throw new AppError('not_found', `no delivery ${shortened(deliveryId)} of webhook ${id}`)
    return found
  }

  async function checkedUrl(text: string): Promise<{ url: URL; warnings: string[] }> {
    const form = guard.checkUrl(text)
    if (!form.allowed) throw new AppError('url_refused', `url: ${form.reason}`, { field: 'url' })
    const host = await guard.checkHost(form.url)
    if (!host.allowed) throw new AppError('url_refused', `url: ${host.reason}`, { field: 'url' })
    return { url: form.url, warnings: host.warning === undefined ? [] : [host.warning] }
  }

  function audit(action: AuditAction, webhook: Webhook, caller: Caller, detail?: string): AuditEntry {
    const change = { accountId: webhook.accountId, action, target: webhook.id, ...(detail === undefined ? {} : { detail }) }
    return changeEntry(caller, clock.now(), change, random)
  }

  return {
    ...{ create, update, remove, get, delivery, redeliver, test },
    list: (filter, page, { accountId }) => store.listWebhooks(accountId === null ? filter : { accountId }, page),
    deliveries: async (id, filter, page, caller) =>
      store.listDeliveries({ webhookId: (await get(id, caller)).id, ...filter }, page),
    attempts: async (id, page, caller) => store.listAttempts((await get(id, caller)).id, page),
  }
}

function dialectNamed(name: string): DialectName {
  if (isDialectName(name)) return name
  const hint = nearest(name.slice(0, 32), DIALECT_NAMES)
  const meant = hint === undefined ? '' : `; did you mean "${hint}"?`
  throw invalid('dialect', `dialect must be one of ${DIALECT_NAMES.join(', ')}, not "${shortened(name)}"${meant}`)
}

function maskedHeaders(planned: PlannedDelivery, webhook: Webhook, startedAt: number): Record<string, string> {
  const dialect = dialectOf(planned.dialect)
  // Any text does: what is made of it is masked.
  const secret = webhook.sealedSecret === null && !dialect.secretRequired ? null : 'masked'
  const body = Buffer.from(planned.body)
  const { id: deliveryId, eventId, eventType } = planned
  const facts = { deliveryId, eventId, eventType, startedAt, body, secret, secretBefore: null }
  return maskedSignatures(signedHeaders(planned, webhook.options, facts))
}

/** A delivery that has just been stored, without asking the store for it. */
function newRecord({ id, eventId, eventType, webhookId, cause }: PlannedDelivery, now: number, webhook: Webhook): DeliveryRecord {
  const nextAttemptAt = webhook.state === 'active' ? now : null
  const nothingYet = { attempts: 0, settledAt: null, lastStatusCode: null, lastError: null }
  return { id, eventId, eventType, webhookId, cause, state: 'waiting', nextAttemptAt, createdAt: now, ...nothingYet }
}
