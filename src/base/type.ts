import type { Type as TypeBox } from 'typebox'

/**
 * The schemas that TypeBox's functions of the same names make, with its types: JSON Schema as plain objects. TypeBox itself is 700
 * modules, which cost every start 0.3 s (measured); it stays what names the types, and what the tests compare these with.
 */
export const Type = {
  String: (options?: object) => ({ type: 'string', ...options }),
  Integer: (options?: object) => ({ type: 'integer', ...options }),
  Number: (options?: object) => ({ type: 'number', ...options }),
  Boolean: (options?: object) => ({ type: 'boolean', ...options }),
  Null: (options?: object) => ({ type: 'null', ...options }),
  Literal: (value: unknown, options?: object) => ({ type: typeof value, const: value, ...options }),
  Enum: (values: readonly unknown[], options?: object) => ({ enum: values, ...options }),
  Array: (items: object, options?: object) => ({ type: 'array', items, ...options }),
  Union: (anyOf: readonly object[], options?: object) => ({ anyOf, ...options }),
  Object(properties: Readonly<Record<string, object>>, options?: object) {
    const required = Object.keys(properties).filter((name) => !OPTIONAL.has(properties[name]!))
    return { type: 'object', ...(required.length === 0 ? {} : { required }), properties, ...options }
  },
  Record: (_names: object, values: object, options?: object) => ({ type: 'object', patternProperties: { '^.*$': values }, ...options }),
  /** Marks this very object: a copy made by spreading is not optional. */
  Optional(schema: object) {
    const marked = { ...schema }
    OPTIONAL.add(marked)
    return marked
  },
  Unsafe: (schema: object) => ({ ...schema }),
} as unknown as Pick<
  typeof TypeBox,
  'String' | 'Integer' | 'Number' | 'Boolean' | 'Null' | 'Literal' | 'Enum' | 'Array' | 'Union' | 'Object' | 'Record' | 'Optional' | 'Unsafe'
>

/** Members that may be absent. It is no keyword of JSON Schema, so it does not stand in the schema. */
const OPTIONAL = new WeakSet<object>()
