import { SECOND_MS } from '../../base/units.ts'
import { dialectOf } from '../../dialects/index.ts'
import { expiresAt } from '../expiry.ts'
import { rulesFor } from '../settle.ts'
import type { Attempt, DeliveryRecord, DeliveryState, PlannedDelivery, Webhook } from '../webhook.ts'

/** What only the store knows of a delivery that waits. */
export interface Standing {
  /** A node has it in hand: it is being posted, or is next in its lane. */
  readonly isInHand: boolean
  /** The delivery that is sent before it, where they are in an order; null: none is. */
  readonly blockedBy: string | null
}

/** What only the engine knows of its webhook. */
export type PauseLeft = (webhookId: string) => number

export interface ExplainStore {
  standingOf(webhookId: string, deliveryId: string): Promise<Standing>
}

export interface ExplainFacts {
  readonly webhook: Webhook
  readonly delivery: DeliveryRecord
  readonly planned: PlannedDelivery
  /** Oldest first. */
  readonly attempts: readonly Attempt[]
  readonly standing: Standing
  /** For how long its receiver is left alone, because it asked for that, ms. */
  readonly pauseLeftMs: number
  readonly now: number
}

/** Why, for machines. */
export type ExplainReason =
  | 'under_way'
  | 'first_attempt'
  | 'retry'
  | 'retry_after'
  | 'in_order'
  | 'webhook_inactive'
  | 'webhook_failed'
  | 'paused'
  | 'rate_limited'
  | 'receiver_busy'
  | 'delivered'
  | 'not_retried'
  | 'receiver_gone'
  | 'attempts_used_up'
  | 'expired'
  | 'superseded'
  | 'replay_cancelled'
  | 'webhook_removed'
  | 'change_undone'

/** Something that a person can do about it. */
export interface Remedy {
  readonly action: 'wait' | 'redeliver' | 'activate' | 'mend_receiver' | 'change_webhook' | 'look_at_other' | 'replay'
  readonly hint: string
}

export interface Explanation {
  readonly state: Exclude<DeliveryState, 'held'>
  readonly reason: ExplainReason
  /** Why it is in its state and what happens next, for people. */
  readonly sentence: string
  /** Null where none will be, or nobody can say when. */
  readonly nextAttemptAt: number | null
  readonly remedies: readonly Remedy[]
}

/** A delivery that is due for longer than this is held up by something, ms. */
const HELD_UP_MS = 5 * SECOND_MS

const REDELIVER: Remedy = { action: 'redeliver', hint: 'redeliver it: a new delivery of the same event starts at once' }
const MEND: Remedy = { action: 'mend_receiver', hint: 'see the answers in its attempt log and mend the receiver' }
const ACTIVATE: Remedy = { action: 'activate', hint: 'set active to true: what waits goes on at once' }

/** Errors that are mended elsewhere than at the receiver; the first that fits. */
const MENDED_ELSEWHERE: readonly (readonly [error: RegExp, hint: string])[] = [
  [
    /LANDFALL_EGRESS_|egressAllow/,
    'if the address is meant, open it with the setting that the error names; if not, look at the url and its DNS',
  ],
  [/^proxy: /, 'mend the proxy, or set another or none'],
  [/^no access token: /, 'check the token endpoint, the client and its secret in auth'],
  [/client certificate/, 'give the webhook a client certificate that the receiver takes (tls.certificate and tls.key)'],
  [/unknown authority|self-signed|issuer is unknown/, 'if the authority is a private one, give it to the webhook (tls.ca)'],
  [/^host name/, 'look at the url and its DNS'],
]

/** Pure: why a delivery is in its state, when the next attempt is, and what would change that. */
export function explain(facts: ExplainFacts): Explanation {
  const explanation = whyOf(facts)
  const held = heldUntil(facts)
  if (held === undefined) return explanation
  const later = { ...REDELIVER, hint: `redeliver it: a new delivery of the same event starts ${held}` }
  return { ...explanation, remedies: explanation.remedies.map((remedy) => (remedy === REDELIVER ? later : remedy)) }
}

/** When a new delivery would start, where that is not now. */
function heldUntil({ webhook, pauseLeftMs }: ExplainFacts): string | undefined {
  if (webhook.state !== 'active') return 'when the webhook is active'
  return pauseLeftMs > 0 ? `in ${span(pauseLeftMs)}, when the pause that the receiver asked for is over` : undefined
}

function whyOf(facts: ExplainFacts): Explanation {
  const { state, nextAttemptAt } = facts.delivery
  switch (state) {
    case 'waiting':
      return { state, nextAttemptAt, ...whyWaiting(facts) }
    case 'delivered':
      return { state, nextAttemptAt: null, ...whyDelivered(facts) }
    case 'failed':
      return { state, nextAttemptAt: null, ...whyFailed(facts) }
    case 'cancelled':
      return { state, nextAttemptAt: null, ...whyCancelled(facts) }
  }
}

type Why = Pick<Explanation, 'reason' | 'sentence' | 'remedies'> & Partial<Pick<Explanation, 'nextAttemptAt'>>

function whyWaiting(facts: ExplainFacts): Why {
  const { webhook, delivery, planned, standing, now } = facts
  const dueAt = delivery.nextAttemptAt
  const attempt = delivery.attempts + 1
  if (webhook.state !== 'active') return whyOff(webhook)
  if (standing.blockedBy !== null && webhook.order === 'none' && planned.collapseKey !== null) {
    return {
      reason: 'in_order',
      sentence: `It is the newest state of what delivery ${standing.blockedBy} speaks of, and waits for the end of that one, so that the receiver gets the newest last.`,
      nextAttemptAt: null,
      remedies: [{ action: 'look_at_other', hint: `see why ${standing.blockedBy} has not ended` }],
    }
  }
  if (standing.blockedBy !== null) {
    return {
      reason: 'in_order',
      sentence: `It waits for delivery ${standing.blockedBy}, which comes before it in the order of this webhook (order: ${webhook.order}); it starts when that one has ended, delivered or failed.`,
      nextAttemptAt: null,
      remedies: [
        { action: 'look_at_other', hint: `see why ${standing.blockedBy} has not ended` },
        { action: 'change_webhook', hint: 'set order to none: what waits then passes' },
      ],
    }
  }
  if (dueAt !== null && dueAt > now) return whyLater(facts, dueAt)
  if (facts.pauseLeftMs > 0) return whyPaused(facts)
  const dueForMs = dueAt === null ? 0 : now - dueAt
  if (standing.isInHand && dueForMs <= Math.max(rulesOf(facts).deadlineMs, HELD_UP_MS)) {
    const sentence = `Attempt ${attempt} is under way, or the next to start.`
    return { reason: 'under_way', sentence, remedies: [patience('its end')] }
  }
  if (dueForMs > HELD_UP_MS) return whyHeldUp(facts, dueForMs)
  return {
    reason: attempt === 1 ? 'first_attempt' : 'retry',
    sentence: `Attempt ${attempt} is due now.`,
    remedies: [patience('the attempt')],
  }
}

function whyOff(webhook: Webhook): Why {
  if (webhook.state === 'inactive') {
    const sentence =
      'It waits because the webhook is inactive; it has no time until active is set to true, and then goes on at once.'
    return { reason: 'webhook_inactive', sentence, remedies: [ACTIVATE] }
  }
  const by = webhook.failedDeliveryId === null ? '' : ` by delivery ${webhook.failedDeliveryId}`
  const sentence = `It waits because the webhook was turned off${by} (${webhook.failedReason}); it goes on at once when active is set to true.`
  return { reason: 'webhook_failed', sentence, remedies: [MEND, ACTIVATE] }
}

function whyLater(facts: ExplainFacts, dueAt: number): Why {
  const { delivery, attempts, now } = facts
  const inTime = `in ${span(dueAt - now)}`
  const last = attempts.at(-1)
  if (last === undefined)
    return { reason: 'first_attempt', sentence: `Its first attempt is ${inTime}.`, remedies: [patience('the attempt')] }
  // A schedule that was shortened since counts fewer than were planned.
  const ofAll = last.number < attemptsMax(facts) ? ` of ${attemptsMax(facts)}` : ''
  const failed = `Attempt ${last.number}${ofAll} failed: ${delivery.lastError ?? last.error}.`
  const expiry = expiresAt(delivery, facts.webhook)
  if (expiry <= dueAt) {
    const sentence = `${failed} It expires ${expiry <= now ? 'now' : `in ${span(expiry - now)}`}, before another attempt is due.`
    return { reason: 'retry', sentence, nextAttemptAt: null, remedies: [mending(last.error), REDELIVER] }
  }
  const until = Number.isFinite(expiry) ? ` It expires in ${span(expiry - now)}.` : ''
  if (asksForTime(facts, last, dueAt)) {
    const sentence = `${failed} The receiver asked with Retry-After to be left alone; the next attempt is ${inTime}.${until}`
    return { reason: 'retry_after', sentence, remedies: [patience('the time it asked for'), REDELIVER] }
  }
  return { reason: 'retry', sentence: `${failed} The next is ${inTime}.${until}`, remedies: [mending(last.error), REDELIVER] }
}

function mending(error: string | null): Remedy {
  const hint = MENDED_ELSEWHERE.find(([pattern]) => pattern.test(error ?? ''))?.[1]
  return hint === undefined ? MEND : { action: 'change_webhook', hint }
}

/** Later than the schedule says, after an answer that may ask for it. */
function asksForTime(facts: ExplainFacts, last: Attempt, dueAt: number): boolean {
  const scheduledMs = rulesOf(facts).delaysMs[last.number - 1] ?? 0
  const endedAt = last.startedAt + last.durationMs
  return (last.statusCode === 429 || last.statusCode === 503) && dueAt - endedAt > scheduledMs + SECOND_MS
}

function whyPaused({ pauseLeftMs, now }: ExplainFacts): Why {
  return {
    reason: 'paused',
    sentence: `It is due, and waits: the receiver answered that it wants fewer requests, so nothing is sent to it for another ${span(pauseLeftMs)}.`,
    nextAttemptAt: now + pauseLeftMs,
    remedies: [
      patience('the end of the pause'),
      { action: 'change_webhook', hint: 'any change of the webhook, such as another url, ends the pause: the next answer tells' },
    ],
  }
}

function whyHeldUp(facts: ExplainFacts, heldUpMs: number): Why {
  const { rate, concurrency } = facts.webhook.options
  const since = `It has been due for ${span(heldUpMs)} (attempt ${facts.attempts.length + 1})`
  if (rate !== undefined) {
    const sentence = `${since} and is held back by the rate of this webhook: ${rate.count} in ${rate.perSeconds} s.`
    return {
      reason: 'rate_limited',
      sentence,
      remedies: [patience('its turn'), { action: 'change_webhook', hint: 'a higher rate sends what waits sooner' }],
    }
  }
  const atOnce = concurrency === undefined ? '' : `, with ${concurrency} posts at once`
  // Which of the two it is only the node knows that sends, and that may be another.
  const slowed = rulesOf(facts).throttles(429) ? ', or answers of 429, 502 or 504 made it go one at a time, with pauses' : ''
  return {
    reason: 'receiver_busy',
    sentence: `${since}: more is due than the receiver answers in that time${atOnce}${slowed}.`,
    remedies: [patience('its turn'), { action: 'mend_receiver', hint: 'answer sooner: accept first, then work' }],
  }
}

function whyDelivered({ delivery, attempts }: ExplainFacts): Why {
  const status = delivery.lastStatusCode === null ? '' : ` with status ${delivery.lastStatusCode}`
  const count = delivery.attempts === 1 ? 'the first attempt' : `attempt ${delivery.attempts}`
  const before = attempts.length > 1 ? ` The one before failed: ${attempts.at(-2)?.error}.` : ''
  const remedies = [{ ...REDELIVER, hint: 'redeliver it if the receiver has lost it' }]
  return { reason: 'delivered', sentence: `The receiver took it with ${count}${status}.${before}`, remedies }
}

function whyFailed(facts: ExplainFacts): Why {
  const { delivery, attempts } = facts
  const rules = rulesOf(facts)
  const error = delivery.lastError ?? 'unknown'
  const status = delivery.lastStatusCode
  if (error.startsWith('expired')) {
    const last = attempts.at(-1)
    return {
      reason: 'expired',
      sentence: sentenceOf(error),
      remedies: last === undefined ? [REDELIVER] : [mending(last.error), REDELIVER],
    }
  }
  if (status !== null && rules.endsWebhook(status)) {
    const sentence = `The receiver answered ${status}: it wants nothing more, so the webhook was turned off.`
    return { reason: 'receiver_gone', sentence, remedies: [MEND, ACTIVATE, REDELIVER] }
  }
  if (status !== null && !rules.retries(status)) {
    const hint = status === 401 ? 'the receiver refuses the signature: compare the secret on both sides' : MEND.hint
    const sentence = `The receiver answered ${status} to attempt ${delivery.attempts}, which the dialect ${facts.planned.dialect} does not try again.`
    return { reason: 'not_retried', sentence, remedies: [{ action: 'mend_receiver', hint }, REDELIVER] }
  }
  const sentence = `All ${delivery.attempts} attempts failed, the last with: ${error}.`
  const off = facts.webhook.failedDeliveryId === delivery.id
  return {
    reason: 'attempts_used_up',
    sentence: off ? `${sentence} The webhook was turned off by it.` : sentence,
    remedies: off ? [mending(error), ACTIVATE, REDELIVER] : [mending(error), REDELIVER],
  }
}

function whyCancelled({ delivery, planned }: ExplainFacts): Why {
  const { lastError } = delivery
  if (lastError?.startsWith('superseded') === true) {
    const sentence = `A newer state of the same thing took its place before it was sent (${lastError}): the receiver gets the newest only.`
    return { reason: 'superseded', sentence, remedies: [REDELIVER] }
  }
  if (planned.replayId !== null) {
    const sentence = `It belonged to replay ${planned.replayId}, which was cancelled before it was sent.`
    return { reason: 'replay_cancelled', sentence, remedies: [{ action: 'replay', hint: 'make another replay' }, REDELIVER] }
  }
  if (delivery.attempts === 0 && lastError === null && planned.cause === 'event') {
    const sentence = 'It was cancelled before its first attempt: its change was undone, or its webhook was removed.'
    return { reason: 'change_undone', sentence, remedies: [] }
  }
  return { reason: 'webhook_removed', sentence: 'It was cancelled because its webhook was removed.', remedies: [] }
}

function rulesOf({ planned, webhook }: ExplainFacts) {
  return rulesFor(dialectOf(planned.dialect).retry, webhook, planned.id)
}

function attemptsMax(facts: ExplainFacts): number {
  return rulesOf(facts).delaysMs.length + 1
}

function patience(what: string): Remedy {
  return { action: 'wait', hint: `wait for ${what}` }
}

function sentenceOf(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

/** For people: two units at most. */
export function span(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / SECOND_MS))
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const
  const shown = parts.filter(([count]) => count > 0).slice(0, 2)
  return shown.map(([count, unit]) => `${count} ${unit}`).join(' ')
}
