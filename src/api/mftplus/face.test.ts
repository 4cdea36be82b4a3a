import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { newId } from '../../base/id.ts'
import { EVENT_TYPES } from '../../events/catalogue.ts'
import { openWorld } from '../testing.ts'

const world = await openWorld()
const { call, account } = world
after(() => world.close())

const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBu+jzjgAEu7NMt//Uw2JUAAwJ4TiY4bRFVO0udpV/H work'
const good = { url: 'https://receiver.example/in', events: ['file.*'] }

async function makeWebhook(input: object = {}): Promise<{ id: string }> {
  const { status, json, text } = await call('POST', '/api/webhooks', { ...good, ...input })
  assert.equal(status, 201, text)
  return json.data.webhook
}
const countOf = async (path: string): Promise<number> => (await call('GET', path)).json.data.pagination.total

test('a webhook: made, listed, got, changed, deleted, each in its shape', async () => {
  const made = await call('POST', '/api/webhooks', {
    ...good,
    name: 'Orders',
    secret: 'a secret of mine',
    retry: { delaysSeconds: [1, 2.5] },
  })
  assert.equal(made.status, 201)
  assert.deepEqual(Object.keys(made.json), ['success', 'data'])
  const { webhook } = made.json.data
  const { id, createdAt, updatedAt, ...rest } = webhook
  assert.match(id, /^wh_[0-9a-z]{16}$/)
  assert.match(createdAt, TIME)
  assert.equal(updatedAt, createdAt)
  assert.deepEqual(rest, {
    accountId: null,
    name: 'Orders',
    url: 'https://receiver.example/in',
    events: ['file.*'],
    active: true,
    state: 'active',
    failedReason: null,
    health: { state: 'healthy', reasons: ['Nothing was sent in the last hour.'] },
    inactiveReason: null,
    dialect: 'mftplus',
    hasSecret: true,
    publicKey: null,
    secretRotation: null,
    ...{
      filter: null,
      order: 'none',
      alsoSign: null,
      cloudEventsMode: null,
      timeoutSeconds: null,
      concurrency: null,
      rate: null,
    },
    ...{ expireAfterSeconds: null, headers: null, auth: null, tls: null, proxy: null },
    retry: { delaysSeconds: [1, 2.5] },
  })
  assert.ok(!made.text.includes('a secret of mine'))

  assert.deepEqual((await call('GET', `/api/webhooks/${id}`)).json, { success: true, data: { webhook } })
  const list = await call('GET', '/api/webhooks')
  assert.deepEqual(list.json.data, { webhooks: [webhook], pagination: { page: 1, limit: 20, total: 1, pages: 1 } })

  const paused = await call('PATCH', `/api/webhooks/${id}`, { active: false, url: 'https://receiver.example/other' })
  assert.equal(paused.status, 200)
  assert.deepEqual([paused.json.data.webhook.state, paused.json.data.webhook.active], ['inactive', false])
  assert.equal(paused.json.data.webhook.url, 'https://receiver.example/other')
  assert.equal((await call('PATCH', `/api/webhooks/${id}`, { enabled: true })).json.data.webhook.state, 'active')
  const both = await call('PATCH', `/api/webhooks/${id}`, { active: true, enabled: true })
  assert.equal(both.json.data.webhook.state, 'active')
  assert.equal((await call('PATCH', `/api/webhooks/${id}`, { secret: null, retry: null })).json.data.webhook.hasSecret, false)

  assert.deepEqual((await call('DELETE', `/api/webhooks/${id}`)).json, { success: true, data: { deleted: true } })
  for (const method of ['GET', 'DELETE']) {
    const gone = await call(method, `/api/webhooks/${id}`)
    assert.equal(gone.status, 404)
    assert.equal(gone.json.success, false)
    assert.equal(gone.json.details.code, 'not_found')
  }
})

test('a webhook of one account, in the dialect that always signs, gets a secret made', async () => {
  const { json } = await call('POST', '/api/webhooks', { ...good, accountId: 'default', dialect: 'trueftp' })
  assert.equal(json.data.webhook.accountId, account.id)
  assert.match(json.data.secret, /^whsec_/)
  assert.equal((await call('GET', `/api/webhooks/${json.data.webhook.id}`)).json.data.secret, undefined)
  assert.equal(await countOf(`/api/webhooks?accountId=${account.id}`), 1)
  await call('DELETE', `/api/webhooks/${json.data.webhook.id}`)
})

const webhookRefusals: { body: object; field: string; says: RegExp; code?: string }[] = [
  { body: { events: ['*'] }, field: 'url', says: /^url is missing$/ },
  { body: { url: good.url }, field: 'events', says: /^events is missing$/ },
  { body: { ...good, url: 'not a url' }, field: 'url', says: /url/, code: 'url_refused' },
  { body: { ...good, url: 'ftp://receiver.example/' }, field: 'url', says: /https/, code: 'url_refused' },
  { body: { ...good, url: 'http://receiver.example/' }, field: 'url', says: /https/, code: 'url_refused' },
  { body: { ...good, url: 'https://10.0.0.1/' }, field: 'url', says: /10\.0\.0\.1/, code: 'url_refused' },
  { body: { ...good, url: 'https://user:pass@receiver.example/' }, field: 'url', says: /url/, code: 'url_refused' },
  {
    body: { ...good, url: `https://receiver.example/${'x'.repeat(2_048)}` },
    field: 'url',
    says: /has 2073 characters, not 1 to 2048/,
  },
  { body: { ...good, events: [] }, field: 'events', says: /has 0 entries, not 1 to 100/ },
  { body: { ...good, events: 'file.*' }, field: 'events', says: /is "file\.\*", not a list/ },
  { body: { ...good, events: ['file.uplaoded'] }, field: 'events', says: /"file\.uplaoded".*did you mean "file\.uploaded"/ },
  { body: { ...good, name: 'x'.repeat(101) }, field: 'name', says: /has 101 characters, not 1 to 100/ },
  { body: { ...good, secret: 'short' }, field: 'secret', says: /has 5 characters, not 8 to 256/ },
  { body: { ...good, active: 'true' }, field: 'active', says: /is "true", not true or false/ },
  {
    body: { ...good, active: false, enabled: true },
    field: 'enabled',
    says: /^enabled is true and active false, but they are two names/,
  },
  { body: { ...good, dialect: 'truftp' }, field: 'dialect', says: /"truftp".*did you mean "trueftp"/ },
  { body: { ...good, accountId: 'nobody' }, field: 'accountId', says: /is "nobody", which is no account/ },
  { body: { ...good, retry: { delaysSeconds: [90_000] } }, field: 'retry.delaysSeconds[0]', says: /is 90000, not 0 to 86400/ },
  {
    body: { ...good, retry: { delays_seconds: [1] } },
    field: 'retry.delays_seconds',
    says: /not known here; known are delaysSeconds/,
  },
  { body: { ...good, evnets: ['*'] }, field: 'evnets', says: /^evnets is not known here; known are url, events/ },
]
for (const { body, field, says, code = 'invalid' } of webhookRefusals) {
  test(`a webhook is refused: ${JSON.stringify(body).slice(0, 100)}`, async () => {
    const { status, json } = await call('POST', '/api/webhooks', body)
    assert.equal(status, 400)
    assert.match(json.error, says)
    assert.deepEqual(json, { success: false, error: json.error, details: { code, field } })
    assert.equal(await countOf('/api/webhooks'), 0)
  })
}

test('a refused change changes nothing', async () => {
  const { id } = await makeWebhook()
  assert.equal((await call('PATCH', `/api/webhooks/${id}`, { active: false, enabled: true })).json.details.field, 'enabled')
  assert.equal((await call('PATCH', `/api/webhooks/${id}`, { active: false, events: ['nothing.*'] })).status, 400)
  assert.equal((await call('GET', `/api/webhooks/${id}`)).json.data.webhook.state, 'active')
  await call('DELETE', `/api/webhooks/${id}`)
})

test('a test delivery is planned, listed, shown and delivered again', async () => {
  const { id } = await makeWebhook({ secret: 'a secret of mine' })
  const planned = await call('POST', `/api/webhooks/${id}/test`, { event: 'file.uploaded' })
  assert.equal(planned.status, 202)
  const { delivery } = planned.json.data
  assert.match(delivery.createdAt, TIME)
  assert.equal(delivery.nextAttemptAt, delivery.createdAt)
  const { id: deliveryId, eventId, createdAt: _, nextAttemptAt: __, ...rest } = delivery
  const nothingYet = { attempts: 0, settledAt: null, lastStatusCode: null, lastError: null }
  assert.deepEqual(rest, { event: 'file.uploaded', status: 'waiting', cause: 'test', ...nothingYet })

  const path = `/api/webhooks/${id}/deliveries`
  const list = await call('GET', path)
  assert.deepEqual(list.json.data, {
    deliveries: [delivery],
    pagination: { page: 1, limit: 20, total: 1, pages: 1 },
    nextCursor: null,
  })
  assert.equal(await countOf(`${path}?status=delivered`), 0)
  assert.equal(await countOf(`${path}?status=waiting&event=file.uploaded`), 1)
  assert.equal(await countOf(`${path}?event=file.deleted`), 0)

  const detail = (await call('GET', `${path}/${deliveryId}`)).json.data.delivery
  assert.deepEqual(detail.attemptLog, [])
  assert.equal(detail.request.url, good.url)
  assert.equal(JSON.parse(detail.request.body).event, 'file.uploaded')
  assert.equal(JSON.parse(detail.request.body).id, eventId)
  assert.ok(!JSON.stringify(detail).includes('a secret of mine'))

  // A sample is no event that happened: it is in no list, and the delivery of it can not be asked for again by its event.
  assert.equal(await countOf('/api/events'), 0)
  assert.equal((await call('GET', `${path}/dlv_none`)).status, 404)
  assert.equal((await call('POST', `${path}/dlv_none/redeliver`)).status, 404)
  await call('DELETE', `/api/webhooks/${id}`)
})

test('an event is delivered again', async () => {
  const { id } = await makeWebhook({ events: ['file.uploaded'] })
  const data = { path: '/order.csv', size: 3, username: 'pipeline', client_ip: '203.0.113.5' }
  const event = world.recorder.draft('file.uploaded', account.id, data)
  await world.store.recordEvents([event])

  const { events, pagination } = (await call('GET', '/api/events')).json.data
  assert.deepEqual(events, [
    { id: event.id, event: 'file.uploaded', accountId: account.id, timestamp: new Date(event.occurredAt).toISOString(), data },
  ])
  assert.equal(pagination.total, 1)

  const [first] = (await call('GET', `/api/webhooks/${id}/deliveries`)).json.data.deliveries
  assert.equal(first.cause, 'event')
  const again = await call('POST', `/api/webhooks/${id}/deliveries/${first.id}/redeliver`)
  assert.equal(again.status, 202)
  assert.equal(again.json.data.delivery.cause, 'resend')
  assert.equal(again.json.data.delivery.eventId, event.id)
  assert.equal(await countOf(`/api/webhooks/${id}/deliveries`), 2)
  await call('DELETE', `/api/webhooks/${id}`)
})

const queries: { path: string; field: string; says: RegExp }[] = [
  { path: '/api/webhooks?page=0', field: 'page', says: /is 0, not 1 to/ },
  { path: '/api/webhooks?limit=101', field: 'limit', says: /is 101, not 1 to 100/ },
  { path: '/api/webhooks?limit=ten', field: 'limit', says: /is "ten", not a whole number/ },
  { path: '/api/webhooks?offset=5', field: 'offset', says: /known are page, limit, accountId/ },
  { path: '/api/events?event=file.uplaoded', field: 'event', says: /did you mean "file.uploaded"/ },
  { path: '/api/events?since=yesterday', field: 'since', says: /is "yesterday", not a time like/ },
  { path: '/api/events?since=2026-13-01T00:00:00Z', field: 'since', says: /not a time like/ },
  {
    path: '/api/webhooks/wh_x/deliveries?status=held',
    field: 'status',
    says: /is "held", not one of waiting, delivered, failed, cancelled/,
  },
]
for (const { path, field, says } of queries) {
  test(`a query is refused: ${path}`, async () => {
    const { status, json } = await call('GET', path)
    assert.equal(status, 400)
    assert.equal(json.details.field, field)
    assert.match(json.error, says)
  })
}

test('webhooks of an account may reach its networks, and those alone', async () => {
  await call('POST', '/api/accounts', { slug: 'inside', egressAllow: ['10.1.0.0/16'] })
  const make = (url: string, accountId?: string) =>
    call('POST', '/api/webhooks', { ...good, url, ...(accountId && { accountId }) })
  const made = await make('https://10.1.2.3/hook', 'inside')
  assert.equal(made.status, 201)
  const outside = await make('https://10.2.0.1/hook', 'inside')
  assert.equal(outside.status, 400)
  assert.match(outside.json.error, /^url: 10\.2\.0\.1 is in 10\.0\.0\.0\/8 .*egressAllow of the account can open it/)
  for (const accountId of [undefined, 'default'])
    assert.match((await make('https://10.1.2.3/hook', accountId)).json.error, /LANDFALL_EGRESS_ALLOW can open it/)
  const { id } = made.json.data.webhook
  assert.deepEqual((await world.store.findWebhook(id))!.egressAllow, ['10.1.0.0/16'])
  await call('PATCH', '/api/accounts/inside', { egressAllow: [] })
  assert.deepEqual((await world.store.findWebhook(id))!.egressAllow, [])
  assert.equal((await call('DELETE', `/api/webhooks/${id}`)).status, 200)
})

test('events are filtered by type, time and account', async () => {
  const { json } = await call('POST', '/api/accounts', { slug: 'filtered' })
  const other = json.data.account.id
  const at = Date.UTC(2020, 0, 1)
  const draft = (seconds: number) => ({
    id: newId('event', at + seconds * 1_000),
    type: 'dir.created' as const,
    accountId: other,
    occurredAt: at + seconds * 1_000,
    data: { path: '/x' },
  })
  await world.store.recordEvents([draft(0), draft(1), draft(2)])
  assert.equal(await countOf(`/api/events?accountId=${other}`), 3)
  assert.equal(await countOf(`/api/events?accountId=${other}&event=dir.deleted`), 0)
  assert.equal(await countOf(`/api/events?since=2020-01-01T00:00:01Z&until=2020-01-01T00:00:02Z`), 1)
  assert.equal(await countOf(`/api/events?until=2020-01-01T01:00:01%2B01:00`), 1)
  const { data } = (await call('GET', `/api/events?accountId=${other}&limit=2&page=2`)).json
  assert.deepEqual(data.pagination, { page: 2, limit: 2, total: 3, pages: 2 })
  assert.equal(data.events.length, 1)
})

test('every event type is told with trigger, schema and sample', async () => {
  const { eventTypes } = (await call('GET', '/api/event-types')).json.data
  assert.deepEqual(
    eventTypes.map(({ event }: { event: string }) => event),
    EVENT_TYPES,
  )
  const uploaded = eventTypes.find(({ event }: { event: string }) => event === 'file.uploaded')
  assert.equal(uploaded.source, 'trueftp')
  assert.deepEqual(uploaded.sample, { path: '/incoming/order.csv', size: 20480, username: 'pipeline', client_ip: '203.0.113.5' })
  assert.deepEqual(Object.keys(uploaded.schema.properties).slice(0, 4), ['path', 'size', 'username', 'client_ip'])
})

test('health has the shape of the contract', async () => {
  const { status, json } = await call('GET', '/api/health', undefined, null)
  assert.equal(status, 200)
  const { timestamp, uptime, checks, ...rest } = json
  assert.match(timestamp, TIME)
  assert.ok(Number.isInteger(uptime))
  assert.deepEqual(rest, {
    status: 'healthy',
    version: '0.1.0',
    setup_complete: true,
    metrics: { activeAgents: 0, activeTransfers: 0, pendingJobs: 0 },
  })
  assert.equal(checks.database.status, 'pass')
  assert.deepEqual(checks.disk, { status: 'pass', used: 100, total: 1_000, percentage: 10 })
  assert.deepEqual((await call('GET', '/api/health/ready', undefined, null)).json, { status: 'ready' })
  assert.deepEqual((await call('GET', '/api/health/live', undefined, null)).json, { status: 'alive' })
})

test('accounts: made, listed, got by id and slug, changed', async () => {
  const made = await call('POST', '/api/accounts', { slug: 'acme' })
  assert.equal(made.status, 201)
  const { id, createdAt, updatedAt: _, ...rest } = made.json.data.account
  assert.match(id, /^acc_/)
  assert.match(createdAt, TIME)
  assert.deepEqual(rest, { slug: 'acme', name: 'acme', plan: 'business', egressAllow: null, quotaBytes: null })
  for (const reference of [id, 'acme']) {
    const got = (await call('GET', `/api/accounts/${reference}`)).json.data
    assert.deepEqual(got, { account: made.json.data.account, usage: { bytes: 0, files: 0 } })
  }
  const changed = await call('PATCH', '/api/accounts/acme', { name: 'Acme Ltd', plan: 'starter' })
  assert.deepEqual([changed.json.data.account.name, changed.json.data.account.plan], ['Acme Ltd', 'starter'])
  assert.equal(changed.json.data.account.egressAllow, null)
  const bounded = await call('PATCH', '/api/accounts/acme', { quotaBytes: 1_000 })
  assert.equal(bounded.json.data.account.quotaBytes, 1_000)
  assert.equal((await call('PATCH', '/api/accounts/acme', { quotaBytes: -1 })).status, 400)
  const opened = await call('PATCH', '/api/accounts/acme', { egressAllow: ['10.0.0.0/8', 'fd00::/8'] })
  assert.deepEqual(opened.json.data.account.egressAllow, ['10.0.0.0/8', 'fd00::/8'])
  const wrong = await call('PATCH', '/api/accounts/acme', { egressAllow: ['127.0.0.0/8'] })
  assert.equal(wrong.status, 400)
  assert.match(wrong.json.error, /^egressAllow: "127\.0\.0\.0\/8" is in .*LANDFALL_EGRESS_LOOPBACK/)
  assert.deepEqual((await call('GET', '/api/accounts/acme')).json.data.account.egressAllow, ['10.0.0.0/8', 'fd00::/8'])
  const shut = await call('PATCH', '/api/accounts/acme', { egressAllow: null })
  assert.equal(shut.json.data.account.egressAllow, null)
  const again = await call('POST', '/api/accounts', { slug: 'acme' })
  assert.equal(again.status, 409)
  assert.equal(again.json.details.code, 'already_exists')
  assert.equal((await call('GET', '/api/accounts/nobody')).status, 404)
  // Its plan has no webhooks.
  const refused = await call('POST', '/api/webhooks', { ...good, accountId: 'acme' })
  assert.equal(refused.status, 403)
  assert.equal(refused.json.details.code, 'plan_refused')
})

test('a webhook of an account whose plan has lost them sends nothing, also no probes; what is recorded is read on', async () => {
  await call('POST', '/api/accounts', { slug: 'shrunk' })
  const made = await call('POST', '/api/webhooks', { ...good, accountId: 'shrunk' })
  const path = `/api/webhooks/${made.json.data.webhook.id}`
  await call('PATCH', '/api/accounts/shrunk', { plan: 'starter' })
  for (const [step, body] of [
    ['doctor', undefined],
    ['test', { event: 'file.uploaded' }],
    ['replay', { since: '2026-01-01T00:00:00Z' }],
  ] as const) {
    const { status, json } = await call('POST', `${path}/${step}`, body)
    assert.deepEqual([status, json.details.code], [403, 'plan_refused'], step)
  }
  for (const read of ['', '/feed', '/deliveries']) assert.equal((await call('GET', path + read)).status, 200)
})

test('users: made, listed, got, changed, removed', async () => {
  const path = '/api/accounts/default/users'
  const made = await call('POST', path, {
    name: 'pipeline',
    password: 'correct horse',
    publicKeys: [KEY],
    permissions: ['read', 'list'],
  })
  assert.equal(made.status, 201, made.text)
  const { user } = made.json.data
  const { id, createdAt: _, updatedAt: __, publicKeys, ...rest } = user
  assert.deepEqual(rest, {
    accountId: account.id,
    name: 'pipeline',
    login: 'pipeline',
    home: '/default/pipeline',
    permissions: ['list', 'read'],
    hasPassword: true,
    disabled: false,
  })
  assert.deepEqual(
    publicKeys.map(({ id: _, ...key }: { id: string }) => key),
    [{ type: 'ssh-ed25519', fingerprint: 'SHA256:H5f7zHwd5jeKxRTYiWwPRpQtHnWc50eUchY7M/NoG2g', comment: 'work' }],
  )
  assert.ok(!made.text.includes('argon2id') && !made.text.includes('correct horse'))

  assert.deepEqual((await call('GET', path)).json.data.users, [user])
  assert.deepEqual((await call('GET', `${path}/${id}`)).json.data.user, user)
  const disabled = await call('PATCH', `${path}/${id}`, { disabled: true })
  assert.equal(disabled.json.data.user.disabled, true)
  assert.deepEqual(world.changedUsers, [id])
  assert.equal((await call('POST', path, { name: 'pipeline', password: 'correct horse' })).status, 409)
  assert.equal((await call('GET', `/api/accounts/acme/users/${id}`)).status, 404)
  assert.deepEqual((await call('DELETE', `${path}/${id}`)).json, { success: true, data: { deleted: true } })
  assert.equal((await call('DELETE', `${path}/${id}`)).status, 404)
})

const userRefusals: { body: object; field: string; says: RegExp }[] = [
  { body: { password: 'correct horse' }, field: 'name', says: /^name is missing/ },
  { body: { name: 'x' }, field: 'password', says: /needs a password or at least one public key/ },
  { body: { name: '-x', password: 'correct horse' }, field: 'name', says: /is "-x"/ },
  { body: { name: 'x', password: 'short' }, field: 'password', says: /^password has 5 bytes, not 8 to 1024$/ },
  { body: { name: 'x', password: 12_345_678 }, field: 'password', says: /^password is of another kind, not a text or null$/ },
  { body: { name: 'x', password: 'correct horse', home: '/../etc' }, field: 'home', says: /is "\/\.\.\/etc"/ },
  {
    body: { name: 'x', password: 'correct horse', permissions: ['admin'] },
    field: 'permissions[0]',
    says: /is "admin", not one of list, read, write, delete/,
  },
  { body: { name: 'x', publicKeys: ['ssh-dss AAAA'] }, field: 'publicKeys[0]', says: /DSA is no longer safe/ },
  { body: { name: 'x', password: 'correct horse', admin: true }, field: 'admin', says: /^admin is not known here/ },
]
for (const { body, field, says } of userRefusals) {
  test(`a user is refused: ${JSON.stringify(body).slice(0, 100)}`, async () => {
    const before = await countOf('/api/accounts/default/users')
    const { status, json, text } = await call('POST', '/api/accounts/default/users', body)
    assert.equal(status, 400)
    assert.match(json.error, says)
    assert.equal(json.details.field, field)
    assert.ok(!text.includes('correct horse'))
    assert.equal(await countOf('/api/accounts/default/users'), before)
  })
}

test('keys and administrator tokens: made once, listed without the secret, revoked at once', async () => {
  const path = '/api/accounts/default/keys'
  const made = await call('POST', path, { scopes: ['read'] })
  assert.equal(made.status, 201, made.text)
  const { key, token } = made.json.data
  assert.match(token, /^tftp_[0-9a-z]{32}$/)
  const { id, name, accountId, scopes, hourlyLimit, revoked, revokedAt } = key
  assert.deepEqual(
    { name, accountId, scopes, hourlyLimit, revoked, revokedAt },
    { name: id, accountId: account.id, scopes: ['read'], hourlyLimit: 1_000, revoked: false, revokedAt: null },
  )
  assert.ok(!(await call('GET', path)).text.includes(token))
  assert.equal((await call('GET', '/api/ext/v1/account', undefined, token)).status, 200)
  assert.equal((await call('DELETE', `${path}/${id}`)).json.data.deleted, true)
  assert.equal((await call('GET', '/api/ext/v1/account', undefined, token)).status, 401)
  assert.equal((await call('GET', path)).json.data.keys[0].revoked, true)
  assert.equal((await call('POST', path, { scopes: ['all'] })).json.details.field, 'scopes[0]')
  assert.equal((await call('POST', path, { scopes: ['read'], hourlyLimit: 0 })).json.error, 'hourlyLimit is 0, not 1 to 1000000')

  const admin = (await call('POST', '/api/admin-tokens', { name: 'ops' })).json.data
  assert.match(admin.token, /^lfadm_[0-9a-z]{32}$/)
  assert.equal((await call('GET', '/api/accounts', undefined, admin.token)).status, 200)
  const { adminTokens } = (await call('GET', '/api/admin-tokens')).json.data
  assert.ok(adminTokens.some((one: { name: string; revoked: boolean }) => one.name === 'ops' && !one.revoked))
  await call('DELETE', `/api/admin-tokens/${admin.adminToken.id}`)
  assert.equal((await call('GET', '/api/accounts', undefined, admin.token)).status, 401)
})

test('what was changed is in the audit trail with who, from where and through which door', async () => {
  const { entries } = (await call('GET', '/api/audit?action=user.create')).json.data
  assert.equal(entries.length, 1)
  const { actor, address, door, action, result, accountId } = entries[0]
  assert.deepEqual(
    { actor, address, door, action, result, accountId },
    { actor: 'first-admin', address: '127.0.0.1', door: 'api', action: 'user.create', result: 'ok', accountId: account.id },
  )
  assert.equal(await countOf('/api/audit?actor=nobody'), 0)
})
