import type { AttemptFacts } from '../../dialects/dialect.ts'
import { shownHeaders } from '../send.ts'
import { isSecretRequired, maskedSignatures, signedHeaders } from '../sign.ts'
import type { PlannedDelivery, Webhook } from '../webhook.ts'

/** A request as people may see it: what is secret in it is masked. */
export interface ShownRequest {
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: string
}

type Shown = Pick<Webhook, 'url' | 'options' | 'sealedSecret'>

/** The request of an attempt that starts then. */
export function shownRequest(planned: PlannedDelivery, webhook: Shown, startedAt: number): ShownRequest {
  const { id: deliveryId, eventId, eventType, body } = planned
  // Any text does: what is made of it is masked.
  const isSigned = webhook.sealedSecret !== null || isSecretRequired(planned.dialect, webhook.options)
  const secret = isSigned ? 'masked' : null
  const facts: AttemptFacts = { deliveryId, eventId, eventType, startedAt, body: Buffer.from(body), secret, secretBefore: null }
  return {
    url: webhook.url,
    headers: {
      ...shownHeaders(webhook.options),
      ...maskedSignatures(signedHeaders(planned, webhook.options, facts)),
    },
    body,
  }
}
