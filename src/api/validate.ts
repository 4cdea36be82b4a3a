import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'

/**
 * Checks requests against their TypeBox schemas, strictly: nothing is converted or dropped in a body; in a query only
 * whole numbers and booleans are read from their text.
 */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const check = Compile(schema)
  return (given: unknown) => {
    const value = httpPart === 'body' ? given : readText(schema as Schema, given)
    if (check.Check(value)) return { value }
    // The first error says it; a request with a thousand unknown members must not cost a thousand sentences.
    const errors = check.Errors(value)
    return { error: Object.assign(new Error('invalid request'), { validation: errors, validated: { schema, value } }) }
  }
}

/** One sentence for the first error: the field, the bound and the value. Values of secret fields are not repeated. */
export function sentenceOf(
  errors: unknown[],
  { schema, value }: { schema: object; value: unknown },
): { message: string; field: string | undefined } {
  const all = errors as ValidationError[]
  const error = all.find(({ keyword }) => keyword === 'additionalProperties') ?? all[0]!
  const path = error.instancePath.split('/').slice(1).map(unescapePointer)
  const field = fieldName(path)
  const given = valueAt(value, path)
  const wanted = schemaAt(schema as Schema, error.schemaPath)

  if (error.keyword === 'required') {
    const missing = fieldName([...path, String(first(error.params.requiredProperties))])
    return { field: missing, message: `${missing} is missing` }
  }
  if (error.keyword === 'additionalProperties') {
    const unknown = fieldName([...path, String(first(error.params.additionalProperties))])
    return {
      field: clip(unknown),
      message: `${clip(unknown)} is not known here; known are ${Object.keys(wanted.properties ?? {}).join(', ') || 'none'}`,
    }
  }
  if (field === '')
    return {
      field: undefined,
      message:
        given === undefined || given === null
          ? 'the body is missing; it must be a JSON object'
          : 'the body must be a JSON object',
    }
  return { field, message: `${field} ${complaint(error.keyword, wanted, given, isSecret(path))}` }
}

interface ValidationError {
  keyword: string
  instancePath: string
  schemaPath: string
  params: { requiredProperties?: string[]; additionalProperties?: string[] }
}

interface Schema {
  type?: string | string[]
  properties?: Record<string, Schema>
  enum?: unknown[]
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
}

function complaint(keyword: string, wanted: Schema, given: unknown, secret: boolean): string {
  const shown = secret ? 'of another kind' : show(given)
  switch (keyword) {
    case 'minLength':
    case 'maxLength':
      return `has ${[...String(given)].length} characters, ${range(wanted.minLength, wanted.maxLength)}`
    case 'minItems':
    case 'maxItems':
      return `has ${(given as unknown[]).length} entries, ${range(wanted.minItems, wanted.maxItems)}`
    case 'minimum':
    case 'maximum':
      return `is ${shown}, ${range(wanted.minimum, wanted.maximum)}`
    case 'enum':
      return `is ${shown}, not one of ${wanted.enum?.map((value) => value ?? 'null').join(', ')}`
    case 'type':
      return `is ${shown}, not ${[wanted.type ?? 'of the right type'].flat().map(nameOfType).join(' or ')}`
    default:
      return `is ${shown}, which breaks the rule "${keyword}"`
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

function first(names: string[] | undefined): string | undefined {
  return names?.[0]
}

/** RFC 6901 section 4. */
function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~')
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, part) => (at as Record<string, unknown> | null | undefined)?.[part], value)
}

function schemaAt(schema: Schema, pointer: string): Schema {
  const path = pointer.split('/').slice(1).map(unescapePointer)
  return (valueAt(schema, path) as Schema | undefined) ?? {}
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
