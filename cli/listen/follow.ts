import { type Client, type RefusedEnvelope, ServerRefused } from '../client.ts'
import { CommandError } from '../command.ts'
import type { Item } from './forward.ts'
import { SseParser } from './sse.ts'

/** What a stream tells. */
export type Told =
  /** At its begin; a secret only where the server made one. */
  | { readonly kind: 'hello'; readonly cursor: string; readonly secret: string | undefined }
  | { readonly kind: 'item'; readonly item: Item }
  /** All that was said before was told. */
  | { readonly kind: 'live'; readonly cursor: string }
  /** Nothing that was asked for up to here. */
  | { readonly kind: 'moved'; readonly cursor: string }
  /** The server ends the stream. */
  | { readonly kind: 'end'; readonly reason: string }

export interface Asked {
  readonly query: Readonly<Record<string, string | undefined>>
  readonly secret: string | undefined
  /** A cursor to go on from; null: from now on. */
  readonly after: string | null
}

/** Three heartbeats of the server, ms: who is silent for longer is gone, though the network has not noticed. */
const SILENCE_MS = 45_000
/** Between two tries to connect, ms: twice as long each time, up to the greatest. */
const DELAY_MS_MIN = 250
const DELAY_MS_MAX = 5_000

/** One connection: ends when the server ends it, throws when it breaks. */
export async function* openStream(client: Client, { query, secret, after }: Asked, signal: AbortSignal): AsyncGenerator<Told> {
  const asked = Object.entries({ ...query, ...(after === null ? {} : { after }) }).filter((pair) => pair[1] !== undefined)
  const headers: Record<string, string> = { accept: 'text/event-stream' }
  if (secret !== undefined) headers['x-landfall-listen-secret'] = secret
  const silence = new AbortController()
  const path = `/api/events/stream?${new URLSearchParams(asked as [string, string][])}`
  const whole = AbortSignal.any([signal, silence.signal])
  const answer = await patiently(() => client.open(path, headers, whole), silence)
  if (!answer.ok || answer.body === null) throw await refusalOf(answer)
  const parser = new SseParser()
  const reader = answer.body.getReader()
  try {
    for (;;) {
      const { done, value } = await patiently(() => reader.read(), silence)
      if (done) return
      const [before, events] = [parser.lastId, parser.push(value)]
      let at = before
      for (const { event, data } of events) {
        const told = toldOf(event, JSON.parse(data))
        if (told.kind === 'item') at = told.item.cursor
        yield told
      }
      // A heartbeat: an id and nothing else.
      if (![before, at].includes(parser.lastId)) yield { kind: 'moved', cursor: parser.lastId }
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** Only while somebody waits does silence count: a reader that takes its time is no fault of the server. */
async function patiently<Answer>(wait: () => Promise<Answer>, silence: AbortController): Promise<Answer> {
  const timer = setTimeout(() => silence.abort(new Error('the server is silent')), SILENCE_MS)
  try {
    return await wait()
  } finally {
    clearTimeout(timer)
  }
}

function toldOf(event: string, data: Item & { secret?: string; reason: string }): Told {
  if (event === 'hello') return { kind: 'hello', cursor: data.cursor, secret: data.secret }
  if (event === 'live') return { kind: 'live', cursor: data.cursor }
  if (event === 'end') return { kind: 'end', reason: data.reason }
  return { kind: 'item', item: data }
}

async function refusalOf(answer: Response): Promise<ServerRefused> {
  const envelope = (await answer.json().catch(() => undefined)) as RefusedEnvelope | undefined
  const message = envelope?.error ?? `the stream was answered with status ${answer.status}`
  return new ServerRefused(answer.status, message, envelope?.details?.field)
}

export interface Following {
  /** The server, looked up anew for each connection: after a restart it may have another address and token. */
  readonly connect: () => Promise<Client>
  readonly ask: Asked
  readonly signal: AbortSignal
  /** Told when the connection is lost, and when it is there again. */
  readonly note: (text: string) => void
  readonly pause?: typeof pause
}

/**
 * A stream that comes back: over as many connections as it takes, each item once and none left out, until the signal. What the first
 * connection is refused with is thrown, and later what trying again would not mend.
 */
export async function* follow({ connect, ask, signal, note, pause: wait = pause }: Following): AsyncGenerator<Told> {
  let { secret, after } = ask
  let lost: { at: number; why: string } | undefined
  let isFirst = true
  for (let delayMs = DELAY_MS_MIN; !signal.aborted; delayMs = Math.min(2 * delayMs, DELAY_MS_MAX)) {
    let why = 'the connection ended'
    try {
      for await (const told of openStream(await connect(), { ...ask, secret, after }, signal)) {
        if (told.kind === 'end') {
          why = told.reason
          continue
        }
        after = told.kind === 'item' ? told.item.cursor : told.cursor
        if (told.kind === 'hello') {
          secret = told.secret ?? secret
          if (lost !== undefined)
            note(`connected again after ${Math.round((Date.now() - lost.at) / 100) / 10} s; nothing was missed`)
          ;[lost, delayMs] = [undefined, DELAY_MS_MIN]
          if (!isFirst) continue
          isFirst = false
        }
        yield told
      }
    } catch (error) {
      if (signal.aborted) return
      if (isFirst || isFinal(error)) throw error
      why = messageOf(error)
    }
    if (signal.aborted) return
    if (lost?.why !== why) note(`${why}; connecting again …`)
    lost = { at: lost?.at ?? Date.now(), why }
    await wait(delayMs, signal)
  }
}

/** 401 is not: just after a restart, the note with the new token may not be written yet. */
function isFinal(error: unknown): boolean {
  return error instanceof ServerRefused && [400, 403, 404].includes(error.status)
}

function messageOf(error: unknown): string {
  if (error instanceof CommandError) return error.message
  return `the connection broke (${(error as Error).message})`
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
