import { SLOW_ANSWER_MS } from '../base/histogram.ts'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { DEGRADED_SHARE, exhaustionTurnsOff, FAILURES_MIN } from '../webhooks/monitoring/health.ts'
import type { Webhook } from '../webhooks/webhook.ts'

/**
 * What somebody should look at, and what each kind means (MFTPlus, "Monitoring", and the row about 401):
 * - `webhook_failed`: a webhook was turned off: the attempts of a delivery are used up, or the receiver said that it is gone.
 * - `deliveries_exhausted`: a delivery was given up in a dialect that leaves the webhook on.
 * - `high_failure_rate`: more than 5 % of the attempts of the last hour failed, and not just one.
 * - `slow_endpoint`: an answer took longer than 5 s.
 * - `unauthorized`: the receiver answered 401, which usually means that it does not trust the signature.
 */
export const ALERT_KINDS = [
  ...(['webhook_failed', 'deliveries_exhausted', 'high_failure_rate', 'slow_endpoint', 'unauthorized'] as const),
] as const
export type AlertKind = (typeof ALERT_KINDS)[number]

/** open → cleared, once each. A kind has at most one open alert a subject, which is a webhook. */
export interface Alert {
  readonly id: string
  readonly kind: AlertKind
  readonly subjectId: string
  /** Of the webhook; null: one of all accounts. */
  readonly accountId: string | null
  /** What is wrong, for people; never a url or a secret. */
  readonly message: string
  readonly raisedAt: number
  /** Null while it is open. */
  readonly clearedAt: number | null
}

/** What is known of a webhook when it is judged. Times of evidence are begins of minutes of the last hour; null: none in it. */
export interface Facts {
  readonly webhook: Pick<Webhook, 'id' | 'accountId' | 'name' | 'dialect' | 'state' | 'failedReason' | 'offSince' | 'updatedAt'>
  readonly open: readonly Alert[]
  /** Attempts of the last hour. */
  readonly hour: { readonly attempts: number; readonly failures: number }
  /** The latest minute with an attempt that was accepted, ... */
  readonly acceptedAt: number | null
  /** ... with one answered 401, ... */
  readonly unauthorizedAt: number | null
  /** ... with a slow answer, ... */
  readonly slowAt: number | null
  /** ... with one that was not slow, ... */
  readonly promptAt: number | null
  /** ... and with a delivery that ended as failed. */
  readonly failedAt: number | null
  /** The delivery that turned the webhook off; null unless it is failed and that is still stored. */
  readonly failure: { readonly deliveryId: string; readonly attempts: number; readonly error: string } | null
  /** The first delivery that was accepted since a webhook with an open `webhook_failed` is active again. */
  readonly recovery: { readonly deliveryId: string } | null
}

export interface Judgement {
  readonly raise: readonly { readonly kind: AlertKind; readonly message: string; readonly raisedAt: number }[]
  readonly clear: readonly Alert[]
}

/** How far facts look back, ms. */
export const FACTS_MS = HOUR_MS
/** Evidence older than this raises nothing. Less than QUIET_MS, so that nodes whose clocks differ by less than the rest agree. */
const EVIDENCE_MS_MAX = 10 * MINUTE_MS
/** What raised an alert must not have happened for this long before it is cleared. */
export const QUIET_MS = 15 * MINUTE_MS
/** An open `high_failure_rate` is cleared at this share: half of what raises it, so that a rate around one bound changes nothing. */
const CLEARED_SHARE = DEGRADED_SHARE / 2

/** When a kind begins and ends. Between both it stays what it is. */
interface Rule {
  /** What is wrong, as a sentence for people; undefined where it is not. */
  begins(facts: Facts, now: number): string | undefined
  ends(facts: Facts, now: number): boolean
}

/**
 * Pure: which alerts of a webhook begin and which end now. None ends by silence alone: an end needs a later attempt that went well, so
 * that a receiver nobody sends to is not called well, and no two receivers of alerts can keep each other's alerts going. A webhook
 * that its owner turned off or removed (`facts` null) has no alerts.
 */
export function judge(open: readonly Alert[], facts: Facts | null, now: number): Judgement {
  if (facts === null || facts.webhook.state === 'inactive') return { raise: [], clear: open }
  const raise: { kind: AlertKind; message: string; raisedAt: number }[] = []
  const clear: Alert[] = []
  for (const kind of ALERT_KINDS) {
    const rule = RULES[kind]
    const alert = open.find((one) => one.kind === kind)
    if (alert !== undefined) {
      if (rule.ends(facts, now)) clear.push(alert)
    } else {
      const message = rule.begins(facts, now)
      if (message !== undefined) raise.push({ kind, message, raisedAt: beganAt(kind, facts, now) })
    }
  }
  return { raise, clear }
}

const RULES: Record<AlertKind, Rule> = {
  webhook_failed: {
    begins: ({ webhook }) =>
      webhook.state === 'failed'
        ? `Webhook ${named(webhook)} was turned off: ${webhook.failedReason ?? 'a delivery failed for good'}.`
        : undefined,
    ends: ({ webhook, recovery }) => webhook.state === 'active' && recovery !== null,
  },
  deliveries_exhausted: {
    begins: ({ webhook, failedAt }, now) =>
      isFresh(failedAt, now) && !exhaustionTurnsOff(webhook)
        ? `A delivery to webhook ${named(webhook)} was given up after its last attempt.`
        : undefined,
    ends: ({ failedAt, acceptedAt }, now) => isOver(failedAt, acceptedAt, now),
  },
  high_failure_rate: {
    begins: ({ webhook, hour: { attempts, failures } }) =>
      failures >= FAILURES_MIN && failures > attempts * DEGRADED_SHARE
        ? `${failures} of ${attempts} attempts to webhook ${named(webhook)} failed in the last hour (${percent(failures, attempts)} %); more than ${DEGRADED_SHARE * 100} % is too many.`
        : undefined,
    ends: ({ hour: { attempts, failures }, acceptedAt }) => acceptedAt !== null && failures <= attempts * CLEARED_SHARE,
  },
  slow_endpoint: {
    begins: ({ webhook, slowAt }, now) =>
      isFresh(slowAt, now)
        ? `The receiver of webhook ${named(webhook)} took longer than ${SLOW_ANSWER_MS / SECOND_MS} s to answer.`
        : undefined,
    ends: ({ slowAt, promptAt }, now) => isOver(slowAt, promptAt, now),
  },
  unauthorized: {
    begins: ({ webhook, unauthorizedAt }, now) =>
      isFresh(unauthorizedAt, now)
        ? `The receiver of webhook ${named(webhook)} answered 401: it does not accept our signature or credentials.`
        : undefined,
    ends: ({ unauthorizedAt, acceptedAt }, now) => isOver(unauthorizedAt, acceptedAt, now),
  },
}

/** A webhook failed when it was turned off, whenever that was noticed; everything else is known to the minute only. */
function beganAt(kind: AlertKind, { webhook }: Facts, now: number): number {
  return kind === 'webhook_failed' ? (webhook.offSince ?? now) : now
}

function isFresh(at: number | null, now: number): boolean {
  return at !== null && now - at <= EVIDENCE_MS_MAX
}

/** Quiet for long enough, and something went well since. Evidence that has left the last hour is null: any success is later. */
function isOver(badAt: number | null, goodAt: number | null, now: number): boolean {
  if (goodAt === null) return false
  return badAt === null || (now - badAt > QUIET_MS && goodAt > badAt)
}

function named({ name }: Pick<Webhook, 'name'>): string {
  return JSON.stringify(name)
}

function percent(part: number, whole: number): number {
  return Number(((part / whole) * 100).toFixed(1))
}
