import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Type } from '../base/type.ts'
import { refusalOf } from './errors.ts'
import { body, nullable } from './schema.ts'
import { validatorCompiler } from './validate.ts'

const schema = body({
  name: Type.String({ minLength: 2, maxLength: 5 }),
  plan: Type.Optional(Type.Enum(['starter', 'business'])),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  active: Type.Optional(Type.Boolean()),
  secret: Type.Optional(nullable(Type.String({ minLength: 8, maxLength: 9 }))),
  headers: Type.Optional(Type.Record(Type.String(), Type.String(), { maxProperties: 2 })),
  retry: Type.Optional(body({ delaysSeconds: Type.Array(Type.Number({ minimum: 0 }), { maxItems: 2 }) })),
})

function check(httpPart: string, value: unknown) {
  const result = validatorCompiler({ schema, method: 'POST', url: '/', httpPart })(value)
  const { error, value: read } = result as { error?: unknown; value?: unknown }
  return { read, refusal: error === undefined ? undefined : refusalOf(error) }
}

const refused: { value: unknown; field: string | undefined; message: string }[] = [
  { value: undefined, field: undefined, message: 'the body is missing; it must be a JSON object' },
  { value: null, field: undefined, message: 'the body is missing; it must be a JSON object' },
  { value: [], field: undefined, message: 'the body must be a JSON object' },
  { value: 'text', field: undefined, message: 'the body must be a JSON object' },
  { value: {}, field: 'name', message: 'name is missing' },
  {
    value: { name: 'abc', colour: 1 },
    field: 'colour',
    message: 'colour is not known here; known are name, plan, limit, active, secret, headers, retry',
  },
  {
    value: { name: 'abc', retry: { delaysSeconds: [], 'a/b~c': 1 } },
    field: 'retry.a/b~c',
    message: 'retry.a/b~c is not known here; known are delaysSeconds',
  },
  { value: { name: 'abc', retry: {} }, field: 'retry.delaysSeconds', message: 'retry.delaysSeconds is missing' },
  { value: { name: 'a' }, field: 'name', message: 'name has 1 characters, not 2 to 5' },
  { value: { name: 'ääääää' }, field: 'name', message: 'name has 6 characters, not 2 to 5' },
  { value: { name: 5 }, field: 'name', message: 'name is 5, not a text' },
  { value: { name: null }, field: 'name', message: 'name is null, not a text' },
  { value: { name: { password: 'hidden' } }, field: 'name', message: 'name is an object, not a text' },
  { value: { name: 'abc', plan: 'gold' }, field: 'plan', message: 'plan is "gold", not one of starter, business' },
  { value: { name: 'abc', limit: 0 }, field: 'limit', message: 'limit is 0, not 1 to 100' },
  { value: { name: 'abc', limit: '5' }, field: 'limit', message: 'limit is "5", not a whole number' },
  { value: { name: 'abc', limit: 1.5 }, field: 'limit', message: 'limit is 1.5, not a whole number' },
  { value: { name: 'abc', active: 'yes' }, field: 'active', message: 'active is "yes", not true or false' },
  { value: { name: 'abc', secret: 12_345 }, field: 'secret', message: 'secret is of another kind, not a text or null' },
  { value: { name: 'abc', secret: 'hunter2' }, field: 'secret', message: 'secret has 7 characters, not 8 to 9' },
  {
    value: { name: 'abc', retry: { delaysSeconds: [1, -1] } },
    field: 'retry.delaysSeconds[1]',
    message: 'retry.delaysSeconds[1] is -1, at least 0 needed',
  },
  {
    value: { name: 'abc', retry: { delaysSeconds: [1, 2, 3] } },
    field: 'retry.delaysSeconds',
    message: 'retry.delaysSeconds has 3 entries, at most 2 are taken',
  },
  {
    value: { name: 'abc', headers: { a: '1', b: '2', c: '3' } },
    field: 'headers',
    message: 'headers has 3 members, at most 2 are taken',
  },
]
for (const { value, field, message } of refused) {
  test(`a body is refused: ${message}`, () => {
    const { refusal } = check('body', value)
    assert.deepEqual(refusal, { status: 400, code: 'invalid', message, field, ownNames: false, retryAfterSeconds: undefined })
  })
}

test('a body is taken as it is, a null secret too', () => {
  const value = { name: 'abc', secret: null, retry: { delaysSeconds: [0, 1.5] } }
  assert.equal(check('body', value).read, value)
})

test('a long value is cut in the message', () => {
  const { refusal } = check('body', { name: 'abc', plan: 'x'.repeat(5_000) })
  assert.ok(refusal !== undefined && refusal.message.length < 200)
})

test('a query has its whole numbers and booleans read from text, and nothing else', () => {
  assert.deepEqual(check('querystring', { name: '12', limit: '12', active: 'false' }).read, {
    name: '12',
    limit: 12,
    active: false,
  })
  for (const limit of ['', 'x', '1.5', '0x10', '1e1', ' 1']) {
    assert.equal(
      check('querystring', { name: 'abc', limit }).refusal?.message,
      `limit is ${JSON.stringify(limit)}, not a whole number`,
    )
  }
  assert.equal(check('querystring', { name: 'abc', limit: '101' }).refusal?.message, 'limit is 101, not 1 to 100')
  assert.equal(check('querystring', { name: 'abc', limit: ['1', '2'] }).refusal?.message, 'limit is a list, not a whole number')
})
