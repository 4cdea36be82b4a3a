import { faultOfLabel } from '../../base/label.ts'
import { isSubscription, nearestSubscription } from '../../events/catalogue.ts'
import { invalid, shortened } from '../invalid.ts'
import type { WebhookOrder } from '../webhook.ts'
import type { OptionsInput } from './options-input.ts'

/**
 * What a person may say about a webhook. The faces see to it that the types are these; bounds are checked here. On a change,
 * what is left out stays and null is the default again.
 */
export interface WebhookInput extends OptionsInput {
  readonly url: string
  readonly events: readonly string[]
  readonly name?: string
  /** Null, where the dialect allows it: deliveries are not signed. */
  readonly secret?: string | null
  readonly active?: boolean
  readonly dialect?: string
  /** Null: the dialect's schedule. */
  readonly retry?: { readonly delaysSeconds: readonly number[] } | null
  /** A `Filter`, as yet unchecked. Null: all events of its types. */
  readonly filter?: unknown
  readonly order?: WebhookOrder | null
}

export const NAME_CHARACTERS_MAX = 100
export const SECRET_CHARACTERS_MIN = 8
export const SECRET_CHARACTERS_MAX = 256
export const SUBSCRIPTIONS_MAX = 100
export const RETRIES_MAX = 20
export const RETRY_DELAY_SECONDS_MAX = 86_400

/** Throws `invalid` with the field, the bound and the value for the first thing that is wrong. The url is the guard's matter. */
export function checkInput(input: Partial<WebhookInput>): void {
  if (input.events !== undefined) checkEvents(input.events)
  if (input.name !== undefined) checkName(input.name)
  if (input.retry) checkDelays(input.retry.delaysSeconds)
}

function checkEvents(events: readonly string[]): void {
  if (events.length < 1 || events.length > SUBSCRIPTIONS_MAX)
    throw invalid('events', `events must have 1 to ${SUBSCRIPTIONS_MAX} entries, not ${events.length}`)
  for (const event of events) {
    if (isSubscription(event)) continue
    throw invalid(
      'events',
      `events: "${shortened(event)}" is no event type or group; did you mean "${nearestSubscription(event)}"?`,
    )
  }
}

function checkName(name: string): void {
  if (name.trim() === '' || name.length > NAME_CHARACTERS_MAX)
    throw invalid('name', `name must have 1 to ${NAME_CHARACTERS_MAX} characters, not ${name.trim() === '' ? 0 : name.length}`)
  const fault = faultOfLabel(name)
  if (fault !== undefined) throw invalid('name', `name ${fault}`)
}

function checkDelays(delays: readonly number[]): void {
  const field = 'retry.delaysSeconds'
  if (delays.length > RETRIES_MAX) throw invalid(field, `${field} must have 0 to ${RETRIES_MAX} entries, not ${delays.length}`)
  const wrong = delays.find((seconds) => !(seconds >= 0 && seconds <= RETRY_DELAY_SECONDS_MAX))
  if (wrong !== undefined) throw invalid(field, `${field}: each must be 0 to ${RETRY_DELAY_SECONDS_MAX} seconds, not ${wrong}`)
}
