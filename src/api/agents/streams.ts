import type { FastifyReply } from 'fastify'
import type { Agent, Certificate } from '../../agents/agent.ts'
import type { HeldStream, Presence } from '../../agents/presence.ts'
import type { Clock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import type { Log } from '../../base/log.ts'
import type { AgentLine, Dispatcher } from '../../transfers/work-source.ts'
import { type AgentOrders, BEAT_MS, type Hello } from '../../wire/agent/work.ts'
import type { Connections } from './guard.ts'
import { AgentStream } from './stream.ts'

/** Streams at the same time. */
const STREAMS_MAX = 2_000

export interface StreamNeeds {
  /** Knows which stream of an agent is the one, and ends those that are not or may not be. */
  readonly presence: Pick<Presence, 'opened' | 'closed' | 'look'>
  readonly dispatcher: Pick<Dispatcher, 'attach'>
  readonly connections: Connections
  readonly orders: Pick<AgentOrders, 'heartbeatMs' | 'renewBeforeMs'>
  readonly clock: Clock
  readonly log: Log
}

/** Who opens a stream, and what it was let in by. */
export interface Opening {
  readonly agent: Agent
  readonly certificate: Certificate
  readonly hello: Hello
}

/** The streams that this node holds: each from its hello until it is over, whoever ended it. */
export class Streams {
  readonly #needs: StreamNeeds
  readonly #open = new Set<AgentStream>()
  #isStopping = false

  constructor(needs: StreamNeeds) {
    this.#needs = needs
  }

  get count(): number {
    return this.#open.size
  }

  /** Holds a stream until it is over. Refuses before the first byte, like any route. */
  async hold(opening: Opening, reply: FastifyReply): Promise<void> {
    const { presence, clock, log } = this.#needs
    const { agent } = opening
    if (this.#isStopping) throw new AppError('stopping', 'the server is stopping; dial again in a moment')
    if (this.#open.size >= STREAMS_MAX)
      throw new AppError('limit_reached', `this server holds ${STREAMS_MAX} streams of agents, and no more`)
    const stream = new AgentStream(reply, clock)
    this.#open.add(stream)
    const held = new Held(stream, agent, this.#needs)
    try {
      await presence.opened(agent, held)
      // What was decided while presence did not know of this stream reaches it now; what comes later finds it.
      await presence.look(agent.id)
      if (stream.isOver) throw new AppError('conflict', 'this stream was ended while it was opened')
      await this.#serve(opening, stream, held)
    } finally {
      this.#open.delete(stream)
      // A server that stops has lost nobody.
      if (!this.#isStopping)
        await presence
          .closed(agent.id, held)
          .catch((error) => log.warn({ agent: agent.id, error: String(error) }, 'cannot note a closed stream'))
    }
  }

  /** Ends all of them. What their agents hold stays theirs: they come back with it, here or elsewhere. */
  stop(): void {
    this.#isStopping = true
    for (const stream of this.#open) stream.end()
  }

  async #serve({ certificate, hello }: Opening, stream: AgentStream, held: Held): Promise<void> {
    const { log, dispatcher } = this.#needs
    const { agent } = held
    const fields = { agent: agent.id, instance: hello.instance }
    stream.begin({ type: 'welcome', agentId: agent.id, ...held.orders })
    log.info({ ...fields, version: hello.version, leases: hello.leases.length }, 'stream opened')
    held.line = dispatcher.attach(agent, hello, (message) => stream.send(message))
    const stopBeat = this.#beat(stream, certificate)
    await stream.over
    stopBeat()
    held.line.detach()
    log.info(fields, 'stream closed')
  }

  #beat(stream: AgentStream, certificate: Certificate): () => void {
    const { clock } = this.#needs
    let cancel = () => {}
    const next = () => {
      cancel = clock.after(BEAT_MS, () => {
        if (stream.isStalled) return stream.cut()
        // The agent may have a newer certificate to come back with; without one it is refused then.
        if (certificate.expiresAt <= clock.now()) return stream.end()
        stream.send({ type: 'beat' })
        next()
      })
    }
    next()
    return () => cancel()
  }
}

/** A stream as presence has to do with it. */
class Held implements HeldStream {
  agent: Agent
  line: AgentLine | undefined
  readonly #stream: AgentStream
  readonly #needs: StreamNeeds

  constructor(stream: AgentStream, agent: Agent, needs: StreamNeeds) {
    this.#stream = stream
    this.agent = agent
    this.#needs = needs
  }

  get orders(): AgentOrders {
    const { name, concurrency } = this.agent
    return { name, concurrency, ...this.#needs.orders }
  }

  end: HeldStream['end'] = (why) => {
    this.#stream.end(why === 'revoked' ? { type: 'revoked' } : undefined)
    // A newer stream shares nothing with this one but perhaps connections; else all that the agent has open goes too.
    if (why !== 'displaced') this.#needs.connections.close(this.agent.id, this.#stream.socket)
  }

  changed: HeldStream['changed'] = (agent) => {
    const before = JSON.stringify(this.orders)
    this.agent = agent
    if (JSON.stringify(this.orders) === before) return
    this.#stream.send({ type: 'orders', ...this.orders })
    this.line?.changed(agent)
  }
}
