import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { openWorld } from './testing.ts'

const world = await openWorld()
after(() => world.close())
const { call, keyOf, recorder, store, account } = world
const { token } = await keyOf('default', ['read', 'write'])
const { id: otherAccount } = await world.accounts.createAccount(world.caller, { slug: 'other' })

const who = { username: 'pipeline', client_ip: '203.0.113.5' }
const upload = (accountId: string, path: string) => {
  // Events of one millisecond have no order.
  world.clock.ahead(1)
  return recorder.draft('file.uploaded', accountId, { path, size: 5, ...who })
}
const drafts = [
  ...['/incoming/a.csv', '/incoming/b.txt'].map((path) => upload(account.id, path)),
  recorder.draft('dir.created', account.id, { path: '/incoming', ...who }),
  upload(otherAccount, '/incoming/theirs.csv'),
]
for (const draft of drafts) await store.recordEvents([draft])

test('preview: the newest events that scope and types cover, with requests and reasons, on both faces', async () => {
  const filter = { 'data.path': { glob: '/**/*.csv' } }
  const { json } = await call(
    'POST',
    '/api/ext/v1/webhooks',
    { url: 'https://receiver.example/in', events: ['file.uploaded'], filter, headers: { 'X-Key': { secret: 'k-123' } } },
    token,
  )
  const before = (await store.listDeliveries({ webhookId: json.id }, { limit: 1, offset: 0 })).total
  const mine = await call('POST', `/api/ext/v1/webhooks/${json.id}/preview`, {}, token)
  assert.equal(mine.status, 200)
  assert.deepEqual([mine.json.considered, mine.json.would_send], [2, 1])
  const [txt, csv] = mine.json.data
  assert.deepEqual(
    [txt.would_send, txt.request, txt.unmet],
    [false, null, { member: 'data.path', condition: { glob: '/**/*.csv' } }],
  )
  assert.equal(txt.reason, 'data.path is "/incoming/b.txt", which does not meet {"glob":"/**/*.csv"}')
  assert.deepEqual([csv.event_id, csv.would_send, csv.reason, csv.unmet], [drafts[0]?.id, true, null, null])
  assert.deepEqual([csv.request.headers['X-TrueFTP-Signature'], csv.request.headers['X-Key']], ['sha256=********', '********'])
  assert.equal(JSON.parse(csv.request.body).data.path, '/incoming/a.csv')
  assert.ok(!mine.text.includes('theirs') && !mine.text.includes('k-123'))

  const asked = { limit: 1, filter: null, dialect: 'mftplus', events: ['dir.*'] }
  const asAdmin = await call('POST', `/api/webhooks/${json.id}/preview`, asked)
  const { considered, wouldSend, events } = asAdmin.json.data
  assert.deepEqual([considered, wouldSend, events[0].event], [1, 1, 'dir.created'])
  assert.equal(JSON.parse(events[0].request.body).event, 'dir.created')
  assert.equal((await store.listDeliveries({ webhookId: json.id }, { limit: 1, offset: 0 })).total, before)
  const stored = (await call('GET', `/api/webhooks/${json.id}`)).json.data.webhook
  assert.deepEqual([stored.dialect, stored.events, stored.filter], ['trueftp', ['file.uploaded'], filter])
})

test('preview: of the whole server it sees all accounts; what is wrong is refused', async () => {
  const { json } = await call('POST', '/api/webhooks', { url: 'https://receiver.example/in', events: ['file.*'] })
  const { id } = json.data.webhook
  assert.equal((await call('POST', `/api/webhooks/${id}/preview`, { limit: 200 })).json.data.considered, 3)
  for (const [body, says] of [
    [{ limit: 201 }, /^limit is 201, not 1 to 200$/],
    [{ filter: { 'data.pth': 1 } }, /did you mean "data.path"/],
    [{ events: ['file.x'] }, /^events: "file.x" is no event type/],
    [{ dialect: 'x' }, /^dialect must be one of/],
    [{ url: 'https://a.example' }, /^url is not known here/],
  ] as const) {
    const { status, json } = await call('POST', `/api/webhooks/${id}/preview`, body)
    assert.equal(status, 400)
    assert.match(json.error, says)
  }
  assert.equal((await call('POST', `/api/ext/v1/webhooks/${id}/preview`, {}, token)).status, 404)
})
