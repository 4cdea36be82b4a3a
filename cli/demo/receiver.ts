import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { VerifyError, type VerifyProblem, verify } from '../../sdk/verify.ts'

/** A webhook body of the demo is a few hundred bytes; what is longer is not ours. */
const BODY_BYTES_MAX = 64 * 1024

/** The two that the demo shows. */
export type DemoDialect = 'mftplus' | 'trueftp'

/** One POST as it arrived. */
export interface Arrival {
  readonly dialect: DemoDialect
  /** `performance.now()` when the last byte of the body was read. */
  readonly at: number
  readonly event: string
  readonly eventId: string | undefined
  readonly deliveryId: string
  readonly path: string | undefined
  readonly transferId: string | undefined
  readonly problem: VerifyProblem | undefined
  /** The status that was answered; undefined while the receiver holds its answer back. */
  readonly status: number | undefined
}

/** Decides the status of an answer; `hold` never answers, so that the delivery stays unsettled. */
export type Behaviour = (arrival: Omit<Arrival, 'status'>) => number | 'hold'

/** A webhook receiver as a user would write one: it verifies over the raw body, then answers. */
export class Receiver {
  behaviour: Behaviour = () => 204
  #secrets: Readonly<Record<DemoDialect, string>>
  #server = createServer((request, response) => void this.#receive(request, response))
  #arrivals: Arrival[] = []
  #waiting: (() => void)[] = []

  constructor(secrets: Readonly<Record<DemoDialect, string>>) {
    this.#secrets = secrets
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** The first `count` arrivals that match, waiting for those to come; throws after `deadlineMs`. */
  async waitFor(count: number, matches: (arrival: Arrival) => boolean, deadlineMs: number): Promise<Arrival[]> {
    const expiry = performance.now() + deadlineMs
    for (;;) {
      const found = this.#arrivals.filter(matches)
      if (found.length >= count) return found.slice(0, count)
      const left = expiry - performance.now()
      if (left <= 0) throw new Error(`${found.length} of ${count} deliveries arrived within ${deadlineMs} ms`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#waiting.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of request) {
      bytes += chunk.length
      if (bytes > BODY_BYTES_MAX) return void response.writeHead(413).end()
      chunks.push(chunk)
    }
    const body = Buffer.concat(chunks)
    const dialect: DemoDialect = request.url === '/trueftp' ? 'trueftp' : 'mftplus'
    const problem = this.#problem(request, body, dialect)
    const message = JSON.parse(body.toString('utf8'))
    const arrival = {
      dialect,
      at: performance.now(),
      event: message.event,
      eventId: message.id,
      deliveryId: message.delivery_id ?? String(request.headers['x-webhook-id']),
      path: message.data.path,
      transferId: message.data.transferId,
      problem,
    }
    const decided = problem === undefined ? this.behaviour(arrival) : 401
    this.#arrivals.push({ ...arrival, status: decided === 'hold' ? undefined : decided })
    if (decided !== 'hold') response.writeHead(decided).end()
    for (const wake of this.#waiting.splice(0)) wake()
  }

  #problem({ headers }: IncomingMessage, body: Buffer, dialect: DemoDialect): VerifyProblem | undefined {
    try {
      verify(headers, body, this.#secrets[dialect], { dialect })
      return undefined
    } catch (error) {
      if (error instanceof VerifyError) return error.code
      throw error
    }
  }
}
