import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { aRequest } from '../../agents/testing.ts'
import { MINUTE_MS } from '../../base/units.ts'
import { AGENT_REQUESTS_PER_MINUTE, REFUSED_PER_MINUTE, REGISTRATIONS_PER_MINUTE } from '../auth.ts'
import { openWorld } from '../testing.ts'

let world: Awaited<ReturnType<typeof openWorld>>
before(async () => {
  world = await openWorld()
})
after(() => world.close())

const INPUT = { hostname: 'server1.example.com', os: 'linux' }

async function makeToken(input = {}): Promise<{ id: string; token: string }> {
  const { json } = await world.call('POST', '/api/enrollment-tokens', input)
  return { id: json.data.enrollmentToken.id, token: json.data.token }
}

/** Registrations are few a minute; time moves on, so that each test has its own. */
async function register(body: object, token: string | null = world.adminToken) {
  world.clock.ahead(MINUTE_MS)
  return world.call('POST', '/api/agents/register', body, token)
}

const asAgent = (method: string, path: string, key: string, body?: unknown) =>
  world.call(method, path, body, null, { 'x-api-key': key })

test('register: the answer of the contract, with an enrolment token as bearer or in the body, or an administrator token', async () => {
  const { token } = await makeToken({ usesMax: 2 })
  const csr = aRequest()
  const first = await register({ ...INPUT, name: 'production-server-1', version: '1.0.0', csr }, token)
  assert.equal(first.status, 201)
  const { agent, apiKey, mtls } = first.json.data
  assert.match(apiKey, /^mft_ak_[0-9a-z]{20}$/)
  const { lastHeartbeat, createdAt, id, ...facts } = agent
  assert.deepEqual(facts, {
    ...{ name: 'production-server-1', hostname: INPUT.hostname, os: 'linux', version: '1.0.0', status: 'online' },
    ...{ ipAddress: '127.0.0.1', isBuiltin: false, concurrency: 4, load: null, memory: null, revokedAt: null },
  })
  assert.equal(lastHeartbeat, createdAt)
  assert.match(mtls.certificate, /^-----BEGIN CERTIFICATE-----/)
  assert.equal(mtls.ca, world.agents.authority.certificate)
  assert.deepEqual([mtls.enabled, mtls.csrTemplate.namedCurve, mtls.agents], [true, 'P-256', '127.0.0.1:8443'])
  const again = await register({ ...INPUT, csr }, token)
  assert.equal(again.json.data.agent.id, id)

  const foreign = await register({ ...INPUT, enrollmentToken: token, customerIdentifier: 'acme' }, null)
  assert.equal(foreign.status, 201)
  assert.deepEqual([foreign.json.data.mtls.certificate, foreign.json.data.agent.name], [undefined, INPUT.hostname])
  assert.equal((await register(INPUT)).status, 201)
  assert.deepEqual([(await register(INPUT, token)).status], [403])
})

const refused = [
  { name: 'no credentials', body: INPUT, token: null, status: 401, says: /enrolment token is missing/ },
  {
    name: 'a customer identifier alone',
    body: { ...INPUT, customerIdentifier: 'acme' },
    token: null,
    status: 401,
    says: /missing/,
  },
  { name: 'credentials before anything else', body: { os: 'beos' }, token: null, status: 401, says: /missing/ },
  { name: 'an unknown token', body: INPUT, token: `mft_enr_${'0'.repeat(32)}.${'0'.repeat(32)}`, status: 401, says: /unknown/ },
  { name: 'no host name', body: { os: 'linux' }, status: 400, says: /hostname is missing/ },
  { name: 'another system', body: { ...INPUT, os: 'beos' }, status: 400, says: /os is "beos"/ },
  { name: 'an unknown member', body: { ...INPUT, builtin: true }, status: 400, says: /builtin/ },
  { name: 'no member makes it a built-in one', body: { ...INPUT, isBuiltin: true }, status: 400, says: /isBuiltin/ },
  { name: 'a request that is none', body: { ...INPUT, csr: 'x' }, status: 400, says: /csr is not one certificate request/ },
]
for (const { name, body, token, status, says } of refused) {
  test(`register is refused: ${name}`, async () => {
    const answer = await register(body, token)
    assert.equal(answer.status, status)
    assert.match(answer.json.error, says)
  })
}

test('registrations are few a minute and address, valid or not; then the address waits', async () => {
  world.clock.ahead(MINUTE_MS)
  const answers = []
  for (let count = 0; count <= REGISTRATIONS_PER_MINUTE; count++)
    answers.push((await world.call('POST', '/api/agents/register', { os: 'linux' })).status)
  assert.deepEqual(answers, [...Array(REGISTRATIONS_PER_MINUTE).fill(400), 429])
  world.clock.ahead(MINUTE_MS)
  assert.equal((await world.call('POST', '/api/agents/register', INPUT)).status, 201)
})

test('heartbeat: what an agent says of itself is kept; offline is a goodbye, and it comes back', async () => {
  const { apiKey, agent } = (await register({ ...INPUT, name: 'beating' })).json.data
  const beat = (body: object) => asAgent('POST', '/api/agents/heartbeat', apiKey, body)
  const busy = await beat({ status: 'busy', load: 0.5, memory: 512, version: '2.0' })
  assert.equal(busy.headers.get('x-ratelimit-limit'), String(AGENT_REQUESTS_PER_MINUTE))
  const { status, load, memory, version } = busy.json.data.agent
  assert.deepEqual([status, load, memory, version], ['busy', 0.5, 512, '2.0'])
  world.clock.ahead(20_000)
  assert.equal((await beat({})).json.data.agent.status, 'busy')
  assert.equal((await beat({ status: 'offline' })).json.data.agent.status, 'offline')
  assert.equal((await beat({ status: 'online' })).json.data.agent.status, 'online')
  const { rows } = await world.store.listEvents({}, { limit: 100, offset: 0 })
  const said = rows.filter(({ data }) => data.agentId === agent.id).map(({ type }) => type)
  assert.deepEqual(said.toSorted(), ['agent.connected', 'agent.disconnected', 'agent.registered'])
  for (const wrong of [{ load: 1.1 }, { memory: -1 }, { status: 'asleep' }, { version: 'a\nb' }, { cpu: 1 }])
    assert.equal((await beat(wrong)).status, 400, JSON.stringify(wrong))
})

test('an agent has its key and nothing else: no page of administrators, and no guess of a key', async () => {
  const { apiKey } = (await register(INPUT)).json.data
  for (const path of ['/api/agents', '/api/webhooks', '/api/enrollment-tokens'])
    assert.equal((await asAgent('GET', path, apiKey)).status, 401, path)
  assert.equal((await world.call('POST', '/api/agents/heartbeat', {})).status, 401, 'an administrator is no agent')
  assert.equal((await world.call('GET', '/api/agents', undefined, apiKey)).status, 401)
  world.clock.ahead(MINUTE_MS)
  const statuses = []
  for (let count = 0; count <= REFUSED_PER_MINUTE; count++)
    statuses.push((await asAgent('POST', '/api/agents/heartbeat', `mft_ak_${String(count).padStart(20, '0')}`, {})).status)
  assert.deepEqual([statuses[0], statuses.at(-2), statuses.at(-1)], [401, 401, 429])
  assert.equal((await asAgent('POST', '/api/agents/heartbeat', apiKey, {})).status, 429)
  world.clock.ahead(MINUTE_MS)
  assert.equal((await asAgent('POST', '/api/agents/heartbeat', apiKey, {})).status, 200)
})

test('a certificate for a foreign agent: for itself only', async () => {
  const [one, other] = [(await register(INPUT)).json.data, (await register(INPUT)).json.data]
  const ask = (id: string, csr: string) => asAgent('POST', `/api/agents/${id}/certificate`, one.apiKey, { csr })
  const csr = aRequest()
  const answer = await ask(one.agent.id, csr)
  assert.match(answer.json.data.certificate, /^-----BEGIN CERTIFICATE-----/)
  assert.equal((await ask(other.agent.id, csr)).status, 403)
  assert.equal((await asAgent('POST', `/api/agents/${other.agent.id}/certificate`, other.apiKey, { csr })).status, 409)
  await ask(one.agent.id, csr)
  const { certificates } = (await world.call('GET', `/api/agents/${one.agent.id}/certificates`)).json.data
  assert.equal(certificates.length, 2)
  assert.ok(
    certificates.some(
      ({ id, replacedAt }: { id: string; replacedAt: string }) => id === answer.json.data.certificateId && replacedAt,
    ),
  )
})

test('administrators list, show, rename and disconnect; what is not there is 404', async () => {
  const { agent } = (await register({ ...INPUT, name: 'before' })).json.data
  const { agents, pagination } = (await world.call('GET', '/api/agents?limit=1')).json.data
  assert.deepEqual([agents.length, pagination.limit, agents[0].id], [1, 1, agent.id])
  const { transfers, jobs, ...facts } = (await world.call('GET', `/api/agents/${agent.id}`)).json.data.agent
  assert.deepEqual([transfers, jobs, facts], [[], [], agent])
  const changed = await world.call('PATCH', `/api/agents/${agent.id}`, { name: 'after', concurrency: 8 })
  assert.deepEqual([changed.json.data.agent.name, changed.json.data.agent.concurrency], ['after', 8])
  assert.equal((await world.call('PATCH', `/api/agents/${agent.id}`, { concurrency: 65 })).status, 400)
  assert.deepEqual((await world.call('POST', `/api/agents/${agent.id}/disconnect`)).json.data, { disconnected: false })
  for (const [method, path, body] of [
    ['GET', '', undefined],
    ['PATCH', '', { name: 'x' }],
    ['POST', '/disconnect', undefined],
    ['POST', '/revoke', undefined],
    ['GET', '/certificates', undefined],
  ] as const)
    assert.equal((await world.call(method, `/api/agents/agent_x${path}`, body)).status, 404, `${method} ${path}`)
})

test('a revoked agent is nobody: its key counts no more, what it did is told to be over, and the trail says who did it', async () => {
  const { agent, apiKey } = (await register({ ...INPUT, csr: aRequest() })).json.data
  const revoked = await world.call('POST', `/api/agents/${agent.id}/revoke`)
  assert.equal(revoked.json.data.agent.status, 'offline')
  assert.notEqual(revoked.json.data.agent.revokedAt, null)
  assert.deepEqual(world.revokedAgents, [agent.id])
  assert.equal((await asAgent('POST', '/api/agents/heartbeat', apiKey, {})).status, 401)
  const [certificate] = (await world.call('GET', `/api/agents/${agent.id}/certificates`)).json.data.certificates
  assert.notEqual(certificate.revokedAt, null)
  const { rows } = await world.store.listAudit({ action: 'agent.revoke' }, { limit: 5, offset: 0 })
  assert.deepEqual(
    rows.map(({ actor, target }) => [actor, target]),
    [['first-admin', agent.id]],
  )
})

test('enrolment tokens: shown once, listed with what was used, revoked at once', async () => {
  const { id, token } = await makeToken({ name: 'for the warehouse', usesMax: 3, expiresInSeconds: 600 })
  await register(INPUT, token)
  const listed = await world.call('GET', '/api/enrollment-tokens?limit=1')
  const [shown] = listed.json.data.enrollmentTokens
  assert.deepEqual([shown.id, shown.name, shown.usesMax, shown.uses, shown.revokedAt], [id, 'for the warehouse', 3, 1, null])
  assert.ok(!listed.text.includes(token.slice(8, 40)))
  assert.equal((await world.call('DELETE', `/api/enrollment-tokens/${id}`)).status, 200)
  const late = await register(INPUT, token)
  assert.deepEqual([late.status, late.json.error], [403, 'The enrolment token is revoked.'])
  assert.equal((await world.call('DELETE', '/api/enrollment-tokens/enr_x')).status, 404)
  assert.equal((await world.call('POST', '/api/enrollment-tokens', { usesMax: 0 })).status, 400)
  assert.equal((await world.call('POST', '/api/enrollment-tokens', { expiresInSeconds: 59 })).status, 400)
})
