import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { type Answer, openWorld } from './testing.ts'

let world: Awaited<ReturnType<typeof openWorld>>
before(async () => {
  world = await openWorld()
})
after(() => world.close())

const good = { url: 'https://receiver.example/hook', events: ['file.uploaded'] }
const pair = (byte: number) => `whsk_${Buffer.alloc(32, byte).toString('base64')}`

/** The clock of this world goes on while a request is on its way. */
function assertIn(at: string, now: number, ms: number): void {
  const offMs = now + ms - Date.parse(at)
  assert.ok(offMs >= 0 && offMs < 30 * SECOND_MS, `${at} is not ${ms} ms from now`)
}

test('rotation: made, told once, and seen in the webhook until the cut-over', async () => {
  const { call, clock } = world
  const made = await call('POST', '/api/webhooks', { ...good, dialect: 'standard' })
  const { id } = made.json.data.webhook
  assert.deepEqual([made.json.data.webhook.secretRotation, made.json.data.webhook.publicKey], [null, null])
  const { status, json } = await call('POST', `/api/webhooks/${id}/rotate-secret`, { overlapSeconds: 3600 })
  const { cutOverAt } = json.data
  assert.equal(status, 200)
  assertIn(cutOverAt, clock.now(), HOUR_MS)
  assert.match(json.data.secret, /^whsec_/)
  assert.match(json.data.note, /both secrets \(standard\)/)
  assert.deepEqual(json.data.webhook.secretRotation, { cutOverAt })

  const seen = await call('GET', `/api/webhooks/${id}`)
  assert.deepEqual(seen.json.data.webhook.secretRotation, { cutOverAt })
  assert.ok(!seen.text.includes(json.data.secret))
  clock.ahead(HOUR_MS)
  assert.equal((await call('GET', `/api/webhooks/${id}`)).json.data.webhook.secretRotation, null)
  const { json: trail } = await call('GET', '/api/audit?action=webhook.rotate_secret')
  assert.ok(!JSON.stringify(trail).includes(json.data.secret))
})

test('rotation: without a body a secret is made and the overlap is a day; a second one is refused meanwhile', async () => {
  const { call } = world
  const { json } = await call('POST', '/api/webhooks', { ...good, secret: 'your-signing-secret' })
  const path = `/api/webhooks/${json.data.webhook.id}/rotate-secret`
  const first = await call('POST', path)
  assertIn(first.json.data.cutOverAt, world.clock.now(), 24 * HOUR_MS)
  const second = await call('POST', path, {})
  assert.deepEqual([second.status, second.json.details.code], [409, 'conflict'])
  assert.equal((await call('POST', path, { overlapSeconds: 0 })).status, 200)
})

const refusals = [
  { name: 'an overlap over its bound', body: { overlapSeconds: 2_592_001 }, field: 'overlapSeconds' },
  { name: 'a short secret', body: { secret: 'hunter2' }, field: 'secret' },
  { name: 'an unknown member', body: { overlap: 1 }, field: 'overlap' },
]
for (const { name, body, field } of refusals) {
  test(`rotation: ${name} is refused`, async () => {
    const { json } = await world.call('POST', '/api/webhooks', good)
    const answer = await world.call('POST', `/api/webhooks/${json.data.webhook.id}/rotate-secret`, body)
    assert.deepEqual([answer.status, answer.json.details.field], [400, field])
  })
}

for (const { face, path, token } of [
  { face: 'MFTPlus', path: '/api/webhooks', token: undefined },
  { face: 'TrueFTP', path: '/api/ext/v1/webhooks', token: ['read', 'write'] },
] as const) {
  test(`the mask of secrets on the ${face} face: the stored one stays, and where it stands for none it is refused`, async () => {
    const key = token === undefined ? undefined : (await world.keyOf('default', [...token])).token
    const call = (method: string, at: string, body: object) => world.call(method, at, body, key)
    const secret = '********'
    const fieldOf = ({ json }: Answer) => json.details?.field ?? json.error?.field
    const refused = await call('POST', path, { ...good, secret })
    assert.deepEqual([refused.status, fieldOf(refused)], [400, 'secret'])
    const made = await call('POST', path, { ...good, secret: 'your-signing-secret' })
    const at = `${path}/${(made.json.data?.webhook ?? made.json).id}`
    const rotated = await call('POST', `${at}/rotate-secret`, { secret })
    assert.deepEqual([rotated.status, fieldOf(rotated)], [400, 'secret'])
    const kept = await call(face === 'MFTPlus' ? 'PATCH' : 'PUT', at, { secret, name: 'another' })
    assert.equal(kept.status, 200)
    // A rotation to the very secret that is stored is refused.
    const again = await call('POST', `${at}/rotate-secret`, { secret: 'your-signing-secret' })
    assert.deepEqual([again.status, /has already/.test(again.text)], [400, true])
  })
}

test('rotation on the TrueFTP face: the same in its own style, for webhooks of the account only', async () => {
  const { call, keyOf } = world
  const { token } = await keyOf('default', ['read', 'write'])
  const { json } = await call('POST', '/api/ext/v1/webhooks', good, token)
  assert.deepEqual([json.secret_rotation, json.public_key], [null, null])
  const path = `/api/ext/v1/webhooks/${json.id}/rotate-secret`
  const rotated = await call('POST', path, { overlap_seconds: 60, secret: 'another-signing-secret' }, token)
  const { cut_over_at, secret, webhook } = rotated.json
  assert.deepEqual([rotated.status, secret, webhook.secret_rotation], [200, undefined, { cut_over_at }])
  assertIn(cut_over_at, world.clock.now(), MINUTE_MS)
  assert.match(rotated.json.note, /signed with the secret before \(trueftp\)/)
  assert.equal((await call('POST', path, { overlap_seconds: -1 }, token)).json.error.field, 'overlap_seconds')
  const reader = await keyOf('default', ['read'])
  assert.equal((await call('POST', path, {}, reader.token)).status, 403)
  const server = await call('POST', '/api/webhooks', good)
  const foreign = `/api/ext/v1/webhooks/${server.json.data.webhook.id}/rotate-secret`
  assert.equal((await call('POST', foreign, {}, token)).status, 404)
})

test('public keys: for everybody, both during a rotation, and none of a webhook with a shared secret', async () => {
  const { call } = world
  const { json } = await call('POST', '/api/webhooks', { ...good, dialect: 'standard', secret: pair(1) })
  const { id, publicKey } = json.data.webhook
  assert.match(publicKey, /^whpk_/)
  await call('POST', `/api/webhooks/${id}/rotate-secret`, { secret: pair(2), overlapSeconds: 60 })
  const { status, headers, json: set } = await call('GET', `/api/webhooks/${id}/jwks.json`, undefined, null)
  assert.deepEqual([status, headers.get('cache-control')], [200, 'public, max-age=60'])
  assert.equal(set.keys.length, 2)
  assert.equal(`whpk_${Buffer.from(set.keys[1].x, 'base64url').toString('base64')}`, publicKey)
  assert.ok(!JSON.stringify(set).includes('"d"'), 'no private half')
  const shared = await call('POST', '/api/webhooks', good)
  for (const other of [shared.json.data.webhook.id, 'wh_0'])
    assert.equal((await call('GET', `/api/webhooks/${other}/jwks.json`, undefined, null)).status, 404)
})
