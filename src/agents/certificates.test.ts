import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { DAY_MS, HOUR_MS } from '../base/units.ts'
import { anAudit } from '../store/testing.ts'
import { CertificateWatch, CHECK_EVERY_MS } from './certificates.ts'
import { aRequest, openAgents, START } from './testing.ts'

async function openWatch(t: TestContext) {
  const world = await openAgents(t)
  const { store, recorder, clock, log, time } = world
  const watchOf = () => new CertificateWatch({ store, recorder, clock, log })
  function startNode() {
    const watch = watchOf()
    watch.start()
    t.after(() => watch.stop())
    return watch
  }
  /** Nothing happens in between but checks, so time may jump to the hour before. */
  async function passTo(at: number) {
    await world.pass(at - clock.now(), CHECK_EVERY_MS)
  }
  return {
    ...world,
    time,
    startNode,
    passTo,
    endings: async () => (await world.said()).filter(({ type }) => type.includes('certificate')),
  }
}

test('expiring is said once, at the first check with 30 days left or less, and expired once', async (t) => {
  const { startNode, time, passTo, endings, enrol, store, pass } = await openWatch(t)
  const agent = await enrol({ csr: aRequest() })
  const [certificate] = await store.listCertificates(agent.id)
  await time.pass(335 * DAY_MS - 12 * HOUR_MS)
  startNode()
  await passTo(START + 335 * DAY_MS - CHECK_EVERY_MS)
  assert.deepEqual(await endings(), [])
  await passTo(START + 335 * DAY_MS + CHECK_EVERY_MS)
  const facts = { agentId: agent.id, agentName: agent.name, certificateId: certificate!.id, expiresAt: '2027-04-29T12:00:00Z' }
  const [expiring, ...others] = await endings()
  assert.deepEqual([expiring?.type, expiring?.data, others], ['agent.certificate.expiring', { ...facts, daysRemaining: 30 }, []])
  assert.ok(expiring!.at >= 335 * DAY_MS && expiring!.at <= 335 * DAY_MS + CHECK_EVERY_MS)
  await pass(2 * DAY_MS, CHECK_EVERY_MS)
  assert.equal((await endings()).length, 1)
  await passTo(START + 365 * DAY_MS + 2 * CHECK_EVERY_MS)
  const [, expired, ...more] = await endings()
  assert.deepEqual([expired?.type, expired?.data, more], ['agent.certificate.expired', facts, []])
  assert.ok(expired!.at >= 365 * DAY_MS && expired!.at <= 365 * DAY_MS + CHECK_EVERY_MS)
})

test('days that are left are rounded up, as the example of the contract has it', async (t) => {
  const { startNode, time, endings, enrol, pass } = await openWatch(t)
  await enrol({ csr: aRequest() })
  // 29.35 days are left, and the example says 30.
  await time.pass(365 * DAY_MS - 29.35 * DAY_MS)
  startNode()
  await pass(0, CHECK_EVERY_MS)
  await pass(1, CHECK_EVERY_MS)
  assert.deepEqual(
    (await endings()).map(({ data }) => data.daysRemaining),
    [30],
  )
})

test('after a year off, what has ended is said to have ended, and a restart or another node says nothing again', async (t) => {
  const { startNode, time, endings, enrol, pass } = await openWatch(t)
  for (let count = 0; count < 3; count++) await enrol({ csr: aRequest() })
  await time.pass(400 * DAY_MS)
  const nodes = [startNode(), startNode()]
  await pass(3 * CHECK_EVERY_MS, CHECK_EVERY_MS)
  assert.deepEqual(
    (await endings()).map(({ type }) => type),
    Array(3).fill('agent.certificate.expired'),
  )
  for (const watch of nodes) await watch.stop()
  startNode()
  await pass(3 * CHECK_EVERY_MS, CHECK_EVERY_MS)
  assert.equal((await endings()).length, 3)
})

test('more certificates than one step takes are all said', async (t) => {
  const { store, startNode, time, endings, enrol, pass, authority } = await openWatch(t)
  const { facts } = await authority.issueToAgent(aRequest(), 'x')
  for (let count = 0; count < 105; count++) {
    const agent = await enrol({ name: `agent ${count}` })
    const certificate = { ...facts, id: `cert_${count}`, agentId: agent.id, serial: `${count}`, fingerprint: `${count}` }
    const entry = anAudit('agent.certificate')
    await store.addCertificate(certificate, `key ${count}`, 5, entry)
  }
  await time.pass(400 * DAY_MS)
  const watch = startNode()
  await pass(1, CHECK_EVERY_MS)
  await watch.stop()
  const { total } = await store.listEvents({ types: ['agent.certificate.expired'] }, { limit: 1, offset: 0 })
  assert.equal(total, 105)
  assert.ok((await endings()).length <= 100)
})

test('a certificate that was renewed, or whose agent is revoked, is nobody’s concern', async (t) => {
  const { startNode, time, endings, enrol, enrolment, store, recorder, pass } = await openWatch(t)
  const [renewed, revoked] = [await enrol({ csr: aRequest() }), await enrol({ csr: aRequest() })]
  await time.pass(320 * DAY_MS)
  await enrolment.certificate(renewed, aRequest(), null)
  const event = recorder.draft('agent.disconnected', null, {})
  await store.revokeAgent(revoked.id, START, event, anAudit('agent.revoke'))
  startNode()
  await time.pass(50 * DAY_MS)
  await pass(2 * CHECK_EVERY_MS, CHECK_EVERY_MS)
  assert.deepEqual(await endings(), [])
})
