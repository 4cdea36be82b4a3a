import { SECOND_MS } from '../base/units.ts'
import type { Outcome, Settlement } from './port.ts'
import type { ClaimedDelivery, Webhook } from './webhook.ts'

type Planned = Pick<ClaimedDelivery, 'createdAt'>
type Choice = Pick<Webhook, 'options'>

/** From when on a delivery is not worth sending any more, wall time; infinity: always worth it. */
export function expiresAt({ createdAt }: Planned, { options }: Choice): number {
  const { expireAfterSeconds } = options
  return expireAfterSeconds === undefined ? Number.POSITIVE_INFINITY : createdAt + expireAfterSeconds * SECOND_MS
}

/** Pure: a retry that would come too late is not made; the delivery ends now. `error` is that of the attempt that has just failed. */
export function unlessExpired(outcome: Outcome, delivery: Planned, webhook: Choice, error: string | null): Outcome {
  if (outcome.state !== 'waiting' || outcome.dueAt < expiresAt(delivery, webhook)) return outcome
  return failedAs(`${reasonFor(webhook)}, the last attempt failed with: ${error}`)
}

/** What to write about a delivery whose attempt would start after its expiry: none was made. */
export function expired(delivery: ClaimedDelivery, webhook: Choice, node: string, endedAt: number): Settlement {
  return unsent(delivery, node, endedAt, failedAs(reasonFor(webhook)))
}

/** The same of one whose replay was cancelled while a lane had it. */
export function withdrawn(delivery: ClaimedDelivery, node: string, endedAt: number): Settlement {
  return unsent(delivery, node, endedAt, { state: 'cancelled', reason: 'the replay was cancelled' })
}

function unsent(delivery: ClaimedDelivery, node: string, endedAt: number, outcome: Outcome): Settlement {
  const { id: deliveryId, webhookId, orderKey, collapseKey } = delivery
  return { deliveryId, webhookId, orderKey, collapseKey, node, attempt: null, outcome, endedAt }
}

/** It says nothing against the receiver: the webhook stays as it is. */
function failedAs(reason: string): Outcome {
  return { state: 'failed', reason, webhookFails: false, isExpiry: true }
}

function reasonFor({ options }: Choice): string {
  return `expired: not delivered within ${options.expireAfterSeconds} s`
}
