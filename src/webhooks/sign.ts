import type { AttemptFacts, DialectName } from '../dialects/dialect.ts'
import { dialectOf } from '../dialects/index.ts'
import { invalid, shortened } from './invalid.ts'
import type { PlannedDelivery, WebhookOptions } from './webhook.ts'

/**
 * Dialects whose signature headers may go along with another's. CloudEvents is signed as Standard Webhooks is, so it has
 * none of its own.
 */
const ALSO_SIGN: readonly DialectName[] = ['mftplus', 'trueftp', 'standard']

/**
 * The headers of one attempt but for those that the webhook's owner chose: those of the dialect, those fixed with the
 * body, and, where there is a secret, the signatures of other dialects over the same bytes.
 */
export function signedHeaders(
  planned: Pick<PlannedDelivery, 'dialect' | 'headers'>,
  { alsoSign = [] }: Pick<WebhookOptions, 'alsoSign'>,
  facts: AttemptFacts,
): Record<string, string> {
  const headers = { ...dialectOf(planned.dialect).headers(facts), ...planned.headers }
  if (facts.secret === null) return headers
  for (const name of alsoSign) Object.assign(headers, dialectOf(name).signatureHeaders(facts))
  return headers
}

/** The same headers with the signatures made unreadable, each still with the name of its scheme. */
export function maskedSignatures(headers: Readonly<Record<string, string>>): Record<string, string> {
  const masked = (value: string) => value.replaceAll(/(sha256=|v1a?,)[^ ]+/g, '$1********')
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, /signature$/i.test(name) ? masked(value) : value]),
  )
}

/** Throws `invalid` where these dialects cannot sign beside the main one. */
export function checkAlsoSign(main: DialectName, alsoSign: readonly string[]): asserts alsoSign is readonly DialectName[] {
  const offered = ALSO_SIGN.filter((name) => name !== main && !(main === 'cloudevents' && name === 'standard'))
  const wrong = alsoSign.find((name, index) => !offered.some((one) => one === name) || alsoSign.indexOf(name) !== index)
  if (wrong === undefined) return
  const message = `alsoSign: beside the dialect ${main} it may name each of ${offered.join(', ')} once, not "${shortened(wrong)}"`
  throw invalid('alsoSign', message)
}

/** Whether deliveries cannot do without a secret: one is made where none is given. */
export function isSecretRequired(dialect: DialectName, { alsoSign = [] }: Pick<WebhookOptions, 'alsoSign'>): boolean {
  return dialectOf(dialect).secretRequired || alsoSign.length > 0
}
