import { type Clock, isoSeconds } from '../base/clock.ts'
import type { Running } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import { Rounds } from '../base/rounds.ts'
import { SECOND_MS } from '../base/units.ts'
import type { EventDraft } from '../events/event.ts'
import type { Data } from '../events/payloads.ts'
import type { Recorder } from '../events/record.ts'
import type { Agent } from './agent.ts'
import { checkVersion } from './check.ts'
import type { AgentStore, Sighting } from './port.ts'
import { type HeldStream, HeldStreams } from './streams.ts'

export type { HeldStream, StreamEnd } from './streams.ts'

/** Which agents are there: notes every sign of life, and says when one has come back or is lost. */
export interface Presence extends Running {
  start(): void
  /**
   * A request that has proven who it comes from; recorded before it resolves, `agent.connected` with it where the agent was offline. Answers the agent as it
   * is then; undefined where it may not work any more.
   */
  seen(agent: Agent, sighting: Omit<Sighting, 'agentId' | 'at'>): Promise<Agent | undefined>
  /** It says goodbye: offline at once. */
  left(agent: Agent): Promise<Agent | undefined>
  /** A stream is open at this node. One that it had here before is ended as `displaced`, one at another node by that node. */
  opened(agent: Agent, stream: HeldStream): Promise<void>
  /** A stream has ended, however it did. Nothing happens for one that was displaced. Not to be called where this server ends it because it stops: that is no loss. */
  closed(agentId: string, stream: HeldStream): Promise<void>
  /** Looks now at what this node holds of this agent: what was changed reaches its stream, one that may not be any more is ended. */
  look(agentId: string): Promise<void>
}

export interface PresenceParts {
  readonly store: Pick<
    AgentStore,
    'seeAgent' | 'openStream' | 'loseStream' | 'silentAgents' | 'loseAgent' | 'findAgent' | 'findAgents'
  >
  readonly recorder: Recorder
  readonly clock: Clock
  readonly settings: { readonly agentSilentMs: number; readonly agentGraceMs: number }
  readonly node: string
  readonly log: Log
}

/** Time between two looks for agents that are lost, ms: their events come this much later at most. */
export const LOOK_EVERY_MS = 2 * SECOND_MS
/** Lost agents that one look takes; the next one goes on. */
const LOST_MAX = 200
/** A sign of life is not written again within this, ms, unless it says more. What is handed out again waits 30 s longer than it must. */
const SEEN_AGAIN_MS = 5 * SECOND_MS
/** Longer between two looks, and it was this server that was away, asleep or without its database, ms. */
const AWAY_MS = 10 * LOOK_EVERY_MS

/**
 * Nothing that is said here depends on the memory of this process: state and event are one transaction, guarded by what was read, so several nodes say a thing
 * once. The one thing that it remembers is since when it listens: who could not have been heard is not lost.
 *
 * new → running (start) → stopped.
 */
export function createPresence(parts: PresenceParts): Presence {
  const { store, recorder, clock, settings, node, log } = parts
  const streams = new HeldStreams({ store, node, clock, log })
  let listeningSince = clock.now()
  let lookedAt = { now: clock.now(), monotonic: clock.monotonic() }

  const looks = new Rounds({
    clock,
    async round() {
      noteAbsence()
      await loseSilent()
      await streams.look()
    },
    everyMs: LOOK_EVERY_MS,
    failed(error) {
      // While the database does not answer, no sign of life is recorded either.
      listeningSince = clock.now()
      log.warn({ err: error }, 'agents could not be looked at; tried again')
    },
  })

  function noteAbsence(): void {
    const [now, monotonic] = [clock.now(), clock.monotonic()]
    const wentBy = now - lookedAt.now
    // A clock that was set is an absence too: what was written before does not compare with it.
    if (wentBy < 0 || wentBy > AWAY_MS || monotonic - lookedAt.monotonic > AWAY_MS) listeningSince = now
    lookedAt = { now, monotonic }
  }

  async function loseSilent(): Promise<void> {
    const now = clock.now()
    const heardFor = now - listeningSince
    const seenBefore = heardFor < settings.agentSilentMs ? null : now - settings.agentSilentMs
    const lostBefore = heardFor < settings.agentGraceMs ? null : now - settings.agentGraceMs
    for (const agent of await store.silentAgents(seenBefore, lostBefore, LOST_MAX)) {
      if (await store.loseAgent(agent, agent.lastSeenAt, disconnected(recorder, agent)))
        log.info({ agentId: agent.id, lastSeen: isoSeconds(agent.lastSeenAt) }, 'an agent is lost')
    }
  }

  async function see(agent: Agent, sighting: Omit<Sighting, 'agentId' | 'at'>): Promise<Agent | undefined> {
    if (sighting.version !== undefined) checkVersion(sighting.version)
    const data: Data<'agent.connected'> = { ...factsOf(agent), status: 'online' }
    return store.seeAgent({ agentId: agent.id, at: clock.now(), ...sighting }, recorder.draft('agent.connected', null, data))
  }

  return {
    start() {
      lookedAt = { now: clock.now(), monotonic: clock.monotonic() }
      listeningSince = lookedAt.now
      looks.start(LOOK_EVERY_MS)
    },
    stop: () => looks.stop(),
    async seen(agent, sighting) {
      const { ipAddress, ...said } = sighting
      const sinceSeen = clock.now() - agent.lastSeenAt
      const isRecent = sinceSeen >= 0 && sinceSeen < SEEN_AGAIN_MS
      const saysNothing = Object.keys(said).length === 0 && ipAddress === agent.ipAddress
      if (isRecent && saysNothing && agent.status !== 'offline') return agent
      return see(agent, sighting)
    },
    async left(agent) {
      const now = clock.now()
      if (agent.status !== 'offline') await store.loseAgent(agent, now, disconnected(recorder, { ...agent, lastSeenAt: now }))
      return store.findAgent(agent.id)
    },
    opened: (agent, stream) => streams.opened(agent, stream),
    closed: (agentId, stream) => streams.closed(agentId, stream),
    look: (agentId) => streams.look([agentId]),
  }
}

/** The event of an agent that is lost; the same one whoever ends its contact. */
export function disconnected(recorder: Recorder, agent: Pick<Agent, 'id' | 'name' | 'hostname' | 'lastSeenAt'>): EventDraft {
  const data: Data<'agent.disconnected'> = { ...factsOf(agent), status: 'offline' }
  return recorder.draft('agent.disconnected', null, data)
}

function factsOf({ id, name, hostname, lastSeenAt }: Pick<Agent, 'id' | 'name' | 'hostname' | 'lastSeenAt'>) {
  return { agentId: id, agentName: name, hostname, lastSeen: isoSeconds(lastSeenAt) }
}
