import type { Clock } from '../base/clock.ts'
import { MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { dialectOf } from '../dialects/index.ts'
import type { PostResult } from '../http/exchange.ts'
import { unlessExpired } from './expiry.ts'
import type { Secrets } from './opened-secrets.ts'
import type { Settlement } from './port.ts'
import { type SendTools, send } from './send.ts'
import { attemptOf, decide, errorOf, rulesFor } from './settle.ts'
import { signedHeaders } from './sign.ts'
import type { ClaimedDelivery, Webhook } from './webhook.ts'

/** Wait after a failure of our own, ms: doubled with each one in a row. */
const OWN_FAILURE_WAIT_MS = SECOND_MS
const OWN_FAILURE_WAIT_MS_MAX = MINUTE_MS

/** A webhook that has changed its dialect and dropped its secret since; the delivery must still come to an end. */
const NO_SECRET: PostResult = { kind: 'refused', reason: 'the webhook has no secret, which the dialect of this delivery needs' }

export interface AttemptTools extends SendTools {
  readonly clock: Clock
  readonly node: string
}

/**
 * One attempt: the headers over the exact body bytes, one POST, and what to write about it. `webhook` is as it was
 * read for this attempt; the dialect is the one of the delivery, fixed with its body. Rejects with what `post` rejects.
 */
export async function attempt(
  delivery: ClaimedDelivery,
  webhook: Webhook,
  secrets: Secrets,
  tools: AttemptTools,
): Promise<Settlement> {
  const { clock, node } = tools
  const dialect = dialectOf(delivery.dialect)
  const rules = rulesFor(dialect.retry, webhook, delivery.id)
  const number = delivery.attempts + 1
  const startedAt = clock.now()
  const begun = clock.monotonic()

  const body = Buffer.from(delivery.body)
  const { id: deliveryId, eventId, eventType, webhookId, orderKey, collapseKey } = delivery
  const { secret, secretBefore } = secrets
  const facts = { deliveryId, eventId, eventType, startedAt, body, secret, secretBefore }
  const result =
    secret === null && dialect.secretRequired
      ? NO_SECRET
      : await send(
          { headers: signedHeaders(delivery, webhook.options, facts), body, deadlineMs: rules.deadlineMs },
          webhook,
          secrets.options,
          tools,
        )

  const endedAt = clock.now()
  return {
    ...{ deliveryId, webhookId, orderKey, collapseKey, node },
    attempt: attemptOf(number, startedAt, clock.monotonic() - begun, result),
    outcome: unlessExpired(decide(rules, number, result, endedAt), delivery, webhook, errorOf(result)),
    endedAt,
  }
}

/** What to write after a failure of our own, the nth in a row for this webhook: no attempt, and tried again soon. */
export function ownFailure(delivery: ClaimedDelivery, failuresInRow: number, node: string, endedAt: number): Settlement {
  const waitMs = Math.min(OWN_FAILURE_WAIT_MS * 2 ** (failuresInRow - 1), OWN_FAILURE_WAIT_MS_MAX)
  const { id: deliveryId, webhookId, orderKey, collapseKey } = delivery
  return {
    ...{ deliveryId, webhookId, orderKey, collapseKey, node },
    attempt: null,
    outcome: { state: 'waiting', dueAt: endedAt + waitMs },
    endedAt,
  }
}
