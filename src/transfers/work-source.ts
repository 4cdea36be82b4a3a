import type { Agent } from '../agents/agent.ts'
import type { Taker } from '../agents/port.ts'
import { HAND_OUT_AGAIN_AFTER_MS, type Hello, type ServerMessage, type Work, type WorkReport } from '../wire/agent/work.ts'

/** An agent that was silent for as long as its work is put back after gets no more of it. */
export function takerOf(agentId: string, node: string, now: number): Taker {
  return { agentId, node, seenSince: now - HAND_OUT_AGAIN_AFTER_MS }
}

/** Something that has work for agents: transfers, and the listings of jobs. */
export interface WorkSource {
  /** Its work takes no slot of the agent, and none waits for one: so many at a time beside the others. Absent: it does. */
  readonly besideMax?: number
  /**
   * Hands out what is due for this agent, at most `limit`. What is answered is already recorded as handed out: when the process dies
   * before it is sent, the agent does not name it in its next hello, and it is put back.
   */
  take(agentId: string, limit: number): Promise<readonly Work[]>
  /** Records what an agent reports. Undefined: the lease is not one of this source, or is lost. */
  report(agentId: string, lease: string, report: WorkReport): Promise<{ readonly go: boolean } | undefined>
  /** The agent certainly does none of what it was handed but `kept`: by policy that is handed out again or has failed. */
  putBack(agentId: string, kept: readonly string[]): Promise<void>
  /** What this agent holds, as it is recorded. */
  held(agentId: string): Promise<readonly HeldWork[]>
}

export interface HeldWork {
  readonly lease: string
  /** Stopping was asked for. */
  readonly isCancelled: boolean
}

/** Hands work to the agents whose streams this node holds. */
export interface Dispatcher {
  /** A stream is open: what the agent does not hold any more is put back, then work goes down the stream as it comes. */
  attach(agent: Agent, hello: Hello, send: (message: ServerMessage) => void): AgentLine
  report(agentId: string, lease: string, report: WorkReport): Promise<{ readonly go: boolean }>
  /** There may be something due, or something to stop, for this agent (null: any). Only a nudge: a sweep finds it too. */
  nudge(agentId: string | null): void
  /** Starts the sweeps: what waits, and what agents hold that were silent for `HAND_OUT_AGAIN_AFTER_MS`. */
  start(): void
  stop(): Promise<void>
}

export interface AgentLine {
  /** Name, concurrency or another order has changed. */
  changed(agent: Agent): void
  /** The stream is closed. */
  detach(): void
}
