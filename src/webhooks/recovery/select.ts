import { compileGlob } from '../../base/glob.ts'
import { idBound } from '../../base/id.ts'
import type { RecordedEvent } from '../../events/event.ts'
import { isInScope, subscribes, wants } from '../plan.ts'
import type { Webhook } from '../webhook.ts'
import type { ReplayOutcome, ReplayRequest, ReplayStore, Sending } from './replay-port.ts'

/** Stored events that are looked at in one step. */
const SELECT_EVENTS_MAX = 200

/** Cancelled because a newer delivery said the same better; nobody misses it. Such an end begins with this word. */
const SUPERSEDED = 'superseded'

/** A stretch of stored events, and those of it that a request asks for. */
export interface Selection {
  readonly chosen: readonly RecordedEvent[]
  /** The last event that was looked at. */
  readonly cursor: string
  /** Nothing lies behind the stretch. */
  readonly isLast: boolean
}

export type SelectStore = Pick<ReplayStore, 'eventsInRange' | 'eventsByIds' | 'sendingsOf'>

/** The next stretch behind `cursor` (null: from the start), oldest first. What it costs is bounded, whatever is stored. */
export async function select(
  store: SelectStore,
  webhook: Webhook,
  request: ReplayRequest,
  cursor: string | null,
): Promise<Selection> {
  const [from, before] = [idBound('event', request.since), idBound('event', request.until)]
  const { events, last, isLast } =
    request.eventIds === null
      ? await stretch(store, webhook, { from, before, after: cursor })
      : await named(store, request.eventIds, { from, before, after: cursor })
  const asked = events.filter(chooserOf(webhook, request))
  return { chosen: await open(store, webhook.id, request.only, asked), cursor: last ?? cursor ?? from, isLast }
}

interface Range {
  from: string
  before: string
  after: string | null
}

async function stretch(store: SelectStore, { accountId }: Webhook, range: Range) {
  const events = await store.eventsInRange({ accountId, ...range }, SELECT_EVENTS_MAX)
  return { events, last: events.at(-1)?.id, isLast: events.length < SELECT_EVENTS_MAX }
}

async function named(store: SelectStore, eventIds: readonly string[], { from, before, after }: Range) {
  const left = eventIds.filter((id) => id >= from && id < before && (after === null || id > after))
  const ids = left.slice(0, SELECT_EVENTS_MAX)
  return { events: await store.eventsByIds(ids), last: ids.at(-1), isLast: ids.length === left.length }
}

/**
 * Whether a request is about this event, whatever became of it. Events named by id, or by a type that the webhook does not
 * subscribe to, need no subscription; the account of the webhook is a border always.
 */
export function chooserOf(
  webhook: Webhook,
  request: Pick<ReplayRequest, 'events' | 'path' | 'eventIds'>,
): (event: RecordedEvent) => boolean {
  const { events, path, eventIds } = request
  const isOnPath = path === null ? () => true : pathTest(path)
  const isAsked = (event: RecordedEvent) => {
    if (eventIds !== null) return isInScope(webhook, event) && (events === null || subscribes({ events }, event))
    if (events === null) return wants(webhook, event)
    return wants({ ...webhook, events }, event)
  }
  return (event) => isAsked(event) && isOnPath(event)
}

/** The members of `data` that are paths. */
const PATH_MEMBERS = ['path', 'previous_path', 'paths', 'destinationPath']

function pathTest(glob: string): (event: RecordedEvent) => boolean {
  const fits = compileGlob(glob)
  return ({ data }) => PATH_MEMBERS.flatMap((member) => data[member]).some((value) => typeof value === 'string' && fits(value))
}

async function open(
  store: SelectStore,
  webhookId: string,
  only: ReplayOutcome,
  events: readonly RecordedEvent[],
): Promise<readonly RecordedEvent[]> {
  if (only === 'all' || events.length === 0) return events
  const ids = events.map(({ id }) => id)
  const sendings = Map.groupBy(await store.sendingsOf(webhookId, ids), ({ eventId }) => eventId)
  return events.filter(({ id }) => isOpen(only, sendings.get(id) ?? []))
}

/** Pure: whether an event with these deliveries to the webhook, oldest first, is one of those that `only` asks for. */
export function isOpen(only: ReplayOutcome, sendings: readonly Pick<Sending, 'state' | 'lastError'>[]): boolean {
  if (only === 'all') return true
  if (only === 'failed') return sendings.at(-1)?.state === 'failed'
  return !sendings.some(({ state, lastError }) => {
    return state === 'delivered' || state === 'waiting' || (state === 'cancelled' && lastError?.startsWith(SUPERSEDED) === true)
  })
}
