import type { Agent } from '../agents/agent.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { Rounds } from '../base/rounds.ts'
import { Turns } from '../base/turns.ts'
import { SECOND_MS } from '../base/units.ts'
import { HAND_OUT_AGAIN_AFTER_MS, type Hello, type ServerMessage, type WorkReport } from '../wire/agent/work.ts'
import type { TransferStore } from './port.ts'
import type { AgentLine, Dispatcher, WorkSource } from './work-source.ts'

/** What was made or cancelled at another node is found after this, ms; what was made here is nudged about. */
export const SWEEP_MS = SECOND_MS
/**
 * What another node was asked to stop is found after this, ms: with the 700 ms that an agent has until it says that it has stopped, that is within a second. It costs
 * one query of an index that holds nothing else.
 */
export const STOP_SWEEP_MS = 250
/** Agents of one such look; the next one finds the others. */
const STOPPING_MAX = 1_000
/** Agents are looked through for silence this often, ms. */
export const SILENCE_SWEEP_MS = 10 * SECOND_MS
/** Silent agents of one look; the next look finds the others. */
const SILENT_MAX = 100
/** A wall clock that moved this much against the monotonic one was set, ms. */
const CLOCK_STEP_MS = SECOND_MS

export interface DispatcherNeeds {
  /** Asked for work in this order. */
  readonly sources: readonly WorkSource[]
  /** What an agent does not hold any more was put back, and nothing of it is handed out before this resolves. */
  readonly released: (agentId: string, kept: readonly string[]) => Promise<void>
  readonly store: Pick<TransferStore, 'silentHolders' | 'stoppingAgents'>
  readonly clock: Clock
  readonly log: Log
}

/** A stream of an agent, as long as no later one has taken its place. */
interface Line {
  agent: Agent
  readonly send: (message: ServerMessage) => void
  /** The leases of its hello, until everything else is put back; nothing is handed out before that. */
  greeting: readonly string[] | null
  isOpen: boolean
}

/**
 * Everything about one agent happens in turn: what its hello does not name is put back before anything is handed out, and no two hand out
 * at the same time. Nothing is remembered here but the open streams: who holds what is in the database, so that a report may come to
 * another node than the stream, and a process that dies takes no work with it.
 */
export function createDispatcher({ sources, released, store, clock, log }: DispatcherNeeds): Dispatcher {
  const lines = new Map<string, Line>()
  const turns = new Turns()
  /** Agents that are looked at again when their turn ends: any number of nudges is one. */
  const wanted = new Set<string>()
  const watch = createSilenceWatch(clock)
  let isStopping = false
  const sweeps = rounds(SWEEP_MS, 'error', 'cannot look for work', async () => serveAll())
  // Whatever keeps the database from answering is said by the others.
  const stopSweeps = rounds(STOP_SWEEP_MS, 'debug', 'cannot look for what is to stop', nudgeStopping)
  const silenceSweeps = rounds(SILENCE_SWEEP_MS, 'error', 'cannot look for silent agents', putBackOfSilent)

  function rounds(everyMs: number, level: 'error' | 'debug', trouble: string, round: () => Promise<void>): Rounds {
    const failed = (error: unknown) => log[level]({ error: String(error) }, `${trouble}; it is tried again`)
    return new Rounds({ clock, round, everyMs, failed })
  }

  /** Runs after what is under way for this agent; a failure is logged, and the next sweep tries again. */
  function inTurn(agentId: string, work: () => Promise<void>): Promise<void> {
    return turns
      .take(agentId, work)
      .catch((error) => log.error({ agentId, error: String(error) }, 'cannot hand out work; it is tried again'))
  }

  function serve(agentId: string): void {
    if (isStopping || wanted.has(agentId)) return
    wanted.add(agentId)
    void inTurn(agentId, async () => {
      wanted.delete(agentId)
      const line = lines.get(agentId)
      if (line !== undefined) await serveLine(line)
    })
  }

  function serveAll(): void {
    for (const agentId of lines.keys()) serve(agentId)
  }

  async function serveLine(line: Line): Promise<void> {
    const { id } = line.agent
    if (line.greeting !== null) await putBack(id, line.greeting)
    line.greeting = null
    const held = await Promise.all(sources.map(async (source) => ({ source, works: await source.held(id) })))
    for (const { lease, isCancelled } of held.flatMap(({ works }) => works)) if (isCancelled) line.send({ type: 'cancel', lease })
    const inSlots = held.filter(({ source }) => source.besideMax === undefined).flatMap(({ works }) => works)
    let free = line.agent.concurrency - inSlots.length
    for (const { source, works: before } of held) {
      const room = source.besideMax === undefined ? free : source.besideMax - before.length
      if (!line.isOpen || isStopping) return
      const works = room > 0 ? await source.take(id, room) : []
      // Where the stream has closed meanwhile, the next hello does not name them.
      for (const work of works) line.send({ type: 'work', work })
      if (source.besideMax === undefined) free -= works.length
    }
  }

  async function putBack(agentId: string, kept: readonly string[]): Promise<void> {
    for (const source of sources) await source.putBack(agentId, kept)
    await released(agentId, kept)
  }

  async function putBackOfSilent(): Promise<void> {
    if (!watch.mayJudge()) return
    const silent = await store.silentHolders(clock.now() - HAND_OUT_AGAIN_AFTER_MS, SILENT_MAX)
    for (const agentId of silent) {
      log.warn({ agentId }, 'an agent is silent: what it was doing is put back')
      await inTurn(agentId, () => putBack(agentId, []))
    }
  }

  async function nudgeStopping(): Promise<void> {
    if (lines.size === 0) return
    for (const agentId of await store.stoppingAgents(STOPPING_MAX)) if (lines.has(agentId)) serve(agentId)
  }

  return {
    attach(agent: Agent, hello: Hello, send): AgentLine {
      const line: Line = { agent, send, greeting: hello.leases, isOpen: true }
      const before = lines.get(agent.id)
      if (before !== undefined) before.isOpen = false
      lines.set(agent.id, line)
      serve(agent.id)
      return {
        changed(changed) {
          line.agent = changed
          serve(agent.id)
        },
        detach() {
          line.isOpen = false
          if (lines.get(agent.id) === line) lines.delete(agent.id)
        },
      }
    },
    async report(agentId: string, lease: string, report: WorkReport) {
      for (const source of sources) {
        const answer = await source.report(agentId, lease, report)
        if (answer === undefined) continue
        // A slot may be free now.
        if (report.state !== 'running') serve(agentId)
        return answer
      }
      return { go: false }
    },
    nudge(agentId) {
      if (agentId !== null) serve(agentId)
      else serveAll()
    },
    start() {
      sweeps.start(SWEEP_MS)
      stopSweeps.start(STOP_SWEEP_MS)
      silenceSweeps.start(SILENCE_SWEEP_MS)
    },
    async stop() {
      isStopping = true
      await Promise.all([sweeps, stopSweeps, silenceSweeps].map((one) => one.stop()))
      await turns.ended()
    },
  }
}

/**
 * Silence is told by the wall clock, which several nodes share. When that clock is set forward everybody looks silent who is not: then nobody
 * is judged until all had the time to be heard of again.
 */
export function createSilenceWatch(clock: Clock, toBeHeardMs = HAND_OUT_AGAIN_AFTER_MS): { mayJudge(): boolean } {
  let offset = clock.now() - clock.monotonic()
  let judgesFrom = Number.NEGATIVE_INFINITY
  return {
    mayJudge() {
      const current = clock.now() - clock.monotonic()
      if (Math.abs(current - offset) > CLOCK_STEP_MS) judgesFrom = clock.monotonic() + toBeHeardMs
      offset = current
      return clock.monotonic() >= judgesFrom
    },
  }
}
