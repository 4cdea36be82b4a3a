import type { Type as TypeBox } from 'typebox'

/** Members that may be absent. That is no keyword of JSON Schema, so it does not stand in the schema. */
const optional = new WeakSet<object>()

/** A copy of the schema for a member that may be absent. Copies of the copy are not optional. */
function Optional(schema: object): object {
  const copy = { ...schema }
  optional.add(copy)
  return copy
}

/**
 * Makes the schemas that TypeBox's functions of the same names make, with its types: JSON Schema as plain objects. TypeBox itself is
 * 700 modules, which cost every start 0.3 s (measured); it lends the types, and the tests compare what is made.
 */
export const Type = {
  String: (options?: object) => ({ type: 'string', ...options }),
  Integer: (options?: object) => ({ type: 'integer', ...options }),
  Number: (options?: object) => ({ type: 'number', ...options }),
  Boolean: (options?: object) => ({ type: 'boolean', ...options }),
  Null: (options?: object) => ({ type: 'null', ...options }),
  Literal: (value: unknown, options?: object) => ({ type: typeof value, const: value, ...options }),
  Enum: (values: readonly unknown[], options?: object) => ({ enum: values, ...options }),
  Union: (anyOf: readonly object[], options?: object) => ({ anyOf, ...options }),
  Array: (items: object, options?: object) => ({ type: 'array', items, ...options }),
  Object(properties: Readonly<Record<string, object>>, options?: object) {
    const required = Object.keys(properties).filter((name) => !optional.has(properties[name]!))
    return { type: 'object', ...(required.length === 0 ? {} : { required }), properties, ...options }
  },
  /** Members with any names. */
  Record: (_name: object, value: object, options?: object) => ({
    type: 'object',
    patternProperties: { '^.*$': value },
    ...options,
  }),
  Optional,
  /** Its members alone, all optional: what else the schema says is left out. */
  Partial({ properties }: { properties: Readonly<Record<string, object>> }) {
    const members = Object.entries(properties).map(([name, member]) => [name, Optional(member)])
    return { type: 'object', properties: Object.fromEntries(members) }
  },
  /** A schema that is written out, for the type that is named. */
  Unsafe: (schema: object) => ({ ...schema }),
} as unknown as Pick<
  typeof TypeBox,
  | 'String'
  | 'Integer'
  | 'Number'
  | 'Boolean'
  | 'Null'
  | 'Literal'
  | 'Enum'
  | 'Union'
  | 'Array'
  | 'Object'
  | 'Record'
  | 'Optional'
  | 'Partial'
  | 'Unsafe'
>
