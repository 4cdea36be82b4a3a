import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Webhook as Svix } from 'svix'
import {
  asymmetricallySigned,
  isTold,
  jwk,
  MFTPLUS_BODY,
  mac,
  NOW,
  problemOf,
  SECONDS,
  SECRET,
  STANDARD_BODY,
  standardSigned,
  TRUEFTP,
  TRUEFTP_BODY,
  verifies,
  WHSEC,
  whpk,
} from './testing.ts'
import { verify } from './verify.ts'

const standard = { dialect: 'standard' } as const
const base = { headers: TRUEFTP, body: TRUEFTP_BODY, secret: 'test-secret' }

verifies('standard', { id: 'whevt_1' }, [
  { name: 'standard', headers: standardSigned(STANDARD_BODY), body: STANDARD_BODY, secret: WHSEC },
  {
    name: 'standard, signed by svix',
    headers: {
      ...standardSigned(STANDARD_BODY),
      'webhook-signature': new Svix(WHSEC).sign('whevt_1', new Date(NOW), STANDARD_BODY),
    },
    body: STANDARD_BODY,
    secret: WHSEC,
  },
  {
    name: 'standard, a secret that is text',
    headers: {
      ...standardSigned(STANDARD_BODY),
      'webhook-signature': `v1,${mac(SECRET, `whevt_1.${SECONDS}.${STANDARD_BODY}`, 'base64')}`,
    },
    body: STANDARD_BODY,
    secret: SECRET,
  },
  {
    name: 'standard, the second of two signatures',
    headers: {
      ...standardSigned(STANDARD_BODY),
      'webhook-signature': `v1,AAAA ${standardSigned(STANDARD_BODY)['webhook-signature']}`,
    },
    body: STANDARD_BODY,
    secret: WHSEC,
  },
  { name: 'v1a, whpk_', headers: asymmetricallySigned(STANDARD_BODY), body: STANDARD_BODY, secret: whpk },
  {
    name: 'v1a, JSON Web Key',
    headers: asymmetricallySigned(STANDARD_BODY),
    body: STANDARD_BODY,
    secret: jwk,
  },
  {
    name: 'v1a, one of a key set',
    headers: asymmetricallySigned(STANDARD_BODY),
    body: STANDARD_BODY,
    secret: { keys: [{ kty: 'RSA' }, jwk] },
  },
])

isTold('standard', [
  {
    ...base,
    name: 'no id',
    headers: { 'webhook-signature': 'v1,AAAA', 'webhook-timestamp': '1780920000' },
    options: standard,
    code: 'id_missing',
    says: /webhook-id/,
  },
  {
    ...base,
    name: 'whsec_ without its prefix where it is decoded',
    headers: standardSigned(STANDARD_BODY),
    body: STANDARD_BODY,
    secret: WHSEC.slice(6),
    options: standard,
    code: 'secret_encoding',
    says: /with the prefix whsec_/,
  },
  {
    ...base,
    name: 'quotes around whsec_',
    headers: standardSigned(STANDARD_BODY),
    body: STANDARD_BODY,
    secret: `"${WHSEC}"`,
    options: standard,
    code: 'secret_encoding',
    says: /remove/,
  },
  {
    ...base,
    name: 'hex for base64',
    headers: {
      ...standardSigned(STANDARD_BODY),
      'webhook-signature': `v1,${mac(Buffer.from(WHSEC.slice(6), 'base64'), `whevt_1.${SECONDS}.${STANDARD_BODY}`)}`,
    },
    body: STANDARD_BODY,
    secret: WHSEC,
    options: standard,
    code: 'signature_encoding',
    says: /hex behind `v1,`/,
  },
  {
    ...base,
    name: 'a shared secret for v1a',
    headers: asymmetricallySigned(STANDARD_BODY),
    body: STANDARD_BODY,
    secret: WHSEC,
    options: standard,
    code: 'wrong_key',
    says: /public one/,
  },
  {
    ...base,
    name: 'a public key for v1',
    headers: standardSigned(STANDARD_BODY),
    body: STANDARD_BODY,
    secret: whpk,
    options: standard,
    code: 'wrong_key',
    says: /shared secret \(v1\)/,
  },
  { ...base, name: 'half a public key', secret: 'whpk_AAAA', options: standard, code: 'secret_malformed', says: /32 bytes/ },
  { ...base, name: 'a private key', secret: 'whsk_AAAA', options: standard, code: 'secret_malformed', says: /private key/ },
  {
    ...base,
    name: 'v1a over another body',
    headers: asymmetricallySigned('{}'),
    body: STANDARD_BODY,
    secret: whpk,
    options: standard,
    code: 'signature_mismatch',
    says: /changed/,
  },
])

test('another envelope than that of the signature, as alsoSign makes it', () => {
  const headers = standardSigned(MFTPLUS_BODY)
  const event = verify(headers, MFTPLUS_BODY, WHSEC, { dialect: 'standard', envelope: 'mftplus', now: NOW })
  assert.equal(event.event, 'transfer.completed')
  const problem = problemOf(headers, MFTPLUS_BODY, WHSEC, { dialect: 'standard' })
  assert.equal(problem.code, 'body_not_event')
  assert.match(problem.message, /envelope: 'mftplus'/)
})
