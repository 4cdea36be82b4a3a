import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { problemOf, WHSEC, whpk } from './testing.ts'
import type { Dialect, HeadersLike } from './verify.ts'

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
