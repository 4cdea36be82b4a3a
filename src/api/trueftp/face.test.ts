import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { SERVER_CALLER } from '../../audit/caller.ts'
import { openWorld } from '../testing.ts'
import { asTrueftpError } from './shapes.ts'

const world = await openWorld()
after(() => world.close())
const { account, accounts } = world
await accounts.createAccount(SERVER_CALLER, { slug: 'acme' })
const ours = await world.keyOf('default', ['read', 'write'])
const theirs = await world.keyOf('acme', ['read', 'write'])

const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/
const good = { url: 'https://receiver.example/in', events: ['file.uploaded'] }

function call(method: string, path: string, body?: unknown, token = ours.token) {
  return world.call(method, `/api/ext/v1${path}`, body, token)
}

test('the account and its quotas', async () => {
  const { status, json } = await call('GET', '/account')
  assert.equal(status, 200)
  const { created_at, ...rest } = json
  assert.match(created_at, TIME)
  assert.deepEqual(rest, {
    id: account.id,
    slug: 'default',
    name: 'default',
    plan: 'business',
    quotas: {
      storage_bytes: { used: 0, limit: null },
      files: { used: 0, limit: null },
      ftp_users: { used: 0, limit: 1_000 },
      webhooks: { used: 0, limit: 100 },
      api_keys: { used: 1, limit: 100 },
    },
  })
})

test('the account says what its files may take', async () => {
  await accounts.createAccount(SERVER_CALLER, { slug: 'bounded', quotaBytes: 5_000_000 })
  const { token } = await world.keyOf('bounded', ['read'])
  assert.deepEqual((await call('GET', '/account', undefined, token)).json.quotas.storage_bytes, { used: 0, limit: 5_000_000 })
})

test('a user: made, listed, got, changed, removed', async () => {
  const made = await call('POST', '/ftp-users', {
    username: 'pipeline',
    password: 'correct horse',
    permissions: ['write', 'list'],
  })
  assert.equal(made.status, 201, made.text)
  const { id, created_at, updated_at, ...rest } = made.json
  assert.match(id, /^usr_/)
  assert.match(created_at, TIME)
  assert.equal(updated_at, created_at)
  assert.deepEqual(rest, {
    username: 'pipeline',
    login: 'pipeline',
    home_directory: '/default/pipeline',
    permissions: ['list', 'write'],
    has_password: true,
    public_keys: [],
    disabled: false,
  })
  assert.deepEqual((await call('GET', '/ftp-users')).json, { data: [made.json], total: 1 })
  assert.deepEqual((await call('GET', '/ftp-users?limit=1&offset=1')).json, { data: [], total: 1 })
  assert.deepEqual((await call('GET', `/ftp-users/${id}`)).json, made.json)
  const changed = await call('PUT', `/ftp-users/${id}`, { disabled: true, home_directory: '/default/shared' })
  assert.equal(changed.status, 200)
  assert.deepEqual(
    [changed.json.disabled, changed.json.home_directory, changed.json.username],
    [true, '/default/shared', 'pipeline'],
  )
  assert.deepEqual(world.changedUsers, [id])

  for (const [method, body] of [['GET'], ['PUT', { disabled: false }], ['DELETE']] as const) {
    assert.equal((await call(method, `/ftp-users/${id}`, body, theirs.token)).status, 404)
  }
  const removed = await call('DELETE', `/ftp-users/${id}`)
  assert.equal(removed.status, 204)
  assert.equal(removed.text, '')
  assert.equal((await call('GET', `/ftp-users/${id}`)).status, 404)
})

const userRefusals: { body: object; field: string; says: RegExp }[] = [
  { body: {}, field: 'username', says: /^username is missing$/ },
  { body: { username: '.x', password: 'correct horse' }, field: 'username', says: /^username is "\.x", not letters/ },
  {
    body: { username: 'x'.repeat(65), password: 'correct horse' },
    field: 'username',
    says: /^username has 65 characters, not 1 to 64$/,
  },
  { body: { username: 'x' }, field: 'password', says: /^password is missing/ },
  {
    body: { username: 'x', password: 'correct horse', home_directory: '/acme/x' },
    field: 'home_directory',
    says: /^home_directory is "\/acme\/x", not \/default or below it$/,
  },
  {
    body: { username: 'x', public_keys: ['ssh-dss AAAA'] },
    field: 'public_keys[0]',
    says: /^public_keys\[0\] has the type "ssh-dss"; DSA/,
  },
  {
    body: { username: 'x', public_keys: Array(21).fill('a') },
    field: 'public_keys',
    says: /^public_keys has 21 entries, at most 20 are taken$/,
  },
  {
    body: { username: 'x', name: 'y', password: 'correct horse' },
    field: 'name',
    says: /^name is not known here; known are username/,
  },
]
for (const { body, field, says } of userRefusals) {
  test(`a user is refused: ${JSON.stringify(body).slice(0, 100)}`, async () => {
    const { status, json } = await call('POST', '/ftp-users', body)
    assert.equal(status, 400)
    assert.match(json.error.message, says)
    assert.deepEqual(json, { error: { code: 'invalid', message: json.error.message, field } })
    assert.equal((await call('GET', '/ftp-users')).json.total, 0)
  })
}

test('a webhook: made with a secret shown once, listed, got, changed, removed', async () => {
  const made = await call('POST', '/webhooks', { ...good, retry: { delays_seconds: [5] } })
  assert.equal(made.status, 201, made.text)
  const { secret, ...webhook } = made.json
  assert.match(secret, /^whsec_[0-9a-z]{32}$/)
  const { id, created_at, updated_at, ...rest } = webhook
  assert.match(created_at, TIME)
  assert.equal(updated_at, created_at)
  assert.deepEqual(rest, {
    url: good.url,
    name: 'receiver.example',
    events: ['file.uploaded'],
    active: true,
    status: 'active',
    failed_reason: null,
    health: { state: 'healthy', reasons: ['Nothing was sent in the last hour.'] },
    inactive_reason: null,
    dialect: 'trueftp',
    has_secret: true,
    public_key: null,
    secret_rotation: null,
    retry: { delays_seconds: [5] },
    ...{ filter: null, order: 'none', also_sign: null, cloud_events_mode: null, timeout_seconds: null, concurrency: null },
    ...{ rate: null, expire_after_seconds: null, headers: null, auth: null, tls: null, proxy: null },
  })
  assert.equal((await world.store.findWebhook(id))?.accountId, account.id)
  assert.deepEqual((await call('GET', '/webhooks')).json, { data: [webhook], total: 1 })
  assert.deepEqual((await call('GET', `/webhooks/${id}`)).json, webhook)
  const changed = await call('PUT', `/webhooks/${id}`, { active: false, name: 'Mine' })
  assert.deepEqual(
    [changed.status, changed.json.status, changed.json.name, changed.json.secret],
    [200, 'inactive', 'Mine', undefined],
  )
  assert.equal((await call('POST', `/webhooks/${id}/test`, { event: 'file.uploaded' })).status, 409)

  const paths: [string, string, object?][] = [
    ['GET', ''],
    ['PUT', '', { active: true }],
    ['DELETE', ''],
    ['GET', '/deliveries'],
    ['GET', '/deliveries/dlv_x'],
    ['POST', '/deliveries/dlv_x/redeliver'],
    ['POST', '/test', { event: 'file.uploaded' }],
  ]
  for (const [method, path, body] of paths) {
    const { status, json } = await call(method, `/webhooks/${id}${path}`, body, theirs.token)
    assert.equal(status, 404, path)
    assert.equal(json.error.code, 'not_found')
  }
  assert.equal((await call('GET', '/webhooks', undefined, theirs.token)).json.total, 0)
  assert.equal((await call('DELETE', `/webhooks/${id}`)).status, 204)
  assert.equal((await call('DELETE', `/webhooks/${id}`)).status, 404)
})

const webhookRefusals: { body: object; field: string; code?: string; says: RegExp }[] = [
  { body: { events: ['*'] }, field: 'url', says: /^url is missing$/ },
  { body: { ...good, url: 'http://receiver.example/' }, field: 'url', code: 'url_refused', says: /https/ },
  { body: { ...good, events: ['file.upload'] }, field: 'events', says: /did you mean "file.uploaded"/ },
  { body: { ...good, retry: { delays_seconds: ['1'] } }, field: 'retry.delays_seconds[0]', says: /is "1", not a number/ },
  {
    body: { ...good, retry: { delaysSeconds: [1] } },
    field: 'retry.delaysSeconds',
    says: /not known here; known are delays_seconds/,
  },
  { body: { ...good, accountId: 'acme' }, field: 'accountId', says: /^accountId is not known here/ },
]
for (const { body, field, code = 'invalid', says } of webhookRefusals) {
  test(`a webhook is refused: ${JSON.stringify(body).slice(0, 100)}`, async () => {
    const { status, json } = await call('POST', '/webhooks', body)
    assert.equal(status, 400)
    assert.match(json.error.message, says)
    assert.deepEqual(json, { error: { code, message: json.error.message, field } })
    assert.equal((await call('GET', '/webhooks')).json.total, 0)
  })
}

test('a plan without webhooks refuses them', async () => {
  await accounts.createAccount(SERVER_CALLER, { slug: 'small', plan: 'starter' })
  const { token } = await world.keyOf('small', ['read', 'write'])
  const { status, json } = await call('POST', '/webhooks', good, token)
  assert.equal(status, 403)
  assert.equal(json.error.code, 'plan_refused')
})

test('a delivery row is one attempt', async () => {
  const { id } = (await call('POST', '/webhooks', good)).json
  const planned = await call('POST', `/webhooks/${id}/test`, { event: 'file.uploaded' })
  assert.equal(planned.status, 202)
  const { id: deliveryId, status, cause, attempts, next_attempt_at } = planned.json
  assert.deepEqual({ status, cause, attempts }, { status: 'waiting', cause: 'test', attempts: 0 })
  assert.match(next_attempt_at, TIME)
  assert.deepEqual((await call('GET', `/webhooks/${id}/deliveries`)).json, { data: [], total: 0, next_cursor: null })

  const { store, clock } = world
  await store.beat({ id: 'node_test', startedAt: clock.now() }, clock.now())
  const [claimed] = await store.claim('node_test', [{ webhookId: id, room: 1 }], clock.now())
  assert.equal(claimed?.id, deliveryId)
  const startedAt = clock.now()
  const attempt = {
    number: 1,
    startedAt,
    durationMs: 12,
    statusCode: 503,
    error: 'answered 503',
    responseHeaders: { server: 'x' },
    responseBody: 'busy',
  }
  const settlement = {
    deliveryId,
    webhookId: id,
    orderKey: null,
    collapseKey: null,
    node: 'node_test',
    attempt,
    endedAt: startedAt + 12,
  }
  await store.settle([{ ...settlement, outcome: { state: 'waiting', dueAt: startedAt + 30_000 } }])

  const { data, total } = (await call('GET', `/webhooks/${id}/deliveries`)).json
  assert.equal(total, 1)
  assert.deepEqual(data, [
    {
      id: `${deliveryId}.1`,
      delivery_id: deliveryId,
      event: 'file.uploaded',
      status: 'failed',
      delivery_status: 'waiting',
      attempt: 1,
      status_code: 503,
      error: 'answered 503',
      duration_ms: 12,
      created_at: new Date(startedAt).toISOString(),
    },
  ])
  const detail = (await call('GET', `/webhooks/${id}/deliveries/${deliveryId}`)).json
  assert.deepEqual([detail.attempts, detail.last_status_code, detail.last_error], [1, 503, 'answered 503'])
  assert.deepEqual(detail.attempt_log, [
    {
      number: 1,
      started_at: new Date(startedAt).toISOString(),
      duration_ms: 12,
      status_code: 503,
      error: 'answered 503',
      response_headers: { server: 'x' },
      response_body: 'busy',
    },
  ])
  assert.equal(JSON.parse(detail.request.body).delivery_id, deliveryId)
  assert.ok(Object.keys(detail.request.headers).some((name) => /^x-trueftp-signature$/i.test(name)))
})

test('events are the file operations of the account, newest first', async () => {
  const draft = (type: 'file.uploaded' | 'dir.created', accountId: string, path: string) =>
    world.recorder.draft(type, accountId, { path })
  const other = (await accounts.getAccount(SERVER_CALLER, 'acme')).id
  await world.store.recordEvents([draft('dir.created', account.id, '/in')])
  world.clock.ahead(1_000)
  await world.store.recordEvents([draft('file.uploaded', account.id, '/in/a.csv'), draft('file.uploaded', other, '/theirs')])
  await call('POST', '/ftp-users', { username: 'not-a-file-event', password: 'correct horse' })

  const { data, total } = (await call('GET', '/events?limit=10&offset=0')).json
  assert.equal(total, 2)
  assert.deepEqual(
    data.map(({ event, data }: { event: string; data: { path: string } }) => [event, data.path]),
    [
      ['file.uploaded', '/in/a.csv'],
      ['dir.created', '/in'],
    ],
  )
  assert.deepEqual(Object.keys(data[0]), ['id', 'event', 'timestamp', 'account_id', 'data'])
  assert.equal(data[0].account_id, account.id)
  assert.equal((await call('GET', '/events?limit=0')).json.error.message, 'limit is 0, not 1 to 100')
  assert.equal((await call('GET', '/events?offset=-1')).json.error.message, 'offset is -1, not 0 to 1000000')
  assert.equal((await call('GET', '/events?page=1')).json.error.field, 'page')
})

const names = { name: 'username', home: 'home_directory' }
const tellings = [
  { field: 'name', message: 'name is "name"', told: { field: 'username', message: 'username is "name"' } },
  { field: 'home', message: 'home is "/home"', told: { field: 'home_directory', message: 'home_directory is "/home"' } },
  { field: 'retry.delaysSeconds', message: 'no such', told: { field: 'retry.delays_seconds', message: 'no such' } },
  { field: 'publicKeys[1]', message: 'publicKeys[1] is it', told: { field: 'public_keys[1]', message: 'public_keys[1] is it' } },
]
for (const { field, message, told } of tellings) {
  test(`our field ${field} is told as ${told.field}; a field of the caller stays as it is`, () => {
    const refusal = { status: 400, code: 'invalid', field, message, retryAfterSeconds: undefined } as const
    assert.deepEqual(asTrueftpError({ ...refusal, ownNames: true }, names).error, { code: 'invalid', ...told })
    assert.deepEqual(asTrueftpError({ ...refusal, ownNames: false }, names).error, { code: 'invalid', field, message })
  })
}

test('where offsets end, events go on by cursor', async () => {
  const { recorder, store } = world
  for (const path of ['/a', '/b', '/c']) {
    // Those of one ms have no order.
    world.clock.ahead(1)
    await store.recordEvents([recorder.draft('dir.deleted', account.id, { path })])
  }
  const first = (await call('GET', '/events?limit=2')).json
  assert.equal(first.data.length, 2)
  const second = (await call('GET', `/events?limit=1&after=${first.next_cursor}`)).json
  assert.deepEqual(
    [...first.data, ...second.data].map(({ data }: { data: { path: string } }) => data.path),
    ['/c', '/b', '/a'],
  )
  const { status, json } = await call('GET', '/events?offset=10001')
  assert.equal(status, 400)
  assert.match(json.error.message, /at most 10000 .* not 10001.*"after"/)
})
