import { isTold, MFTPLUS, MFTPLUS_BODY, mac, SECRET, TRUEFTP, TRUEFTP_BODY, verifies } from './testing.ts'

verifies('mftplus', {}, [
  { name: 'mftplus', headers: MFTPLUS, body: MFTPLUS_BODY, secret: SECRET },
  { name: 'the old secret of a rotation', headers: MFTPLUS, body: MFTPLUS_BODY, secret: ['new', SECRET] },
  {
    name: 'header names in any case, values in arrays',
    headers: { 'X-WEBHOOK-Signature': [MFTPLUS['x-webhook-signature']] },
    body: MFTPLUS_BODY,
    secret: SECRET,
  },
])

const base = { headers: TRUEFTP, body: TRUEFTP_BODY, secret: 'test-secret' }

isTold('mftplus', [
  {
    ...base,
    name: 'the headers of another dialect',
    options: { dialect: 'mftplus' },
    code: 'wrong_dialect',
    says: /dialect: 'trueftp'/,
  },
  {
    ...base,
    name: 'the headers of two dialects, one of them right',
    headers: { ...TRUEFTP, ...MFTPLUS },
    options: { dialect: 'mftplus' },
    code: 'wrong_dialect',
    says: /that of trueftp does/,
  },
  {
    ...base,
    name: 'base64 for hex',
    headers: { 'x-webhook-signature': `sha256=${mac(SECRET, MFTPLUS_BODY, 'base64')}` },
    body: MFTPLUS_BODY,
    secret: SECRET,
    options: { dialect: 'mftplus' },
    code: 'signature_encoding',
    says: /base64 behind `sha256=`/,
  },
  {
    ...base,
    name: 'upper-case hex without a prefix',
    headers: { 'x-webhook-signature': mac(SECRET, MFTPLUS_BODY).toUpperCase() },
    body: MFTPLUS_BODY,
    secret: SECRET,
    options: { dialect: 'mftplus' },
    code: 'signature_encoding',
    says: /upper-case hex without a prefix/,
  },
  {
    ...base,
    name: 'a signature cut short',
    headers: { 'x-webhook-signature': 'sha256=01733fc5' },
    body: MFTPLUS_BODY,
    secret: SECRET,
    options: { dialect: 'mftplus' },
    code: 'signature_malformed',
    says: /has 15 characters/,
  },
])
