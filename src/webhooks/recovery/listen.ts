import { dialectOf } from '../../dialects/index.ts'
import type { RecordedEvent } from '../../events/event.ts'
import { signedHeaders } from '../sign.ts'
import type { Webhook } from '../webhook.ts'
import { unplannedId } from './feed.ts'

/** How a listener wants its requests: as a webhook with these would get them. */
export type ListenAs = Pick<Webhook, 'dialect' | 'options'>

/** A request that is ready to be posted to a receiver. */
export interface ListenItem {
  readonly deliveryId: string
  readonly eventId: string
  readonly event: string
  readonly headers: Record<string, string>
  readonly body: string
  readonly cursor: string
}

/** An event as a real delivery would say it, signed now with the secret of the listener. The same event always has the same delivery id. */
export function listenItem(
  { event, cursor }: { event: RecordedEvent; cursor: string },
  { dialect: name, options }: ListenAs,
  secret: string,
  now: number,
): ListenItem {
  const dialect = dialectOf(name)
  const deliveryId = unplannedId(event)
  const body = dialect.body(event, deliveryId, options)
  const facts = { deliveryId, eventId: event.id, eventType: event.type, startedAt: now, secret, secretBefore: null }
  const planned = { dialect: name, headers: dialect.fixedHeaders(event, options) }
  // Values that are secret stay here: a listener is somebody at a terminal.
  const own = Object.entries(options.headers ?? {}).filter((header): header is [string, string] => header[1] !== null)
  const headers = { ...Object.fromEntries(own), ...signedHeaders(planned, options, { ...facts, body: Buffer.from(body) }) }
  return { deliveryId, eventId: event.id, event: event.type, headers, body, cursor }
}
