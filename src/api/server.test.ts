import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, test } from 'node:test'
import { HOUR_MS, MINUTE_MS } from '../base/units.ts'
import { ADMIN_REQUESTS_PER_MINUTE, REFUSED_PER_MINUTE } from './auth.ts'
import { openWorld } from './testing.ts'

const world = await openWorld()
const { call, accounts, caller } = world
after(() => world.close())

const reader = await world.keyOf('default', ['read'])
const writer = await world.keyOf('default', ['write'])
const both = await world.keyOf('default', ['read', 'write'])
const revoked = await world.keyOf('default', ['read'])
await accounts.revokeApiKey(caller, 'default', revoked.key.id)
const oldAdmin = await accounts.createAdminToken(caller, { name: 'old' })
await accounts.revokeAdminToken(caller, oldAdmin.adminToken.id)

const EXT = '/api/ext/v1'
const entries: { name: string; method?: string; path: string; token: string | null; status: number }[] = [
  { name: 'an administrator at /api', path: '/api/webhooks', token: world.adminToken, status: 200 },
  { name: 'nobody at /api', path: '/api/webhooks', token: null, status: 401 },
  { name: 'a wrong token at /api', path: '/api/webhooks', token: 'lfadm_wrong', status: 401 },
  { name: 'a revoked token at /api', path: '/api/webhooks', token: oldAdmin.token, status: 401 },
  { name: 'an account key at /api', path: '/api/webhooks', token: both.token, status: 401 },
  { name: 'a reading key reads', path: `${EXT}/webhooks`, token: reader.token, status: 200 },
  { name: 'a reading key does not write', method: 'POST', path: `${EXT}/webhooks`, token: reader.token, status: 403 },
  { name: 'a writing key does not read', path: `${EXT}/webhooks`, token: writer.token, status: 403 },
  { name: 'a key of both scopes reads', path: `${EXT}/account`, token: both.token, status: 200 },
  { name: 'nobody at the account face', path: `${EXT}/account`, token: null, status: 401 },
  { name: 'a revoked key', path: `${EXT}/account`, token: revoked.token, status: 401 },
  { name: 'an administrator at the account face', path: `${EXT}/account`, token: world.adminToken, status: 401 },
  { name: 'health is for everybody', path: '/api/health', token: null, status: 200 },
  { name: 'readiness too', path: '/api/health/ready', token: null, status: 200 },
  { name: 'liveness too', path: '/api/health/live', token: null, status: 200 },
  { name: 'the docs too', path: '/docs', token: null, status: 200 },
]
for (const { name, method = 'GET', path, token, status } of entries) {
  test(`who may enter: ${name}: ${status}`, async () => {
    const answer = await call(
      method,
      path,
      method === 'POST' ? { url: 'https://receiver.example/', events: ['*'] } : undefined,
      token,
    )
    assert.equal(answer.status, status, answer.text)
    if (status === 401) assert.equal(answer.headers.get('www-authenticate'), 'Bearer')
    if (token !== null) assert.ok(!answer.text.includes(token))
  })
}

test('the scheme of the header is case-insensitive; other schemes are none', async () => {
  assert.equal((await call('GET', '/api/webhooks', undefined, null, { authorization: `bEaReR ${world.adminToken}` })).status, 200)
  const basic = await call('GET', '/api/webhooks', undefined, null, { authorization: `Basic ${btoa(`x:${world.adminToken}`)}` })
  assert.equal(basic.status, 401)
  assert.match(basic.json.error, /is missing; send it as Authorization: Bearer/)
})

test('every route but health and public keys takes a token, and only a valid one', async () => {
  const document = (await world.api.openapi()) as { paths: Record<string, Record<string, { security: object[] }>> }
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ path, method })),
  )
  assert.ok(routes.length > 40)
  for (const { path, method } of routes) {
    const answer = await call(method.toUpperCase(), path.replaceAll(/\{\w+\}/g, 'x'), undefined, null)
    if (path.startsWith('/api/health')) assert.equal(answer.status, 200)
    // Receivers fetch the keys that verify; of a webhook that there is not, there are none.
    else if (path.endsWith('/jwks.json')) assert.equal(answer.status, 404)
    else assert.equal(answer.status, 401, `${method} ${path}`)
  }
})

test('refused credentials from one address are bounded, for everybody from there', async () => {
  for (let tries = 0; tries < REFUSED_PER_MINUTE; tries += 1) await call('GET', '/api/webhooks', undefined, 'lfadm_guess')
  const answer = await call('GET', '/api/webhooks')
  assert.equal(answer.status, 429)
  assert.equal(answer.json.details.code, 'rate_limited')
  const seconds = Number(answer.headers.get('retry-after'))
  assert.ok(seconds >= 1 && seconds <= 60, String(seconds))
  assert.equal((await call('GET', '/api/health', undefined, null)).status, 200)
  world.clock.ahead(MINUTE_MS)
  assert.equal((await call('GET', '/api/webhooks')).status, 200)
})

test('public keys, which need no credentials, are bounded for one address', async () => {
  const keys = () => call('GET', '/api/webhooks/wh_none/jwks.json', undefined, null)
  let left = Number((await keys()).headers.get('x-ratelimit-remaining'))
  for (; left > 0; left -= 1) assert.equal((await keys()).status, 404)
  assert.equal((await keys()).status, 429)
  assert.equal((await call('GET', '/api/accounts')).status, 200)
  world.clock.ahead(MINUTE_MS)
  assert.equal((await keys()).status, 404)
})

test('a key has its hourly limit, says what is left, and when to come back', async () => {
  const { token } = await world.keyOf('default', ['read'], 3)
  for (const remaining of ['2', '1', '0']) {
    const answer = await call('GET', `${EXT}/account`, undefined, token)
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('x-ratelimit-limit'), '3')
    assert.equal(answer.headers.get('x-ratelimit-remaining'), remaining)
  }
  const over = await call('GET', `${EXT}/account`, undefined, token)
  assert.equal(over.status, 429)
  assert.equal(over.json.error.code, 'rate_limited')
  assert.equal(over.headers.get('x-ratelimit-remaining'), '0')
  const seconds = Number(over.headers.get('retry-after'))
  assert.ok(seconds > 3_590 && seconds <= 3_600, String(seconds))
  assert.equal((await call('GET', `${EXT}/account`, undefined, reader.token)).status, 200)
  world.clock.ahead(HOUR_MS)
  assert.equal((await call('GET', `${EXT}/account`, undefined, token)).status, 200)
})

test('the administrator face says its limit too, health has none', async () => {
  const answer = await call('GET', '/api/accounts')
  assert.equal(answer.headers.get('x-ratelimit-limit'), String(ADMIN_REQUESTS_PER_MINUTE))
  assert.ok(Number(answer.headers.get('x-ratelimit-remaining')) < ADMIN_REQUESTS_PER_MINUTE)
  const reset = Number(answer.headers.get('x-ratelimit-reset')) * 1_000 - world.clock.now()
  assert.ok(reset > 0 && reset <= MINUTE_MS + 1_000, String(reset))
  assert.equal((await call('GET', '/api/health', undefined, null)).headers.get('x-ratelimit-limit'), null)
})

test('what neither face has is refused in the style of the face', async () => {
  for (const path of ['/api/nothing', '/nothing', '/api/webhooks/a/b/c/d', '/api/external']) {
    const { status, json } = await call('GET', path)
    assert.equal(status, 404)
    assert.deepEqual(json, { success: false, error: 'nothing answers GET at this path', details: { code: 'not_found' } })
  }
  const { status, json } = await call('PATCH', `${EXT}/webhooks`, {}, both.token)
  assert.equal(status, 404)
  assert.deepEqual(json, { error: { code: 'not_found', message: 'nothing answers PATCH at this path' } })
  assert.equal((await call('GET', '/api/webhooks/%zz')).status, 400)
  assert.equal((await call('GET', `/api/webhooks/${'x'.repeat(65)}`)).status, 400)
  assert.equal((await call('GET', `/api/webhooks/${'x'.repeat(500)}`)).status, 404)
})

const bodies: { name: string; body: string; type?: string; status: number; says: RegExp }[] = [
  { name: 'cut JSON', body: '{"url": "https://a.example/', status: 400, says: /^the body is not JSON$/ },
  {
    name: 'a form',
    body: 'url=https://a.example/',
    type: 'application/x-www-form-urlencoded',
    status: 400,
    says: /send it with Content-Type: application\/json/,
  },
  { name: 'plain text', body: 'hello', type: 'text/plain', status: 400, says: /send it with Content-Type/ },
  { name: 'nothing', body: '', status: 400, says: /^the body is missing/ },
  { name: 'a list', body: '[1]', status: 400, says: /^the body must be a JSON object$/ },
  { name: 'a prototype', body: '{"__proto__": {"admin": true}}', status: 400, says: /^the body is not JSON$/ },
  { name: 'more than a MiB', body: JSON.stringify({ url: 'x'.repeat(1_048_576) }), status: 413, says: /more than 1048576 bytes/ },
]
for (const { name, body, type, status, says } of bodies) {
  test(`a body that is ${name} is refused in both faces, and nothing is stored`, async () => {
    const headers = type === undefined ? {} : { 'content-type': type }
    const mftplus = await call('POST', '/api/webhooks', body, world.adminToken, headers)
    assert.equal(mftplus.status, status, mftplus.text)
    assert.match(mftplus.json.error, says)
    const trueftp = await call('POST', `${EXT}/webhooks`, body, both.token, headers)
    assert.equal(trueftp.status, status)
    assert.match(trueftp.json.error.message, says)
    assert.equal((await call('GET', '/api/webhooks')).json.data.pagination.total, 0)
  })
}

test('a body where none belongs is refused', async () => {
  const answer = await call('POST', '/api/webhooks/wh_x/deliveries/dlv_x/redeliver', { force: true })
  assert.equal(answer.status, 400)
  assert.match(answer.json.error, /must be empty here; force is not known/)
})

test('a path or a method that is none is not found, whatever comes with it', async () => {
  const ways = [['PUT', '/api/nope'], ['PATCH', `${EXT}/webhooks/wh_x`], ['POST', '/nope']] as const // biome-ignore format: one line
  for (const [method, path] of ways) {
    for (const token of [world.adminToken, null]) {
      const answer = await call(method, path, { enabled: true }, token)
      assert.equal(answer.status, 404, `${method} ${path}: ${answer.text}`)
    }
  }
})

test('a fault of the server is logged with its cause, and says nothing outside', async () => {
  const { getAccount } = accounts
  accounts.getAccount = () => Promise.reject(new Error('secret path /srv/data'))
  try {
    const answer = await call('GET', '/api/accounts/default')
    assert.equal(answer.status, 500)
    assert.deepEqual(answer.json, {
      success: false,
      error: 'the server failed; its log has the details',
      details: { code: 'internal' },
    })
    assert.ok(world.logged.some((line) => line.startsWith('request failed') && line.includes('secret path')))
  } finally {
    accounts.getAccount = getAccount
  }
})

test('no token, password or secret is in any log line', async () => {
  await call('POST', '/api/accounts/default/users', { name: 'logged', password: 'do not log me' })
  await call('POST', '/api/accounts/default/users', { name: 'logged', password: 'do not log me' })
  const log = world.logged.join('\n')
  for (const secret of [world.adminToken, both.token, 'do not log me']) assert.ok(!log.includes(secret))
})

test('headers that are too large or not HTTP are refused by the socket', async () => {
  const { port } = new URL(world.url)
  const socket = connect(Number(port), '127.0.0.1')
  socket.end(`GET /api/health HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(20_000)}\r\n\r\n`)
  let answer = ''
  for await (const chunk of socket) answer += chunk
  assert.match(answer, /^HTTP\/1\.1 431 /)
})

test('the docs load nothing from elsewhere', async () => {
  const { headers, text } = await call('GET', '/docs', undefined, null)
  assert.ok(!/(src|href)="(https?:)?\/\//.test(text))
  assert.match(headers.get('content-security-policy') ?? '', /default-src 'self'/)
  for (const [, path] of text.matchAll(/(?:src|href)="([^"]+)"/g))
    assert.equal((await call('GET', path!, undefined, null)).status, 200, path!)
  assert.equal((await call('GET', '/docs/json', undefined, null)).json.openapi, '3.1.0')
  assert.equal((await call('GET', '/docs/static/nothing', undefined, null)).json.success, false)
})
