import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as typebox from 'typebox'
import { Type } from './type.ts'

/** The same schemas, made by ours and by TypeBox's. */
function schemasBy(type: typeof Type) {
  const named = type.Object(
    { name: type.String({ maxLength: 5 }), note: type.Optional(type.Null()) },
    { additionalProperties: false },
  )
  return {
    texts: type.String({ description: 'a text' }),
    numbers: [
      type.Integer({ minimum: 0 }),
      type.Number(),
      type.Boolean({ default: true }),
      type.Null({ description: 'nothing' }),
    ],
    literals: [type.Literal('a'), type.Literal(1), type.Literal(true, { description: 'always' })],
    enums: type.Enum(['a', 'b'], { description: 'one of' }),
    unions: type.Union([type.Literal('a'), type.Literal('b')], { description: 'either' }),
    arrays: type.Array(type.String(), { maxItems: 3 }),
    records: type.Record(type.String(), type.Integer(), { description: 'counts' }),
    objects: [type.Object({}), named, type.Object({ inner: named, list: type.Optional(type.Array(named)) }, { $id: 'Named' })],
    optional: type.Optional(type.String({ description: 'may be absent' })),
    copied: type.Object({ again: { ...type.Optional(type.String()) }, kept: type.Optional(type.Optional(type.String())) }),
    partial: type.Partial(named),
    members: type.Object({ ...type.Partial(named).properties, id: type.String() }),
    unsafe: type.Unsafe<string>({ $ref: 'Named#' }),
  }
}

test('schemas are those that TypeBox makes', () => {
  const ours = schemasBy(Type)
  const theirs = schemasBy(typebox.Type)
  assert.equal(JSON.stringify(ours, null, 2), JSON.stringify(theirs, null, 2))
  assert.deepEqual(ours.members.required, ['id'])
})
