import { HOUR_MS, SECOND_MS } from '../base/units.ts'
import type { RetryRules } from '../dialects/dialect.ts'
import type { PostResult } from '../http/exchange.ts'
import type { Outcome } from './port.ts'
import type { Attempt, Webhook } from './webhook.ts'

/** The longest `Retry-After` that is honoured, ms: a receiver may not park its deliveries for good. */
export const RETRY_AFTER_MS_MAX = 2 * HOUR_MS

/** Statuses whose `Retry-After` speaks about the next attempt (RFC 6585 section 4, RFC 9110 section 15.6.4). */
const STATUSES_WITH_RETRY_AFTER: readonly number[] = [429, 503]

/** Pure: what becomes of a delivery after its nth attempt (n from 1). A url that the guard refuses may be mended, so it is tried again. */
export function decide(rules: RetryRules, attempt: number, result: PostResult, endedAt: number): Outcome {
  const error = errorOf(result)
  if (error === null) return { state: 'delivered' }
  if (result.kind === 'answered' && rules.endsWebhook(result.status))
    return { state: 'failed', reason: `${error}: the receiver wants nothing more`, webhookFails: true }
  if (result.kind === 'answered' && !rules.retries(result.status))
    return { state: 'failed', reason: `${error} is not tried again`, webhookFails: false }
  const delayMs = rules.delaysMs[attempt - 1]
  if (delayMs === undefined)
    return {
      state: 'failed',
      reason: `all ${attempt} attempts failed, the last with: ${error}`,
      webhookFails: rules.exhaustionFailsWebhook,
    }
  return { state: 'waiting', dueAt: endedAt + Math.max(delayMs, retryAfterMs(result, endedAt)) }
}

/**
 * The rules of the dialect as they are for this delivery: with the webhook's own schedule, which is kept to the second,
 * where it has one, else with the jitter of the dialect. Attempts are one more than delays.
 */
export function rulesFor(
  rules: RetryRules,
  { retryDelaysSeconds }: Pick<Webhook, 'retryDelaysSeconds'>,
  deliveryId: string,
): RetryRules {
  const delaysMs = retryDelaysSeconds?.map((seconds) => Math.round(seconds * SECOND_MS)) ?? jittered(rules, deliveryId)
  return { ...rules, delaysMs, jitter: 0 }
}

function jittered({ delaysMs, jitter }: RetryRules, deliveryId: string): readonly number[] {
  if (jitter === 0) return delaysMs
  return delaysMs.map((delayMs, index) => Math.round(delayMs * (1 + jitter * fractionOf(`${deliveryId}.${index}`))))
}

/** From 0 to below 1, always the same for the same text, so that the schedule of a delivery can be told beforehand (FNV-1a, 32 bits, mixed). */
function fractionOf(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32
}

/** The row of the attempt log. */
export function attemptOf(number: number, startedAt: number, elapsedMs: number, result: PostResult): Attempt {
  const answer = result.kind === 'answered' ? result : undefined
  return {
    number,
    startedAt,
    durationMs: Math.round(elapsedMs),
    statusCode: answer?.status ?? null,
    error: errorOf(result),
    responseHeaders: answer?.headers ?? null,
    responseBody: answer === undefined ? null : readableText(answer.bodyExcerpt),
  }
}

/** Why a result does not count as delivered, as a short sentence for operators; null when it does. */
export function errorOf(result: PostResult): string | null {
  switch (result.kind) {
    case 'answered':
      return isSuccess(result.status) ? null : `status ${result.status}`
    case 'timed_out':
      return `timed out after ${roundedSeconds(result.afterMs)} s ${WAITING_FOR[result.phase]}`
    case 'unreachable':
      return result.message
    case 'refused':
      return result.reason
  }
}

const WAITING_FOR = {
  connect: 'while connecting',
  headers: 'waiting for the answer',
  body: 'while the answer was dripping in',
} as const

function isSuccess(status: number): boolean {
  return status >= 200 && status <= 299
}

/** Not null: with this answer the receiver asks for fewer requests, and for none during so many ms (0: it does not say how long). */
export function throttledMs(rules: RetryRules, { statusCode, responseHeaders }: Attempt, endedAt: number): number | null {
  if (statusCode === null || !rules.throttles(statusCode)) return null
  return STATUSES_WITH_RETRY_AFTER.includes(statusCode) ? boundedRetryAfterMs(responseHeaders?.['retry-after'], endedAt) : 0
}

/** The wait that the receiver asks for, ms, bounded; 0 where it asks for none or cannot be understood. */
function retryAfterMs(result: PostResult, now: number): number {
  if (result.kind !== 'answered' || !STATUSES_WITH_RETRY_AFTER.includes(result.status)) return 0
  return boundedRetryAfterMs(result.retryAfter, now)
}

function boundedRetryAfterMs(text: string | undefined, now: number): number {
  return text === undefined ? 0 : Math.min(Math.max(parseRetryAfter(text, now), 0), RETRY_AFTER_MS_MAX)
}

/** Seconds, or an HTTP date in any of its three forms (RFC 9110 sections 10.2.3 and 5.6.7); 0 for anything else. */
function parseRetryAfter(text: string, now: number): number {
  const value = text.trim()
  if (/^\d+$/.test(value)) return Number(value) * SECOND_MS
  if (!/^(mon|tue|wed|thu|fri|sat|sun)/i.test(value)) return 0
  // The asctime form carries no zone and means GMT; JavaScript would take it as local time.
  const at = Date.parse(/GMT$/i.test(value) ? value : `${value} GMT`)
  return Number.isNaN(at) ? 0 : at - now
}

/** As text for people: bytes that are no UTF-8, and the NUL that PostgreSQL does not store, become U+FFFD. */
function readableText(bytes: Buffer): string {
  return bytes.toString('utf8').replaceAll('\0', '\uFFFD')
}

function roundedSeconds(ms: number): number {
  return Math.round(ms / 100) / 10
}
