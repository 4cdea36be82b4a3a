import type { Running } from '../base/lifecycle.ts'
import type { Agent } from './agent.ts'
import type { Sighting } from './port.ts'

/** Which agents are there: notes every sign of life, and says when one has come back or is lost. */
export interface Presence extends Running {
  start(): void
  /**
   * A request that has proven who it comes from; recorded before it resolves, `agent.connected` with it where the agent was offline. Answers the agent as it is
   * then; undefined where it may not work any more.
   */
  seen(agent: Agent, sighting: Omit<Sighting, 'agentId' | 'at'>): Promise<Agent | undefined>
  /** It says goodbye: offline at once. */
  left(agent: Agent): Promise<Agent | undefined>
  /** A stream is open at this node. One that it had here before is ended as `displaced`, one at another node by that node. */
  opened(agent: Agent, stream: HeldStream): Promise<void>
  /** A stream has ended, however it did. Nothing happens for one that was displaced, and while this server stops. */
  closed(agentId: string, stream: HeldStream): Promise<void>
  /** Looks now at what this node holds of this agent: what was changed reaches its stream, one that may not be any more is ended. */
  look(agentId: string): Promise<void>
}

/** An open stream, as far as others than its owner have to do with it. */
export interface HeldStream {
  /** Ends it; `closed` may be called afterwards or not. */
  end(why: StreamEnd): void
  /** Name, concurrency or another order of the agent has changed. */
  changed(agent: Agent): void
}

/** `revoked`: it may not come back by itself. `disconnected`: an administrator ended it; it may come back. */
export type StreamEnd = 'revoked' | 'displaced' | 'disconnected'
