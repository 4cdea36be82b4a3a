import { Type } from '../base/type.ts'
import { DIALECT_NAMES } from '../dialects/index.ts'
import { SUBSCRIPTIONS_MAX } from '../webhooks/admin/input.ts'
import { PREVIEW_EVENTS_DEFAULT, PREVIEW_EVENTS_MAX } from '../webhooks/admin/preview.ts'
import { body, nullable, TEXT_CHARS_MAX, text, textMap } from './schema.ts'
import { FILTER } from './webhook-options.ts'

// What a preview takes and shows on both faces; its names are the same in both styles.

export const PREVIEW_DESCRIPTION =
  'Runs filter and dialect over recorded events, whether the webhook is active or not; nothing is stored or sent. ' +
  '`filter`, `dialect` and `events` try a change before it is made.'

export const PreviewBody = body({
  limit: Type.Optional(
    Type.Integer({ description: 'Events looked at.', minimum: 1, maximum: PREVIEW_EVENTS_MAX, default: PREVIEW_EVENTS_DEFAULT }),
  ),
  filter: Type.Optional(nullable(FILTER)),
  dialect: Type.Optional(text(`One of ${DIALECT_NAMES.join(', ')}.`, { maxLength: TEXT_CHARS_MAX })),
  events: Type.Optional(
    Type.Array(text('An event type, a group, or `*`.', { minLength: 1, maxLength: 64 }), {
      minItems: 1,
      maxItems: SUBSCRIPTIONS_MAX,
    }),
  ),
})

/** What becomes of one event. */
export const previewed = {
  reason: nullable(text('Why it would not be sent; null: it would.')),
  unmet: nullable(
    Type.Object(
      { member: text('Its member.'), condition: Type.Unsafe<unknown>({ description: 'As the filter has it.' }) },
      { description: 'The first condition of the filter that does not hold.' },
    ),
  ),
  request: nullable(
    Type.Object(
      {
        url: text('Where it would go.'),
        headers: textMap('Of a first attempt made now; signatures and secret values are masked.'),
        body: text('The exact body.'),
      },
      { description: 'Null: it would not be sent.' },
    ),
  ),
}
