import assert from 'node:assert/strict'
import { test } from 'node:test'
import { verify } from './verify.ts'

// The signature vectors of both contracts' digests, computed outside this project.
const MFTPLUS_BODY =
  '{"id":"whevt_1a2b3c4d5e6f7g8h","event":"transfer.completed","timestamp":"2026-04-29T15:30:00Z","data":{"transferId":"trf_1a2b3c4d5e6f"}}'
const TRUEFTP_BODY =
  '{"event":"file.uploaded","delivery_id":"f1e2d3c4-0000-4000-8000-000000000002","timestamp":"2026-06-08T12:00:00Z","account_id":"acct-1","data":{"path":"/incoming/données.csv","size":20480,"username":"pipeline","client_ip":"203.0.113.5"}}'
const mftplus = { 'x-webhook-signature': 'sha256=01733fc5a852c75b9f512e117d23a16f07e4e2dd3429cf1e9d1f47bb51a431b5' }
const trueftp = {
  'x-trueftp-timestamp': '1780920000',
  'x-trueftp-signature': 'sha256=30a9d0607ccbfd9a54e4ae8128b9d5d154309ebaf84af14f144f279cd96b7a4f',
}
const AT_THE_TIME = 1_780_920_000_000

const cases = [
  {
    name: 'mftplus, genuine',
    headers: mftplus,
    body: MFTPLUS_BODY,
    secret: 'your-signing-secret',
    dialect: 'mftplus',
    problem: undefined,
  },
  {
    name: 'mftplus, other secret',
    headers: mftplus,
    body: MFTPLUS_BODY,
    secret: 'other',
    dialect: 'mftplus',
    problem: 'signature_mismatch',
  },
  {
    name: 'mftplus, a changed byte',
    headers: mftplus,
    body: `${MFTPLUS_BODY} `,
    secret: 'your-signing-secret',
    dialect: 'mftplus',
    problem: 'signature_mismatch',
  },
  {
    name: 'mftplus, unsigned',
    headers: {},
    body: MFTPLUS_BODY,
    secret: 'your-signing-secret',
    dialect: 'mftplus',
    problem: 'signature_missing',
  },
  {
    name: 'trueftp, genuine, UTF-8',
    headers: trueftp,
    body: TRUEFTP_BODY,
    secret: 'test-secret',
    dialect: 'trueftp',
    problem: undefined,
  },
  {
    name: 'trueftp, another timestamp',
    headers: { ...trueftp, 'x-trueftp-timestamp': '1780920001' },
    body: TRUEFTP_BODY,
    secret: 'test-secret',
    dialect: 'trueftp',
    problem: 'signature_mismatch',
  },
  {
    name: 'trueftp, no timestamp',
    headers: { 'x-trueftp-signature': trueftp['x-trueftp-signature'] },
    body: TRUEFTP_BODY,
    secret: 'test-secret',
    dialect: 'trueftp',
    problem: 'timestamp_missing',
  },
] as const
for (const { name, headers, body, secret, dialect, problem } of cases) {
  test(`verify: ${name}`, () => assert.equal(verify(headers, Buffer.from(body), secret, { dialect, now: AT_THE_TIME }), problem))
}

test('verify: trueftp, replayed after the tolerance', () => {
  const now = AT_THE_TIME + 301_000
  assert.equal(verify(trueftp, Buffer.from(TRUEFTP_BODY), 'test-secret', { dialect: 'trueftp', now }), 'timestamp_off')
})
