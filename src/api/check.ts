import assert from 'node:assert/strict'

/** The part of JSON Schema (2020-12) by which requests are checked. */
export interface Schema {
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly maxProperties?: number
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly patternProperties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: boolean
}

/** What is wrong with a value. */
export interface Fault {
  readonly keyword: keyof Schema
  /** Members and places that lead to it; of `required` and `additionalProperties` the member itself comes last. */
  readonly path: readonly string[]
  /** What stands there, and the schema that it breaks. */
  readonly value: unknown
  readonly schema: Schema
}

const KEYWORDS: ReadonlySet<string> = new Set<keyof Schema>([
  ...(['type', 'enum', 'minLength', 'maxLength', 'minimum', 'maximum', 'minItems', 'maxItems', 'items'] as const),
  ...(['maxProperties', 'properties', 'required', 'patternProperties', 'additionalProperties'] as const),
])
/** They say something to people and nothing to the check. */
const ANNOTATIONS: ReadonlySet<string> = new Set(['$id', 'description', 'examples', 'default'])

/** @throws AssertionError for a rule that `faultIn` would pass over, so that none is written in vain. */
export function assertCheckable(schema: Schema): void {
  for (const [keyword, rule] of Object.entries(schema)) {
    assert.ok(KEYWORDS.has(keyword) || ANNOTATIONS.has(keyword), `requests are not checked by "${keyword}"`)
    assert.ok(
      keyword !== 'additionalProperties' || typeof rule === 'boolean',
      'members by any name stand under patternProperties',
    )
  }
  const { items, properties, patternProperties } = schema
  if (items !== undefined) assertCheckable(items)
  for (const member of [properties, patternProperties].flatMap((members = {}) => Object.values(members))) assertCheckable(member)
}

/**
 * The first fault of a value that came as JSON, undefined for none. Of an object: a member that is not known, then one that is
 * missing, then what is wrong in its members, in the order of the schema.
 */
export function faultIn(schema: Schema, value: unknown, path: readonly string[] = []): Fault | undefined {
  const fault = (keyword: keyof Schema, member?: string): Fault => {
    return { keyword, path: member === undefined ? path : [...path, member], value, schema }
  }
  if (schema.type !== undefined && ![schema.type].flat().some((type) => isOf(type, value))) return fault('type')
  if (schema.enum !== undefined && !schema.enum.includes(value)) return fault('enum')
  if (typeof value === 'string') {
    // Characters are code points, as JSON Schema counts them; there are never more of them than UTF-16 units.
    const { minLength = 0, maxLength = Number.POSITIVE_INFINITY } = schema
    if (value.length < minLength || (minLength > 1 && [...value].length < minLength)) return fault('minLength')
    if (value.length > maxLength && [...value].length > maxLength) return fault('maxLength')
  } else if (typeof value === 'number') {
    if (schema.minimum !== undefined && value < schema.minimum) return fault('minimum')
    if (schema.maximum !== undefined && value > schema.maximum) return fault('maximum')
  } else if (Array.isArray(value)) {
    if (schema.minItems !== undefined && value.length < schema.minItems) return fault('minItems')
    if (schema.maxItems !== undefined && value.length > schema.maxItems) return fault('maxItems')
    if (schema.items !== undefined)
      return firstOf(value.entries(), ([at, item]) => faultIn(schema.items!, item, [...path, String(at)]))
  } else if (typeof value === 'object' && value !== null) {
    return faultInMembers(schema, value as Record<string, unknown>, path, fault)
  }
  return undefined
}

function faultInMembers(
  { properties = {}, patternProperties = {}, required = [], maxProperties, additionalProperties }: Schema,
  value: Record<string, unknown>,
  path: readonly string[],
  fault: (keyword: keyof Schema, member?: string) => Fault,
): Fault | undefined {
  const names = Object.keys(value)
  const schemasOf = (name: string) => [
    ...(Object.hasOwn(properties, name) ? [properties[name]!] : []),
    ...Object.entries(patternProperties).flatMap(([pattern, schema]) => (new RegExp(pattern, 'u').test(name) ? schema : [])),
  ]
  if (maxProperties !== undefined && names.length > maxProperties) return fault('maxProperties')
  const unknown = additionalProperties === false ? names.find((name) => schemasOf(name).length === 0) : undefined
  if (unknown !== undefined) return fault('additionalProperties', unknown)
  const missing = required.find((name) => !Object.hasOwn(value, name))
  if (missing !== undefined) return fault('required', missing)
  const order = [
    ...Object.keys(properties).filter((name) => Object.hasOwn(value, name)),
    ...names.filter((name) => !Object.hasOwn(properties, name)),
  ]
  return firstOf(order, (name) => firstOf(schemasOf(name), (schema) => faultIn(schema, value[name], [...path, name])))
}

function firstOf<Item>(items: Iterable<Item>, faultOf: (item: Item) => Fault | undefined): Fault | undefined {
  for (const item of items) {
    const fault = faultOf(item)
    if (fault !== undefined) return fault
  }
  return undefined
}

function isOf(type: string, value: unknown): boolean {
  switch (type) {
    case 'null':
      return value === null
    case 'integer':
      return Number.isInteger(value)
    case 'array':
      return Array.isArray(value)
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    default:
      return typeof value === type
  }
}
