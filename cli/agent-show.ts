import type { AgentEnd } from '../agent/main.ts'
import { type AgentNews, newsLine } from '../agent/news.ts'
import { MIB } from '../src/base/units.ts'
import { paint, printable, type Terminal } from './terminal.ts'

/** What a running agent prints. */
export interface AgentShow {
  readonly news: (news: AgentNews) => void
  readonly end: (end: AgentEnd) => void
}

/** Where bars are drawn; a file or a pipe has no columns. */
export interface Screen {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** JSON lines for machines, lines elsewhere, and on a terminal a bar for each transfer below them. */
export function showFor(terminal: Terminal, isJson: boolean, screen: Screen, now = Date.now): AgentShow {
  if (isJson) return jsonLines(terminal, now)
  return screen.isTTY === true ? new Bars(terminal, screen) : plainLines(terminal)
}

function jsonLines(terminal: Terminal, now: () => number): AgentShow {
  const say = (fields: object) => terminal.out(JSON.stringify({ at: new Date(now()).toISOString(), ...fields }))
  return { news: (news) => say(facts(news)), end: ({ kind, ...more }) => say({ type: 'end', kind, ...more }) }
}

/** A listing may have thousands of files: their number is said. */
function facts(news: AgentNews): object {
  if (news.type !== 'report' || news.report.state !== 'listed') return news
  const { files, ...report } = news.report
  return { ...news, report: { ...report, files: files.length } }
}

function plainLines(terminal: Terminal): AgentShow {
  return { news: (news) => terminal.out(printable(newsLine(news))), end: () => terminal.out('stopped') }
}

export interface Bar {
  readonly what: string
  bytes: number
  size: number | null
  speed: number
}

const BAR_CELLS = 24
const CLEAR_BELOW = '\u001b[0J'
const lineUp = (lines: number) => (lines === 0 ? '' : `\u001b[${lines}A`)
const ENDS = new Set(['completed', 'failed', 'cancelled', 'listed'])

class Bars implements AgentShow {
  readonly #terminal: Terminal
  readonly #screen: Screen
  readonly #bars = new Map<string, Bar>()
  #drawn = 0

  constructor(terminal: Terminal, screen: Screen) {
    this.#terminal = terminal
    this.#screen = screen
  }

  readonly news = (news: AgentNews): void => {
    if (news.type === 'work') this.#bars.set(news.lease, { what: news.what, bytes: 0, size: null, speed: 0 })
    if (news.type === 'dropped') this.#bars.delete(news.lease)
    if (news.type === 'report') this.#note(news)
    this.#draw(isSaid(news) ? printable(newsLine(news)) : undefined, styleOf(news))
  }

  readonly end = (): void => {
    this.#bars.clear()
    this.#draw('stopped')
  }

  #note({ lease, report }: Extract<AgentNews, { type: 'report' }>): void {
    const bar = this.#bars.get(lease)
    if (report.state === 'running' && bar !== undefined)
      Object.assign(bar, { bytes: report.bytesTransferred, size: report.size, speed: report.speed })
    if (ENDS.has(report.state)) this.#bars.delete(lease)
  }

  /** A line above the bars, which are drawn anew. */
  #draw(line?: string, style?: Parameters<typeof paint>[1]): void {
    const bars = [...this.#bars.values()].map((bar) => `${this.#cut(barLine(bar))}\n`)
    const above = line === undefined ? '' : `${style === undefined ? line : paint(this.#terminal, style, line)}\n`
    this.#screen.write(`${lineUp(this.#drawn)}\r${CLEAR_BELOW}${above}${bars.join('')}`)
    this.#drawn = bars.length
  }

  /** A line that wraps would be two to draw over. */
  #cut(line: string): string {
    const width = (this.#screen.columns ?? 80) - 1
    const characters = [...line]
    return characters.length <= width ? line : `${characters.slice(0, width - 1).join('')}…`
  }
}

/** The bars say the rest. */
function isSaid(news: AgentNews): boolean {
  if (news.type === 'work') return false
  return news.type !== 'report' || ENDS.has(news.report.state)
}

function styleOf(news: AgentNews): Parameters<typeof paint>[1] | undefined {
  if (news.type === 'connected') return 'green'
  if (news.type === 'report') return news.report.state === 'failed' ? 'red' : undefined
  return ['disconnected', 'contact_lost', 'renewal_failed'].includes(news.type) ? 'yellow' : undefined
}

export function barLine({ what, bytes, size, speed }: Bar): string {
  const share = size === null ? 0 : size === 0 ? 1 : Math.min(bytes / size, 1)
  const full = Math.round(share * BAR_CELLS)
  const bar = '█'.repeat(full) + '░'.repeat(BAR_CELLS - full)
  const percent = `${Math.floor(share * 100)} %`.padStart(5)
  return `${bar} ${percent} ${`${(speed / MIB).toFixed(1)} MiB/s`.padStart(12)}  ${printable(what)}`
}
