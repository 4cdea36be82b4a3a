import assert from 'node:assert/strict'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AccountAdmin } from '../accounts/administer.ts'
import { LOCAL_ADMIN } from '../accounts/issue.ts'
import type { ApiKey } from '../accounts/key.ts'
import type { Scope } from '../accounts/permission.ts'
import type { Agent } from '../agents/agent.ts'
import type { Admission } from '../agents/enroll.ts'
import type { Presence } from '../agents/presence.ts'
import type { Caller } from '../audit/caller.ts'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { MINUTE_MS, SECOND_MS } from '../base/units.ts'
import type { ApiNeeds } from './needs.ts'
import { type Rate, RateWindows } from './rate.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; set by the guard of the face before any handler runs. */
    caller: Caller
    /** The agent that asks; set by the guards of agents, at either listener. `agentOf` for routes that only agents reach. */
    agent?: Agent
    /** What lets the agent in that registers; set by its guard. */
    admission?: Admission
  }
  interface FastifyContextConfig {
    /** What an account key needs for this route. */
    scope?: Scope
    /** The route itself notes the sign of life that a request of an agent is. */
    notesContact?: true
    /** Names of fields as this route's callers know them, where they differ from ours. */
    fieldNames?: Record<string, string>
  }
}

/** The hooks that let a request in or refuse it, one for each face. They run before the body is read. */
export interface Guards {
  admin(request: FastifyRequest, reply: FastifyReply): Promise<void>
  accountKey(request: FastifyRequest, reply: FastifyReply): Promise<void>
  /** `X-API-Key` of an agent. */
  agentKey(request: FastifyRequest, reply: FastifyReply): Promise<void>
  /** An agent where the request has an `X-API-Key`, else an administrator. */
  agentOrAdmin(request: FastifyRequest, reply: FastifyReply): Promise<void>
  /** How often an address may try to register an agent; before the body is read. */
  registering(request: FastifyRequest, reply: FastifyReply): Promise<void>
  /** What lets it in: a bearer token, of an administrator or for enrolment, or an `enrollmentToken` in the body. */
  admission(request: FastifyRequest, reply: FastifyReply): Promise<void>
  /** For routes that need no credentials and ask the database. */
  anybody(request: FastifyRequest, reply: FastifyReply): Promise<void>
}

/**
 * Requests a minute of one administrator token. The other product documents 60 for its service; a server of one's own
 * is driven by scripts and a dashboard, so this only stops a runaway loop.
 */
export const ADMIN_REQUESTS_PER_MINUTE = 6_000
/** Requests a minute from one address to what anybody may ask for; many receivers may stand behind one. */
export const PUBLIC_REQUESTS_PER_MINUTE = 1_200
/**
 * Requests a minute of one agent. The other product documents 300; an agent that moves thousands of small files says something of each of them
 * several times.
 */
export const AGENT_REQUESTS_PER_MINUTE = 6_000
/** Registrations a minute from one address (MFTPlus, REST API reference); whoever sets up many machines behind one address waits as `Retry-After` says. */
export const REGISTRATIONS_PER_MINUTE = 10
/** Refused credentials a minute from one address; then every request from it waits for the minute to end. */
export const REFUSED_PER_MINUTE = 30
/** Callers whose counts are kept at the same time. */
const CALLERS_MAX = 10_000

export interface GuardNeeds {
  readonly accounts: Pick<AccountAdmin, 'findAdminToken' | 'findApiKey'>
  readonly agents: Pick<ApiNeeds['agents'], 'findByKey' | 'presence' | 'enrolment'>
  readonly clock: Clock
  readonly keyRateWindowMs: number
}

export function createGuards(needs: GuardNeeds): Guards {
  const { accounts, agents, clock } = needs
  const refusals = new RateWindows(clock, MINUTE_MS, CALLERS_MAX)
  const admins = new RateWindows(clock, MINUTE_MS, CALLERS_MAX)
  const strangers = new RateWindows(clock, MINUTE_MS, CALLERS_MAX)
  const agentRequests = new RateWindows(clock, MINUTE_MS, CALLERS_MAX)
  const registrations = new RateWindows(clock, MINUTE_MS, CALLERS_MAX)
  const keys = new RateWindows(clock, needs.keyRateWindowMs, CALLERS_MAX)

  /** The credential that `find` knows by its secret. */
  async function authenticate<Credential>(
    request: FastifyRequest,
    reply: FastifyReply,
    { what, secret, how }: { what: string; secret: string | undefined; how: string },
    find: (secret: string) => Promise<Credential | undefined>,
  ): Promise<Credential> {
    const address = addressOf(request)
    const tries = refusals.look(address, REFUSED_PER_MINUTE)
    if (!tries.allowed)
      throw tooMany(`more than ${REFUSED_PER_MINUTE} requests a minute from ${address} had no valid credentials`, tries, clock)
    const credential = secret === undefined ? undefined : await find(secret)
    if (credential !== undefined) return credential
    // Without a secret nothing was guessed; browsers and health checks may ask as often as they like.
    if (secret !== undefined) refusals.take(address, REFUSED_PER_MINUTE)
    reply.header('www-authenticate', 'Bearer')
    throw new AppError(
      'unauthenticated',
      secret === undefined ? `${what} is missing; send it ${how}` : `${what} is unknown or revoked`,
    )
  }

  function bearerOf(request: FastifyRequest, what: string) {
    return { what, secret: bearerToken(request.headers.authorization), how: 'as Authorization: Bearer …' }
  }

  function spend(reply: FastifyReply, rate: Rate, per: string): void {
    reply.header('x-ratelimit-limit', rate.limit)
    reply.header('x-ratelimit-remaining', rate.remaining)
    // Unix time in seconds, as the MFTPlus page shows it.
    reply.header('x-ratelimit-reset', Math.ceil(rate.resetAt / SECOND_MS))
    if (!rate.allowed) throw tooMany(`more than ${rate.limit} requests ${per}`, rate, clock)
  }

  async function admin(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { id, name } = await authenticate(request, reply, bearerOf(request, 'the administrator token'), accounts.findAdminToken)
    spend(reply, admins.take(id, ADMIN_REQUESTS_PER_MINUTE), 'a minute with this token')
    request.caller = adminCaller(request, name)
  }

  async function agentKey(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const credential = { what: 'the key of the agent', secret: apiKeyOf(request), how: 'as X-API-Key: mft_ak_…' }
    const agent = await authenticate(request, reply, credential, agents.findByKey)
    spend(reply, agentRequests.take(agent.id, AGENT_REQUESTS_PER_MINUTE), 'a minute of this agent')
    await letIn(request, agent, agents.presence)
  }

  /** Undefined: the token is nobody's. */
  async function admissionOf(request: FastifyRequest, token: string): Promise<Admission | undefined> {
    const enrolmentToken = await agents.enrolment.findToken(token)
    if (enrolmentToken !== undefined) return { token: enrolmentToken }
    const found = await accounts.findAdminToken(token)
    return found && { admin: adminCaller(request, found.name) }
  }

  return {
    admin,
    agentKey,
    async agentOrAdmin(request, reply) {
      await (apiKeyOf(request) === undefined ? admin : agentKey)(request, reply)
    },
    async registering(request, reply) {
      spend(reply, registrations.take(addressOf(request), REGISTRATIONS_PER_MINUTE), 'a minute from one address')
    },
    async admission(request, reply) {
      // Before the body is validated: whoever has no credentials hears of nothing else.
      const given = (request.body as { enrollmentToken?: unknown } | null | undefined)?.enrollmentToken
      const bearer = bearerOf(request, 'the enrolment token')
      const credential = { ...bearer, secret: bearer.secret ?? (typeof given === 'string' ? given : undefined) }
      request.admission = await authenticate(request, reply, credential, (token) => admissionOf(request, token))
    },
    async accountKey(request, reply) {
      const bearer = bearerOf(request, 'the account key')
      const key: ApiKey = await authenticate(request, reply, bearer, accounts.findApiKey)
      spend(reply, keys.take(key.id, key.hourlyLimit), 'in the window of this key')
      const { scope } = request.routeOptions.config
      if (scope !== undefined && !key.scopes.includes(scope)) {
        throw new AppError('forbidden', `this needs the scope ${scope}; the key has ${key.scopes.join(', ')}`)
      }
      request.caller = { actor: key.name, address: addressOf(request), door: 'api', accountId: key.accountId }
    },
    async anybody(request, reply) {
      spend(reply, strangers.take(addressOf(request), PUBLIC_REQUESTS_PER_MINUTE), 'a minute from one address')
    },
  }
}

/**
 * An agent has proven who it is, by its key or its certificate: the request is a sign of life, and its. The guards of both listeners end with this.
 * @throws AppError `forbidden` where it was revoked in the meantime.
 */
export async function letIn(request: FastifyRequest, agent: Agent, presence: Pick<Presence, 'seen'>): Promise<void> {
  const { notesContact } = request.routeOptions.config
  const seen = notesContact ? agent : await presence.seen(agent, { ipAddress: addressOf(request) })
  if (seen === undefined) throw new AppError('forbidden', 'this agent is revoked; it has to be enrolled again')
  request.agent = seen
}

/** The agent that a route behind a guard of agents is asked by. */
export function agentOf({ agent }: FastifyRequest): Agent {
  assert.ok(agent !== undefined, 'the route has no guard of agents')
  return agent
}

function adminCaller(request: FastifyRequest, name: string): Caller {
  return { actor: name, address: addressOf(request), door: name === LOCAL_ADMIN ? 'cli' : 'api', accountId: null }
}

function apiKeyOf({ headers }: FastifyRequest): string | undefined {
  const given = headers['x-api-key']
  return typeof given === 'string' && given !== '' ? given : undefined
}

function tooMany(message: string, { resetAt }: Rate, clock: Clock): AppError {
  return new AppError('rate_limited', message, { retryAfterSeconds: Math.max(1, Math.ceil((resetAt - clock.now()) / SECOND_MS)) })
}

/** RFC 6750 section 2.1; the scheme is case-insensitive (RFC 9110 section 11.1). */
export function bearerToken(header: string | undefined): string | undefined {
  return /^Bearer +([\x21-\x7e]{1,256})$/i.exec(header ?? '')?.[1]
}

/** Without the prefix that a socket for both families puts before IPv4 addresses. */
export function addressOf(request: FastifyRequest): string {
  return request.ip.replace(/^::ffff:(?=\d+\.)/i, '')
}
