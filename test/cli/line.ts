import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** The command line as people type it. */
export const ENTRY = fileURLToPath(new URL('../../cli/landfall.js', import.meta.url))
/** Longest wait for what must come; a machine under load takes its time. */
const WAIT_MS = 60_000

export interface Ended {
  readonly status: number
  readonly out: string
  readonly error: string
}

/** Runs a command to its end. */
export function landfall(args: readonly string[], env: Record<string, string> = {}, input = ''): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env.PATH, ...env } }
    const child = execFile(process.execPath, [ENTRY, ...args], options, (error, out, stderr) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, out, error: stderr })
    })
    child.stdin?.end(input)
  })
}

/** Something that grows, and whoever waits until it has what they want. */
export class Growing<Entry> {
  readonly all: Entry[] = []
  #wake: (() => void)[] = []

  add(entry: Entry): void {
    this.all.push(entry)
    for (const wake of this.#wake.splice(0)) wake()
  }

  /** The first that matches, once it is there. */
  async first(what: string, matches: (entry: Entry) => boolean): Promise<Entry> {
    const timer = AbortSignal.timeout(WAIT_MS)
    for (;;) {
      const found = this.all.find(matches)
      if (found !== undefined) return found
      if (timer.aborted) throw new Error(`no ${what} within ${WAIT_MS} ms, but ${JSON.stringify(this.all)}`)
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve)
        timer.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }
}

export interface Line {
  readonly kind: 'hello' | 'event' | 'totals'
  readonly secret?: string
  readonly event?: string
  readonly eventId?: string
  readonly deliveryId?: string
  readonly status?: number | null
  readonly error?: string | null
}

/** A running `landfall listen --json`. */
export class Listener {
  readonly lines = new Growing<Line>()
  readonly notes = new Growing<string>()
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>

  constructor(args: readonly string[], env: Record<string, string>, input = '') {
    const child = spawn(process.execPath, [ENTRY, 'listen', ...args, '--json'], { env: { PATH: process.env.PATH, ...env } })
    child.stdin.end(input)
    createInterface({ input: child.stdout }).on('line', (line) => this.lines.add(JSON.parse(line)))
    createInterface({ input: child.stderr }).on('line', (line) => this.notes.add(line))
    this.#ended = new Promise((resolve) => child.once('close', (status) => resolve(status)))
    this.#child = child
  }

  hello(): Promise<Line> {
    return this.lines.first('hello', ({ kind }) => kind === 'hello')
  }

  /** As Ctrl-C does; answers the status. */
  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
    this.#child.kill(signal)
    return this.#ended
  }
}

export interface Arrival {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  // biome-ignore lint/suspicious/noExplicitAny: bodies of several dialects.
  readonly json: any
}

/** A receiver on this machine; `statusOf` decides what it answers. */
export class Receiver {
  readonly arrivals = new Growing<Arrival>()
  readonly #server: Server

  constructor(statusOf: (arrival: Arrival) => number = () => 204) {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const body = Buffer.concat(chunks).toString()
      const arrival = { path: request.url!, headers: request.headers, body, json: JSON.parse(body) }
      response.writeHead(statusOf(arrival)).end()
      this.arrivals.add(arrival)
    })
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}
