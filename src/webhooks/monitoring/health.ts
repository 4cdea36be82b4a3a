import { SLOW_ANSWER_MS } from '../../base/histogram.ts'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../base/units.ts'
import { dialectOf } from '../../dialects/index.ts'
import type { Webhook } from '../webhook.ts'
import type { Counts, Vitals } from './stats-port.ts'

/** How a webhook is, with the reasons as sentences. `healthy` with a reason: nothing is wrong, but this is worth knowing. */
export interface Health {
  readonly state: HealthState
  readonly reasons: readonly string[]
}

export const HEALTH_STATES = ['healthy', 'degraded', 'failing', 'failed'] as const
export type HealthState = (typeof HEALTH_STATES)[number]

/** Times that health looks back, ms. */
export const HEALTH_LONG_MS = HOUR_MS
export const HEALTH_RECENT_MS = 5 * MINUTE_MS
/** A share of failures above this is degraded (MFTPlus, "Monitoring": above 5 % in the last hour). */
export const DEGRADED_SHARE = 0.05
/** From this share on the webhook hardly works. */
const FAILING_SHARE = 0.5
/** One failure alone says nothing about a share. */
export const FAILURES_MIN = 2
/** What is due should have been taken by a lane by then, ms. */
const BACKLOG_MS_MAX = 5 * MINUTE_MS
/** A pause that goes on for longer than this is worth knowing, ms; shorter ones come and go. */
const PAUSE_TOLD_MS = MINUTE_MS

/** What is known of a webhook: the store's figures, and for how long this node leaves its receiver alone, ms, because it asked for that. */
export type HealthFacts = Omit<Vitals, 'webhookId'> & { readonly pauseLeftMs: number }

/** Pure: the health of a webhook. A webhook that its owner turned off is healthy: nothing is expected of it. */
export function healthOf(
  webhook: Pick<Webhook, 'state' | 'failedReason' | 'inactiveReason'>,
  facts: HealthFacts,
  now: number,
): Health {
  if (webhook.state === 'failed')
    return { state: 'failed', reasons: [`It was turned off: ${webhook.failedReason ?? 'a delivery failed for good'}.`] }
  if (webhook.state === 'inactive')
    return {
      state: 'healthy',
      reasons: [`It is inactive: ${webhook.inactiveReason ?? 'nothing is sent until it is set active'}.`],
    }
  const reasons = reasonsOf(facts, now)
  if (isFailing(facts)) return { state: 'failing', reasons }
  if (reasons.length > 0) return { state: 'degraded', reasons }
  return { state: 'healthy', reasons: facts.hour.attempts === 0 ? ['Nothing was sent in the last hour.'] : [] }
}

/** Whether a delivery that used up its attempts turns this webhook off, as its dialect says. */
export function exhaustionTurnsOff({ dialect }: Pick<Webhook, 'dialect'>): boolean {
  return dialectOf(dialect).retry.exhaustionFailsWebhook
}

/** Half or more fail now; where nothing was tried now, in the last hour. */
function isFailing({ hour, recent }: HealthFacts): boolean {
  return isShare(recent.attempts > 0 ? recent : hour, FAILING_SHARE)
}

/** What is not as it should be, the most pressing first. */
function reasonsOf({ hour, recent, oldestDueAt, pauseLeftMs }: HealthFacts, now: number): string[] {
  const reasons: string[] = []
  if (isShare(recent, FAILING_SHARE)) reasons.push(`${shareText(recent)} in the last 5 minutes failed.`)
  if (isShare(hour, DEGRADED_SHARE) && hour.failures > hour.attempts * DEGRADED_SHARE)
    reasons.push(`${shareText(hour)} in the last hour failed; up to ${DEGRADED_SHARE * 100} % count as healthy.`)
  if (recent.slow > 0)
    reasons.push(`${countText(recent.slow, 'answer')} in the last 5 minutes took longer than ${SLOW_ANSWER_MS / SECOND_MS} s.`)
  if (pauseLeftMs > PAUSE_TOLD_MS)
    reasons.push(
      `The receiver asked for fewer requests: none is sent for another ${Math.floor(pauseLeftMs / MINUTE_MS)} minutes.`,
    )
  const lateMs = oldestDueAt === null ? 0 : now - oldestDueAt
  if (lateMs > BACKLOG_MS_MAX)
    reasons.push(`Deliveries wait: the oldest has been due for ${Math.floor(lateMs / MINUTE_MS)} minutes.`)
  return reasons
}

function isShare({ attempts, failures }: Counts, share: number): boolean {
  return failures >= FAILURES_MIN && failures >= attempts * share
}

function shareText({ attempts, failures }: Counts): string {
  return `${failures} of ${countText(attempts, 'attempt')} (${Number(((failures / attempts) * 100).toFixed(1))} %)`
}

function countText(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
