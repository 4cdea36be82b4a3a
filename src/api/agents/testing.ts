import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import { createRequest } from '../../../agent/csr.ts'
import { readLines } from '../../../agent/lines.ts'
import type { Agent } from '../../agents/agent.ts'
import { createAuthority } from '../../agents/authority.ts'
import { createEnrolment } from '../../agents/enroll.ts'
import { createPresence } from '../../agents/presence.ts'
import { openStore } from '../../app/open-store.ts'
import { SERVER_CALLER } from '../../audit/caller.ts'
import { systemClock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { createSeal, MASTER_KEY_BYTES } from '../../base/seal.ts'
import { movingClock } from '../../base/testing.ts'
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../../base/units.ts'
import { createRecorder } from '../../events/record.ts'
import { createDispatcher } from '../../transfers/dispatch.ts'
import type { WorkSource } from '../../transfers/work-source.ts'
import type { Hello, ServerMessage, Work, WorkReport } from '../../wire/agent/work.ts'
import { SERVER_NAME } from '../../wire/agent/work.ts'
import { createAgentPort } from './server.ts'

/** The other end of a connection: what an agent is made of, as far as the port can tell. */
export interface Machine {
  readonly agent: Agent
  /** PEM. */
  readonly key: string
  readonly certificate: string
}

/** Work that a test hands out and takes reports of. */
export function scriptedWork() {
  const waiting: Work[] = []
  const reports: { agentId: string; lease: string; report: WorkReport }[] = []
  const kept: (readonly string[])[] = []
  const source: WorkSource = {
    take: async (_agentId, limit) => waiting.splice(0, limit),
    async report(agentId, lease, report) {
      reports.push({ agentId, lease, report })
      return lease.startsWith('lost') ? undefined : { go: true }
    },
    putBack: async (_agentId, leases) => void kept.push(leases),
    held: async () => [],
  }
  return { source, waiting, reports, kept }
}

export const NODE = 'node_port'

/** The agent port over the real store, authority, enrolment, presence and dispatcher; time moves when it is told to. */
export async function openPort() {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-port-'))
  // TLS itself judges certificates by the clock of the system.
  const time = movingClock(systemClock.now())
  const { clock } = time
  const store = await openStore(join(folder, 'landfall.sqlite'), NODE, {})
  const logged: string[] = []
  const line = (fields: object, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`)
  const log: Log = { debug: line, info: line, warn: line, error: line, child: () => log }
  const recorder = createRecorder(clock)
  const seal = createSeal(new Uint8Array(MASTER_KEY_BYTES))
  const authority = await createAuthority({ store, seal, clock })
  const enrolment = createEnrolment({ store, authority, recorder, clock })
  const presence = createPresence({
    ...{ store, recorder, clock, log, node: NODE },
    settings: { agentSilentMs: 2 * MINUTE_MS, agentGraceMs: 10 * SECOND_MS },
  })
  presence.start()
  const work = scriptedWork()
  const dispatcher = createDispatcher({
    sources: [work.source],
    released: async () => {},
    store: { silentHolders: async () => [], stoppingAgents: async () => [] },
    clock,
    log,
  })
  dispatcher.start()
  const port = createAgentPort({
    ...{ authority, agents: store, presence, enrolment, dispatcher, clock, log },
    orders: { heartbeatMs: 15 * SECOND_MS, renewBeforeMs: 45 * DAY_MS },
    addRoutes: (api) => api.get('/api/more', async ({ agent }) => ({ agent: agent?.id })),
  })
  const address = await port.start({ host: '127.0.0.1', port: 0 })
  const machines: IncomingMessage[] = []

  async function enrol(name: string): Promise<Machine> {
    const { csr, key } = makeRequest()
    const admission = { admin: SERVER_CALLER }
    const { agent, certificate } = await enrolment.register(
      admission,
      { hostname: `${name}.example`, os: 'linux', name, csr },
      null,
    )
    return { agent, key, certificate: certificate! }
  }

  function dial(method: string, path: string, body: unknown, machine: Partial<Machine>, more: ConnectionOptions = {}) {
    const { key, certificate: cert } = machine
    return httpsRequest({
      ...{ ...address, method, path, agent: false, ca: authority.certificate, servername: SERVER_NAME },
      ...(key === undefined ? {} : { key, cert }),
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' } }),
      ...more,
    })
  }

  /** One request on a connection of its own. A body that is a text is sent as it is. */
  async function call(method: string, path: string, body: unknown, machine: Partial<Machine>, more: ConnectionOptions = {}) {
    const request = dial(method, path, body, machine, more)
    request.end(typeof body === 'string' || body === undefined ? body : JSON.stringify(body))
    const [answer] = (await once(request, 'response')) as [IncomingMessage]
    const text = (await answer.toArray()).join('')
    // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes.
    return { status: answer.statusCode!, text, json: JSON.parse(text) as any }
  }

  /** Opens a stream and answers its messages, as they are asked for. */
  async function stream(machine: Machine, hello: Partial<Hello> = {}) {
    const request = dial('POST', '/agent/v1/stream', {}, machine)
    request.end(JSON.stringify({ ...HELLO, ...hello }))
    const [answer] = (await once(request, 'response')) as [IncomingMessage]
    machines.push(answer)
    const lines = readLines(answer, Number.POSITIVE_INFINITY)
    /** The next message that is no beat; undefined: the stream is over, however it ended. */
    async function next(): Promise<ServerMessage | undefined> {
      for (;;) {
        const { value, done } = await lines.next().catch(() => ({ value: undefined, done: true }))
        if (done || value === undefined) return undefined
        const message = JSON.parse(value) as ServerMessage
        if (message.type !== 'beat') return message
      }
    }
    return { answer, lines, next, status: answer.statusCode!, close: () => answer.destroy() }
  }

  async function close() {
    for (const answer of machines) answer.destroy()
    await port.stop()
    await dispatcher.stop()
    await presence.stop()
    await store.stop()
    await rm(folder, { recursive: true, force: true })
  }

  const typesOfEvents = async () => (await store.listEvents({}, { limit: 100, offset: 0 })).rows.map(({ type }) => type).reverse()
  return {
    ...{ port, address, store, authority, enrolment, presence, dispatcher, work, time, clock, logged, seal },
    ...{ enrol, call, dial, stream, close, typesOfEvents },
  }
}

export type PortWorld = Awaited<ReturnType<typeof openPort>>

export const HELLO: Hello = { instance: 'i1', leases: [], version: '0.1.0', hostname: 'a.example', os: 'linux' }

/** A key pair and the request for a certificate of it, PEM. */
export function makeRequest(): { csr: string; key: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { csr: createRequest(privateKey), key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}
