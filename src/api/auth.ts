import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AccountAdmin } from '../accounts/administer.ts'
import { LOCAL_ADMIN } from '../accounts/issue.ts'
import type { ApiKey } from '../accounts/key.ts'
import type { Scope } from '../accounts/permission.ts'
import type { Caller } from '../audit/caller.ts'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/error.ts'
import { MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { type Rate, RateWindows } from './rate.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; set by the guard of the face before any handler runs. */
    caller: Caller
  }
  interface FastifyContextConfig {
    /** What an account key needs for this route. */
    scope?: Scope
    /** Names of fields as this route's callers know them, where they differ from ours. */
    fieldNames?: Record<string, string>
  }
}

/** The hooks that let a request in or refuse it, one for each face. They run before the body is read. */
export interface Guards {
  admin(request: FastifyRequest, reply: FastifyReply): Promise<void>
  accountKey(request: FastifyRequest, reply: FastifyReply): Promise<void>
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
/** Refused credentials a minute from one address; then every request from it waits for the minute to end. */
export const REFUSED_PER_MINUTE = 30
/** Callers whose counts are kept at the same time. */
const CALLERS_MAX = 10_000

export function createGuards(needs: { accounts: AccountAdmin; clock: Clock; keyRateWindowMs: number }): Guards {
  const { accounts, clock } = needs
  const refusals = new RateWindows(clock, MINUTE_MS, CALLERS_MAX)
  const admins = new RateWindows(clock, MINUTE_MS, CALLERS_MAX)
  const strangers = new RateWindows(clock, MINUTE_MS, CALLERS_MAX)
  const keys = new RateWindows(clock, needs.keyRateWindowMs, CALLERS_MAX)

  /** The credential that `find` knows by the bearer token of the request. */
  async function authenticate<Credential>(
    request: FastifyRequest,
    reply: FastifyReply,
    what: string,
    find: (token: string) => Promise<Credential | undefined>,
  ): Promise<Credential> {
    const address = addressOf(request)
    const tries = refusals.look(address, REFUSED_PER_MINUTE)
    if (!tries.allowed)
      throw tooMany(`more than ${REFUSED_PER_MINUTE} requests a minute from ${address} had no valid credentials`, tries, clock)
    const token = bearerToken(request.headers.authorization)
    const credential = token === undefined ? undefined : await find(token)
    if (credential !== undefined) return credential
    // Without a token nothing was guessed; browsers and health checks may ask as often as they like.
    if (token !== undefined) refusals.take(address, REFUSED_PER_MINUTE)
    reply.header('www-authenticate', 'Bearer')
    throw new AppError(
      'unauthenticated',
      token === undefined ? `${what} is missing; send it as Authorization: Bearer …` : `${what} is unknown or revoked`,
    )
  }

  function spend(reply: FastifyReply, rate: Rate, per: string): void {
    reply.header('x-ratelimit-limit', rate.limit)
    reply.header('x-ratelimit-remaining', rate.remaining)
    // Unix time in seconds, as the MFTPlus page shows it.
    reply.header('x-ratelimit-reset', Math.ceil(rate.resetAt / SECOND_MS))
    if (!rate.allowed) throw tooMany(`more than ${rate.limit} requests ${per}`, rate, clock)
  }

  return {
    async admin(request, reply) {
      const { id, name } = await authenticate(request, reply, 'the administrator token', accounts.findAdminToken)
      spend(reply, admins.take(id, ADMIN_REQUESTS_PER_MINUTE), 'a minute with this token')
      request.caller = { actor: name, address: addressOf(request), door: name === LOCAL_ADMIN ? 'cli' : 'api', accountId: null }
    },
    async accountKey(request, reply) {
      const key: ApiKey = await authenticate(request, reply, 'the account key', accounts.findApiKey)
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

function tooMany(message: string, { resetAt }: Rate, clock: Clock): AppError {
  return new AppError('rate_limited', message, { retryAfterSeconds: Math.max(1, Math.ceil((resetAt - clock.now()) / SECOND_MS)) })
}

/** RFC 6750 section 2.1; the scheme is case-insensitive (RFC 9110 section 11.1). */
export function bearerToken(header: string | undefined): string | undefined {
  return /^Bearer +([\x21-\x7e]{1,256})$/i.exec(header ?? '')?.[1]
}

/** Without the prefix that a socket for both families puts before IPv4 addresses. */
function addressOf(request: FastifyRequest): string {
  return request.ip.replace(/^::ffff:(?=\d+\.)/i, '')
}
