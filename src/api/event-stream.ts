import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { Type } from '../base/type.ts'
import { MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { DIALECT_NAMES, dialectOf } from '../dialects/index.ts'
import { isSubscription, nearestSubscription } from '../events/catalogue.ts'
import type { RecordedEvent } from '../events/event.ts'
import { subscribes, type Wanting, wants } from '../webhooks/plan.ts'
import { unplannedId } from '../webhooks/recovery/feed.ts'
import { type ListenAs, listenItem } from '../webhooks/recovery/listen.ts'
import { type EventStream, HEARTBEAT_MS, type StreamItem, type StreamStep } from '../webhooks/recovery/stream.ts'
import { checkSecret, makeSecret } from '../webhooks/secrets/new-secret.ts'
import type { ApiNeeds } from './needs.ts'
import { text } from './schema.ts'

/** A reader that takes nothing for so long is cut, ms; it goes on from the last cursor that it has. */
const SLOW_READER_MS = 30 * SECOND_MS
/** How often the credentials of an open stream are looked at again, ms. */
const REVIEW_MS = MINUTE_MS
const EVENTS_CHARACTERS_MAX = 2_048
/** The secret that requests are signed with; it is read here and is in no log. */
const SECRET_HEADER = 'x-landfall-listen-secret'

const Word = (description: string, maxLength = 100) => Type.Optional(text(description, { minLength: 1, maxLength }))

export const StreamQuery = {
  after: Word('A cursor to go on from; absent: `Last-Event-ID`, else what is said from now on.'),
  events: Word('Types and groups, separated by commas; absent: all.', EVENTS_CHARACTERS_MAX),
  dialect: Type.Optional(Type.Enum([...DIALECT_NAMES], { description: 'Each item with the body of this dialect.' })),
  sign: Type.Optional(
    Type.Enum([...DIALECT_NAMES], {
      description: 'Each item as a request of this dialect that is ready to be posted, signed with the secret of the listener.',
    }),
  ),
  webhook: Word('Id of a webhook: its scope, subscriptions, filter and dialect, signed with the secret of the listener.'),
}

export const STREAM_DESCRIPTION = `Server-sent events. First \`hello\` with \`cursor\` and, where requests are signed and none was sent in
\`X-Landfall-Listen-Secret\`, the \`secret\` that was made. Then a message for each event, with its cursor as \`id\`: a reader that comes back
with \`Last-Event-ID\` or \`after\` misses none, and is told \`live\` with \`cursor\` once it has all that was said before. With \`dialect\`, a message is \`{deliveryId, eventId, event, body, cursor}\`; with \`sign\` or
\`webhook\` also \`headers\`. A comment every ${HEARTBEAT_MS / SECOND_MS} s while nothing happens, which may move the cursor on. Before the server ends a stream it says \`end\`
with \`cursor\` and \`reason\`. Samples of \`trigger\` are shown live only.`

/** The answer of a route that streams, for its schema. */
export const StreamAnswer = Type.Unsafe<unknown>({
  description: 'The stream; it does not end by itself',
  content: { 'text/event-stream': { schema: { type: 'string' } } },
})

export interface StreamAsked {
  readonly query: Static<typeof Query>
  /** The account whose events it may have; null: all and those of the server. */
  readonly accountId: string | null
  /** An event as the face shows it. */
  readonly shape: (event: RecordedEvent) => object
  /** Whether the credentials that opened it still count. */
  readonly stillAllowed: () => Promise<boolean>
}
const Query = Type.Object(StreamQuery)

/** Answers with what is said, live, until the reader goes or the server stops. Refuses before the first byte, like any route. */
export async function streamEvents(
  request: FastifyRequest,
  reply: FastifyReply,
  { recovery, webhooks, clock }: Pick<ApiNeeds, 'recovery' | 'webhooks' | 'clock'>,
  asked: StreamAsked,
): Promise<void> {
  const { query, accountId, shape } = asked
  const webhook = query.webhook === undefined ? null : await webhooks.get(query.webhook, request.caller)
  if (webhook !== null && (query.sign ?? query.dialect) !== undefined)
    throw new AppError('invalid', 'sign and dialect are those of the webhook; name either', { field: 'webhook' })
  const listenAs: ListenAs | null = webhook ?? (query.sign === undefined ? null : { dialect: query.sign, options: {} })
  const { secret, madeSecret } = listenAs === null ? NO_SECRET : secretOf(request, listenAs)
  const chooses = chooserOf(webhook ?? { id: '', accountId, events: ['*'], filter: null }, query.events)
  const lastSeen = request.headers['last-event-id']
  const after = query.after ?? (typeof lastSeen === 'string' && lastSeen !== '' ? lastSeen : null)
  const stream = await recovery.streams.open({ owner: request.caller.accountId, after, chooses })

  const told = ({ event, cursor }: StreamItem): object => {
    if (listenAs !== null && secret !== null) return listenItem({ event, cursor }, listenAs, secret, clock.now())
    if (query.dialect === undefined) return shape(event)
    const deliveryId = unplannedId(event)
    return { deliveryId, eventId: event.id, event: event.type, body: dialectOf(query.dialect).body(event, deliveryId), cursor }
  }
  const hello = { cursor: stream.cursor, ...(madeSecret === null ? {} : { secret: madeSecret }) }

  reply.hijack()
  const { raw } = reply
  raw.on('close', () => stream.close())
  raw.writeHead(200, {
    ...reply.getHeaders(),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    // Some proxies would keep back what is small.
    'x-accel-buffering': 'no',
  } as Record<string, string>)
  const writer = new Writer(raw, clock)
  try {
    await writer.write(message('hello', hello))
    await tell(stream, writer, told, asked.stillAllowed, clock)
  } finally {
    stream.close()
    raw.end()
  }
}

async function tell(
  stream: EventStream,
  writer: Writer,
  told: (item: StreamItem) => object,
  stillAllowed: () => Promise<boolean>,
  clock: Pick<Clock, 'monotonic'>,
): Promise<void> {
  let reviewedAt = clock.monotonic()
  for (;;) {
    const step = await stream.next()
    if (step.kind === 'ended') return void (await writer.write(message('end', { cursor: step.cursor, reason: step.reason })))
    if (!(await writer.write(textOf(step, told)))) return
    if (clock.monotonic() - reviewedAt < REVIEW_MS) continue
    reviewedAt = clock.monotonic()
    // Where nobody can be asked, nothing is said against the reader.
    if (await stillAllowed().catch(() => true)) continue
    return void (await writer.write(message('end', { cursor: stream.cursor, reason: 'the credentials no longer count' })))
  }
}

function textOf(step: Exclude<StreamStep, { kind: 'ended' }>, told: (item: StreamItem) => object): string {
  if (step.kind === 'idle') return heartbeat(step.cursor)
  if (step.kind === 'live') return message('live', { cursor: step.cursor })
  return step.items.map((item) => message(item.cursor, told(item))).join('')
}

const NAMED = new Set(['hello', 'live', 'end'])

/** One message; an item has its cursor as id, what is said about the stream itself has a name. */
function message(idOrName: string, data: object): string {
  const head = NAMED.has(idOrName) ? `event: ${idOrName}` : `id: ${idOrName}`
  return `${head}\ndata: ${JSON.stringify(data)}\n\n`
}

/** A comment; with it an id without data, which moves the `Last-Event-ID` of the reader on and shows it nothing. */
function heartbeat(cursor: string): string {
  return `: still here\nid: ${cursor}\n\n`
}

/** Writes and waits: what the reader has not taken is all that is kept for it. */
class Writer {
  readonly #raw: FastifyReply['raw']
  readonly #clock: Pick<Clock, 'after'>

  constructor(raw: FastifyReply['raw'], clock: Pick<Clock, 'after'>) {
    this.#raw = raw
    this.#clock = clock
  }

  /** False: the reader is gone, or was cut because it takes nothing. */
  write(text: string): Promise<boolean> {
    const raw = this.#raw
    if (raw.destroyed || raw.closed) return Promise.resolve(false)
    if (raw.write(text)) return Promise.resolve(true)
    return new Promise((resolve) => {
      const end = (isTaken: boolean) => {
        cancel()
        raw.off('drain', drained).off('close', gone)
        if (!isTaken) raw.destroy()
        resolve(isTaken)
      }
      const drained = () => end(true)
      const gone = () => end(false)
      const cancel = this.#clock.after(SLOW_READER_MS, gone)
      raw.on('drain', drained).on('close', gone)
    })
  }
}

const NO_SECRET = { secret: null, madeSecret: null }

function secretOf({ headers }: FastifyRequest, { dialect, options }: ListenAs) {
  const given = headers[SECRET_HEADER]
  if (typeof given !== 'string') {
    const madeSecret = makeSecret(dialect)
    return { secret: madeSecret, madeSecret }
  }
  checkSecret({ id: '', dialect, options }, given)
  return { secret: given, madeSecret: null }
}

function chooserOf(webhook: Wanting, listed: string | undefined): (event: RecordedEvent) => boolean {
  if (listed === undefined) return (event) => wants(webhook, event)
  const events = listed.split(',').map((name) => name.trim())
  const unknown = events.find((name) => !isSubscription(name))
  if (unknown !== undefined) {
    const shown = JSON.stringify(unknown.slice(0, 80))
    const message = `events: ${shown} is no event type or group; did you mean "${nearestSubscription(unknown)}"?`
    throw new AppError('invalid', message, { field: 'events' })
  }
  return (event) => subscribes({ events }, event) && wants(webhook, event)
}
