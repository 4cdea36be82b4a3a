import { createInterface } from 'node:readline/promises'
import { accountIdOf, type Client, connect, ServerRefused } from './client.ts'
import { type Call, type Command, CommandError, listOf, many, optional, SERVER_OPTIONS } from './command.ts'
import { DIALECTS } from './explain/judge.ts'
import { follow, openStream } from './listen/follow.ts'
import { Forwarder, post } from './listen/forward.ts'
import { Memory, type Place, Progress, type Selection } from './listen/remembered.ts'
import { checkPattern, parseRoutes, type Route } from './listen/routes.ts'
import { type Show, showFor, timeOfDay } from './listen/show.ts'
import { readPassword } from './stdin.ts'

/** Missed events are counted up to here. */
const MISSED_MAX = 1_000
/** After Ctrl-C, for forwards under way, ms. */
const GRACE_MS = 5_000
/** npm hands on the signal of a key that the terminal has sent already: within this, two are one, ms. */
const SAME_KEY_MS = 500
/** Between two writes of how far it has come, ms: a process that is killed offers what it forwarded in this time once more. */
const KEEP_EVERY_MS = 1_000

const MISSED = ['ask', 'send', 'skip'] as const
type Missed = (typeof MISSED)[number]

export const listen: Command = {
  name: 'listen',
  summary: 'forward live events to a receiver on this machine, signed like deliveries; no tunnel',
  usage: `listen --forward URL [--route 'TYPES=URL' …] [--events LIST] [--account SLUG | --webhook ID]`,
  options: {
    forward: { type: 'string', meaning: 'receiver, such as http://localhost:3000/hook; without it, events are only shown' },
    route: {
      type: 'string',
      multiple: true,
      meaning: `TYPES=URL, may be repeated; the first that matches wins, --forward has the rest`,
    },
    events: { type: 'string', meaning: 'event types, groups such as file.*; separated by commas (default: all)' },
    account: { type: 'string', member: 'accountId', meaning: 'slug of the account whose events are meant (default: all)' },
    webhook: {
      type: 'string',
      member: 'webhookId',
      meaning: 'as this webhook would get them: its scope, events, filter, dialect and headers',
    },
    dialect: { type: 'string', meaning: `${DIALECTS.join(', ')} (default: mftplus)` },
    'secret-stdin': {
      type: 'boolean',
      meaning: 'read the signing secret from standard input (default: one that stays the same)',
    },
    missed: { type: 'string', meaning: 'what came while nobody listened: ask (default on a terminal), send or skip' },
    ...SERVER_OPTIONS,
  },
  /** 0 after Ctrl-C, whatever the receiver answered. */
  async run(call) {
    const wanted = wantedOf(call)
    const givenSecret = call.flags['secret-stdin'] === true ? await readPassword() : undefined
    const client = await connect(call)
    const session = new Session(call, await planned(call, client, wanted), givenSecret)
    await session.run(client)
    return 0
  },
}

interface Wanted {
  readonly missed: Missed | undefined
  readonly events: string | undefined
  readonly account: string | undefined
  readonly webhook: string | undefined
  readonly dialect: string | undefined
}

/** What can be refused without a server. */
function wantedOf(call: Call): Wanted {
  const [missed, account, webhook, dialect] = ['missed', 'account', 'webhook', 'dialect'].map((name) => optional(call, name))
  for (const [name, value] of [
    ['account', account],
    ['dialect', dialect],
  ] as const)
    if (webhook !== undefined && value !== undefined)
      throw new CommandError(`--${name} is that of the webhook: name --webhook or --${name}, not both`)
  if (dialect !== undefined && !DIALECTS.some((one) => one === dialect))
    throw new CommandError(`--dialect is one of ${DIALECTS.join(', ')}, not ${dialect}`)
  if (missed !== undefined && !MISSED.some((one) => one === missed))
    throw new CommandError(`--missed is one of ${MISSED.join(', ')}, not ${missed}`)
  const events = listOf(optional(call, 'events'))
  if (events?.length === 0) throw new CommandError('--events names no event type')
  return { missed: missed as Missed | undefined, events: events?.join(), account, webhook, dialect }
}

interface Plan extends Wanted {
  readonly routes: readonly Route[]
  readonly selection: Selection
  /** How it is said to people. */
  readonly title: { readonly events: string; readonly dialect: string; readonly sample: string }
}

/** Checked against the server: its event types, the webhook that is named. */
async function planned(call: Call, client: Client, wanted: Wanted): Promise<Plan> {
  const { eventTypes } = await client.call<{ eventTypes: { event: string }[] }>('GET', '/api/event-types')
  const types = eventTypes.map(({ event }) => event)
  const { events, account, webhook: id } = wanted
  for (const pattern of events?.split(',') ?? []) checkPattern('--events', pattern, types)
  if (account !== undefined) await accountIdOf(client, account)
  const routes = parseRoutes(many(call, 'route'), optional(call, 'forward'), types)
  const named = id === undefined ? undefined : await client.call<WebhookAnswer>('GET', `/api/webhooks/${encodeURIComponent(id)}`)
  const scope = named === undefined ? (account === undefined ? '' : ` of ${account}`) : ` of webhook ${named.webhook.name}`
  const title = {
    events: `${(events ?? named?.webhook.events.join() ?? '*').replaceAll(',', ', ').replace(/^\*$/, 'all events')}${scope}`,
    dialect: wanted.dialect ?? named?.webhook.dialect ?? 'mftplus',
    sample: ['npx landfall trigger file.uploaded', ...['account', 'data', 'server'].map((name) => given(call, name))].join(''),
  }
  return { ...wanted, routes, title, selection: { place: client.place, events, account, webhook: id } }
}

/** An option as it was given, to be given again. */
function given(call: Call, name: string): string {
  const value = optional(call, name)
  return value === undefined ? '' : ` --${name} ${value}`
}

interface WebhookAnswer {
  readonly webhook: { readonly name: string; readonly events: readonly string[]; readonly dialect: string }
}

/** From the first connection to Ctrl-C. */
class Session {
  readonly #call: Call
  readonly #plan: Plan
  readonly #givenSecret: string | undefined
  readonly #memory = new Memory()
  readonly #progress = new Progress()
  readonly #stop = new AbortController()
  readonly #show: Show
  #isForgetful = false

  constructor(call: Call, plan: Plan, givenSecret: string | undefined) {
    this.#call = call
    this.#plan = plan
    this.#givenSecret = givenSecret
    this.#show = showFor(call.terminal, call.json)
  }

  async run(client: Client): Promise<void> {
    const { routes, selection } = this.#plan
    const ended = new Map<object, () => void>()
    const forwarder = new Forwarder({
      routes,
      post,
      ended: (item, route, result) => {
        this.#show.item(item, route, result)
        ended.get(item)?.()
        ended.delete(item)
      },
    })
    const release = onStopSignal(this.#stop)
    const keeping = setInterval(() => void this.#keep(), KEEP_EVERY_MS)
    try {
      const secret = this.#givenSecret ?? (await this.#memory.secret(selection.place))
      const after = await this.#whereFrom(client)
      const ask = { query: this.#query({ signed: true }), secret, after }
      for await (const told of this.#follow(ask)) {
        if (told.kind === 'hello') await this.#hello(client, told.secret ?? secret)
        if (told.kind === 'item') {
          ended.set(told.item, this.#progress.begin(told.item.cursor))
          await forwarder.take(told.item)
        } else if (told.kind !== 'end') this.#progress.moved(told.cursor)
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error
    } finally {
      await forwarder.close(GRACE_MS)
      clearInterval(keeping)
      await this.#keep()
      release()
    }
    this.#show.totals()
  }

  #follow(ask: Parameters<typeof follow>[0]['ask']) {
    const note = (text: string) => this.#call.terminal.note(text)
    return follow({ connect: () => connect(this.#call), ask, signal: this.#stop.signal, note })
  }

  #query({ signed }: { signed: boolean }): Record<string, string | undefined> {
    const { events, account, webhook, title } = this.#plan
    return { events, account, webhook, sign: signed && webhook === undefined ? title.dialect : undefined }
  }

  async #hello({ url, place }: Client, secret: string | undefined): Promise<void> {
    const { routes, title } = this.#plan
    if (secret !== undefined && this.#givenSecret === undefined) await this.#tryTo(() => this.#memory.keepSecret(place, secret))
    this.#show.hello({ server: url, ...title, routes, secret: this.#givenSecret === undefined ? secret : undefined })
  }

  /** Where to go on from; null: from now on. Asks where somebody can be asked. */
  async #whereFrom(client: Client): Promise<string | null> {
    const place = await this.#memory.place(this.#plan.selection)
    if (place === undefined) return null
    const missed = this.#plan.missed ?? (this.#isAskable ? 'ask' : 'skip')
    const found = await this.#missedSince(client, place)
    if (found === null) return null
    if (found.count === 0) return found.live
    const note = (text: string) => this.#call.terminal.note(text)
    const what = `${found.live === null ? `more than ${MISSED_MAX}` : found.count} event${found.count === 1 ? '' : 's'} since ${timeOfDay(place.at, Date.now())} while you were away`
    if (missed === 'send') note(`${what}: sending them`)
    if (missed === 'skip') note(`${what} ${found.count === 1 ? 'is' : 'are'} skipped; --missed send would send them`)
    const isWanted = missed === 'send' || (missed === 'ask' && (await this.#isYes(`${what}; send them? [y/N] `)))
    return isWanted ? place.cursor : found.live
  }

  get #isAskable(): boolean {
    return process.stdin.isTTY === true && process.stderr.isTTY === true && !this.#call.json
  }

  /** How many, and where what is live begins (null: too many to find out). Null: the place is none of this server's. */
  async #missedSince(client: Client, { cursor }: Place): Promise<{ count: number; live: string | null } | null> {
    let count = 0
    try {
      const asked = { query: this.#query({ signed: false }), secret: undefined, after: cursor }
      for await (const told of openStream(client, asked, this.#stop.signal)) {
        if (told.kind === 'live') return { count, live: told.cursor }
        if (told.kind === 'item' && ++count > MISSED_MAX) break
      }
      return { count, live: null }
    } catch (error) {
      if (!(error instanceof ServerRefused) || error.status !== 400) throw error
      this.#call.terminal.note('this server does not know where you were; going on from now')
      return null
    }
  }

  async #isYes(question: string): Promise<boolean> {
    const asking = createInterface({ input: process.stdin, output: process.stderr })
    // The terminal is in its hands, Ctrl-C too.
    asking.on('SIGINT', () => this.#stop.abort())
    try {
      return /^y(es)?$/i.test((await asking.question(question, { signal: this.#stop.signal })).trim())
    } finally {
      asking.close()
    }
  }

  async #keep(): Promise<void> {
    const { cursor } = this.#progress
    if (cursor !== undefined) await this.#tryTo(() => this.#memory.keepPlace(this.#plan.selection, { cursor, at: Date.now() }))
  }

  /** What cannot be remembered is told once, and costs nothing else. */
  async #tryTo(write: () => Promise<void>): Promise<void> {
    try {
      await write()
    } catch (error) {
      if (this.#isForgetful) return
      this.#isForgetful = true
      this.#call.terminal.note(`what was forwarded is not remembered for the next time: ${(error as Error).message}`)
    }
  }
}

/** The first signal ends the stream, a later one the process. Answers how to stop listening for them. */
function onStopSignal(stop: AbortController): () => void {
  const signals = ['SIGINT', 'SIGTERM'] as const
  let firstAt: number | undefined
  const end = () => {
    if (firstAt !== undefined && Date.now() - firstAt > SAME_KEY_MS) process.exit(130)
    firstAt ??= Date.now()
    stop.abort()
  }
  for (const signal of signals) process.on(signal, end)
  // Whoever reads the lines may leave, as head(1) does.
  process.stdout.on('error', () => stop.abort())
  return () => {
    for (const signal of signals) process.off(signal, end)
  }
}
