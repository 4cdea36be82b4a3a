import type { Clock } from '../base/clock.ts'
import { SECOND_MS } from '../base/units.ts'
import type { PostResult } from '../http/exchange.ts'
import type { PostRequest } from '../http/post.ts'
import { type Route, routeOf } from '../http/route.ts'
import type { AccessTokens } from './access-token.ts'
import { MASKED, withoutSecrets } from './redact.ts'
import type { SecretOptions, Webhook, WebhookAuth, WebhookOptions } from './webhook.ts'

/** Sends one request. Rejects only where nothing can be said about the receiver: that is no attempt. */
export type Post = (request: PostRequest) => Promise<PostResult>

export interface SendTools {
  readonly post: Post
  readonly tokens: AccessTokens
  readonly clock: Pick<Clock, 'monotonic'>
}

/** What goes out whatever the owner of the webhook chose: the exact body and the headers that speak of it. */
export interface Message {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** Of the dialect; the webhook's own is below it. */
  readonly deadlineMs: number
}

/**
 * One request to the receiver of a webhook with all that its owner chose: headers, authentication, route, timeout. Without an
 * access token there is no request, and what kept us from one is the result. An access token that was kept and is not taken may have been
 * withdrawn before its time; that says nothing about the delivery, so it is sent once more with a new one, inside the same
 * deadline.
 */
export async function send(
  message: Message,
  webhook: Webhook,
  secrets: SecretOptions | null,
  tools: SendTools,
): Promise<PostResult> {
  const { post, tokens, clock } = tools
  const { id: webhookId, url, options } = webhook
  const { auth, timeoutSeconds } = options
  const route = routeFor(webhook, secrets)
  const deadlineMs = Math.min(message.deadlineMs, (timeoutSeconds ?? Number.POSITIVE_INFINITY) * SECOND_MS)
  const sendAs = async (authorization: string | undefined, withinMs: number) => {
    const own = { ...ownHeaders(options, secrets), ...(authorization && { Authorization: authorization }) }
    const headers = { ...own, ...message.headers }
    const result = await post({ url, headers, body: message.body, deadlineMs: withinMs, route })
    return withoutSecrets(result, credentialsIn(authorization, secrets))
  }

  if (auth?.kind !== 'oauth2') return sendAs(auth && authorizationOf(auth, secrets?.auth ?? ''), deadlineMs)
  const until = clock.monotonic() + deadlineMs
  const leftMs = () => Math.max(until - clock.monotonic(), 0)
  for (;;) {
    const task = { webhookId, auth, clientSecret: secrets?.auth ?? '', route, deadlineMs: leftMs() }
    const granted = await tokens.of(task)
    if (granted.kind !== 'token') return granted
    const result = await sendAs(`Bearer ${granted.token}`, leftMs())
    if (result.kind !== 'answered' || result.status !== 401) return result
    tokens.forget(webhookId, granted.token)
    if (granted.isFresh) return result
  }
}

/** The headers that the owner of a webhook chose, as people see them: no secret value is among them. */
export function shownHeaders({ headers = {}, auth }: WebhookOptions): Record<string, string> {
  const shown = mapped(headers, (value) => value ?? MASKED)
  return auth === undefined ? shown : { ...shown, Authorization: `${auth.kind === 'basic' ? 'Basic' : 'Bearer'} ${MASKED}` }
}

function ownHeaders({ headers = {} }: WebhookOptions, secrets: SecretOptions | null): Record<string, string> {
  return mapped(headers, (value, name) => value ?? secrets?.headers?.[name] ?? '')
}

function authorizationOf(auth: Exclude<WebhookAuth, { kind: 'oauth2' }>, secret: string): string {
  if (auth.kind === 'bearer') return `Bearer ${secret}`
  return `Basic ${Buffer.from(`${auth.username}:${secret}`).toString('base64')}`
}

/** All that an answer must not repeat: what follows the scheme, a password, secret headers. */
function credentialsIn(authorization: string | undefined, secrets: SecretOptions | null): string[] {
  const sent = authorization === undefined ? [] : [authorization.slice(authorization.indexOf(' ') + 1)]
  return [...sent, ...(secrets?.auth === undefined ? [] : [secrets.auth]), ...Object.values(secrets?.headers ?? {})]
}

/** How the requests of a webhook get to its receiver, for whoever makes one. */
export function routeFor({ options, egressAllow }: Webhook, secrets: SecretOptions | null): Route {
  const { tls, proxy } = options
  const { tlsKey, proxyPassword } = secrets ?? {}
  return routeOf({
    egressAllow,
    tls: tls === undefined ? null : { ...tls, ...(tlsKey !== undefined && { key: tlsKey }) },
    proxy: proxy === undefined ? null : { ...proxy, ...(proxyPassword !== undefined && { password: proxyPassword }) },
  })
}

function mapped<Value>(
  record: Readonly<Record<string, Value>>,
  to: (value: Value, name: string) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, to(value, name)]))
}
