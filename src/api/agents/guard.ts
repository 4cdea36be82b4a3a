import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Agent, Certificate } from '../../agents/agent.ts'
import type { AgentStore } from '../../agents/port.ts'
import type { Presence } from '../../agents/presence.ts'
import type { Clock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import { letIn } from '../auth.ts'

/** Connections of one agent: its stream, its reports, and a few for the bytes of transfers. */
const CONNECTIONS_OF_AGENT_MAX = 64

/** Open connections by the agent whose certificate they showed, so that they can be closed at once. */
export class Connections {
  readonly #byAgent = new Map<string, Set<Socket>>()

  /** @throws AppError `limit_reached` */
  add(agentId: string, socket: Socket): void {
    const sockets = this.#byAgent.get(agentId) ?? new Set()
    if (sockets.has(socket)) return
    if (sockets.size >= CONNECTIONS_OF_AGENT_MAX)
      throw new AppError('limit_reached', `an agent may have ${CONNECTIONS_OF_AGENT_MAX} connections at the same time`)
    this.#byAgent.set(agentId, sockets.add(socket))
    socket.once('close', () => {
      sockets.delete(socket)
      if (sockets.size === 0 && this.#byAgent.get(agentId) === sockets) this.#byAgent.delete(agentId)
    })
  }

  /** Ends what this agent has open, in the middle of whatever is said; what `but` names may still end by itself. */
  close(agentId: string, but?: Socket | null): void {
    for (const socket of this.#byAgent.get(agentId) ?? []) if (socket !== but) socket.destroy()
  }

  get count(): number {
    return [...this.#byAgent.values()].reduce((sum, { size }) => sum + size, 0)
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    /** What the agent was let in by, at the agent port. */
    certificate?: Certificate
  }
}

/**
 * Lets a request in by the certificate of its connection. TLS has checked that our own authority issued it; whether it still counts is asked anew at
 * each request. Who is let in was heard of, which is written down before anything is answered.
 */
export function createCertificateGuard(needs: {
  agents: Pick<AgentStore, 'findByFingerprint'>
  presence: Pick<Presence, 'seen'>
  connections: Connections
  clock: Pick<Clock, 'now'>
  onRefused: () => void
}) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const socket = request.raw.socket as TLSSocket
    try {
      const { agent, certificate } = await standing(needs.agents, fingerprintOf(socket), needs.clock.now())
      needs.connections.add(agent.id, socket)
      request.certificate = certificate
      await letIn(request, agent, needs.presence)
    } catch (error) {
      needs.onRefused()
      // Nothing more is to come from this connection.
      reply.header('connection', 'close')
      throw error
    }
  }
}

/**
 * The agent of a certificate, if both count.
 * @throws AppError `forbidden`
 */
async function standing(
  agents: Pick<AgentStore, 'findByFingerprint'>,
  fingerprint: string,
  now: number,
): Promise<{ agent: Agent; certificate: Certificate }> {
  const found = await agents.findByFingerprint(fingerprint)
  if (found === undefined) throw new AppError('forbidden', 'this certificate is not one that this server knows')
  const { agent, certificate } = found
  if (agent.revokedAt !== null) throw new AppError('forbidden', 'this agent is revoked; it has to be enrolled again')
  if (certificate.revokedAt !== null) throw new AppError('forbidden', 'this certificate was revoked')
  if (certificate.expiresAt <= now) {
    const end = new Date(certificate.expiresAt).toISOString()
    throw new AppError('forbidden', `this certificate ended at ${end}; the agent has to be enrolled again`)
  }
  return found
}

/** SHA-256 of the certificate that the other side showed, lower-case hex. */
function fingerprintOf(socket: TLSSocket): string {
  return socket.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase()
}
