import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Agent, Certificate, EnrolmentToken } from '../../agents/agent.ts'
import { newId } from '../../base/id.ts'
import type { EventType } from '../../events/catalogue.ts'
import type { World } from '../conformance.ts'
import { anAudit, anEvent, tick } from '../testing.ts'

const PAGE = { limit: 100, offset: 0 }
const FAR = Number.MAX_SAFE_INTEGER
const KEPT = 3

let made = 0

export function agentCases(world: World): void {
  const anAgentEvent = (type: EventType, agent: Pick<Agent, 'id'>) => anEvent(null, { type, data: { agentId: agent.id } })

  function anAgent(more: Partial<Agent> = {}): Agent {
    const at = tick()
    made += 1
    return {
      ...{ id: newId('agent', at), name: 'server1', hostname: 'server1.example.com', os: 'linux', version: '0.1.0' },
      ...{ status: 'online', isBuiltin: false, keyHash: `key_${made}`, publicKeyHash: `public_${made}`, ipAddress: '192.0.2.1' },
      ...{ lastSeenAt: at, streamNode: null, streamLostAt: null, concurrency: 4, load: null, memory: null },
      ...{ createdAt: at, updatedAt: at, revokedAt: null },
      ...more,
    }
  }

  function aCertificate(agentId: string, more: Partial<Certificate> = {}): Certificate {
    const at = tick()
    made += 1
    return {
      ...{ id: newId('certificate', at), agentId, serial: `serial_${made}`, fingerprint: `print_${made}` },
      ...{ issuedAt: at, expiresAt: at + 1_000_000, revokedAt: null, replacedAt: null },
      ...{ expiringSaidAt: null, expiredSaidAt: null, ...more },
    }
  }

  async function aToken(more: Partial<EnrolmentToken> = {}): Promise<EnrolmentToken> {
    const at = tick()
    const id = newId('enrolment', at)
    const times = { createdAt: at, expiresAt: at + 1_000_000, revokedAt: null }
    const token = { id, name: 'for tests', tokenHash: `hash_${id}`, usesMax: 1, uses: 0, ...times, ...more }
    await world.store.createEnrolmentToken(token, anAudit('enrolment.create'))
    return token
  }

  const join = (agent: Agent, certificate: Certificate | null = null, tokenHash: string | null = null) =>
    world.store.registerAgent(agent, certificate, tokenHash, anAgentEvent('agent.registered', agent), anAudit('agent.register'))

  async function registered(more: Partial<Agent> = {}): Promise<Agent> {
    const agent = anAgent(more)
    await join(agent)
    return agent
  }

  const found = async ({ id }: Agent) => (await world.store.findAgent(id))!

  async function saidOf({ id }: Agent): Promise<string[]> {
    const { rows } = await world.store.listEvents({}, PAGE)
    return rows
      .filter(({ data }) => data.agentId === id)
      .map(({ type }) => type)
      .reverse()
  }

  const see = (agent: Agent, more = {}) =>
    world.store.seeAgent(
      { agentId: agent.id, at: tick(), ipAddress: '192.0.2.9', ...more },
      anAgentEvent('agent.connected', agent),
    )
  const lose = (agent: Agent) => world.store.loseAgent(agent, agent.lastSeenAt, anAgentEvent('agent.disconnected', agent))

  /** How each call went: `true` or the code of what it threw. */
  const outcomes = async (calls: readonly Promise<unknown>[]) =>
    (await Promise.allSettled(calls)).map((call) => (call.status === 'fulfilled' ? call.value : call.reason.code))

  test('of several authorities one is stored, and only what was read is replaced', async () => {
    assert.equal(await world.store.findAuthority(), undefined)
    const some = ['ca_1', 'ca_2', 'ca_3'].map((id) => ({ id, certificate: `pem ${id}`, sealedKey: `sealed ${id}`, createdAt: 5 }))
    const stored = await Promise.all(some.map((authority) => world.store.ensureAuthority(authority)))
    assert.equal(new Set(stored.map(({ id }) => id)).size, 1)
    const [current] = stored
    assert.deepEqual(await world.store.findAuthority(), current)
    const next = { ...current!, sealedKey: 'sealed anew' }
    assert.deepEqual(await world.store.replaceAuthority({ ...current!, sealedKey: 'other' }, next), current)
    assert.deepEqual(await world.store.replaceAuthority(current!, next), next)
    assert.deepEqual(await world.store.findAuthority(), next)
  })

  test('a token that lets in two agents lets in two of three that come at once; the third is not stored', async () => {
    const token = await aToken({ usesMax: 2 })
    const agents = [anAgent(), anAgent(), anAgent()]
    const went = await outcomes(agents.map((agent) => join(agent, aCertificate(agent.id), token.tokenHash)))
    assert.deepEqual(went.toSorted(), ['forbidden', undefined, undefined])
    assert.equal((await world.store.findEnrolmentToken(token.tokenHash))?.uses, 2)
    for (const [index, agent] of agents.entries()) {
      const isIn = went[index] === undefined
      assert.deepEqual(await world.store.findAgent(agent.id), isIn ? agent : undefined)
      assert.deepEqual(await saidOf(agent), isIn ? ['agent.registered'] : [])
      assert.equal((await world.store.listCertificates(agent.id)).length, isIn ? 1 : 0)
    }
  })

  const refused: readonly { name: string; more: Partial<EnrolmentToken>; says: RegExp }[] = [
    { name: 'revoked', more: { revokedAt: 1 }, says: /revoked/ },
    { name: 'past its end', more: { expiresAt: 1 }, says: /counted until 1970-01-01T00:00:00.001Z/ },
    { name: 'used up', more: { uses: 1 }, says: /used up: it lets in 1/ },
  ]
  for (const { name, more, says } of refused) {
    test(`a token that is ${name} lets nobody in`, async () => {
      const token = await aToken(more)
      const agent = anAgent()
      await assert.rejects(join(agent, null, token.tokenHash), { code: 'forbidden', message: says })
      assert.equal(await world.store.findAgent(agent.id), undefined)
      assert.deepEqual(await saidOf(agent), [])
    })
  }

  test('the same enrolment sent twice at once makes one agent and uses the token once', async () => {
    const token = await aToken()
    const [one, other] = [anAgent({ publicKeyHash: 'same' }), anAgent({ publicKeyHash: 'same' })]
    const went = await outcomes([one, other].map((agent) => join(agent, aCertificate(agent.id), token.tokenHash)))
    assert.deepEqual(went.toSorted(), ['already_exists', undefined])
    assert.equal((await world.store.findEnrolmentToken(token.tokenHash))?.uses, 1)
    assert.ok([one.id, other.id].includes((await world.store.findAgentByPublicKey('same'))!.id))
  })

  test('an agent that enrols again keeps what it is, gets another key, and uses nothing of the token', async () => {
    const token = await aToken()
    const agent = anAgent()
    const [first, second] = [aCertificate(agent.id), aCertificate(agent.id)]
    await join(agent, first, token.tokenHash)
    const again = {
      ...agent,
      keyHash: 'another',
      hostname: 'moved.example.com',
      name: 'ignored',
      updatedAt: tick(),
      lastSeenAt: tick(),
    }
    await world.store.registerAgain(again, second, KEPT, token.tokenHash, anAudit('agent.register'))
    assert.deepEqual(await found(agent), { ...again, name: agent.name })
    assert.equal(await world.store.findAgentByKey(agent.keyHash), undefined)
    assert.equal((await world.store.findAgentByKey('another'))?.id, agent.id)
    assert.deepEqual(await world.store.listCertificates(agent.id), [second, { ...first, replacedAt: second.issuedAt }])
    assert.deepEqual(await saidOf(agent), ['agent.registered'])
    assert.equal((await world.store.findEnrolmentToken(token.tokenHash))?.uses, 1)

    await world.store.revokeEnrolmentToken(token.id, tick(), anAudit('enrolment.revoke'))
    const late = world.store.registerAgain(again, aCertificate(agent.id), KEPT, token.tokenHash, anAudit('agent.register'))
    await assert.rejects(late, { code: 'forbidden' })
    assert.equal((await world.store.listCertificates(agent.id)).length, 2)
  })

  test('a revoked agent: nothing of it counts, its loss is said once, and it comes back for a use of a token', async () => {
    const agent = await registered()
    const certificate = aCertificate(agent.id)
    await world.store.addCertificate(certificate, 'its key', KEPT, anAudit('agent.certificate'))
    const revoke = (id: string) =>
      world.store.revokeAgent(id, tick(), anAgentEvent('agent.disconnected', agent), anAudit('agent.revoke'))
    assert.deepEqual((await outcomes([revoke(agent.id), revoke(agent.id)])).toSorted(), [false, true])
    await assert.rejects(revoke('agent_x'), { code: 'not_found' })
    const revoked = await found(agent)
    assert.deepEqual([revoked.status, revoked.revokedAt !== null], ['offline', true])
    assert.notEqual((await world.store.findByFingerprint(certificate.fingerprint))?.certificate.revokedAt, null)
    assert.deepEqual(await saidOf(agent), ['agent.registered', 'agent.disconnected'])
    assert.equal(await see(agent), undefined)
    const another = world.store.addCertificate(aCertificate(agent.id), 'its key', KEPT, anAudit('agent.certificate'))
    await assert.rejects(another, { code: 'forbidden' })

    const used = await aToken({ uses: 1 })
    const back = { ...revoked, revokedAt: null, keyHash: 'back', updatedAt: tick() }
    const comeBack = (tokenHash: string) =>
      world.store.registerAgent(back, aCertificate(agent.id), tokenHash, null, anAudit('agent.register'))
    await assert.rejects(comeBack(used.tokenHash), { code: 'forbidden' })
    assert.notEqual((await found(agent)).revokedAt, null)
    await comeBack((await aToken()).tokenHash)
    assert.deepEqual(await found(agent), back)
    assert.ok(await see(agent))
    assert.deepEqual(await saidOf(agent), ['agent.registered', 'agent.disconnected', 'agent.connected'])
  })

  test('an agent that was offline when it was revoked is not lost a second time', async () => {
    const agent = await registered({ status: 'offline' })
    const disconnected = anAgentEvent('agent.disconnected', agent)
    assert.ok(await world.store.revokeAgent(agent.id, tick(), disconnected, anAudit('agent.revoke')))
    assert.deepEqual(await saidOf(agent), ['agent.registered'])
  })

  test('a sign of life is noted, and the latest one stays; what it does not say stays as it was', async () => {
    const agent = await registered()
    const seen = await see(agent, { status: 'busy', load: 0.25, memory: 512, version: '0.2.0' })
    const expected = { ...agent, status: 'busy', load: 0.25, memory: 512, version: '0.2.0', ipAddress: '192.0.2.9' }
    assert.deepEqual(seen, { ...expected, lastSeenAt: seen!.lastSeenAt })
    const late = await see(agent, { at: agent.lastSeenAt - 10 })
    assert.equal(late?.lastSeenAt, seen!.lastSeenAt)
    assert.deepEqual(await found(agent), late)
    assert.deepEqual(await saidOf(agent), ['agent.registered'])
    assert.equal(await see({ ...agent, id: 'agent_x' }), undefined)
  })

  test('connected and disconnected are said once, however many notice it at once', async () => {
    const agent = await registered()
    assert.deepEqual((await Promise.all([lose(agent), lose(agent), lose(agent)])).toSorted(), [false, false, true])
    assert.equal((await found(agent)).status, 'offline')
    const back = await Promise.all([see(agent), see(agent), see(agent)])
    assert.deepEqual(
      back.map((seen) => seen?.status),
      ['online', 'online', 'online'],
    )
    assert.deepEqual(await saidOf(agent), ['agent.registered', 'agent.disconnected', 'agent.connected'])
  })

  test('an agent that was heard of meanwhile, or whose stream came or went, is not lost', async () => {
    const agent = await registered()
    await see(agent)
    assert.equal(await lose(agent), false)
    const seen = await found(agent)
    await world.store.openStream(agent.id, 'node_a', seen.lastSeenAt)
    await world.store.loseStream(agent.id, 'node_a', tick())
    assert.equal(await lose(seen), false)
    const lost = await found(agent)
    await world.store.openStream(agent.id, 'node_b', lost.lastSeenAt)
    assert.equal(await lose(lost), false)
    assert.deepEqual(await saidOf(agent), ['agent.registered'])
  })

  test('a stream belongs to the node that opened it last; who had it before cannot lose it', async () => {
    const agent = await registered()
    await world.store.openStream(agent.id, 'node_a', tick())
    await world.store.openStream(agent.id, 'node_b', tick())
    await world.store.loseStream(agent.id, 'node_a', tick())
    assert.deepEqual([(await found(agent)).streamNode, (await found(agent)).streamLostAt], ['node_b', null])
    const at = tick()
    await world.store.loseStream(agent.id, 'node_b', at)
    assert.deepEqual([(await found(agent)).streamNode, (await found(agent)).streamLostAt], [null, at])
    const end = () => world.store.endStream(agent.id, tick(), anAudit('agent.disconnect'))
    assert.equal(await end(), false)
    await world.store.openStream(agent.id, 'node_a', tick())
    assert.deepEqual((await Promise.all([end(), end()])).toSorted(), [false, true])
    assert.equal((await found(agent)).streamNode, null)
    await assert.rejects(world.store.endStream('agent_x', tick(), anAudit('agent.disconnect')), { code: 'not_found' })
  })

  test('the silent are those not heard of since, or without a stream since, and neither offline nor revoked', async () => {
    const base = tick() + 1_000
    const silent = await registered({ lastSeenAt: base })
    const offline = await registered({ lastSeenAt: base, status: 'offline' })
    const revoked = await registered({ lastSeenAt: base, revokedAt: base })
    const heard = await registered({ lastSeenAt: base + 1 })
    const streamless = await registered({ lastSeenAt: base + 5, streamLostAt: base })
    const mine = [silent, offline, revoked, heard, streamless].map(({ id }) => id)
    const silentOf = async (seen: number | null, lost: number | null, limit = 1_000) =>
      (await world.store.silentAgents(seen, lost, limit)).map(({ id }) => id).filter((id) => mine.includes(id))
    assert.deepEqual(await silentOf(base, null), [silent.id])
    assert.deepEqual(await silentOf(null, base), [streamless.id])
    assert.deepEqual(await silentOf(base, base), [silent.id, streamless.id])
    assert.deepEqual(await silentOf(null, null), [])
    assert.deepEqual(await silentOf(base - 1, base - 1), [])
    assert.equal((await world.store.silentAgents(FAR, FAR, 1)).length, 1)
  })

  test('agents are listed newest first, changed by what is named, and counted while they are there', async () => {
    const before = await world.store.countOnlineAgents()
    const older = await registered()
    const newer = await registered({ isBuiltin: true })
    assert.equal(await world.store.countOnlineAgents(), before + 2)
    const { rows, total } = await world.store.listAgents({ limit: 2, offset: 0 })
    assert.deepEqual(rows, [newer, older])
    assert.ok(total >= 2)
    const at = tick()
    const renamed = await world.store.updateAgent(older.id, { name: 'renamed', updatedAt: at }, anAudit('agent.update'))
    assert.deepEqual(renamed, { ...older, name: 'renamed', updatedAt: at })
    const faster = await world.store.updateAgent(older.id, { concurrency: 9, updatedAt: at }, anAudit('agent.update'))
    assert.deepEqual(faster, { ...renamed, concurrency: 9 })
    await assert.rejects(world.store.updateAgent('agent_x', { updatedAt: at }, anAudit()), { code: 'not_found' })
    assert.deepEqual(
      (await world.store.findAgents([newer.id, older.id, 'agent_x'])).map(({ id }) => id).toSorted(),
      [older.id, newer.id].toSorted(),
    )
    assert.deepEqual(await world.store.findAgents([]), [])
    await lose(newer)
    assert.equal(await world.store.countOnlineAgents(), before + 1)
  })

  test('certificates: those before are replaced, the oldest forgotten, another agent’s key is refused', async () => {
    const [agent, other] = [await registered(), await registered()]
    const all = []
    for (let count = 0; count < KEPT + 1; count++) {
      const certificate = aCertificate(agent.id)
      all.push(certificate)
      await world.store.addCertificate(certificate, `renewed ${agent.id}`, KEPT, anAudit('agent.certificate'))
    }
    const kept = await world.store.listCertificates(agent.id)
    assert.deepEqual(
      kept.map(({ id }) => id),
      all
        .slice(1)
        .map(({ id }) => id)
        .reverse(),
    )
    assert.deepEqual(
      kept.map(({ replacedAt }) => replacedAt === null),
      [true, false, false],
    )
    assert.equal(await world.store.findByFingerprint(all[0]!.fingerprint), undefined)
    assert.deepEqual(await world.store.findByFingerprint(all.at(-1)!.fingerprint), {
      agent: await found(agent),
      certificate: all.at(-1),
    })
    const stolen = world.store.addCertificate(aCertificate(other.id), `renewed ${agent.id}`, KEPT, anAudit('agent.certificate'))
    await assert.rejects(stolen, { code: 'already_exists' })
    assert.deepEqual(await world.store.listCertificates(other.id), [])
  })

  test('the end of a certificate is said once of each kind, and not of one that counts no more', async () => {
    const agent = await registered()
    const expiresAt = tick() + 500_000_000
    const certificate = aCertificate(agent.id, { expiresAt })
    const audit = () => anAudit('agent.certificate')
    await world.store.addCertificate(certificate, `key ${agent.id}`, KEPT, audit())
    const ending = async (kind: 'expiring' | 'expired', from: number, until: number) =>
      (await world.store.endingCertificates(kind, from, until, 1_000)).map((one) => one.certificate.id).includes(certificate.id)
    const say = (kind: 'expiring' | 'expired') =>
      world.store.sayCertificateEnding(certificate.id, kind, tick(), anAgentEvent(`agent.certificate.${kind}`, agent))
    assert.equal(await ending('expiring', 0, expiresAt - 1), false)
    assert.equal(await ending('expiring', expiresAt, FAR), false)
    assert.equal(await ending('expiring', 0, expiresAt), true)
    assert.deepEqual((await Promise.all([say('expiring'), say('expiring')])).toSorted(), [false, true])
    assert.equal(await ending('expiring', 0, expiresAt), false)
    assert.equal(await ending('expired', 0, expiresAt), true)
    assert.deepEqual((await Promise.all([say('expired'), say('expired')])).toSorted(), [false, true])
    assert.equal(await ending('expired', 0, expiresAt), false)
    assert.deepEqual((await saidOf(agent)).slice(1), ['agent.certificate.expiring', 'agent.certificate.expired'])

    const next = aCertificate(agent.id, { expiresAt })
    await world.store.addCertificate(next, `key ${agent.id}`, KEPT, audit())
    await world.store.addCertificate(aCertificate(agent.id, { expiresAt: FAR }), `key ${agent.id}`, KEPT, audit())
    const replaced = world.store.sayCertificateEnding(
      next.id,
      'expired',
      tick(),
      anAgentEvent('agent.certificate.expired', agent),
    )
    assert.equal(await replaced, false)
  })

  test('tokens are listed newest first; revoking one twice keeps the first moment', async () => {
    const [older, newer] = [await aToken(), await aToken()]
    const { rows } = await world.store.listEnrolmentTokens({ limit: 2, offset: 0 })
    assert.deepEqual(rows, [newer, older])
    const at = tick()
    await world.store.revokeEnrolmentToken(older.id, at, anAudit('enrolment.revoke'))
    await world.store.revokeEnrolmentToken(older.id, tick(), anAudit('enrolment.revoke'))
    assert.deepEqual(await world.store.findEnrolmentToken(older.tokenHash), { ...older, revokedAt: at })
    await assert.rejects(world.store.revokeEnrolmentToken('enr_x', at, anAudit()), { code: 'not_found' })
    assert.equal(await world.store.findEnrolmentToken('nobody'), undefined)
  })
}
