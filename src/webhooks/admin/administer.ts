import { type Caller, changeEntry } from '../../audit/caller.ts'
import type { AuditAction, AuditEntry } from '../../audit/entry.ts'
import type { Clock } from '../../base/clock.ts'
import { AppError, codeOf } from '../../base/error.ts'
import { newId, type RandomBytes } from '../../base/id.ts'
import type { Page, PageRequest } from '../../base/page.ts'
import type { Seal } from '../../base/seal.ts'
import { Turns } from '../../base/turns.ts'
import type { DialectName } from '../../dialects/dialect.ts'
import { isEventType, nearestEventType } from '../../events/catalogue.ts'
import type { RecordedEvent } from '../../events/event.ts'
import type { EventStore } from '../../events/port.ts'
import { SAMPLES } from '../../events/samples.ts'
import { invalid, shortened } from '../invalid.ts'
import { PROGRESS_KEY } from '../order.ts'
import { planDelivery } from '../plan.ts'
import type { WebhookStore } from '../port.ts'
import type { Attempt, DeliveryRecord, DeliveryState, PlannedDelivery, Webhook } from '../webhook.ts'
import { type AllowanceOf, checkWebhooksIncluded } from './allowance.ts'
import { type AppliedInput, applyInput, type InputGuard } from './apply-input.ts'
import type { WebhookInput } from './input.ts'
import { type Preview, previewOf } from './preview.ts'
import { type ShownRequest, shownRequest } from './shown-request.ts'

/** Where a new webhook belongs. */
export interface Placement {
  /** Null: all accounts and server-wide events. */
  readonly accountId: string | null
  /** Of the face on which it is made, used when the input names none. */
  readonly dialect: DialectName
}

export type SavedWebhook = AppliedInput

export interface DeliveryDetail {
  readonly delivery: DeliveryRecord
  /** As the next attempt would be sent, or the last one was; the signature is masked. */
  readonly request: ShownRequest
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
  /** The same for who wants to send something by hand: `plan_refused` where the plan of its account has no webhooks. */
  getIncluded(id: string, caller: Pick<Caller, 'accountId'>): Promise<Webhook>
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
  /** What it would send of the events recorded last, and why not of the others; nothing is stored or sent. */
  preview(id: string, input: PreviewInput, caller: Pick<Caller, 'accountId'>): Promise<Preview>
  /** A sample of this type through the real path. `conflict` while the webhook is not active. */
  test(id: string, eventType: string, caller: Caller): Promise<DeliveryRecord>
}

/** Changes that are tried, not made. */
export type PreviewInput = Pick<Partial<WebhookInput>, 'events' | 'filter' | 'dialect'> & { readonly limit?: number }

export type DeliveryFilter = { state?: Exclude<DeliveryState, 'held'>; eventType?: string }

export interface WebhookAdminParts {
  readonly store: WebhookStore
  readonly events: Pick<EventStore, 'findEvent' | 'listEvents'>
  readonly guard: InputGuard
  readonly seal: Seal
  readonly allowanceOf: AllowanceOf
  readonly clock: Pick<Clock, 'now'>
  /** Wakes the engine for these webhooks. */
  readonly nudge: (webhookIds: readonly string[]) => void
  readonly random?: RandomBytes
}

/** Tries to change a webhook that others change at the same time. */
const UPDATE_TRIES_MAX = 5
/** Deliveries that one step makes due, or lets out of their order: some 5 ms during which nobody else writes (SQLite). */
const WAITING_STEP = 500

export function createWebhookAdmin(parts: WebhookAdminParts): WebhookAdmin {
  const { store, events, allowanceOf, clock, nudge, random } = parts

  async function create(input: WebhookInput, { accountId, dialect }: Placement, caller: Caller): Promise<SavedWebhook> {
    const allowance = await allowanceOf(accountId)
    checkWebhooksIncluded(allowance)
    const applied = await applyInput(blank(accountId, dialect, clock.now(), random), input, allowance, parts)
    const webhook = { ...applied.webhook, updatedAt: applied.webhook.createdAt }
    const { webhooksMax, plan } = allowance
    await store.createWebhook(webhook, { webhooksMax, plan }, audit('webhook.create', webhook, caller))
    return { ...applied, webhook }
  }

  const turns = new Turns()

  /** Applied to the webhook as it is: one after the other here, and read again when the engine or another node changed it in between. */
  function update(id: string, patch: Partial<WebhookInput>, caller: Caller): Promise<SavedWebhook> {
    return turns.take(id, () => updateInTurn(id, patch, caller))
  }

  async function updateInTurn(id: string, patch: Partial<WebhookInput>, caller: Caller): Promise<SavedWebhook> {
    for (let tries = 1; ; tries++) {
      try {
        return await updateOnce(id, patch, caller)
      } catch (error) {
        if (codeOf(error) !== 'conflict' || tries === UPDATE_TRIES_MAX) throw error
      }
    }
  }

  async function updateOnce(id: string, patch: Partial<WebhookInput>, caller: Caller): Promise<SavedWebhook> {
    const before = await get(id, caller)
    const allowance = await allowanceOf(before.accountId)
    if (patch.active === true && before.state !== 'active') checkWebhooksIncluded(allowance)
    const saved = await applyInput(before, patch, allowance, parts)
    const { webhook } = saved
    const as = { state: before.state, updatedAt: before.updatedAt, plan: allowance.plan }
    // While it is off these times mean nothing. Who dies in between has turned nothing on, and is asked again.
    const now = clock.now()
    if (before.state !== 'active' && webhook.state === 'active') await inSteps(() => store.makeDue(id, now, WAITING_STEP))
    await store.updateWebhook(webhook, as, audit('webhook.update', webhook, caller))
    // Nothing new takes a place behind them any more. Saying `none` again lets go what a process that died here has left.
    if (patch.order === 'none') await inSteps(() => store.leaveOrder(id, PROGRESS_KEY, WAITING_STEP))
    if (webhook.state === 'active') nudge([id])
    return saved
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

  async function getIncluded(id: string, caller: Pick<Caller, 'accountId'>): Promise<Webhook> {
    const webhook = await get(id, caller)
    checkWebhooksIncluded(await allowanceOf(webhook.accountId))
    return webhook
  }

  async function delivery(id: string, deliveryId: string, caller: Pick<Caller, 'accountId'>): Promise<DeliveryDetail> {
    const webhook = await get(id, caller)
    const { delivery, planned, attempts } = await found(id, deliveryId)
    const startedAt = attempts.at(-1)?.startedAt ?? clock.now()
    return {
      delivery,
      request: shownRequest(planned, webhook, startedAt),
      attemptLog: attempts,
    }
  }

  async function redeliver(id: string, deliveryId: string, caller: Caller): Promise<DeliveryRecord> {
    const webhook = await getIncluded(id, caller)
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
    const webhook = await getIncluded(id, caller)
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

  async function preview(id: string, { limit, ...changes }: PreviewInput, caller: Pick<Caller, 'accountId'>): Promise<Preview> {
    const before = await get(id, caller)
    const { webhook } = await applyInput(before, changes, await allowanceOf(before.accountId), parts)
    return previewOf(webhook, limit, parts)
  }

  async function found(id: string, deliveryId: string) {
    const found = await store.findDelivery(id, deliveryId)
    if (found === undefined) throw new AppError('not_found', `no delivery ${shortened(deliveryId)} of webhook ${id}`)
    return found
  }

  function audit(action: AuditAction, webhook: Webhook, caller: Caller, detail?: string): AuditEntry {
    const change = { accountId: webhook.accountId, action, target: webhook.id, ...(detail === undefined ? {} : { detail }) }
    return changeEntry(caller, clock.now(), change, random)
  }

  return {
    ...{ create, update, remove, get, getIncluded, delivery, redeliver, preview, test },
    list: (filter, page, { accountId }) => store.listWebhooks(accountId === null ? filter : { accountId }, page),
    deliveries: async (id, filter, page, caller) =>
      store.listDeliveries({ webhookId: (await get(id, caller)).id, ...filter }, page),
    attempts: async (id, page, caller) => store.listAttempts((await get(id, caller)).id, page),
  }
}

/** Until there is nothing left: a step may change less than it could take, where others end some of it meanwhile. */
async function inSteps(step: () => Promise<number>): Promise<void> {
  while ((await step()) > 0);
}

/** A webhook about which nothing is said yet. */
function blank(accountId: string | null, dialect: DialectName, now: number, random?: RandomBytes): Webhook {
  return {
    ...{ id: newId('webhook', now, random), accountId, name: '', url: '', events: [], dialect, filter: null, order: 'none' },
    ...{ sealedSecret: null, sealedSecretBefore: null, secretBeforeUntil: null, options: {}, sealedOptions: null },
    ...{ egressAllow: null, retryDelaysSeconds: null, state: 'active', failedReason: null, failedDeliveryId: null },
    ...{ inactiveReason: null, offSince: null, createdAt: now, updatedAt: now },
  }
}

/** A delivery that has just been stored, without asking the store for it. */
function newRecord({ id, eventId, eventType, webhookId, cause }: PlannedDelivery, now: number, webhook: Webhook): DeliveryRecord {
  const nextAttemptAt = webhook.state === 'active' ? now : null
  const nothingYet = { attempts: 0, settledAt: null, lastStatusCode: null, lastError: null }
  return { id, eventId, eventType, webhookId, cause, state: 'waiting', nextAttemptAt, createdAt: now, ...nothingYet }
}
