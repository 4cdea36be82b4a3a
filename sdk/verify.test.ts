import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NOW, problemOf, SECRET, STANDARD_BODY, standardSigned, TRUEFTP, TRUEFTP_BODY, WHSEC, whpk } from './testing.ts'
import { type Dialect, type HeadersLike, type Secret, VerifyError, type VerifyOptions, verify } from './verify.ts'

const call = { headers: TRUEFTP as unknown, secret: SECRET as unknown, options: { dialect: 'trueftp' } as unknown }
const calls: { name: string; call: Partial<typeof call>; code: VerifyError['code']; says: RegExp }[] = [
  {
    name: 'no options',
    call: { options: undefined },
    code: 'options_malformed',
    says: /option dialect .* is undefined: is the var/,
  },
  { name: 'null for options', call: { options: null }, code: 'options_malformed', says: /option dialect/ },
  { name: 'no dialect', call: { options: {} }, code: 'options_malformed', says: /mftplus, trueftp, standard, cloudevents, and/ },
  { name: 'an unknown dialect', call: { options: { dialect: 'nope' } }, code: 'options_malformed', says: /this is "nope"/ },
  { name: 'what objects inherit', call: { options: { dialect: 'toString' } }, code: 'options_malformed', says: /"toString"/ },
  { name: 'a list of dialects', call: { options: { dialect: ['trueftp'] } }, code: 'options_malformed', says: /a list/ },
  {
    name: 'an unknown envelope',
    call: { options: { dialect: 'trueftp', envelope: 'constructor' } },
    code: 'options_malformed',
    says: /option envelope .* "constructor"/,
  },
  {
    name: 'one old secret that is no list',
    call: { secret: 'another', options: { dialect: 'trueftp', oldSecrets: SECRET } },
    code: 'options_malformed',
    says: /oldSecrets is a list/,
  },
  ...[
    { given: Number.NaN, says: /toleranceSeconds is a number of seconds from 0 on, and this is NaN/ },
    { given: -1, says: /this is -1/ },
    { given: Number.NEGATIVE_INFINITY, says: /this is -Infinity/ },
    { given: '300', says: /of the type string/ },
  ].map(({ given, says }) => ({
    name: `a tolerance of ${JSON.stringify(given)} (${given})`,
    call: { options: { dialect: 'trueftp', toleranceSeconds: given } },
    code: 'options_malformed' as const,
    says,
  })),
  {
    name: 'a time that is none',
    call: { options: { dialect: 'trueftp', now: Number.NaN } },
    code: 'options_malformed',
    says: /option now is a time in milliseconds/,
  },
  { name: 'no headers', call: { headers: undefined }, code: 'headers_malformed', says: /headers of the request are needed/ },
  { name: 'null for headers', call: { headers: null }, code: 'headers_malformed', says: /headers of the request are needed/ },
  { name: 'text for headers', call: { headers: 'a: b' }, code: 'headers_malformed', says: /not string/ },
  {
    name: 'a number for a header',
    call: { headers: { ...TRUEFTP, 'x-trueftp-signature': 1 } },
    code: 'signature_malformed',
    says: /1 char/,
  },
  {
    name: 'null for a header',
    call: { headers: { ...TRUEFTP, 'x-trueftp-signature': null } },
    code: 'signature_missing',
    says: /no header/,
  },
  { name: 'a number for a secret', call: { secret: 7 }, code: 'secret_malformed', says: /of the type number/ },
  { name: 'a number among secrets', call: { secret: [SECRET, 7] }, code: 'secret_malformed', says: /of the type number/ },
  { name: 'a list in a list', call: { secret: [[SECRET]] }, code: 'secret_malformed', says: /a list/ },
]
for (const { name, call: given, code, says } of calls) {
  test(`a wrong call is told so: ${name}`, () => {
    const { headers, secret, options } = { ...call, ...given }
    const attempt = () => verify(headers as HeadersLike, TRUEFTP_BODY, secret as Secret, options as VerifyOptions)
    assert.throws(attempt, (error) => error instanceof VerifyError && error.code === code && says.test(error.message))
  })
}

for (const [name, secret] of Object.entries({
  'a number': 7,
  bytes: Buffer.from(WHSEC),
  'a key set that is none': { keys: 'x' },
  'no key in a set': { keys: [null] },
  'a key that is a number': { kty: 'OKP', crv: 'Ed25519', x: 7 },
})) {
  test(`a wrong secret is told so in standard: ${name}`, () => {
    const headers = standardSigned(STANDARD_BODY)
    const problem = problemOf(headers, STANDARD_BODY, secret as Secret, { dialect: 'standard', now: NOW })
    assert.match(problem.code, /^(secret_malformed|wrong_key)$/, problem.message)
  })
}

test('no header and no body makes it accept, break or tell a secret', () => {
  const someHeader = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.base64String(), fc.constant('1780920000'))
  const someHeaders = fc.record(
    {
      'x-webhook-signature': someHeader,
      'x-trueftp-signature': someHeader,
      'x-trueftp-timestamp': someHeader,
      'webhook-id': someHeader,
      'webhook-timestamp': someHeader,
      'webhook-signature': someHeader.map((text) => `v1,${text} v1a,${text}`),
      'content-length': someHeader,
    },
    { requiredKeys: [] },
  )
  const someBody = fc.oneof(fc.json(), fc.string({ unit: 'grapheme' }), fc.uint8Array())
  const someDialect = fc.constantFrom<Dialect>('mftplus', 'trueftp', 'standard', 'cloudevents')
  const secret = 'a secret that no text holds by chance'
  fc.assert(
    fc.property(someHeaders, someBody, someDialect, (headers, body, dialect) => {
      for (const one of [secret, WHSEC, whpk].slice(0, dialect === 'mftplus' || dialect === 'trueftp' ? 2 : 3)) {
        assert.ok(!problemOf(headers as HeadersLike, body, one, { dialect }).message.includes(one))
      }
    }),
  )
})
