import { nearest } from '../base/nearest.ts'

/**
 * What can happen: the one table of event types. 17 come from the MFTPlus contract, 6 from the TrueFTP contract, the
 * rest are ours. `documented` says whether the contract's page shows a payload; where it does not, ours is a choice of
 * this project. docs/events.md is written from this table and tested against it.
 */
export interface CatalogueEntry {
  readonly source: 'mftplus' | 'trueftp' | 'landfall'
  /** What makes it happen, for people. */
  readonly trigger: string
  /** Whether the contract's own page shows the payload. */
  readonly documented: boolean
}

export const CATALOGUE = {
  'transfer.created': mftplus('A transfer was made and waits for its agent.'),
  'transfer.progress': mftplus('A running transfer reached another tenth of its size.'),
  'transfer.completed': mftplus('A transfer moved its whole file.', { documented: true }),
  'transfer.failed': mftplus('A transfer ended with an error and is not tried again.', { documented: true }),
  'transfer.cancelled': mftplus('A transfer was stopped by a person or by the system.'),
  'agent.registered': mftplus('An agent joined for the first time.'),
  'agent.connected': mftplus('An agent that had been offline is back.'),
  'agent.disconnected': mftplus('An agent has not been heard of for too long.', { documented: true }),
  'agent.certificate.expiring': mftplus('The certificate of an agent has at most 30 days left; said once a certificate.', {
    documented: true,
  }),
  'agent.certificate.expired': mftplus('The certificate of an agent is no longer valid.'),
  'job.started': mftplus('A run of a job began.'),
  'job.completed': mftplus('A run of a job ended and all of its transfers completed.', { documented: true }),
  'job.failed': mftplus('A run of a job ended and at least one of its transfers failed.'),
  'job.skipped': mftplus('A run of a job was due, but the conditions of its schedule were not met.'),
  'system.health.degraded': mftplus('A health check of the server went over its threshold.'),
  'system.storage.warning': mftplus('More than 80 % of the storage is used.'),
  'system.error': mftplus('The server met a failure that nobody expected.'),

  'file.uploaded': trueftp('A file that was written is closed and stored as a whole, whether it is new or replaces another.', {
    documented: true,
  }),
  'file.downloaded': trueftp('A file was read to its end.'),
  'file.deleted': trueftp('A file was deleted.'),
  'dir.created': trueftp('A folder was made.'),
  'dir.deleted': trueftp('A folder was deleted; what it held gets no events of its own.'),
  'ftp_user.created': trueftp('A transfer user was made.'),

  'file.renamed': landfall('A file or folder got another path; what a folder holds gets no events of its own.'),
  'file.upload_failed': landfall('An upload ended before its file was whole; what arrived may be kept to be resumed.'),
  'file.overdue': landfall('A file that was expected by now has not arrived.'),
  'file.arrived_late': landfall('A file that was overdue has arrived.'),
  'file.unexpected_size': landfall('A file that was expected arrived with a size out of its bounds.'),
  'file.set_complete': landfall('The last file of an expected set has arrived.'),
  'webhook.failed': landfall('A webhook was turned off because a delivery used up its attempts.'),
  'webhook.recovered': landfall('A webhook that had failed was turned on again and took a delivery.'),
  'alert.raised': landfall('A condition that somebody should look at began.'),
  'alert.cleared': landfall('The condition of an alert ended.'),
} as const satisfies Record<string, CatalogueEntry>

export type EventType = keyof typeof CATALOGUE

/** Every event type, in the order of the contracts' pages, ours last. */
export const EVENT_TYPES = Object.keys(CATALOGUE) as readonly EventType[]

/** What a webhook may subscribe to besides single types and `*`: `transfer.*`, `agent.certificate.*`, ... */
export const EVENT_GROUPS: readonly string[] = [...new Set(EVENT_TYPES.flatMap(groupsOf))]

export function isEventType(text: string): text is EventType {
  return Object.hasOwn(CATALOGUE, text)
}

/** Whether a webhook may name this among its events: a type, a group or `*`. */
export function isSubscription(text: string): boolean {
  return text === '*' || isEventType(text) || EVENT_GROUPS.includes(text)
}

/** Whether an entry of a webhook's events covers this type. An entry that is no subscription covers nothing. */
export function matches(subscription: string, type: EventType): boolean {
  if (subscription === '*' || subscription === type) return true
  return subscription.endsWith('.*') && type.startsWith(subscription.slice(0, -1)) && subscription.length > 2
}

/** The type or group most like a text that is neither, for the message that refuses it; where none is like it, `file.uploaded` as an example. */
export function nearestSubscription(text: string): string {
  const asked = text.slice(0, NEAREST_TEXT_CHARACTERS).toLowerCase()
  return nearest(asked, [...EVENT_TYPES, ...EVENT_GROUPS]) ?? 'file.uploaded'
}

/** The same where only a type is taken: of a group its first. */
export function nearestEventType(text: string): EventType {
  const like = nearestSubscription(text)
  return EVENT_TYPES.find((type) => matches(like, type)) ?? 'file.uploaded'
}

/** Longer texts are cut: no name is as long, and the work stays bounded whatever a caller sends. */
const NEAREST_TEXT_CHARACTERS = 64

/** `agent.certificate.expired` is in `agent.*` and `agent.certificate.*`. */
function groupsOf(type: string): string[] {
  const parts = type.split('.')
  return parts.slice(1).map((_, index) => `${parts.slice(0, index + 1).join('.')}.*`)
}

function mftplus(trigger: string, { documented = false } = {}): CatalogueEntry {
  return { source: 'mftplus', trigger, documented }
}

function trueftp(trigger: string, { documented = false } = {}): CatalogueEntry {
  return { source: 'trueftp', trigger, documented }
}

function landfall(trigger: string): CatalogueEntry {
  return { source: 'landfall', trigger, documented: false }
}
