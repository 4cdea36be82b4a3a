import { hostname } from 'node:os'
import type { MessagePort } from 'node:worker_threads'
import { systemClock } from '../src/base/clock.ts'
import { AppError } from '../src/base/error.ts'
import type { Log } from '../src/base/log.ts'
import type { BuiltinAgentData, BuiltinAgentHears, BuiltinAgentSays } from '../src/wire/agent/builtin.ts'
import { createRequest } from './csr.ts'
import { rootsOf } from './enroll.ts'
import { type AgentFolder, type Enrolment, lockAgentFolder, makeAgentFolder } from './folder.ts'
import { agentOs } from './machine.ts'
import { runAgent } from './main.ts'
import { type AgentNews, newsLine } from './news.ts'

/**
 * The agent inside a server: the same as elsewhere, but that the server itself lets it in, through the door between the two threads. Its key stays in
 * its folder all the same, and it dials the agent port like any other.
 */
export async function runBuiltin(parent: MessagePort, data: BuiltinAgentData): Promise<void> {
  const { folder, version } = data
  const say = (said: BuiltinAgentSays) => parent.postMessage(said)
  const log = logTo(say)
  const stop = new AbortController()
  const answered = Promise.withResolvers<BuiltinAgentHears>()
  parent.on('message', (heard: BuiltinAgentHears) => {
    if (heard.type === 'stop') stop.abort()
    answered.resolve(heard)
  })
  try {
    const isIn = await letIn(data, (csr) => {
      say({ type: 'enrol', csr, hostname: hostname(), os: agentOs() })
      return answered.promise
    })
    if (!isIn || stop.signal.aborted) return
    const tell = (news: AgentNews) => {
      const level = levelOf(news)
      if (level !== undefined) say({ type: 'log', level, text: `built-in agent: ${newsLine(news)}` })
    }
    const end = await runAgent({ folder, version, clock: systemClock, log, tell, signal: stop.signal })
    if (end.kind === 'revoked') say({ type: 'revoked' })
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    log.error({}, error.message)
  } finally {
    parent.close()
  }
}

/** Sees to it that the folder is enrolled at this server; false: the server stops instead. */
async function letIn(data: BuiltinAgentData, ask: (csr: string) => Promise<BuiltinAgentHears>): Promise<boolean> {
  const { server, agents, ca } = data
  const folder = await makeAgentFolder(data.folder)
  const lock = lockAgentFolder(folder.path)
  try {
    const here = { server, agents, ca, roots: await rootsOf(data.roots, folder.path), admittedBy: '' }
    const before = await enrolmentIn(folder)
    if (before !== undefined && before.ca === ca && before.certificate.validToDate.getTime() > systemClock.now()) {
      await folder.keepFacts({ id: before.id, name: before.name, ...here })
      return true
    }
    // With the key that it has, it stays the agent that it was.
    const key = before?.key ?? (await folder.keyToEnrol())
    const answer = await ask(createRequest(key))
    if (answer.type === 'refused') throw new AppError('forbidden', answer.why)
    if (answer.type !== 'enrolled') return false
    const { id, name, apiKey, certificate } = answer
    await folder.keepEnrolment({ id, name, ...here }, certificate, apiKey)
    return true
  } finally {
    await lock.stop()
  }
}

/** A folder that is damaged is enrolled anew: nobody has to be asked for a token. */
async function enrolmentIn(folder: AgentFolder): Promise<Enrolment | undefined> {
  try {
    return await folder.read()
  } catch (error) {
    if (error instanceof AppError && error.code === 'conflict') return undefined
    throw error
  }
}

/** What of an agent's life is worth a line in the log of the server: its transfers are recorded there anyway. */
function levelOf({ type }: AgentNews): 'info' | 'warn' | undefined {
  if (type === 'connected' || type === 'renewed') return 'info'
  return ['disconnected', 'contact_lost', 'renewal_failed'].includes(type) ? 'warn' : undefined
}

function logTo(say: (said: BuiltinAgentSays) => void): Log {
  const at = (level: 'debug' | 'info' | 'warn' | 'error') => (fields: object, message: string) => {
    const { err } = fields as { err?: unknown }
    say({ type: 'log', level, text: `built-in agent: ${message}${err === undefined ? '' : `: ${String(err)}`}` })
  }
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: () => log }
  return log
}
