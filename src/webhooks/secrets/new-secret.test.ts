import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Webhook as Receiver } from 'standardwebhooks'
import { createSeal, MASTER_KEY_BYTES } from '../../base/seal.ts'
import type { DialectName } from '../../dialects/dialect.ts'
import { DIALECT_NAMES } from '../../dialects/index.ts'
import { hmacKeyBytes } from '../../dialects/key.ts'
import { MASKED } from '../redact.ts'
import { NOW, webhookOf } from '../testing.ts'
import { type Webhook, type WebhookOptions, webhookSecretPurpose } from '../webhook.ts'
import { checkSecret, makeSecret, secretAfter } from './new-secret.ts'

const seal = createSeal(Buffer.alloc(MASTER_KEY_BYTES, 1))
const sealed = (secret: string) => seal.seal(secret, webhookSecretPurpose('wh_1'))
const opened = (text: string | null) => (text === null ? null : seal.open(text, webhookSecretPurpose('wh_1')))

const whsec = (bytes: number) => `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`
const WHSK = `whsk_${Buffer.alloc(32, 7).toString('base64')}`

const checks: readonly {
  name: string
  dialect: DialectName
  options?: WebhookOptions
  secret: string
  refused?: RegExp
}[] = [
  { name: 'any text', dialect: 'mftplus', secret: 'your-signing-secret' },
  { name: 'any text', dialect: 'cloudevents', secret: 'your-signing-secret' },
  { name: 'too short', dialect: 'mftplus', secret: 'hunter2', refused: /8 to 256 characters, not 7/ },
  { name: 'the mask of secrets', dialect: 'mftplus', secret: MASKED, refused: /^AppError: secret is the mask/ },
  { name: 'more asterisks than the mask', dialect: 'mftplus', secret: `${MASKED}*` },
  {
    name: 'any text',
    dialect: 'standard',
    secret: 'your-signing-secret',
    refused: /whsec_ .* 24 to 64 bytes.* of 19 characters/,
  },
  { name: '24 bytes', dialect: 'standard', secret: whsec(24) },
  { name: '64 bytes', dialect: 'standard', secret: whsec(64) },
  { name: '23 bytes', dialect: 'standard', secret: whsec(23), refused: /24 to 64 bytes after whsec_, not 23/ },
  { name: '65 bytes', dialect: 'standard', secret: whsec(65), refused: /not 65/ },
  { name: 'a key pair', dialect: 'standard', secret: WHSK },
  { name: 'a broken key pair', dialect: 'standard', secret: `${WHSK}=`, refused: /neither/ },
  { name: 'a key pair', dialect: 'cloudevents', secret: WHSK },
  { name: 'a broken key pair', dialect: 'cloudevents', secret: `${WHSK}=`, refused: /begins with whsk_, but .* Ed25519/ },
  { name: 'a broken key pair', dialect: 'mftplus', secret: `${WHSK}=` },
  { name: 'base64 of another length', dialect: 'cloudevents', secret: whsec(8) },
  { name: 'whsec_ and text', dialect: 'mftplus', secret: 'whsec_not base64' },
  {
    name: 'whsec_ and text',
    dialect: 'cloudevents',
    secret: 'whsec_not base64',
    refused: /dialect cloudevents .* 16 characters/,
  },
  { name: 'whsec_ without padding', dialect: 'cloudevents', secret: whsec(32).slice(0, -1), refused: /base64, with its padding/ },
  {
    name: 'whsec_ without padding, where standard signs along',
    dialect: 'mftplus',
    options: { alsoSign: ['trueftp', 'standard'] },
    secret: whsec(32).slice(0, -1),
    refused: /receivers of the dialect standard decode the rest/,
  },
  {
    name: 'whsec_ without padding, where standard does not sign',
    dialect: 'trueftp',
    options: { alsoSign: ['mftplus'] },
    secret: whsec(32).slice(0, -1),
  },
  { name: 'a key pair', dialect: 'mftplus', secret: WHSK, refused: /cannot sign in the dialect mftplus/ },
  {
    name: 'a key pair where another signs along',
    dialect: 'standard',
    options: { alsoSign: ['mftplus', 'trueftp'] },
    secret: WHSK,
    refused: /cannot sign in the dialect mftplus, trueftp/,
  },
]
for (const { name, dialect, options = {}, secret, refused } of checks) {
  test(`secret in ${dialect}: ${name} is ${refused === undefined ? 'accepted' : 'refused'}`, () => {
    const check = () => checkSecret({ id: 'wh_1', dialect, options }, secret)
    if (refused === undefined) return check()
    assert.throws(check, (error: Error & { field?: string }) => {
      assert.equal(error.field, 'secret')
      assert.match(String(error), refused)
      assert.ok(!error.message.includes(secret.slice(5)), 'its text is in no message')
      return true
    })
  })
}

for (const dialect of DIALECT_NAMES) {
  test(`secret in ${dialect}: a made one is accepted there, is new each time and signs the standard way`, () => {
    const secret = makeSecret(dialect)
    checkSecret({ id: 'wh_1', dialect, options: {} }, secret)
    assert.notEqual(makeSecret(dialect), secret)
    assert.ok((hmacKeyBytes(secret) ?? 0) >= 24)
    assert.doesNotThrow(() => new Receiver(secret))
  })
}

const rotating = {
  sealedSecret: sealed(whsec(32)),
  sealedSecretBefore: sealed('your-signing-secret'),
  secretBeforeUntil: NOW + 1,
}
const over = { ...rotating, secretBeforeUntil: NOW }
const changes: readonly {
  name: string
  before?: Partial<Webhook>
  after?: Partial<Webhook>
  given?: string | null
  expected: string | null | 'made'
  until?: number | null
  refused?: RegExp
}[] = [
  { name: 'none is needed', expected: null },
  { name: 'the dialect needs one', after: { dialect: 'standard' }, expected: 'made' },
  { name: 'another dialect signs along', after: { options: { alsoSign: ['standard'] } }, expected: 'made' },
  { name: 'null where one is needed and none was', after: { dialect: 'trueftp' }, given: null, expected: 'made' },
  { name: 'the one there is stays, with its rotation', before: rotating, expected: whsec(32), until: NOW + 1 },
  { name: 'the one before goes when its time is over', before: over, expected: whsec(32) },
  {
    name: 'a given one counts at once and ends a rotation',
    before: rotating,
    given: 'another-secret',
    expected: 'another-secret',
  },
  {
    name: 'the mask keeps the one there is, with its rotation',
    before: rotating,
    given: MASKED,
    expected: whsec(32),
    until: NOW + 1,
  },
  {
    name: 'the mask where a new dialect cannot use the stored one',
    before: { sealedSecret: sealed('your-signing-secret') },
    after: { dialect: 'standard' },
    given: MASKED,
    expected: null,
    refused: /whsec_/,
  },
  { name: 'the mask where nothing is stored', before: {}, given: MASKED, expected: null, refused: /secret is the mask/ },
  { name: 'the mask for a new webhook', given: MASKED, expected: null, refused: /secret is the mask/ },
  { name: 'null ends a rotation too', before: rotating, given: null, expected: null },
  {
    name: 'null where one is needed',
    before: { ...rotating, dialect: 'trueftp' },
    after: { dialect: 'trueftp' },
    given: null,
    expected: null,
    refused: /cannot be null: deliveries in the dialect trueftp are always signed/,
  },
  {
    name: 'a new dialect cannot use the stored one',
    before: { sealedSecret: sealed('your-signing-secret') },
    after: { dialect: 'standard' },
    expected: null,
    refused: /whsec_/,
  },
  {
    name: 'nor can one that signs along',
    before: { sealedSecret: sealed('whsec_not base64'), options: {} },
    after: { options: { alsoSign: ['standard'] } },
    expected: null,
    refused: /begins with whsec_, so receivers of the dialect standard/,
  },
  {
    name: 'nor the one before, while it counts',
    before: rotating,
    after: { dialect: 'standard' },
    expected: null,
    refused: /^AppError: the secret before, which counts until \d.*Z, does not fit: .* whsec_/,
  },
  {
    name: 'what is stored stays where its use stays',
    before: { sealedSecret: sealed('whsec_not base64') },
    after: { options: { alsoSign: ['standard'] } },
    expected: 'whsec_not base64',
  },
  { name: 'one before whose time is over is in nobody’s way', before: over, after: { dialect: 'standard' }, expected: whsec(32) },
]
for (const { name, before, after, given, expected, until = null, refused } of changes) {
  test(`secretAfter: ${name}`, () => {
    const change = () =>
      secretAfter(webhookOf(after), given, before === undefined ? null : webhookOf({ ...after, dialect: 'mftplus', ...before }), {
        seal,
        now: NOW,
      })
    if (refused !== undefined) return void assert.throws(change, refused)
    const { madeSecret, sealedSecret, sealedSecretBefore, secretBeforeUntil } = change()
    assert.equal(opened(sealedSecret), expected === 'made' ? madeSecret : expected)
    assert.equal(madeSecret === null, expected !== 'made')
    assert.deepEqual([secretBeforeUntil, sealedSecretBefore === null], [until, until === null])
  })
}
