import type { FastifySchemaCompiler } from 'fastify'
import { assertCheckable, type Fault, faultIn, type Schema } from './check.ts'

/**
 * Checks requests against their schemas, strictly: nothing is converted or dropped in a body; in a query only
 * whole numbers and booleans are read from their text.
 */
export const validatorCompiler: FastifySchemaCompiler<object> = ({ schema: written, httpPart }) => {
  const schema = written as Schema
  assertCheckable(schema)
  return (given: unknown) => {
    const value = httpPart === 'body' ? given : readText(schema, given)
    const fault = faultIn(schema, value)
    return fault === undefined ? { value } : { error: Object.assign(new Error('invalid request'), { fault }) }
  }
}

/** One sentence for a fault: the field, the bound and the value. Values of secret fields are not repeated. */
export function sentenceOf({ keyword, path, value, schema }: Fault): { message: string; field: string | undefined } {
  const field = fieldName(path)
  if (keyword === 'required') return { field, message: `${field} is missing` }
  if (keyword === 'additionalProperties') {
    const unknown = clip(field)
    const known = Object.keys(schema.properties ?? {}).join(', ') || 'none'
    return { field: unknown, message: `${unknown} is not known here; known are ${known}` }
  }
  if (path.length === 0)
    return {
      field: undefined,
      message:
        value === undefined || value === null
          ? 'the body is missing; it must be a JSON object'
          : 'the body must be a JSON object',
    }
  return { field, message: `${field} ${complaint(keyword as Complained, schema, value, isSecret(path))}` }
}

/** What a value itself can be at fault with; the others lead to one, or are told before. */
type Complained = Exclude<keyof Schema, 'items' | 'properties' | 'patternProperties' | 'required' | 'additionalProperties'>

function complaint(keyword: Complained, wanted: Schema, given: unknown, secret: boolean): string {
  const shown = secret ? 'of another kind' : show(given)
  switch (keyword) {
    case 'minLength':
    case 'maxLength':
      return `has ${[...String(given)].length} characters, ${range(wanted.minLength, wanted.maxLength)}`
    case 'minItems':
    case 'maxItems':
      return `has ${(given as unknown[]).length} entries, ${range(wanted.minItems, wanted.maxItems)}`
    case 'maxProperties':
      return `has ${Object.keys(given as object).length} members, ${range(undefined, wanted.maxProperties)}`
    case 'minimum':
    case 'maximum':
      return `is ${shown}, ${range(wanted.minimum, wanted.maximum)}`
    case 'enum':
      return `is ${shown}, not one of ${wanted.enum?.map((value) => value ?? 'null').join(', ')}`
    case 'type':
      return `is ${shown}, not ${[wanted.type ?? 'of the right type'].flat().map(nameOfType).join(' or ')}`
  }
}

function range(min: number | undefined, max: number | undefined): string {
  if (max === undefined) return `at least ${min} needed`
  return min === undefined ? `at most ${max} are taken` : `not ${min} to ${max}`
}

const TYPE_NAMES: Record<string, string> = {
  string: 'a text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  null: 'null',
}

function nameOfType(type: string): string {
  return TYPE_NAMES[type] ?? type
}

/** The value as JSON, short; of lists and objects only what they are, since they may hold secrets. */
function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'an object'
  return clip(JSON.stringify(value) ?? 'missing')
}

const SHOWN_CHARS_MAX = 80

function clip(text: string): string {
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text
}

function isSecret(path: readonly string[]): boolean {
  return path.some((part) => /password|secret|token/i.test(part))
}

/** `['retry', 'delaysSeconds', '0']` → `retry.delaysSeconds[0]`. */
function fieldName(path: readonly string[]): string {
  return path.reduce((name, part) => (/^\d+$/.test(part) ? `${name}[${part}]` : name === '' ? part : `${name}.${part}`), '')
}

/** Reads the members of a query or path that are whole numbers or booleans; leaves what is not, for the check to refuse. */
function readText(schema: Schema, given: unknown): unknown {
  const read: Record<string, unknown> = { ...(given as Record<string, unknown>) }
  for (const [name, { type }] of Object.entries(schema.properties ?? {})) {
    const text = read[name]
    if (typeof text !== 'string') continue
    if (type === 'integer' && /^-?\d{1,15}$/.test(text)) read[name] = Number(text)
    if (type === 'boolean' && (text === 'true' || text === 'false')) read[name] = text === 'true'
  }
  return read
}
