import type { Static, TSchema } from 'typebox'
import { Type } from '../base/type.ts'

/** Parts of schemas that both faces use. */

/** A named schema, referred to by its `$id`: it stands once in the OpenAPI document. */
export function refTo<Schema extends TSchema & { $id?: string }>(schema: Schema) {
  return Type.Unsafe<Static<Schema>>({ $ref: `${schema.$id}#` })
}

/** A value or null, in the short form of JSON Schema: `type: [..., 'null']`. */
export function nullable<Schema extends TSchema & { type?: string; enum?: unknown[] }>(schema: Schema) {
  const words = schema.enum === undefined ? {} : { enum: [...schema.enum, null] }
  return Type.Unsafe<Static<Schema> | null>({ ...schema, ...words, type: [schema.type ?? 'string', 'null'] })
}

export function text(description: string, bounds: { minLength?: number; maxLength?: number } = {}) {
  return Type.String({ description, ...bounds })
}

/** Up to what JavaScript counts exactly: the database could keep more, but nobody could read it again. */
export function count(description: string) {
  return Type.Integer({ description, minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
}

/** ISO 8601 UTC with milliseconds. */
export function time(description: string) {
  return Type.String({ description, format: 'date-time' })
}

/** An object with any members. */
export function anyMembers(description: string) {
  return Type.Unsafe<{ readonly [member: string]: unknown }>({ type: 'object', description, additionalProperties: true })
}

export function textMap(description: string) {
  return Type.Unsafe<Record<string, string>>({ type: 'object', description, additionalProperties: { type: 'string' } })
}

/** A body: what it does not know is refused. */
export function body<Members extends Record<string, TSchema>>(members: Members) {
  return Type.Object(members, { additionalProperties: false })
}

export const query = body
export const params = body

export function iso(ms: number): string {
  return new Date(ms).toISOString()
}

export function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : iso(ms)
}

/** Longest text of a field without a bound of its own. */
export const TEXT_CHARS_MAX = 1_024
/** Longest url of a webhook. */
export const URL_CHARS_MAX = 2_048
/** Rows of one page. */
export const PAGE_ROWS_MAX = 100
export const PAGE_ROWS_DEFAULT = 20
/** Beyond this nobody reads page by page, and the database would count for nothing. */
export const OFFSET_MAX = 1_000_000

export function idOf(what: string) {
  return text(`Id of the ${what}.`, { minLength: 1, maxLength: 64 })
}

const ANSWERS: Record<number, string> = { 200: 'Done', 201: 'Made', 202: 'Planned; it happens next', 204: 'Removed' }

/** The answers of a route, those that refuse among them, each with its sentence for the OpenAPI document. */
export function responses<const Answers extends Record<number, TSchema>>(
  answers: Answers,
  refusal: TSchema,
  refused: Record<number, string>,
): Answers {
  const told = Object.entries(answers).map(([status, schema]) => [status, { description: ANSWERS[Number(status)], ...schema }])
  const untold = Object.entries(refused).map(([status, description]) => [status, { description, ...refusal }])
  return Object.fromEntries([...told, ...untold]) as Answers
}
