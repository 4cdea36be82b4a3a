import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { test } from 'node:test'
import type { Caller } from '../../audit/caller.ts'
import type { AuditEntry } from '../../audit/entry.ts'
import { AppError } from '../../base/error.ts'
import { createSeal, MASTER_KEY_BYTES } from '../../base/seal.ts'
import { dialectOf } from '../../dialects/index.ts'
import { openSecrets } from '../opened-secrets.ts'
import { MASKED } from '../redact.ts'
import { NOW, webhookOf } from '../testing.ts'
import { type Webhook, webhookSecretPurpose } from '../webhook.ts'
import { createSecretAdmin, OVERLAP_SECONDS_MAX, type RotationInput } from './rotate.ts'

const DAY = 86_400_000
const seal = createSeal(Buffer.alloc(MASTER_KEY_BYTES, 1))
const sealed = (secret: string) => seal.seal(secret, webhookSecretPurpose('wh_1'))
const admin: Caller = { actor: 'admin', address: null, door: 'cli', accountId: null }

const OLD = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
const NEW = `whsec_${Buffer.alloc(32, 2).toString('base64')}`
const pair = (byte: number) => `whsk_${Buffer.alloc(32, byte).toString('base64')}`

function worldOf(changes: Partial<Webhook> = {}) {
  let webhook = webhookOf({ dialect: 'standard', sealedSecret: sealed(OLD), ...changes })
  let now = NOW
  let conflicts = 0
  const audits: AuditEntry[] = []
  const service = createSecretAdmin({
    seal,
    clock: { now: () => now },
    store: {
      findWebhook: async (id) => (id === webhook.id ? webhook : undefined),
      async updateWebhook(after, before, audit) {
        if (conflicts-- > 0) {
          webhook = { ...webhook, name: 'changed meanwhile', updatedAt: webhook.updatedAt + 1 }
          throw new AppError('conflict', 'changed meanwhile')
        }
        assert.equal(before.updatedAt, webhook.updatedAt)
        webhook = after
        audits.push(audit)
      },
    },
  })
  return {
    service,
    audits,
    rotate: (input: RotationInput) => service.rotate('wh_1', input, admin),
    secrets() {
      const { secret, secretBefore } = openSecrets(webhook, seal, now)
      return [secret, secretBefore]
    },
    webhook: () => webhook,
    pass: (ms: number) => {
      now += ms
    },
    disturb: (times: number) => {
      conflicts = times
    },
  }
}

test('rotate: both secrets count for a day, then the new one', async () => {
  const world = worldOf()
  const { madeSecret, cutOverAt, webhook, note } = await world.rotate({})
  assert.match(madeSecret ?? '', /^whsec_/)
  assert.equal(cutOverAt, NOW + DAY)
  assert.deepEqual(world.secrets(), [madeSecret, OLD])
  assert.deepEqual(world.service.factsOf(webhook).rotation, { cutOverAt })
  assert.match(note, /Until 2026-11-22T12:00:00.000Z deliveries carry the signatures of both secrets \(standard\)/)
  world.pass(DAY)
  assert.deepEqual(world.secrets(), [madeSecret, null])
  assert.equal(world.service.factsOf(webhook).rotation, null)
  const [entry] = world.audits
  assert.deepEqual([entry?.action, entry?.target, entry?.detail], ['webhook.rotate_secret', 'wh_1', null])
})

test('rotate: a dialect with one signature keeps to the old secret until the moment', async () => {
  const world = worldOf({ dialect: 'mftplus', options: { alsoSign: ['standard'] } })
  const { note } = await world.rotate({ secret: NEW, overlapSeconds: 60 })
  assert.match(note, /both secrets \(standard\)/)
  assert.match(note, /signed with the secret before \(mftplus\)/)
  const signature = () => {
    const [secret, secretBefore] = world.secrets() as [string, string | null]
    const facts = { deliveryId: 'dlv_1', eventId: 'whevt_1', eventType: 'file.uploaded', startedAt: NOW, body: Buffer.from('{}') }
    return dialectOf('mftplus').headers({ ...facts, secret, secretBefore })['X-Webhook-Signature']
  }
  const signedBy = (secret: string) =>
    dialectOf('mftplus').headers({
      ...{ deliveryId: 'dlv_1', eventId: 'whevt_1', eventType: 'file.uploaded', startedAt: NOW, body: Buffer.from('{}') },
      ...{ secret, secretBefore: null },
    })['X-Webhook-Signature']
  world.pass(59_999)
  assert.equal(signature(), signedBy(OLD))
  world.pass(1)
  assert.equal(signature(), signedBy(NEW))
})

test('rotate: without overlap, and where none was signed before, the new secret counts at once', async () => {
  for (const changes of [{}, { sealedSecret: null, dialect: 'cloudevents' as const }]) {
    const world = worldOf(changes)
    const { cutOverAt, madeSecret, note } = await world.rotate({ secret: NEW, overlapSeconds: 'dialect' in changes ? 3600 : 0 })
    assert.deepEqual([cutOverAt, madeSecret, note], [NOW, null, 'The new secret counts at once.'])
    assert.deepEqual(world.secrets(), [NEW, null])
    assert.equal(world.webhook().sealedSecretBefore, null)
  }
})

const THIRD = `whsec_${Buffer.alloc(32, 3).toString('base64')}`
const again = [
  {
    name: 'with an overlap is refused',
    input: { secret: THIRD },
    refused: /runs until 2026-11-22T12:00:00.000Z; with overlapSeconds 0/,
  },
  { name: 'the new secret ends the overlap', input: { secret: NEW, overlapSeconds: 0 }, secrets: [NEW, null] },
  { name: 'the old secret takes it back', input: { secret: OLD, overlapSeconds: 0 }, secrets: [OLD, null] },
  { name: 'another one counts at once', input: { secret: THIRD, overlapSeconds: 0 }, secrets: [THIRD, null] },
]
for (const { name, input, refused, secrets } of again) {
  test(`rotate during an overlap: ${name}`, async () => {
    const world = worldOf()
    await world.rotate({ secret: NEW })
    if (refused === undefined) await world.rotate(input)
    else await assert.rejects(world.rotate(input), { code: 'conflict', message: refused })
    assert.deepEqual(world.secrets(), secrets ?? [NEW, OLD])
  })
}

test('rotate: after an overlap the next one begins with the secret of now', async () => {
  const world = worldOf()
  await world.rotate({ secret: NEW })
  world.pass(DAY)
  await world.rotate({ secret: THIRD, overlapSeconds: 1 })
  assert.deepEqual(world.secrets(), [THIRD, NEW])
})

test('rotate: a change in between is kept, and the rotation made on top of it', async () => {
  const world = worldOf()
  world.disturb(2)
  const { webhook } = await world.rotate({ secret: NEW })
  assert.deepEqual([webhook.name, ...world.secrets()], ['changed meanwhile', NEW, OLD])
})

const refusals: readonly { name: string; input: RotationInput; field: string; says: RegExp }[] = [
  { name: 'a negative overlap', input: { overlapSeconds: -1 }, field: 'overlapSeconds', says: /0 to 2592000, not -1/ },
  { name: 'a long overlap', input: { overlapSeconds: OVERLAP_SECONDS_MAX + 1 }, field: 'overlapSeconds', says: /not 2592001/ },
  { name: 'the same secret', input: { secret: OLD }, field: 'secret', says: /has already/ },
  { name: 'a secret that the dialect cannot use', input: { secret: 'your-signing-secret' }, field: 'secret', says: /whsec_/ },
]
for (const { name, input, field, says } of refusals) {
  test(`rotate: ${name} is refused and changes nothing`, async () => {
    const world = worldOf()
    await assert.rejects(world.rotate(input), { code: 'invalid', field, message: says })
    assert.deepEqual(world.secrets(), [OLD, null])
    assert.equal(world.audits.length, 0)
  })
}

test('rotate: the mask of secrets is none, also where one is stored', async () => {
  const world = worldOf({ dialect: 'mftplus' })
  await assert.rejects(world.rotate({ secret: MASKED }), { field: 'secret', message: /is the mask/ })
  assert.deepEqual(world.secrets(), [OLD, null])
})

test('rotate: a secret that a receiver of CloudEvents could not decode is refused', async () => {
  const world = worldOf({ dialect: 'cloudevents' })
  await assert.rejects(world.rotate({ secret: OLD.slice(0, -1) }), { field: 'secret', message: /base64, with its padding/ })
  assert.deepEqual(world.secrets(), [OLD, null])
})

test('rotate: the webhook of another account does not exist', async () => {
  const world = worldOf({ accountId: 'acc_1' })
  const stranger = { ...admin, accountId: 'acc_2' }
  await assert.rejects(world.service.rotate('wh_1', {}, stranger), { code: 'not_found' })
  await assert.rejects(world.service.rotate('wh_2', {}, admin), { code: 'not_found' })
})

test('public keys: from a shared secret to a pair and on to another pair', async () => {
  const world = worldOf()
  await assert.rejects(world.service.publicKeys('wh_1'), { code: 'not_found' })
  await assert.rejects(world.service.publicKeys('wh_2'), { code: 'not_found' })
  await world.rotate({ secret: pair(1), overlapSeconds: 1 })
  assert.equal((await world.service.publicKeys('wh_1')).length, 1)
  world.pass(1000)
  await world.rotate({ secret: pair(2), overlapSeconds: 1 })
  const keys = await world.service.publicKeys('wh_1')
  assert.deepEqual(
    keys.map((key) => key.text),
    [world.service.factsOf(world.webhook()).publicKey, keys[1]!.text],
  )
  assert.notEqual(keys[0]!.jwk.kid, keys[1]!.jwk.kid)

  // A receiver with nothing but the key set verifies both signatures of a delivery.
  const [secret, secretBefore] = world.secrets() as [string, string]
  const facts = { deliveryId: 'dlv_1', eventId: 'whevt_1', eventType: 'file.uploaded', startedAt: NOW, body: Buffer.from('{}') }
  const headers = dialectOf('standard').headers({ ...facts, secret, secretBefore })
  const content = Buffer.from(`whevt_1.${headers['webhook-timestamp']}.{}`)
  const signatures = headers['webhook-signature']!.split(' ').map((one) => Buffer.from(one.replace('v1a,', ''), 'base64'))
  for (const [index, { jwk }] of keys.entries())
    assert.ok(verify(null, content, createPublicKey({ key: { ...jwk }, format: 'jwk' }), signatures[index]!))

  world.pass(1000)
  assert.deepEqual(
    (await world.service.publicKeys('wh_1')).map((key) => key.text),
    [keys[0]!.text],
  )
})

test('public keys: the thumbprint of RFC 8037 appendix A.3', async () => {
  const seed = Buffer.from('nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A', 'base64url')
  const world = worldOf({ sealedSecret: sealed(`whsk_${seed.toString('base64')}`) })
  const [key] = await world.service.publicKeys('wh_1')
  assert.deepEqual(key?.jwk, {
    ...{ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
    ...{ kid: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k', use: 'sig', alg: 'EdDSA' },
  })
})

test('facts: a webhook whose secret does not open is still told', () => {
  const { service } = worldOf()
  const webhook = webhookOf({ sealedSecret: 'v1.AAAA' })
  assert.deepEqual(service.factsOf(webhook), { publicKey: null, rotation: null })
})
