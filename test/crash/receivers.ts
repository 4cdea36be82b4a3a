import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { VerifyError, type VerifyProblem, verify } from '../../sdk/verify.ts'
import { type Random, seeded } from '../random.ts'

export const DIALECTS = ['mftplus', 'trueftp'] as const
type StormDialect = (typeof DIALECTS)[number]
export const RECEIVERS = ['healthy', 'recovering', 'ordered'] as const
export type ReceiverName = (typeof RECEIVERS)[number]

/** Attempts that the recovering receiver fails before it takes a delivery. */
export const FAILURES_MAX = 2
/** The recovering receiver thinks at most this long, ms, so that kills find attempts in flight. */
const THINKING_MS_MAX = 30
/** Share of its deliveries that the ordered receiver fails once: all behind them wait the second until the next attempt. */
const ORDERED_FAILS = 0.02

/** One POST as it arrived, and what became of it. */
export interface Post {
  readonly receiver: ReceiverName
  readonly dialect: StormDialect
  readonly deliveryId: string
  readonly body: string
  readonly problem: VerifyProblem | undefined
  /** Null where the receiver cut the connection instead of answering. */
  readonly status: number | null
}

/**
 * The receivers of the storm: one takes everything at once; one fails the first attempts of each delivery, by a 503 or a cut
 * connection, and then takes it; one gets its deliveries in strict order, and fails few. They outlive every kill of the server.
 */
export class Receivers {
  readonly posts: Post[] = []
  /** Told when a POST has arrived whole, before it is answered, and again once it is. */
  onPost: (moment: 'posted' | 'answered') => void = () => {}
  readonly #secrets: Readonly<Record<StormDialect, string>>
  readonly #seed: string
  readonly #random: Random
  readonly #seen = new Map<string, number>()
  readonly #servers = RECEIVERS.map((name) => createServer((request, response) => void this.#receive(name, request, response)))

  constructor(secrets: Readonly<Record<StormDialect, string>>, seed: string) {
    this.#secrets = secrets
    this.#seed = seed
    this.#random = seeded(`${seed}/thinking`)
  }

  async start(): Promise<void> {
    for (const server of this.#servers) {
      // An idle connection that the receiver closes just as a POST goes out would count as a failure of ours.
      server.keepAliveTimeout = 0
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
    }
  }

  url(name: ReceiverName, dialect: StormDialect): string {
    const { port } = this.#server(name).address() as AddressInfo
    return `http://127.0.0.1:${port}/${dialect}`
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections()
      server.close()
    }
  }

  #server(name: ReceiverName): Server {
    return this.#servers[RECEIVERS.indexOf(name)]!
  }

  async #receive(receiver: ReceiverName, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const dialect: StormDialect = request.url === '/trueftp' ? 'trueftp' : 'mftplus'
    // A POST whose sender was killed before its last byte is none.
    const body = await text(request).catch(() => undefined)
    if (body === undefined) return
    const problem = this.#problem(request, Buffer.from(body), dialect)
    const deliveryId = String(request.headers[dialect === 'trueftp' ? 'x-trueftp-delivery' : 'x-webhook-id'])
    const status = problem === undefined ? this.#decide(receiver, deliveryId) : 401
    this.posts.push({ receiver, dialect, deliveryId, body, problem, status })
    this.onPost('posted')
    if (receiver === 'recovering') await new Promise((resolve) => setTimeout(resolve, this.#random.between(0, THINKING_MS_MAX)))
    if (status === null) response.destroy()
    else response.writeHead(status).end(() => this.onPost('answered'))
  }

  #problem({ headers }: IncomingMessage, body: Buffer, dialect: StormDialect): VerifyProblem | undefined {
    try {
      verify(headers, body, this.#secrets[dialect], { dialect })
      return undefined
    } catch (error) {
      if (error instanceof VerifyError) return error.code
      throw error
    }
  }

  #decide(receiver: ReceiverName, deliveryId: string): number | null {
    if (receiver === 'healthy') return 204
    const before = this.#seen.get(deliveryId) ?? 0
    this.#seen.set(deliveryId, before + 1)
    const fate = seeded(`${this.#seed}/${deliveryId}`)
    if (receiver === 'ordered') return before === 0 && fate.chance(ORDERED_FAILS) ? 503 : 204
    const failures = fate.between(1, FAILURES_MAX)
    if (before >= failures) return 204
    return fate.chance(0.5) ? 503 : null
  }
}
