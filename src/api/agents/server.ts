import type { Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { Agent } from '../../agents/agent.ts'
import type { CertificateAuthority } from '../../agents/authority.ts'
import type { Enrolment } from '../../agents/enroll.ts'
import type { AgentStore, Sighting } from '../../agents/port.ts'
import type { Presence } from '../../agents/presence.ts'
import type { Clock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import type { Running } from '../../base/lifecycle.ts'
import type { Log } from '../../base/log.ts'
import { SECOND_MS } from '../../base/units.ts'
import type { Dispatcher } from '../../transfers/work-source.ts'
import { type AgentOrders, REPORT_BYTES_MAX } from '../../wire/agent/work.ts'
import { addressOf, agentOf } from '../auth.ts'
import { createGround } from '../ground.ts'
import { asMftplusError } from '../mftplus/shapes.ts'
import type { Api } from '../needs.ts'
import { Connections, createCertificateGuard } from './guard.ts'
import { CsrBody, HeartbeatBody, HelloBody, LeaseParams, ReportBody, reportOf } from './said.ts'
import { Streams } from './streams.ts'
import { createTlsServer, keepCertificate } from './tls.ts'

/** What the agent port needs of the layers below. */
export interface AgentPortNeeds {
  readonly authority: Pick<CertificateAuthority, 'certificate' | 'issueToServer'>
  readonly agents: Pick<AgentStore, 'findByFingerprint'>
  readonly presence: Pick<Presence, 'seen' | 'opened' | 'closed' | 'look'>
  readonly enrolment: Pick<Enrolment, 'certificate'>
  readonly dispatcher: Pick<Dispatcher, 'attach' | 'report'>
  readonly orders: Pick<AgentOrders, 'heartbeatMs' | 'renewBeforeMs'>
  /** Routes that agents may also call with their certificate: the documented ones, and the spaces of users. Behind the guard of this port. */
  readonly addRoutes: (api: Api) => void
  readonly clock: Clock
  readonly log: Log
}

/** The server that agents dial: mutual TLS, a stream of work for each, and what they report. */
export interface AgentPort extends Running {
  /** Listens; port 0 lets the system choose one. */
  start(address: { host: string; port: number }): Promise<{ host: string; port: number }>
  stats(): AgentPortStats
}

export interface AgentPortStats {
  /** Open now. */
  readonly streams: number
  readonly connections: number
  /** Since the start: without a certificate of our authority, and with one that does not count (any more). */
  readonly refusedHandshakes: number
  readonly refusedRequests: number
}

/** Requests in flight get this long when the server stops, ms. */
const STOP_MS = 5 * SECOND_MS

export function createAgentPort(needs: AgentPortNeeds): AgentPort {
  const { agents, presence, enrolment, dispatcher, clock, log } = needs
  const connections = new Connections()
  const streams = new Streams({ ...needs, connections })
  let refusedHandshakes = 0
  let refusedRequests = 0
  const onRefused = (error: Error, address: string | undefined) => {
    refusedHandshakes++
    const { code, message } = error as NodeJS.ErrnoException
    log.debug({ address, error: code ?? message }, 'handshake refused')
  }

  const app = createGround(log, (_request, refusal) => asMftplusError(refusal), {
    serverFactory: (listener) => createTlsServer(listener, onRefused) as unknown as Api['server'],
  })
  const server = app.server as unknown as Server
  app.addHook('onRequest', createCertificateGuard({ agents, presence, connections, clock, onRefused: () => refusedRequests++ }))
  // Streams do not end by themselves.
  app.addHook('preClose', async () => streams.stop())
  addAgentCalls(app)
  app.register(async (more) => needs.addRoutes(more as Api))

  function addAgentCalls(api: Api): void {
    api.post('/agent/v1/stream', { schema: { body: HelloBody }, config: { notesContact: true } }, async (request, reply) => {
      const hello = request.body
      const agent = await see(request, { version: hello.version })
      await streams.hold({ agent, certificate: request.certificate!, hello }, reply)
    })
    api.post(
      '/agent/v1/heartbeat',
      { schema: { body: HeartbeatBody }, config: { notesContact: true } },
      async (request): Promise<object> => {
        await see(request, request.body)
        return {}
      },
    )
    api.post(
      '/agent/v1/work/:lease',
      { schema: { params: LeaseParams, body: ReportBody }, bodyLimit: REPORT_BYTES_MAX },
      async (request) => dispatcher.report(agentOf(request).id, request.params.lease, reportOf(request.body)),
    )
    api.post('/agent/v1/certificate', { schema: { body: CsrBody } }, async (request) => {
      const { certificate } = await enrolment.certificate(agentOf(request), request.body.csr, addressOf(request))
      return { certificate }
    })
  }

  async function see(request: FastifyRequest, said: Omit<Sighting, 'agentId' | 'at' | 'ipAddress'>): Promise<Agent> {
    const seen = await presence.seen(agentOf(request), { ipAddress: addressOf(request), ...said })
    if (seen === undefined) throw new AppError('forbidden', 'this agent is revoked; it has to be enrolled again')
    return seen
  }

  let certificate: Running | undefined
  return {
    async start({ host, port }) {
      certificate = await keepCertificate(server, needs.authority, { clock, log })
      await app.listen({ host, port })
      const { address, port: chosen } = server.address() as AddressInfo
      return { host: address, port: chosen }
    },
    stats: () => ({ streams: streams.count, connections: connections.count, refusedHandshakes, refusedRequests }),
    async stop() {
      await certificate?.stop()
      const cancel = clock.after(STOP_MS, () => server.closeAllConnections())
      await app.close()
      cancel()
    },
  }
}
