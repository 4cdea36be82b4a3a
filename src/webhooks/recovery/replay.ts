import { type Caller, changeEntry } from '../../audit/caller.ts'
import type { Clock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import { faultOfGlob } from '../../base/glob.ts'
import { idTime, newId, type RandomBytes } from '../../base/id.ts'
import type { Page, PageRequest } from '../../base/page.ts'
import { isSubscription, nearestSubscription } from '../../events/catalogue.ts'
import type { RecordedEvent } from '../../events/event.ts'
import type { WebhookAdmin } from '../admin/administer.ts'
import { invalid, shortened } from '../invalid.ts'
import type { WebhookStore } from '../port.ts'
import type { Webhook } from '../webhook.ts'
import type { Replay, ReplayOutcome, ReplayProgress, ReplayRequest, ReplayStore } from './replay-port.ts'
import { select } from './select.ts'

/** What a person asks to be sent again; times in ms since 1970 UTC. */
export interface ReplayInput {
  /** Needed unless `eventIds` are named. */
  readonly since?: number
  /** Defaults to now. */
  readonly until?: number
  readonly events?: readonly string[]
  readonly path?: string
  /** Defaults to `all`. */
  readonly only?: ReplayOutcome
  readonly eventIds?: readonly string[]
  /** Only count: nothing is stored. */
  readonly dryRun?: boolean
  readonly ratePerSecond?: number
}

export interface PlannedReplay {
  /** Events that will be sent. */
  readonly planned: number
  /** False: there may be more; the count stopped after COUNT_STEPS_MAX steps. */
  readonly isCounted: boolean
  /** The first of them. */
  readonly sample: readonly RecordedEvent[]
  /** Null after a dry run. */
  readonly replay: ReplayProgress | null
  /** What the caller should know although it was accepted. */
  readonly warning: string | null
}

/** Events that a webhook did not get: that whose delivery turned it off, and those from then on. */
export interface Missed {
  readonly since: number
  readonly until: number
  readonly events: number
  readonly isCounted: boolean
}

type Viewer = Pick<Caller, 'accountId'>

/**
 * What people do with replays, for every face; `not_found` for what is outside the caller's scope, `plan_refused` where the plan of
 * its account has no webhooks.
 */
export interface ReplayAdmin {
  /** `conflict` while the webhook has one running. One for a webhook that is not active is kept back until it is. */
  replay(webhookId: string, input: ReplayInput, caller: Caller): Promise<PlannedReplay>
  get(webhookId: string, id: string, caller: Viewer): Promise<ReplayProgress>
  list(webhookId: string, page: PageRequest, caller: Viewer): Promise<Page<ReplayProgress>>
  /** What it has planned and nobody has in hand is cancelled. `conflict` when it has ended. */
  cancel(webhookId: string, id: string, caller: Caller): Promise<ReplayProgress>
  /** Null unless `after` was made active when `before` was not. */
  missed(before: Webhook, after: Webhook): Promise<Missed | null>
}

export const EVENT_IDS_MAX = 1_000
export const RATE_PER_SECOND_DEFAULT = 50
export const RATE_PER_SECOND_MAX = 1_000
export const REPLAY_EVENTS_MAX = 100
/** Events of a dry run that are shown. */
const SAMPLE_EVENTS_MAX = 10
/** Stretches of events that a count goes through: 20,000 events, some tenths of a second. */
const COUNT_STEPS_MAX = 100

export interface ReplayParts {
  readonly store: ReplayStore & Pick<WebhookStore, 'findDelivery'>
  readonly webhooks: Pick<WebhookAdmin, 'get' | 'getIncluded'>
  readonly clock: Pick<Clock, 'now'>
  /** A replay was made here: its worker need not wait for its next look. */
  readonly wake: () => void
  readonly random?: RandomBytes
}

export function createReplayAdmin({ store, webhooks, clock, wake, random }: ReplayParts): ReplayAdmin {
  async function replay(webhookId: string, input: ReplayInput, caller: Caller): Promise<PlannedReplay> {
    const webhook = await webhooks.getIncluded(webhookId, caller)
    const now = clock.now()
    const request = requestOf(input, now)
    const counted = await count(webhook, request)
    if (input.dryRun === true) return { ...counted, replay: null, warning: warningFor(webhook) }
    const made: Replay = {
      ...{ id: newId('replay', now, random), webhookId: webhook.id, accountId: webhook.accountId, request, state: 'running' },
      ...{ matched: counted.planned, isCounted: counted.isCounted, planned: 0, createdAt: now, endedAt: null },
    }
    await store.createReplay(made, audit('webhook.replay', webhook, caller, made.id))
    wake()
    const progress = { ...made, waiting: 0, delivered: 0, failed: 0, cancelled: 0 }
    return { ...counted, replay: progress, warning: warningFor(webhook) }
  }

  async function count(webhook: Webhook, request: ReplayRequest) {
    const sample: RecordedEvent[] = []
    let planned = 0
    let cursor: string | null = null
    for (let steps = 0; steps < COUNT_STEPS_MAX; steps++) {
      const stretch = await select(store, webhook, request, cursor)
      sample.push(...stretch.chosen.slice(0, SAMPLE_EVENTS_MAX - sample.length))
      planned += stretch.chosen.length
      if (stretch.isLast) return { planned, isCounted: true, sample }
      cursor = stretch.cursor
    }
    return { planned, isCounted: false, sample }
  }

  async function get(webhookId: string, id: string, caller: Viewer): Promise<ReplayProgress> {
    const webhook = await webhooks.get(webhookId, caller)
    const found = await store.findReplay(webhook.id, id)
    if (found === undefined) throw new AppError('not_found', `no replay ${shortened(id)} of webhook ${webhook.id}`)
    return found
  }

  async function cancel(webhookId: string, id: string, caller: Caller): Promise<ReplayProgress> {
    await get(webhookId, id, caller)
    const webhook = await webhooks.get(webhookId, caller)
    await store.cancelReplay(webhook.id, id, audit('webhook.replay_cancel', webhook, caller, id))
    return get(webhookId, id, caller)
  }

  async function missed(before: Webhook, after: Webhook): Promise<Missed | null> {
    if (before.state === 'active' || after.state !== 'active' || before.offSince === null) return null
    // What was recorded up to the moment in which it turned active; what came after was planned, and is not missing.
    const until = clock.now() + 1
    const since = Math.min(before.offSince, await failedEventAt(before), until - 1)
    const { planned, isCounted } = await count(after, requestOf({ since, until, only: 'missing' }, until))
    return { since, until, events: planned, isCounted }
  }

  /** When the event was recorded whose delivery turned the webhook off: it is missing like those that came later. */
  async function failedEventAt({ id, failedDeliveryId }: Webhook): Promise<number> {
    const found = failedDeliveryId === null ? undefined : await store.findDelivery(id, failedDeliveryId)
    return found === undefined || found.delivery.cause === 'test'
      ? Number.POSITIVE_INFINITY
      : idTime('event', found.delivery.eventId)
  }

  function audit(action: 'webhook.replay' | 'webhook.replay_cancel', webhook: Webhook, caller: Caller, detail: string) {
    return changeEntry(caller, clock.now(), { accountId: webhook.accountId, action, target: webhook.id, detail }, random)
  }

  return {
    ...{ replay, get, cancel, missed },
    list: async (webhookId, page, caller) => store.listReplays((await webhooks.get(webhookId, caller)).id, page),
  }
}

/** Checked and with its defaults. */
function requestOf(input: ReplayInput, now: number): ReplayRequest {
  const { since, events, path, eventIds, ratePerSecond = RATE_PER_SECOND_DEFAULT } = input
  if (since === undefined && eventIds === undefined) throw invalid('since', 'since is missing; name a time, or eventIds')
  const until = Math.min(input.until ?? now + 1, now + 1)
  if (since !== undefined && since >= until)
    throw invalid('since', `since is ${new Date(since).toISOString()}, not before ${new Date(until).toISOString()}`)
  if (events !== undefined) checkEvents(events)
  if (path !== undefined) checkPath(path)
  if (eventIds !== undefined) checkLength('eventIds', eventIds.length, EVENT_IDS_MAX, 'entries')
  if (!(Number.isInteger(ratePerSecond) && ratePerSecond >= 1 && ratePerSecond <= RATE_PER_SECOND_MAX))
    throw invalid('ratePerSecond', `ratePerSecond must be 1 to ${RATE_PER_SECOND_MAX}, not ${ratePerSecond}`)
  return {
    ...{ since: since ?? 0, until, events: events ?? null, path: path ?? null, only: input.only ?? 'all', ratePerSecond },
    eventIds: eventIds === undefined ? null : [...new Set(eventIds)].sort(),
  }
}

function checkPath(path: string): void {
  const fault = path === '' ? 'is empty' : faultOfGlob(path)
  if (fault !== undefined) throw invalid('path', `path ${fault}`)
}

function checkEvents(events: readonly string[]): void {
  checkLength('events', events.length, REPLAY_EVENTS_MAX, 'entries')
  const unknown = events.find((event) => !isSubscription(event))
  if (unknown !== undefined)
    throw invalid(
      'events',
      `events: "${shortened(unknown)}" is no event type or group; did you mean "${nearestSubscription(unknown)}"?`,
    )
}

function checkLength(field: string, length: number, max: number, what: string): void {
  if (length < 1 || length > max) throw invalid(field, `${field} must have 1 to ${max} ${what}, not ${length}`)
}

function warningFor({ state }: Webhook): string | null {
  return state === 'active' ? null : `the webhook is ${state}: nothing is sent until active is set to true`
}
