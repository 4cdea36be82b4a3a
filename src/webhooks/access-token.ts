import type { Clock } from '../base/clock.ts'
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts'
import type { PostResult } from '../http/exchange.ts'
import type { PostRequest } from '../http/post.ts'
import type { Route } from '../http/route.ts'
import type { WebhookAuth } from './webhook.ts'

export type OAuth2 = WebhookAuth & { readonly kind: 'oauth2' }

/** Who asks for a token, and how. */
export interface TokenTask {
  readonly webhookId: string
  readonly auth: OAuth2
  readonly clientSecret: string
  readonly route: Route
  readonly deadlineMs: number
}

/** `isFresh`: asked for just now, so that a receiver that refuses it does not do so for its age. */
export type TokenResult = { kind: 'token'; token: string; isFresh: boolean } | Exclude<PostResult, { kind: 'answered' }>

/** A token is not used in its last moments, so that it does not end on the way. */
const ENDS_EARLY_MS = MINUTE_MS
/** How long a token is kept whose endpoint does not say (RFC 6749 section 5.1 only recommends it), and the longest for any. */
const KEPT_MS_DEFAULT = 5 * MINUTE_MS
const KEPT_MS_MAX = DAY_MS
const TOKENS_KEPT_MAX = 1_000
const TOKEN_CHARACTERS_MAX = 8_192

interface Kept {
  /** What it was got with: other credentials get another one. */
  readonly grounds: string
  readonly token: string
  /** Monotonic, ms. */
  readonly until: number
}

/**
 * Access tokens by client credentials (RFC 6749 section 4.4), asked for with the same care as webhooks are sent with. Kept in memory
 * only; one request at a time for each webhook. What keeps it from a token is a result like that of a post, and never
 * tells a secret.
 */
export class AccessTokens {
  readonly #post: (request: PostRequest) => Promise<PostResult>
  readonly #clock: Pick<Clock, 'monotonic'>
  /** By webhook; the one got longest ago comes first. */
  readonly #kept = new Map<string, Kept>()
  readonly #asked = new Map<string, Promise<TokenResult>>()

  constructor(post: (request: PostRequest) => Promise<PostResult>, clock: Pick<Clock, 'monotonic'>) {
    this.#post = post
    this.#clock = clock
  }

  async of(task: TokenTask): Promise<TokenResult> {
    const grounds = JSON.stringify([task.auth, task.clientSecret, task.route.key])
    const kept = this.#kept.get(task.webhookId)
    if (kept?.grounds === grounds && this.#clock.monotonic() < kept.until)
      return { kind: 'token', token: kept.token, isFresh: false }
    const key = task.webhookId + grounds
    const asked = this.#asked.get(key) ?? this.#ask(task, grounds).finally(() => this.#asked.delete(key))
    this.#asked.set(key, asked)
    return asked
  }

  /** The receiver did not take it. One that was got since stays. */
  forget(webhookId: string, token: string): void {
    if (this.#kept.get(webhookId)?.token === token) this.#kept.delete(webhookId)
  }

  async #ask(task: TokenTask, grounds: string): Promise<TokenResult> {
    const result = await this.#post(requestFor(task))
    if (result.kind === 'refused') return { kind: 'refused', reason: `auth.tokenUrl: ${result.reason}` }
    if (result.kind === 'timed_out') return failed('its endpoint did not answer in time', result.afterMs)
    if (result.kind === 'unreachable') return failed(result.message, result.durationMs)
    const granted = readGrant(result)
    if (typeof granted === 'string') return failed(granted, result.durationMs)
    this.#keep(task.webhookId, { grounds, token: granted.token, until: this.#clock.monotonic() + granted.keptMs })
    return { kind: 'token', token: granted.token, isFresh: true }
  }

  #keep(webhookId: string, kept: Kept): void {
    this.#kept.delete(webhookId)
    this.#kept.set(webhookId, kept)
    if (this.#kept.size > TOKENS_KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value!)
  }
}

function requestFor({ auth, clientSecret, route, deadlineMs }: TokenTask): PostRequest {
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    ...(auth.scope === undefined ? {} : { scope: auth.scope }),
  })
  // RFC 6749 section 2.3.1: both are form-encoded before they become user name and password.
  const credentials = [auth.clientId, clientSecret].map((text) => new URLSearchParams([['', text]]).toString().slice(1)).join(':')
  return {
    url: auth.tokenUrl,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
      authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
    },
    body: body.toString(),
    deadlineMs,
    route,
  }
}

/** The token and how long it may be kept, ms; a text says why there is none. */
function readGrant({ status, bodyExcerpt }: PostResult & { kind: 'answered' }): { token: string; keptMs: number } | string {
  const answer = membersOf(bodyExcerpt)
  if (status < 200 || status > 299) {
    // RFC 6749 section 5.2. Its description is free text, which might repeat what was sent.
    const code = typeof answer?.error === 'string' && /^[a-z_]{1,40}$/.test(answer.error) ? ` (${answer.error})` : ''
    return `its endpoint answered with status ${status}${code}`
  }
  const { access_token: token, token_type: type, expires_in: seconds } = answer ?? {}
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token) || token.length > TOKEN_CHARACTERS_MAX)
    return 'the answer of its endpoint holds no access_token'
  if (typeof type === 'string' && type.toLowerCase() !== 'bearer') return 'its token_type is not bearer'
  return { token, keptMs: keptMsOf(Number(seconds ?? Number.NaN)) }
}

function keptMsOf(seconds: number): number {
  if (Number.isNaN(seconds)) return KEPT_MS_DEFAULT
  return Math.min(Math.max(seconds * SECOND_MS - ENDS_EARLY_MS, 0), KEPT_MS_MAX)
}

function membersOf(body: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body.toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function failed(why: string, durationMs: number): TokenResult {
  return { kind: 'unreachable', code: 'NO_ACCESS_TOKEN', message: `no access token: ${why}`, durationMs }
}
