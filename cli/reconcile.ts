import { createReadStream } from 'node:fs'
import { type Client, connect } from './client.ts'
import { type Call, type Command, CommandError, optional, required, SERVER_OPTIONS } from './command.ts'
import { instantOf, madeInTurn, type Planned, pathOf, type ReplayRow, replayEnd } from './replay.ts'
import { printable, table } from './terminal.ts'

interface FeedItem {
  readonly deliveryId: string
  readonly eventId: string
  readonly event: string
  readonly timestamp: string
}

interface FeedPage {
  readonly items: readonly FeedItem[]
  readonly nextCursor: string
  readonly isEnd: boolean
}

export interface Reconciled {
  /** Events of the time range that the webhook is for. */
  readonly events: number
  readonly missing: readonly FeedItem[]
  /** Ids of the receiver that belong to no stored event of this webhook. */
  readonly unknown: readonly string[]
}

/** Bytes of a list of ids: some millions of them. */
const LIST_BYTES_MAX = 256 * 1_048_576
const FEED_ITEMS_MAX = 500
/** Events of one replay. */
const CHUNK_EVENTS = 1_000
/** Ids of deliveries that are asked for one by one: those of events that were sent again. */
const ASKED_MAX = 10_000
/** What receivers get in headers and bodies of all dialects: the id of the event, of the delivery, or both. */
const ID = /^(whevt|dlv)_[0-9a-z]{16}$/
/** Of a line that is no id, characters. */
const SHOWN_CHARACTERS = 40
/** Rows of a list that people are shown. */
const SHOWN_MAX = 50

export const reconcile: Command = {
  name: 'reconcile',
  summary: 'compare what a receiver has with what it should have, and send only what is missing',
  usage: 'reconcile WEBHOOK --since TIME --ids FILE|- [--until TIME] [--dry-run] [--allow-empty]',
  options: {
    since: { type: 'string', meaning: 'recorded at or after: 2026-06-08T12:00:00Z, or 2h for two hours ago' },
    until: { type: 'string', meaning: 'recorded before (default: now)' },
    ids: {
      type: 'string',
      meaning:
        'ids of events or deliveries that the receiver has, one a line (or CSV that begins with it) or a JSON array; - for stdin',
    },
    'allow-empty': {
      type: 'boolean',
      meaning: 'take a list without ids for a receiver that has nothing: all of the time range is missing',
    },
    'dry-run': { type: 'boolean', meaning: 'show what is missing; nothing is sent' },
    ...SERVER_OPTIONS,
  },
  words: { min: 1, max: 1 },
  /** 0: nothing was missing, or all of it is sent; 1: something is missing or failed. */
  async run(call) {
    const has = parseIds(await readList(required(call, 'ids')))
    if (has.size === 0 && call.flags['allow-empty'] !== true)
      throw new CommandError(
        '--ids has no ids: if the receiver has nothing at all, say --allow-empty, and all of the time range is sent',
      )
    const client = await connect(call)
    const path = pathOf(call.words[0]!)
    const until = optional(call, 'until')
    const range = {
      since: instantOf('since', required(call, 'since')),
      until: until === undefined ? Number.POSITIVE_INFINITY : instantOf('until', until),
    }
    const found = await compare(client, path, range, has)
    if (call.flags['dry-run'] === true || found.missing.length === 0) return tell(call, found, [])
    await mustBeActive(client, path, found.missing.length)
    return tell(call, found, await sendMissing(client, path, found.missing, call))
  },
}

/** Walks the feed from its beginning: what is older than the range is still known. */
async function compare(
  client: Client,
  path: string,
  { since, until }: { since: number; until: number },
  has: ReadonlySet<string>,
): Promise<Reconciled> {
  const unknown = new Set(has)
  const open = new Map<string, FeedItem>()
  let events = 0
  let after = ''
  for (;;) {
    const page = await client.call<FeedPage>('GET', `${path}/feed?limit=${FEED_ITEMS_MAX}${after}`)
    for (const item of page.items) {
      const isThere = [item.eventId, item.deliveryId].filter((id) => has.has(id))
      for (const id of isThere) unknown.delete(id)
      const at = Date.parse(item.timestamp)
      if (at < since || at >= until) continue
      events++
      if (isThere.length === 0) open.set(item.eventId, item)
    }
    if (page.isEnd) break
    after = `&after=${page.nextCursor}`
  }
  // An event that was sent again came with another delivery id.
  for (const id of [...unknown].filter((one) => one.startsWith('dlv_')).slice(0, ASKED_MAX)) {
    const asked = client.call<{ delivery: { eventId: string } }>('GET', `${path}/deliveries/${encodeURIComponent(id)}`)
    const eventId = await asked.then(({ delivery }) => delivery.eventId).catch(() => undefined)
    if (eventId === undefined) continue
    unknown.delete(id)
    open.delete(eventId)
  }
  return { events, missing: [...open.values()], unknown: [...unknown] }
}

/** A webhook that is off keeps one replay back, which would hold up all that follow. */
async function mustBeActive(client: Client, path: string, missing: number): Promise<void> {
  const { webhook } = await client.call<{ webhook: { id: string; state: string } }>('GET', path)
  if (webhook.state === 'active') return
  throw new CommandError(
    `${missing} events are missing, and none was sent: webhook ${webhook.id} is ${webhook.state}; ` +
      `turn it on with \`landfall webhook resume ${webhook.id}\`, then call this again`,
  )
}

/** One replay after the other: a webhook has one at a time. */
async function sendMissing(client: Client, path: string, missing: readonly FeedItem[], call: Call): Promise<ReplayRow[]> {
  const ended: ReplayRow[] = []
  for (let from = 0; from < missing.length; from += CHUNK_EVENTS) {
    const eventIds = missing.slice(from, from + CHUNK_EVENTS).map(({ eventId }) => eventId)
    const left = `${missing.length - from} of ${missing.length} missing events are not sent yet`
    const { replay, warning } = await madeInTurn<Planned & { replay: ReplayRow }>(client, path, { eventIds }, call, left)
    if (warning !== undefined)
      throw new CommandError(`${warning}; replay ${replay.id} is kept until then, and after it ${left}: call this again`)
    ended.push(await replayEnd(client, path, replay, call))
  }
  return ended
}

function tell(call: Call, { events, missing, unknown }: Reconciled, sent: readonly ReplayRow[]): number {
  const planned = sent.reduce((sum, row) => sum + row.planned, 0)
  if (call.json) {
    call.terminal.out(JSON.stringify({ events, missing, unknown, planned, replays: sent.map(({ id }) => id) }))
  } else {
    call.terminal.out(`${events} events, ${events - missing.length} of them at the receiver, ${missing.length} missing`)
    if (sent.length === 0 && missing.length > 0) {
      const rows = missing.slice(0, SHOWN_MAX).map(({ timestamp, event, eventId }) => [timestamp, event, eventId])
      call.terminal.out(table(['WHEN', 'EVENT', 'ID'], rows))
      if (missing.length > SHOWN_MAX) call.terminal.out(`and ${missing.length - SHOWN_MAX} more; --json lists all`)
    }
    if (sent.length > 0) call.terminal.out(`${planned} sent`)
    if (unknown.length > 0)
      call.terminal.out(`${unknown.length} ids of the receiver are none of this webhook: ${listed(unknown)}`)
  }
  return missing.length === planned && sent.every(({ state }) => state === 'done') ? 0 : 1
}

function listed(ids: readonly string[]): string {
  const more = ids.length > SHOWN_MAX ? ` and ${ids.length - SHOWN_MAX} more` : ''
  return ids.slice(0, SHOWN_MAX).join(', ') + more
}

/**
 * One id a line, or a JSON array of texts; empty lines count for nothing. A line of CSV begins with one, and those behind it count too.
 * What is no id is refused: passed over, it would make the receiver look as if it had less than it has.
 */
export function parseIds(text: string): ReadonlySet<string> {
  const given = text.replace(/^\uFEFF/, '')
  if (given.trimStart().startsWith('[')) return new Set(parseArray(given))
  return new Set(
    given.split(/\r?\n/).flatMap((line, index) => {
      if (line.trim() === '') return []
      const [first, ...others] = line.split(/[,;\t]/).map(unquoted)
      return [checked(first!, `line ${index + 1}`, line), ...others.filter((one) => ID.test(one))]
    }),
  )
}

function parseArray(text: string): string[] {
  let ids: unknown
  try {
    ids = JSON.parse(text)
  } catch {
    throw new CommandError('--ids begins with [ and is no JSON')
  }
  if (!Array.isArray(ids) || !ids.every((id) => typeof id === 'string'))
    throw new CommandError('--ids is a JSON array of something else than texts')
  return ids.map((id, index) => checked(id, `entry ${index + 1}`, id))
}

function unquoted(field: string): string {
  const text = field.trim()
  return /^(["']).*\1$/.test(text) ? text.slice(1, -1).trim() : text
}

function checked(id: string, place: string, whole: string): string {
  if (ID.test(id)) return id
  throw new CommandError(
    `--ids: ${place} is not the id of an event (whevt_ and 16 characters) or of a delivery (dlv_ and 16), ` +
      `and a head line is to be left out: ${printable(whole.slice(0, SHOWN_CHARACTERS))}`,
  )
}

async function readList(file: string): Promise<string> {
  const source = file === '-' ? process.stdin : createReadStream(file)
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of source) {
      bytes += (chunk as Buffer).length
      if (bytes > LIST_BYTES_MAX) throw new CommandError(`--ids has more than ${LIST_BYTES_MAX} bytes`)
      chunks.push(chunk as Buffer)
    }
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw new CommandError(`--ids: cannot read ${file}: ${(error as Error).message}`)
  }
  return Buffer.concat(chunks).toString('utf8')
}
