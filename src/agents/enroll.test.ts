import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { createRequest } from '../../agent/csr.ts'
import { SERVER_CALLER } from '../audit/caller.ts'
import { AppError } from '../base/error.ts'
import { DAY_MS } from '../base/units.ts'
import { createAgentAdmin } from './administer.ts'
import { createAgentFinder } from './authenticate.ts'
import type { CertificateAuthority } from './authority.ts'
import type { Registration } from './check.ts'
import { type Admission, CERTIFICATES_KEPT_MAX, createEnrolment } from './enroll.ts'
import { aRequest, openAgents } from './testing.ts'

const INPUT: Registration = { hostname: 'server1.example.com', os: 'linux' }
const ADMIN: Admission = { admin: { ...SERVER_CALLER, actor: 'ops' } }

async function openDesk(t: Parameters<typeof openAgents>[0]) {
  const world = await openAgents(t)
  const { store, recorder, clock, authority, enrolment } = world
  const admin = createAgentAdmin({
    ...{ store, recorder, clock, authorityFingerprint: authority.fingerprint },
    presence: { look: async () => {} },
    onRevoked: async () => {},
  })
  async function token(input = {}) {
    const made = await admin.createToken(input, SERVER_CALLER)
    return { ...made, admission: { token: (await enrolment.findToken(made.token))! } }
  }
  return { ...world, admin, token, byKey: createAgentFinder(store) }
}

test('an agent that registers gets a key that is stored as a hash, and its event is said', async (t) => {
  const { enrolment, store, said, byKey } = await openDesk(t)
  const { agent, apiKey, certificate } = await enrolment.register(ADMIN, { ...INPUT, version: '1.2.3' }, '192.0.2.7')
  assert.match(apiKey, /^mft_ak_[0-9a-z]{20}$/)
  assert.match(agent.id, /^agent_[0-9a-z]{16}$/)
  assert.deepEqual([agent.name, agent.status, agent.version, agent.ipAddress], [INPUT.hostname, 'online', '1.2.3', '192.0.2.7'])
  assert.deepEqual([certificate, agent.publicKeyHash], [null, null])
  assert.deepEqual(await byKey(apiKey), agent)
  for (const wrong of [`${apiKey}0`, apiKey.slice(7), `mft_ak_${'0'.repeat(20)}`, 'x'.repeat(10_000)])
    assert.equal(await byKey(wrong), undefined)
  assert.ok(!JSON.stringify(await store.listAgents({ limit: 9, offset: 0 })).includes(apiKey))
  const [event] = await said()
  assert.deepEqual(
    [event?.type, event?.data],
    [
      'agent.registered',
      {
        ...{ agentId: agent.id, agentName: INPUT.hostname, hostname: INPUT.hostname, os: 'linux', version: '1.2.3' },
        status: 'online',
      },
    ],
  )
  const { rows } = await store.listAudit({ action: 'agent.register' }, { limit: 9, offset: 0 })
  assert.deepEqual(
    rows.map(({ actor, target }) => [actor, target]),
    [['ops', agent.id]],
  )
})

test('an enrolment that is repeated answers the same agent, with another key and certificate', async (t) => {
  const { enrolment, store, said, token, time, byKey } = await openDesk(t)
  const { admission, enrolmentToken } = await token()
  const input = { ...INPUT, csr: aRequest() }
  const first = await enrolment.register(admission, input, null)
  await time.pass(1_000)
  const second = await enrolment.register(admission, { ...input, name: 'another name', hostname: 'moved.example.com' }, null)
  assert.deepEqual(
    [second.agent.id, second.agent.name, second.agent.hostname],
    [first.agent.id, INPUT.hostname, 'moved.example.com'],
  )
  assert.equal(await byKey(first.apiKey), undefined)
  assert.equal((await byKey(second.apiKey))?.id, first.agent.id)
  assert.notEqual(second.certificate, first.certificate)
  const certificates = await store.listCertificates(first.agent.id)
  assert.deepEqual(
    certificates.map(({ replacedAt, revokedAt }) => [replacedAt !== null, revokedAt]),
    [
      [false, null],
      [true, null],
    ],
  )
  assert.equal((await said()).length, 1)
  assert.equal((await store.findEnrolmentToken(enrolmentToken.tokenHash))?.uses, 1)
})

test('the same enrolment sent several times at once is one agent, one use and one event', async (t) => {
  const { enrolment, store, said, token } = await openDesk(t)
  const { admission, enrolmentToken } = await token()
  const input = { ...INPUT, csr: aRequest() }
  const all = await Promise.all([1, 2, 3].map(() => enrolment.register(admission, input, null)))
  assert.equal(new Set(all.map(({ agent }) => agent.id)).size, 1)
  assert.equal((await said()).length, 1)
  assert.equal((await store.findEnrolmentToken(enrolmentToken.tokenHash))?.uses, 1)
})

test('a token: its uses, its end, and what it is made of', async (t) => {
  const { enrolment, token, time, store, authority } = await openDesk(t)
  const { token: text, enrolmentToken, admission } = await token({ usesMax: 2 })
  assert.match(text, /^mft_enr_[0-9a-z]{32}\.[0-9a-f]{32}$/)
  assert.ok(authority.fingerprint.startsWith(text.split('.')[1]!))
  assert.ok(!JSON.stringify(await store.listEnrolmentTokens({ limit: 9, offset: 0 })).includes(text.slice(8, 40)))
  assert.equal(enrolmentToken.expiresAt - enrolmentToken.createdAt, DAY_MS)
  await enrolment.register(admission, { ...INPUT, csr: aRequest() }, null)
  await enrolment.register(admission, INPUT, null)
  await assert.rejects(enrolment.register(admission, INPUT, null), { code: 'forbidden', message: /used up: it lets in 2/ })

  const short = await token({ expiresInSeconds: 60 })
  await time.pass(60_000)
  await assert.rejects(enrolment.register(short.admission, INPUT, null), { code: 'forbidden', message: /counted until/ })
  assert.equal(await enrolment.findToken(`${text.slice(0, -1)}g`), undefined)
  assert.equal(await enrolment.findToken(text.replace('.', '.0').slice(0, -1)), undefined)
})

test('a revoked agent comes back with its key only for a use of a token, as the same agent, and is connected when it is seen', async (t) => {
  const { enrolment, admin, token, said, byKey, store, time } = await openDesk(t)
  const { admission } = await token()
  const input = { ...INPUT, csr: aRequest() }
  const { agent, apiKey } = await enrolment.register(admission, input, null)
  await time.pass(1_000)
  await admin.revoke(agent.id, SERVER_CALLER)
  assert.equal(await byKey(apiKey), undefined)
  await assert.rejects(enrolment.register(admission, input, null), { code: 'forbidden', message: /used up/ })
  await assert.rejects(enrolment.certificate(agent, aRequest(), null), { code: 'forbidden' })

  await time.pass(1_000)
  const again = await enrolment.register((await token()).admission, input, null)
  assert.deepEqual([again.agent.id, again.agent.revokedAt, again.agent.status], [agent.id, null, 'offline'])
  assert.equal((await byKey(again.apiKey))?.id, agent.id)
  const [newest, old] = await store.listCertificates(agent.id)
  assert.deepEqual([newest?.revokedAt, old?.revokedAt !== null], [null, true])
  assert.deepEqual(
    (await said()).map(({ type }) => type),
    ['agent.registered', 'agent.disconnected'],
  )
})

test('more certificates: with another key the agent is known by it; the oldest are forgotten; no agent takes the key of another', async (t) => {
  const { enrolment, store } = await openDesk(t)
  const { agent } = await enrolment.register(ADMIN, INPUT, null)
  const other = (await enrolment.register(ADMIN, { ...INPUT, csr: aRequest() }, null)).agent
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { certificate, publicKeyHash } = await enrolment.certificate(agent, createRequest(privateKey), null)
  assert.match(certificate, /^-----BEGIN CERTIFICATE-----/)
  assert.equal((await store.findAgent(agent.id))?.publicKeyHash, publicKeyHash)
  await assert.rejects(enrolment.certificate(other, createRequest(privateKey), null), { code: 'already_exists', field: 'csr' })
  for (let count = 0; count < CERTIFICATES_KEPT_MAX + 1; count++)
    await enrolment.certificate(agent, createRequest(privateKey), null)
  assert.equal((await store.listCertificates(agent.id)).length, CERTIFICATES_KEPT_MAX)
})

const refused: readonly { input: Registration; field: string; says: RegExp }[] = [
  { input: { ...INPUT, hostname: '' }, field: 'hostname', says: /0 characters, not 1 to 253/ },
  { input: { ...INPUT, hostname: 'a'.repeat(254) }, field: 'hostname', says: /254 characters/ },
  { input: { ...INPUT, hostname: 'a\nb' }, field: 'hostname', says: /not visible ASCII/ },
  { input: { ...INPUT, os: 'beos' }, field: 'os', says: /"beos", not one of linux, windows, darwin/ },
  { input: { ...INPUT, name: ' x' }, field: 'name', says: /begins or ends with a space/ },
  { input: { ...INPUT, version: 'v'.repeat(65) }, field: 'version', says: /65 characters, not 1 to 64/ },
  { input: { ...INPUT, csr: 'x' }, field: 'csr', says: /not one certificate request/ },
]
test('a registration out of its bounds names field, bound and value, and stores nothing', async (t) => {
  const { enrolment, token, store, said } = await openDesk(t)
  const { admission, enrolmentToken } = await token()
  for (const { input, field, says } of refused)
    await assert.rejects(enrolment.register(admission, input, null), { code: 'invalid', field, message: says })
  assert.equal((await store.findEnrolmentToken(enrolmentToken.tokenHash))?.uses, 0)
  assert.deepEqual([await said(), (await store.listAgents({ limit: 9, offset: 0 })).total], [[], 0])
})

const refusedTokens = [
  { input: { usesMax: 0 }, field: 'usesMax', says: /0, not a whole number from 1 to 10000/ },
  { input: { usesMax: 1.5 }, field: 'usesMax', says: /1.5/ },
  { input: { expiresInSeconds: 59 }, field: 'expiresInSeconds', says: /59, not a whole number from 60 to 2592000/ },
  { input: { name: '' }, field: 'name', says: /0 characters/ },
]
test('a token out of its bounds is refused', async (t) => {
  const { admin } = await openDesk(t)
  for (const { input, field, says } of refusedTokens)
    await assert.rejects(admin.createToken(input, SERVER_CALLER), { code: 'invalid', field, message: says })
})

test('a server that dies in the middle of an enrolment: repeating it makes one agent, whatever was done', async (t) => {
  const { store, authority, recorder, clock, token, said } = await openDesk(t)
  for (const moment of ['before it is stored', 'after it was stored'] as const) {
    const { admission, enrolmentToken } = await token()
    const input = { ...INPUT, csr: aRequest() }
    const dying = createEnrolment({
      ...{ authority: authority as CertificateAuthority, recorder, clock },
      store: {
        ...store,
        async registerAgent(...args) {
          if (moment === 'after it was stored') await store.registerAgent(...args)
          throw new AppError('store_failed', `died ${moment}`)
        },
      },
    })
    await assert.rejects(dying.register(admission, input, null), { message: `died ${moment}` })
    const before = (await said()).length
    const { agent } = await createEnrolment({ store, authority, recorder, clock }).register(admission, input, null)
    assert.equal((await store.findEnrolmentToken(enrolmentToken.tokenHash))?.uses, 1, moment)
    const events = (await said()).filter(({ data }) => data.agentId === agent.id)
    assert.deepEqual(
      events.map(({ type }) => type),
      ['agent.registered'],
      moment,
    )
    assert.equal((await said()).length - before, moment === 'before it is stored' ? 1 : 0)
  }
})
