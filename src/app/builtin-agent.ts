import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { AgentFacts } from '../../agent/folder.ts'
import type { Enrolment } from '../agents/enroll.ts'
import type { AgentStore } from '../agents/port.ts'
import { SERVER_CALLER } from '../audit/caller.ts'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import type { Running } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import { ignoreMissing } from '../base/private-file.ts'
import { MINUTE_MS, SECOND_MS } from '../base/units.ts'
import type { Settings } from '../config/settings.ts'
import type { BuiltinAgentData, BuiltinAgentHears, BuiltinAgentSays } from '../wire/agent/builtin.ts'
import type { AgentDesk } from './agents.ts'
import type { DataFolder } from './data-folder.ts'
import { VERSION } from './version.ts'

/** Its name, until an administrator gives it another one. */
const NAME = 'builtin'
/** The server is ready before its agent takes time and memory, ms. */
const BEGIN_MS = SECOND_MS / 4
/** A thread that died is started again after this, twice as long each time, ms; from the start again once it ran for long enough. */
const AGAIN_MS_MIN = SECOND_MS
const AGAIN_MS_MAX = MINUTE_MS
const STEADY_MS = 5 * MINUTE_MS
/** Time to leave what is under way in order when the server stops, ms. */
const STOP_MS = 6 * SECOND_MS
/**
 * It streams, so it needs little besides its code (measured: 30 MB); lists of many thousand files are what grows. Beyond this the thread dies and is started
 * again, and the server goes on.
 */
const LIMITS = { maxOldGenerationSizeMb: 160, maxYoungGenerationSizeMb: 6 }

export interface BuiltinAgentPlan {
  readonly folder: Pick<DataFolder, 'agent'>
  readonly settings: Pick<Settings, 'builtinAgent' | 'builtinAgentRoots'>
  readonly addresses: { readonly http: string; readonly agents: string }
  readonly desk: Pick<AgentDesk, 'authority' | 'needs'>
  readonly store: Pick<AgentStore, 'findAgent'>
  readonly clock: Clock
  readonly log: Log
}

/** The agent inside this server, as the settings want it. Where they want none, nobody waits until one that ran before has fallen silent. */
export async function openBuiltinAgent({
  folder,
  settings,
  addresses,
  desk,
  store,
  clock,
  log,
}: BuiltinAgentPlan): Promise<Running> {
  const { presence, enrolment } = desk.needs
  if (settings.builtinAgent === 'off') {
    const facts = await readFile(join(folder.agent, 'agent.json'), 'utf8').catch(ignoreMissing)
    const before = facts && (await store.findAgent((JSON.parse(facts) as AgentFacts).id))
    if (before) await presence.left(before)
    return { stop: async () => {} }
  }
  const data: BuiltinAgentData = {
    ...{ folder: folder.agent, roots: settings.builtinAgentRoots, server: addresses.http, agents: addresses.agents },
    ...{ ca: desk.authority.certificate, version: VERSION },
  }
  return runBuiltinAgent({ data, enrolment, clock, log })
}

export interface BuiltinAgentParts {
  readonly data: BuiltinAgentData
  readonly enrolment: Pick<Enrolment, 'register'>
  readonly clock: Clock
  readonly log: Log
  /** Starts the thread; tests have one that dies. */
  readonly startThread?: (data: BuiltinAgentData) => Worker
}

/** The agent inside this server, in a thread of its own: waiting → running → waiting (it died) → … → over (stopped, or revoked). */
export function runBuiltinAgent({ data, enrolment, clock, log, startThread = start }: BuiltinAgentParts): Running {
  let isOver = false
  let thread: Worker | undefined
  let againMs = AGAIN_MS_MIN
  let cancel = clock.after(BEGIN_MS, run)

  function run(): void {
    const startedAt = clock.monotonic()
    const current = startThread(data)
    thread = current
    current.on('message', (said: BuiltinAgentSays) => void hear(said, (answer) => current.postMessage(answer)))
    current.on('error', (error) => log.error({ error: String(error) }, 'the built-in agent failed'))
    current.once('exit', () => {
      thread = undefined
      if (isOver) return
      if (clock.monotonic() - startedAt >= STEADY_MS) againMs = AGAIN_MS_MIN
      log.warn({ inMs: againMs }, 'the built-in agent ended; it is started again')
      cancel = clock.after(againMs, run)
      againMs = Math.min(2 * againMs, AGAIN_MS_MAX)
    })
  }

  async function hear(said: BuiltinAgentSays, answer: (message: BuiltinAgentHears) => void): Promise<void> {
    if (said.type === 'enrol') return answer(await enrol(said))
    if (said.type === 'log') return log[said.level]({}, said.text)
    isOver = true
    log.warn({}, 'the built-in agent was revoked and ends')
  }

  /** The server itself lets it in: there is no token that could lie about. */
  async function enrol({ csr, os, hostname: host }: Extract<BuiltinAgentSays, { type: 'enrol' }>): Promise<BuiltinAgentHears> {
    try {
      const input = { name: NAME, hostname: host, os, version: data.version, csr, isBuiltin: true }
      const { agent, apiKey, certificate } = await enrolment.register({ admin: SERVER_CALLER }, input, null)
      return { type: 'enrolled', id: agent.id, name: agent.name, apiKey, certificate: certificate! }
    } catch (error) {
      if (!(error instanceof AppError)) log.error({ error: String(error) }, 'the built-in agent cannot be enrolled')
      return { type: 'refused', why: error instanceof AppError ? error.message : 'the server failed; its log has the details' }
    }
  }

  return {
    async stop() {
      isOver = true
      cancel()
      const ending = thread
      if (ending === undefined) return
      const ended = new Promise((resolve) => ending.once('exit', resolve))
      ending.postMessage({ type: 'stop' } satisfies BuiltinAgentHears)
      const stopWaiting = clock.after(STOP_MS, () => void ending.terminate())
      await ended
      stopWaiting()
    },
  }
}

function start(data: BuiltinAgentData): Worker {
  return new Worker(new URL('../../agent/builtin.ts', import.meta.url), { workerData: data, resourceLimits: LIMITS })
}
