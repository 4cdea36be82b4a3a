import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Agent } from './agent.ts'
import type { AgentStore } from './port.ts'

/** An open stream, as far as others than its owner have to do with it. */
export interface HeldStream {
  /** Ends it; `closed` may be called afterwards or not. */
  end(why: StreamEnd): void
  /** Name, concurrency or another order of the agent has changed. */
  changed(agent: Agent): void
}

/** `revoked`: it may not come back by itself. `displaced`: it has another one. `disconnected`: an administrator ended it; it may come back. */
export type StreamEnd = 'revoked' | 'displaced' | 'disconnected'

interface Held {
  readonly stream: HeldStream
  /** As its owner knows it. */
  agent: Agent
  /** The database knows that this node holds it. */
  isRecorded: boolean
}

export interface HeldStreamsParts {
  readonly store: Pick<AgentStore, 'openStream' | 'loseStream' | 'findAgents'>
  readonly node: string
  readonly clock: Pick<Clock, 'now'>
  readonly log: Log
}

/** Agents that one query asks for. */
const AGENTS_STEP = 500

/**
 * The streams that this node holds, one an agent. Which node holds the stream of an agent is in the database, and that is the truth: `look` ends
 * what it says is elsewhere, was ended by an administrator or may not be any more, whichever node that was done at.
 */
export class HeldStreams {
  readonly #parts: HeldStreamsParts
  readonly #held = new Map<string, Held>()
  /** What is being written for an agent: one after the other, so that the last word is the last one written. */
  readonly #turns = new Map<string, Promise<void>>()

  constructor(parts: HeldStreamsParts) {
    this.#parts = parts
  }

  async opened(agent: Agent, stream: HeldStream): Promise<void> {
    const { store, node, clock } = this.#parts
    const before = this.#held.get(agent.id)
    const held: Held = { stream, agent, isRecorded: false }
    this.#held.set(agent.id, held)
    before?.stream.end('displaced')
    await this.#inTurn(agent.id, () => store.openStream(agent.id, node, clock.now()))
    held.isRecorded = true
  }

  async closed(agentId: string, stream: HeldStream): Promise<void> {
    const { store, node, clock } = this.#parts
    if (this.#held.get(agentId)?.stream !== stream) return
    this.#held.delete(agentId)
    await this.#inTurn(agentId, () => store.loseStream(agentId, node, clock.now()))
  }

  async look(agentIds: readonly string[] = [...this.#held.keys()]): Promise<void> {
    // Those that open while the database is asked are not in its answer.
    const recorded = agentIds.flatMap((id) => {
      const held = this.#held.get(id)
      return held?.isRecorded ? [held] : []
    })
    for (let start = 0; start < recorded.length; start += AGENTS_STEP) {
      const some = recorded.slice(start, start + AGENTS_STEP)
      const agents = await this.#parts.store.findAgents(some.map(({ agent }) => agent.id))
      const byId = new Map(agents.map((agent) => [agent.id, agent]))
      for (const held of some) this.#reconcile(held, byId.get(held.agent.id))
    }
  }

  #reconcile(held: Held, agent: Agent | undefined): void {
    if (this.#held.get(held.agent.id) !== held) return
    const why = this.#whyEnded(agent)
    if (why !== undefined) {
      this.#held.delete(held.agent.id)
      this.#parts.log.info({ agentId: held.agent.id, why }, 'the stream of an agent is ended')
      held.stream.end(why)
    } else if (agent !== undefined && (agent.name !== held.agent.name || agent.concurrency !== held.agent.concurrency)) {
      held.agent = agent
      held.stream.changed(agent)
    }
  }

  #whyEnded(agent: Agent | undefined): StreamEnd | undefined {
    if (agent === undefined || agent.revokedAt !== null) return 'revoked'
    if (agent.streamNode === this.#parts.node) return undefined
    return agent.streamNode === null ? 'disconnected' : 'displaced'
  }

  #inTurn(agentId: string, write: () => Promise<void>): Promise<void> {
    const turn = (this.#turns.get(agentId) ?? Promise.resolve()).then(write, write)
    this.#turns.set(agentId, turn)
    const forget = () => {
      if (this.#turns.get(agentId) === turn) this.#turns.delete(agentId)
    }
    turn.then(forget, forget)
    return turn
  }
}
