import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lane } from './lane.ts'
import { openSecrets } from './opened-secrets.ts'
import { NOW, webhookOf } from './testing.ts'

function recordingSeal() {
  const opened: string[] = []
  const open = (sealed: string, purpose: string) => {
    opened.push(`${sealed} for ${purpose}`)
    return sealed.toUpperCase()
  }
  return { opened, open }
}

const rotating = { sealedSecret: 'new', sealedSecretBefore: 'old', secretBeforeUntil: NOW }
const cases = [
  { name: 'none', webhook: {}, now: NOW, secrets: { secret: null, secretBefore: null } },
  { name: 'one', webhook: { sealedSecret: 'new' }, now: NOW, secrets: { secret: 'NEW', secretBefore: null } },
  { name: 'both just before the end', webhook: rotating, now: NOW - 1, secrets: { secret: 'NEW', secretBefore: 'OLD' } },
  { name: 'the new one at the end', webhook: rotating, now: NOW, secrets: { secret: 'NEW', secretBefore: null } },
]
for (const { name, webhook, now, secrets } of cases) {
  test(`secrets: ${name}`, () => {
    assert.deepEqual(openSecrets(webhookOf(webhook), recordingSeal(), now), { ...secrets, options: null })
  })
}

test('secrets: those of the options are their JSON', () => {
  const seal = { open: () => '{"auth":"a token"}' }
  assert.deepEqual(openSecrets(webhookOf({ sealedOptions: 'sealed' }), seal, NOW).options, { auth: 'a token' })
})

test('lane: opens secrets again only when a sealed text is another or the one before has ended', () => {
  const lane = new Lane('wh_1', 1)
  const seal = recordingSeal()
  const secretOf = (changes: Parameters<typeof webhookOf>[0], now = NOW - 1) => {
    const { secret, secretBefore } = lane.secretsOf(webhookOf(changes), seal, now)
    return [secret, secretBefore]
  }
  assert.deepEqual(secretOf({}), [null, null])
  assert.deepEqual(secretOf({ sealedSecret: 'old' }), ['OLD', null])
  assert.deepEqual(secretOf({ sealedSecret: 'old' }), ['OLD', null])
  assert.deepEqual(seal.opened.splice(0), ['old for webhook.secret:wh_1'])
  assert.deepEqual(secretOf(rotating), ['NEW', 'OLD'])
  assert.deepEqual(secretOf(rotating), ['NEW', 'OLD'])
  assert.deepEqual(seal.opened.splice(0), ['new for webhook.secret:wh_1', 'old for webhook.secret:wh_1'])
  assert.deepEqual(secretOf(rotating, NOW), ['NEW', null])
  assert.deepEqual(secretOf(rotating, NOW + 1), ['NEW', null])
  assert.deepEqual(seal.opened, ['new for webhook.secret:wh_1'])
})
