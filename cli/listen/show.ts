import { paint, printable, type Terminal } from '../terminal.ts'
import type { Forwarded, Item } from './forward.ts'
import type { Route } from './routes.ts'

/** What the listener prints, for people or for machines. Times are local for people. */
export interface Show {
  hello(facts: Hello): void
  /** Without a route nothing was sent. */
  item(item: Item, route: Route | undefined, result: Forwarded | undefined): void
  totals(): void
}

export interface Hello {
  readonly server: string
  readonly events: string
  readonly dialect: string
  readonly routes: readonly Route[]
  /** Undefined: the caller gave it and knows it. */
  readonly secret: string | undefined
  /** Of a command that sends a sample. */
  readonly sample: string
}

/** What became of all items. */
class Totals {
  events = 0
  taken = 0
  refused = 0
  unreached = 0

  count(result: Forwarded | undefined): void {
    this.events++
    if (result === undefined) return
    if (result.status === null) this.unreached++
    else if (isTaken(result.status)) this.taken++
    else this.refused++
  }
}

export function showFor(terminal: Terminal, isJson: boolean, now = Date.now): Show {
  return isJson ? new Lines(terminal, now) : new Table(terminal, now)
}

class Lines implements Show {
  readonly #totals = new Totals()
  readonly #terminal: Terminal
  readonly #now: () => number

  constructor(terminal: Terminal, now: () => number) {
    this.#terminal = terminal
    this.#now = now
  }

  hello({ server, events, dialect, routes, secret }: Hello): void {
    const shown = routes.map(({ pattern, url }) => ({ events: pattern, url: url.href }))
    this.#say('hello', { server, events, dialect, routes: shown, secret: secret ?? null })
  }

  item({ event, eventId, deliveryId }: Item, route: Route | undefined, result: Forwarded | undefined): void {
    this.#totals.count(result)
    const { status = null, ms = null } = result ?? {}
    const error = result?.status === null ? result.reason : null
    this.#say('event', { event, eventId, deliveryId, url: route?.url.href ?? null, status, error, ms })
  }

  totals(): void {
    this.#say('totals', { ...this.#totals })
  }

  #say(kind: string, fields: object): void {
    this.#terminal.out(JSON.stringify({ kind, at: new Date(this.#now()).toISOString(), ...fields }))
  }
}

/** `transfer.completed`; the column grows with longer ones. */
const EVENT_WIDTH_MIN = 18

class Table implements Show {
  readonly #totals = new Totals()
  readonly #terminal: Terminal
  readonly #now: () => number
  #eventWidth = EVENT_WIDTH_MIN
  #targets = new Map<Route, string>()

  constructor(terminal: Terminal, now: () => number) {
    this.#terminal = terminal
    this.#now = now
  }

  hello({ server, events, dialect, routes, secret, sample }: Hello): void {
    const strong = (text: string) => paint(this.#terminal, 'bold', text)
    const width = Math.max(0, ...routes.map(({ pattern }) => pattern.length))
    // A target is told by its path alone where nothing else tells the routes apart.
    const isOneHost = new Set(routes.map(({ url }) => url.origin)).size === 1
    const targets = routes.map(({ url }) => (isOneHost ? '' : url.host) + url.pathname + url.search)
    const targetWidth = Math.max(0, ...targets.map((target) => target.length))
    this.#targets = new Map(routes.map((route, index) => [route, targets[index]!.padEnd(targetWidth)]))
    this.#out([
      `${strong('Listening')} to ${events} on ${server}, dialect ${dialect}`,
      ...routes.map(({ pattern, url }) => `  ${pattern.padEnd(width)}  → ${url.href}`),
      ...(routes.length === 0 ? ['  nothing is forwarded: --forward http://localhost:3000/hook would'] : []),
      ...(secret === undefined ? [] : [`Signing secret, for your receiver: ${strong(secret)}`]),
      `Send a sample: ${sample}. Ctrl-C ends.`,
      '',
    ])
  }

  item({ event, eventId }: Item, route: Route | undefined, result: Forwarded | undefined): void {
    this.#totals.count(result)
    this.#eventWidth = Math.max(this.#eventWidth, event.length)
    const { dim, target } = { dim: (text: string) => paint(this.#terminal, 'dim', text), target: this.#targetOf(route) }
    const name = printable(event).padEnd(this.#eventWidth)
    this.#out([[dim(clockTime(this.#now())), name, dim(printable(eventId)), target + this.#outcome(result)].join('  ').trimEnd()])
  }

  totals(): void {
    const { events, taken, refused, unreached } = this.#totals
    const parts = [`${taken} taken`, `${refused} refused`, `${unreached} not reached`]
    const sent = taken + refused + unreached
    this.#out(['', `${events} event${events === 1 ? '' : 's'}${sent === 0 ? '' : `: ${parts.join(', ')}`}`])
  }

  #targetOf(route: Route | undefined): string {
    if (route === undefined) return this.#targets.size === 0 ? '' : paint(this.#terminal, 'dim', 'no route')
    return `→ ${printable(this.#targets.get(route) ?? route.url.href)}  `
  }

  #outcome(result: Forwarded | undefined): string {
    if (result === undefined) return ''
    if (result.status === null) return paint(this.#terminal, 'red', printable(result.reason))
    const { status, ms, answer } = result
    const colour = isTaken(status) ? 'green' : status >= 300 && status <= 399 ? 'yellow' : 'red'
    const why = isTaken(status) ? '' : colour === 'yellow' ? 'deliveries do not follow redirects' : answer
    return `${paint(this.#terminal, colour, String(status))}  ${`${ms} ms`.padStart(7)}${why === '' ? '' : `  ${printable(why)}`}`
  }

  #out(lines: readonly string[]): void {
    this.#terminal.out(lines.join('\n'))
  }
}

function isTaken(status: number): boolean {
  return status >= 200 && status <= 299
}

/** `14:02:31` as the clock on the wall says. */
function clockTime(at: number): string {
  return new Date(at).toTimeString().slice(0, 8)
}

/** `14:02` of today, else with the day. */
export function timeOfDay(at: number, now: number): string {
  const [then, today] = [new Date(at), new Date(now)]
  const time = then.toTimeString().slice(0, 5)
  if (then.toDateString() === today.toDateString()) return time
  const day = [then.getFullYear(), then.getMonth() + 1, then.getDate()].map((part) => String(part).padStart(2, '0'))
  return `${day.join('-')} ${time}`
}
