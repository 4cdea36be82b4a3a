import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { assertCheckable, faultIn, type Schema } from './check.ts'

const closed = { additionalProperties: false }
const schema = Type.Object(
  {
    a: Type.String({ minLength: 1, maxLength: 3 }),
    b: Type.Optional(Type.Integer({ minimum: -1, maximum: 2 })),
    c: Type.Optional(Type.Array(Type.Number({ minimum: 0 }), { minItems: 1, maxItems: 2 })),
    d: Type.Optional(Type.Enum(['x', 'y'])),
    e: Type.Optional(
      Type.Unsafe({ type: ['object', 'null'], properties: { a: { type: 'boolean' } }, required: ['a'], ...closed }),
    ),
    f: Type.Optional(
      Type.Unsafe({
        type: 'object',
        maxProperties: 2,
        patternProperties: {
          '^[ab]': { type: ['string', 'object'], maxLength: 2, properties: { a: { type: 'string' } }, ...closed },
        },
        ...closed,
      }),
    ),
  },
  closed,
)

// Near enough to the schema that many are right, and of those that are wrong many are wrong in one place.
const leaf = fc.oneof(
  fc.constantFrom('', 'a', 'ab', 'abc', 'abcd', 'x', -2, -1, 0, 0.5, 2, 3, true, null),
  fc.constant({}),
  fc.constant([]),
)
const member = fc.constantFrom('a', 'b', 'c', 'd', 'ax', '')
const inner = fc.oneof(leaf, fc.array(leaf, { maxLength: 3 }), fc.dictionary(member, leaf, { maxKeys: 3 }))
const mostly = <Right, Wrong>(right: fc.Arbitrary<Right>, wrong: fc.Arbitrary<Wrong>) =>
  fc.oneof({ weight: 4, arbitrary: right }, { weight: 1, arbitrary: wrong })
const likely = fc.record(
  {
    a: mostly(fc.constantFrom('a', 'abc'), leaf),
    b: mostly(fc.constantFrom(-1, 0, 2), leaf),
    c: mostly(fc.array(fc.constantFrom(0, 1.5), { maxLength: 3 }), inner),
    d: mostly(fc.constantFrom('x', 'y'), leaf),
    e: mostly(fc.constantFrom(null, { a: true }), inner),
    f: mostly(fc.dictionary(member, fc.constantFrom('a', { a: 'a' }), { maxKeys: 3 }), inner),
  },
  { requiredKeys: [] },
)

test('faultIn finds a fault where TypeBox finds one', () => {
  assertCheckable(schema as Schema)
  const theirs = Compile(schema)
  let right = 0
  const runs = 5_000
  fc.assert(
    fc.property(fc.oneof({ weight: 9, arbitrary: likely }, { weight: 1, arbitrary: inner }), (value) => {
      const fault = faultIn(schema as Schema, value)
      assert.equal(fault === undefined, theirs.Check(value), JSON.stringify(value))
      if (fault === undefined) right += 1
    }),
    { numRuns: runs },
  )
  // About 450 are right, give or take 21 (one standard deviation): chance comes near neither bound.
  assert.ok(right > runs / 50 && right < runs / 2, `${right} of ${runs} values were right: both kinds must be tried`)
})

test('characters are code points, as JSON Schema counts them', () => {
  assert.equal(faultIn({ maxLength: 2 }, '😀😀'), undefined)
  assert.equal(faultIn({ maxLength: 2 }, '😀😀a')?.keyword, 'maxLength')
  assert.equal(faultIn({ minLength: 2 }, '😀')?.keyword, 'minLength')
})

test('members of a prototype are neither known nor there', () => {
  assert.equal(faultIn({ properties: {}, ...closed }, JSON.parse('{"toString":1}'))?.keyword, 'additionalProperties')
  assert.equal(faultIn({ required: ['toString'] }, {})?.keyword, 'required')
})

test('a fault is told as far up and as early as it is', () => {
  const inside: Schema = { properties: { a: { type: 'integer' } }, required: ['a', 'b'], ...closed }
  const outside: Schema = { properties: { one: inside, two: { maxItems: 1, items: inside } } }
  const cases = [
    { value: { one: { a: 'x', c: 1 } }, keyword: 'additionalProperties', path: ['one', 'c'] },
    { value: { one: { a: 'x' } }, keyword: 'required', path: ['one', 'b'] },
    { value: { one: { a: 'x', b: 1 }, two: [1, 2] }, keyword: 'additionalProperties', path: ['one', 'b'] },
    { value: { two: [{ a: 1 }, 2] }, keyword: 'maxItems', path: ['two'] },
    { value: { two: [{ a: 1 }] }, keyword: 'required', path: ['two', '0', 'b'] },
  ]
  for (const { value, keyword, path } of cases) {
    const fault = faultIn(outside, value)
    assert.deepEqual([fault?.keyword, fault?.path], [keyword, path])
  }
})

for (const wrong of [
  { pattern: 'x' },
  { properties: { a: { items: { oneOf: [] } } } },
  { additionalProperties: { type: 'string' } },
]) {
  test(`a rule that nothing checks is refused: ${JSON.stringify(wrong)}`, () =>
    assert.throws(() => assertCheckable(wrong as Schema)))
}
