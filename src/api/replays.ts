import type { TSchema } from 'typebox'
import { GLOB_CHARACTERS_MAX } from '../base/glob.ts'
import { Type } from '../base/type.ts'
import { EVENT_IDS_MAX, RATE_PER_SECOND_DEFAULT, RATE_PER_SECOND_MAX, REPLAY_EVENTS_MAX } from '../webhooks/recovery/replay.ts'
import { instantOf } from './instant.ts'
import { count, nullable, text, time } from './schema.ts'

// What a replay takes and shows on both faces; the faces differ in the style of some names.

const OUTCOMES = ['failed', 'missing', 'all'] as const

const instant = (what: string) => Type.Optional(text(`${what}; ISO 8601, such as 2026-06-08T12:00:00Z.`, { maxLength: 40 }))
const list = (items: TSchema, max: number, description: string) =>
  Type.Optional(Type.Unsafe<string[]>(Type.Array(items, { minItems: 1, maxItems: max, description })))
const shortText = Type.String({ minLength: 1, maxLength: 64 })

/** Which events; `idsName` is what the face calls `idsAsked`. */
export const rangeAsked = (idsName: string) => ({
  since: instant(`Recorded at or after; needed unless ${idsName} are named`),
  until: instant('Recorded before; now'),
  events: list(shortText, REPLAY_EVENTS_MAX, 'Types and groups; absent: those subscribed to.'),
  path: Type.Optional(text('A glob such as `/incoming/**/*.csv`.', { minLength: 1, maxLength: GLOB_CHARACTERS_MAX })),
  only: Type.Optional(
    Type.Enum([...OUTCOMES], { description: 'Failed; missing: neither delivered nor waiting; or all, the default.' }),
  ),
})
export const idsAsked = list(shortText, EVENT_IDS_MAX, 'Exactly these events.')
export const dryRunAsked = Type.Optional(Type.Boolean({ description: 'Only count.' }))
export const rateAsked = Type.Optional(
  Type.Integer({ minimum: 1, maximum: RATE_PER_SECOND_MAX, description: `Planned at most; ${RATE_PER_SECOND_DEFAULT}.` }),
)

/** The times of a range as ms; what is absent stays absent. */
export function timesOf({ since, until }: { since?: string | undefined; until?: string | undefined }): {
  since?: number
  until?: number
} {
  return {
    ...(since === undefined ? {} : { since: instantOf('since', since) }),
    ...(until === undefined ? {} : { until: instantOf('until', until) }),
  }
}

export const stateShown = Type.Enum(['running', 'done', 'cancelled'], { description: 'Running: plans; done: all is planned.' })
export const matchedShown = count('Events that it asks for, counted when it was made.')
export const isCountedShown = Type.Boolean({ description: 'False: at least so many, the count was cut.' })
export const countsShown = {
  planned: count('Deliveries made so far.'),
  waiting: count('Of these, not ended yet.'),
  delivered: count('Of these, delivered.'),
  failed: count('Of these, failed.'),
  cancelled: count('Of these, cancelled.'),
}
export const rangeShown = {
  since: time('Recorded at or after.'),
  until: time('Recorded before.'),
  events: nullable(Type.Array(Type.String(), { description: 'Null: what the webhook subscribes to.' })),
  path: nullable(text('A glob that a path of the event matches.')),
  only: Type.Enum([...OUTCOMES]),
}
export const idsShown = nullable(Type.Array(Type.String(), { description: 'Exactly these.' }))
export const rateShown = count('Planned at most.')
