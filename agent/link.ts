import type { Clock } from '../src/base/clock.ts'
import { SECOND_MS } from '../src/base/units.ts'
import {
  type AgentOrders,
  BEAT_MS,
  type Heartbeat,
  type Hello,
  type ServerMessage,
  type WorkReport,
} from '../src/wire/agent/work.ts'
import { type AgentPort, PortRefused } from './agent-port.ts'
import { Contact } from './contact.ts'
import { machineLoad } from './machine.ts'
import type { Tell } from './news.ts'
import { rest } from './rest.ts'
import type { Works } from './works.ts'

/** A stream on which nothing came for this long is dead, though the network has not noticed, ms. */
const SILENCE_MS = 3 * BEAT_MS
/** After the first loss it is dialled again at once; then after this, twice as long each time up to the greatest, ms. */
const RETRY_MS_MIN = SECOND_MS / 2
const RETRY_MS_MAX = 10 * SECOND_MS
/** A stream that was lost sooner counts as one more failure, so that a server which takes and drops it is not stormed, ms. */
const STEADY_MS = 10 * SECOND_MS
/** A heartbeat without an answer is tried again after this, ms. */
const HEARTBEAT_RETRY_MS = 2 * SECOND_MS
/** Time for the answer of a heartbeat, ms: several tries fit into the time without contact. */
const HEARTBEAT_ANSWER_MS = 10 * SECOND_MS
/** Whether the server has answered lately is looked at this often, ms: timers stand still while a machine sleeps. */
const LOOK_MS = SECOND_MS
/** Work waits for its progress to be taken no longer than this, ms. */
const PROGRESS_MS = 5 * SECOND_MS

export interface LinkParts {
  readonly port: Pick<AgentPort, 'stream' | 'call'>
  readonly works: Pick<Works, 'leases' | 'isBusy' | 'allow' | 'take' | 'cancel' | 'dropAll' | 'stopped'>
  /** What a hello says besides the work that is held. */
  readonly self: Omit<Hello, 'leases'>
  readonly clock: Clock
  readonly tell: Tell
  /** `host:port`, for people. */
  readonly server: string
  /** From 0 to 1, for the jitter. */
  readonly random: () => number
  /** The server has said its orders, at the begin of a stream or later. */
  readonly onOrders: (orders: AgentOrders) => void
}

/** Why a link is over: somebody stopped it, or the server will not have this agent any more. */
export type LinkEnd = { readonly kind: 'stopped' } | { readonly kind: 'revoked'; readonly message: string }

/**
 * The link to the server: away → dialling → open → away …, until it is stopped or refused. While it is open, work and orders come down the
 * stream and heartbeats go up; reports have ways of their own, so that a lost stream costs no work. An agent that the server did not answer for `STOP_AFTER_MS`
 * stops all that it does and dials anew, holding nothing.
 */
export class Link {
  readonly #parts: LinkParts
  readonly #contact: Contact
  /** Aborted once the server will not have this agent any more; its reason says why. */
  readonly #refused = new AbortController()
  /** Of the stream that is dialled or open, and of its heartbeats as they were ordered last. */
  #stream = new AbortController()
  #beats = new AbortController()

  constructor(parts: LinkParts) {
    this.#parts = parts
    this.#contact = new Contact(parts.clock)
  }

  async run(signal: AbortSignal): Promise<LinkEnd> {
    const { clock, tell } = this.#parts
    const unwatch = this.#watchContact()
    const ending = AbortSignal.any([signal, this.#refused.signal])
    try {
      for (let losses = 0; ; ) {
        const lost = await this.#stay(ending)
        if (ending.aborted) break
        losses = lost.afterMs >= STEADY_MS ? 1 : losses + 1
        const retryMs = this.#retryMs(losses)
        tell({ type: 'disconnected', why: lost.why, retryMs })
        await rest(clock, retryMs, ending)
        if (ending.aborted) break
      }
    } finally {
      unwatch()
    }
    const { aborted, reason } = this.#refused.signal
    return aborted ? { kind: 'revoked', message: String(reason) } : { kind: 'stopped' }
  }

  /** One try to tell the server. `go` is false where it will never take it. Throws where it did not answer. */
  async send(lease: string, report: WorkReport): Promise<{ go: boolean }> {
    const answerMs = report.state === 'running' ? PROGRESS_MS : undefined
    try {
      return await this.call<{ go: boolean }>(`/agent/v1/work/${lease}`, report, answerMs)
    } catch (error) {
      if (error instanceof PortRefused && isForGood(error.status)) {
        // The server believes that we hold what we are about to let go, until a hello says otherwise.
        this.redial(`the server refused a report: ${error.message}`)
        return { go: false }
      }
      throw error
    }
  }

  /** A request whose answer proves that the server has heard of this agent. */
  async call<Answer>(path: string, body: object, answerMs?: number): Promise<Answer> {
    const sent = this.#contact.moment()
    try {
      const answer = await this.#parts.port.call<Answer>(path, body, answerMs)
      this.#contact.proved(sent)
      return answer
    } catch (error) {
      this.#noteRefusal(error)
      throw error
    }
  }

  /** Leaves the stream, and opens one anew at once. */
  redial(why: string): void {
    this.#stream.abort(new Error(why))
  }

  /** From dialling to losing it: why, and how long it was open. */
  async #stay(signal: AbortSignal): Promise<{ why: string; afterMs: number }> {
    const { clock, works, port, self } = this.#parts
    this.#stream = new AbortController()
    const ending = AbortSignal.any([signal, this.#stream.signal])
    let openedAt: number | undefined
    const lost = (why: string) => ({ why, afterMs: openedAt === undefined ? 0 : clock.monotonic() - openedAt })
    // What is not named is handed out again at once, so nothing of it may still be under way.
    await works.stopped()
    const sent = this.#contact.moment()
    const silence = new Silence(clock, () => this.redial('the server fell silent'))
    try {
      const opened = () => {
        openedAt = clock.monotonic()
        this.#contact.proved(sent)
        silence.broken()
      }
      for await (const message of port.stream({ ...self, leases: works.leases }, ending, opened)) {
        silence.broken()
        this.#hear(message)
      }
      return lost('the server ended the stream')
    } catch (error) {
      this.#noteRefusal(error)
      return lost(reasonOf(this.#stream.signal.aborted ? this.#stream.signal.reason : error))
    } finally {
      silence.end()
      this.#beats.abort()
    }
  }

  #hear(message: ServerMessage): void {
    const { works, tell, server } = this.#parts
    if (message.type === 'welcome') tell({ type: 'connected', name: message.name, server })
    if (message.type === 'welcome' || message.type === 'orders') this.#obey(message)
    if (message.type === 'work') works.take(message.work)
    if (message.type === 'cancel') works.cancel(message.lease)
    if (message.type === 'revoked') this.#refuse('this agent was revoked')
  }

  #obey(orders: AgentOrders): void {
    this.#beats.abort()
    this.#beats = new AbortController()
    void this.#sendHeartbeats(orders.heartbeatMs, this.#beats.signal)
    this.#parts.works.allow(orders.concurrency)
    this.#parts.onOrders(orders)
  }

  async #sendHeartbeats(everyMs: number, signal: AbortSignal): Promise<void> {
    const { clock, works } = this.#parts
    await rest(clock, everyMs, signal)
    while (!signal.aborted) {
      const body: Heartbeat = { status: works.isBusy ? 'busy' : 'online', ...machineLoad() }
      const isAnswered = await this.call('/agent/v1/heartbeat', body, HEARTBEAT_ANSWER_MS).then(
        () => true,
        () => false,
      )
      await rest(clock, isAnswered ? everyMs : Math.min(HEARTBEAT_RETRY_MS, everyMs), signal)
    }
  }

  #watchContact(): () => void {
    const { clock, works, tell } = this.#parts
    let cancel = () => {}
    const look = () => {
      if (this.#contact.isLost && works.leases.length > 0) {
        tell({ type: 'contact_lost', stopped: works.leases.length })
        works.dropAll('contact lost')
        // The server may believe that we hold what we have just dropped, until a hello says otherwise.
        this.redial('the server did not answer')
      }
      cancel = clock.after(LOOK_MS, look)
    }
    look()
    return () => cancel()
  }

  /** Whoever is not let in with this certificate will not be later either. */
  #noteRefusal(error: unknown): void {
    if (error instanceof PortRefused && error.status === 403) this.#refuse(error.message)
  }

  #refuse(message: string): void {
    this.#refused.abort(message)
  }

  #retryMs(losses: number): number {
    if (losses <= 1) return 0
    const longest = Math.min(RETRY_MS_MIN * 2 ** (losses - 2), RETRY_MS_MAX)
    // Many agents lose one server at the same moment: they come back spread over half of the time.
    return Math.round(longest * (0.5 + this.#parts.random() / 2))
  }
}

/** Calls once when nothing broke the silence for `SILENCE_MS`. */
class Silence {
  readonly #clock: Clock
  readonly #dead: () => void
  #cancel = () => {}

  constructor(clock: Clock, dead: () => void) {
    this.#clock = clock
    this.#dead = dead
  }

  broken(): void {
    this.#cancel()
    this.#cancel = this.#clock.after(SILENCE_MS, this.#dead)
  }

  end(): void {
    this.#cancel()
  }
}

/** The same request would be refused again. */
function isForGood(status: number): boolean {
  return status >= 400 && status < 500 && ![408, 429].includes(status)
}

const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate of the server is past its end by the clock of this machine',
  CERT_NOT_YET_VALID: 'the certificate of the server is not valid yet by the clock of this machine',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the server is not the one that this agent was enrolled at',
  SELF_SIGNED_CERT_IN_CHAIN: 'the server is not the one that this agent was enrolled at',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the server is not the one that this agent was enrolled at',
  CERT_SIGNATURE_FAILURE: 'the server is not the one that this agent was enrolled at',
  ECONNREFUSED: 'nobody listens there',
  ECONNRESET: 'the connection broke',
  UND_ERR_SOCKET: 'the connection broke',
  HTTPParserError: 'the connection broke',
  ENOTFOUND: 'its name does not resolve',
}

function reasonOf(error: unknown): string {
  const { code, name, message } = error as NodeJS.ErrnoException
  return REASONS[code ?? name] ?? (message || code || 'unknown')
}
