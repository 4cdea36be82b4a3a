import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { openWorld } from './testing.ts'

// Filters, order and options of webhooks as both faces take and show them.

const world = await openWorld()
after(() => world.close())
const { call, keyOf } = world
const { token } = await keyOf('default', ['read', 'write'])
const MASKED = '********'
const target = { url: 'https://receiver.example/in', events: ['file.*'] }

const mftplus = {
  name: 'MFTPlus',
  create: (body: object) => call('POST', '/api/webhooks', { ...target, ...body }),
  change: (id: string, body: object) => call('PATCH', `/api/webhooks/${id}`, body),
  webhookIn: (json: { data: { webhook: Record<string, unknown> } }) => json.data.webhook,
  refusalIn: (json: { error: string; details: { code: string; field: string } }) => ({ message: json.error, ...json.details }),
  chosen: {
    ...{ order: 'key', alsoSign: ['standard'], timeoutSeconds: 5, concurrency: 4, rate: { count: 100, perSeconds: 60 } },
    ...{ expireAfterSeconds: 3_600, filter: { 'data.path': { glob: '/incoming/**/*.csv' } } },
    headers: { 'X-Team': 'orders', 'X-Api-Key': { secret: 'k-123' } },
    auth: { kind: 'oauth2', tokenUrl: 'https://id.example/token', clientId: 'c', clientSecret: 's-456', scope: 'a b' },
    proxy: { url: 'http://proxy.example:3128', username: 'u', password: 'p-789' },
  },
  masked: {
    headers: { 'X-Team': 'orders', 'X-Api-Key': { secret: MASKED } },
    auth: { kind: 'oauth2', tokenUrl: 'https://id.example/token', clientId: 'c', clientSecret: MASKED, scope: 'a b' },
    proxy: { url: 'http://proxy.example:3128', username: 'u', password: MASKED },
  },
}
const trueftp = {
  name: 'TrueFTP',
  create: (body: object) => call('POST', '/api/ext/v1/webhooks', { ...target, ...body }, token),
  change: (id: string, body: object) => call('PUT', `/api/ext/v1/webhooks/${id}`, body, token),
  webhookIn: (json: Record<string, unknown>) => json,
  refusalIn: (json: { error: { code: string; field: string; message: string } }) => json.error,
  chosen: {
    ...{ order: 'key', also_sign: ['standard'], timeout_seconds: 5, concurrency: 4, rate: { count: 100, per_seconds: 60 } },
    ...{ expire_after_seconds: 3_600, filter: { 'data.client_ip': { prefix: '203.0.113.' } } },
    headers: { 'X-Team': 'orders', 'X-Api-Key': { secret: 'k-123' } },
    auth: { kind: 'oauth2', token_url: 'https://id.example/token', client_id: 'c', client_secret: 's-456', scope: 'a b' },
    proxy: { url: 'http://proxy.example:3128', username: 'u', password: 'p-789' },
  },
  masked: {
    headers: { 'X-Team': 'orders', 'X-Api-Key': { secret: MASKED } },
    auth: { kind: 'oauth2', token_url: 'https://id.example/token', client_id: 'c', client_secret: MASKED, scope: 'a b' },
    proxy: { url: 'http://proxy.example:3128', username: 'u', password: MASKED },
  },
}

for (const face of [mftplus, trueftp] as (typeof mftplus)[]) {
  test(`${face.name}: everything chosen is stored, shown with its secrets masked, and changed by what is named`, async () => {
    const made = await face.create(face.chosen)
    assert.equal(made.status, 201, made.text)
    const webhook = face.webhookIn(made.json)
    const shown = { ...face.chosen, ...face.masked }
    for (const [name, value] of Object.entries(shown)) assert.deepEqual(webhook[name], value, name)
    for (const secret of ['k-123', 's-456', 'p-789']) assert.ok(!made.text.includes(secret), secret)

    const same = face.webhookIn((await face.change(String(webhook.id), shown)).json)
    for (const [name, value] of Object.entries(shown)) assert.deepEqual(same[name], value, name)

    const nothing = Object.fromEntries(Object.keys(shown).map((name) => [name, null]))
    const bare = face.webhookIn((await face.change(String(webhook.id), nothing)).json)
    for (const name of Object.keys(shown)) assert.equal(bare[name], name === 'order' ? 'none' : null, name)
  })
}

const refusals: { body: object; field: string; trueftpField?: string; says: RegExp; code?: string }[] = [
  { body: { filter: { 'data.pth': 1 } }, field: 'filter', says: /^filter: "data.pth".*did you mean "data.path"/ },
  { body: { filter: 'data.path' }, field: 'filter', says: /^filter is "data.path", not an object or null$/ },
  { body: { order: 'strict' }, field: 'order', says: /^order is "strict", not one of none, webhook, key, null$/ },
  { body: { concurrency: 1_001 }, field: 'concurrency', says: /^concurrency is 1001, not 1 to 1000$/ },
  { body: { rate: { count: 1 } }, field: 'rate.perSeconds', trueftpField: 'rate.per_seconds', says: /is missing$/ },
  { body: { headers: { 'X-A': 7 } }, field: 'headers.X-A', says: /^headers.X-A is 7, not a text or an object$/ },
  { body: { headers: { 'X-A': { secrt: 'a' } } }, field: 'headers.X-A.secrt', says: /is not known here; known are secret/ },
  { body: { headers: { 'X-A': { secret: 'a\nb' } } }, field: 'headers', says: /^headers: X-A must have visible ASCII/ },
  { body: { auth: { kind: 'digest' } }, field: 'auth.kind', says: /^auth.kind is "digest", not one of basic, bearer, oauth2/ },
  { body: { auth: { kind: 'bearer' } }, field: 'auth.token', says: /^auth.token is missing; the kind bearer needs it/ },
  {
    ...{ body: { auth: { kind: 'bearer', token: 't', username: 'u' } }, field: 'auth.username' },
    says: /^auth.username does not belong to the kind bearer/,
  },
  { body: { auth: { kind: 'bearer', token: '' } }, field: 'auth.token', says: /^auth.token has 0 characters/ },
  { body: { proxy: { url: 'ftp://proxy.example' } }, field: 'proxy.url', code: 'url_refused', says: /^proxy.url: / },
  { body: { proxy: { url: 'http://10.0.0.1:3128' } }, field: 'proxy.url', code: 'url_refused', says: /LANDFALL_EGRESS_ALLOW/ },
  { body: { tls: { ca: 'x' } }, field: 'tls.ca', says: /^tls.ca has no PEM certificate/ },
]
for (const { body, field, trueftpField = field, says, code = 'invalid' } of refusals) {
  test(`refused on both faces: ${JSON.stringify(body)}`, async () => {
    for (const face of [mftplus, trueftp] as (typeof mftplus)[]) {
      const { status, json } = await face.create(body)
      const refusal = face.refusalIn(json)
      assert.equal(status, 400)
      assert.deepEqual([refusal.code, refusal.field], [code, face === mftplus ? field : trueftpField])
      assert.match(refusal.message, says)
    }
  })
}

test('an account whose plan has no webhooks is refused on both faces, and hears why its webhooks are off', async () => {
  const { accounts, caller } = world
  const { id: accountId } = await accounts.createAccount(caller, { slug: 'downgraded', plan: 'business' })
  const { token: key } = await keyOf('downgraded', ['read', 'write'])
  const made = await call('POST', '/api/ext/v1/webhooks', target, key)
  const id: string = made.json.id
  await accounts.updateAccount(caller, 'downgraded', { plan: 'starter' })

  const off = (await call('GET', `/api/ext/v1/webhooks/${id}`, undefined, key)).json
  const why = 'the plan of the account does not include webhooks; it is starter'
  assert.deepEqual([off.status, off.active, off.inactive_reason], ['inactive', false, why])
  const asAdmin = (await call('GET', `/api/webhooks/${id}`)).json.data.webhook
  assert.deepEqual([asAdmin.state, asAdmin.inactiveReason], ['inactive', why])

  for (const answer of [
    await call('POST', '/api/ext/v1/webhooks', target, key),
    await call('PUT', `/api/ext/v1/webhooks/${id}`, { active: true }, key),
    await call('POST', `/api/ext/v1/webhooks/${id}/test`, { event: 'file.uploaded' }, key),
    await call('POST', `/api/ext/v1/webhooks/${id}/replay`, { since: '2026-01-01T00:00:00Z' }, key),
  ]) {
    assert.equal(answer.status, 403)
    assert.deepEqual(answer.json.error, { code: 'plan_refused', message: why })
  }
  for (const answer of [
    await call('POST', '/api/webhooks', { ...target, accountId }),
    await call('PATCH', `/api/webhooks/${id}`, { active: true }),
    await call('POST', `/api/webhooks/${id}/test`, { event: 'file.uploaded' }),
    await call('POST', `/api/webhooks/${id}/replay`, { since: '2026-01-01T00:00:00Z' }),
  ]) {
    assert.equal(answer.status, 403)
    assert.deepEqual([answer.json.error, answer.json.details.code], [why, 'plan_refused'])
  }

  await accounts.updateAccount(caller, 'downgraded', { plan: 'team' })
  assert.equal((await call('PUT', `/api/ext/v1/webhooks/${id}`, { active: true }, key)).json.inactive_reason, null)
})
