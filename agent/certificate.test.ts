import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { after, before, test } from 'node:test'
import { movingClock } from '../src/base/testing.ts'
import { DAY_MS, HOUR_MS } from '../src/base/units.ts'
import { CertificateKeeper } from './certificate.ts'
import { openAgentFolder } from './folder.ts'
import { enrolledFolder, type Peer, removeTemporaryFolders, startPeer } from './testing.ts'

let peer: Peer
before(async () => {
  peer = await startPeer()
})
after(async () => {
  await peer.stop()
  await removeTemporaryFolders()
})

/** The keeper of a certificate with so many days to its end; `answer` is what the server answers to a request. */
async function world(daysLeft: number, answer: (csr: string) => Promise<string>) {
  const folder = openAgentFolder(await enrolledFolder(peer, { daysAgo: 365 - daysLeft }))
  const time = movingClock(Date.now())
  const said: string[] = []
  const keeper = new CertificateKeeper({
    enrolment: (await folder.read())!,
    folder,
    clock: time.clock,
    tell: ({ type }) => said.push(type),
    ask: answer,
    renewed: () => said.push('shown'),
    expired: () => said.push('expired'),
  })
  await keeper.look()
  /** Files are written on the way, which takes real time. */
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += HOUR_MS) {
      await time.pass(HOUR_MS)
      await keeper.look()
    }
  }
  return { folder, keeper, said, pass }
}

const issued = (csr: string) => peer.issue(csr)

test('renewed once, at the first look with 45 days left, whatever was said before', async () => {
  const { keeper, said, pass, folder } = await world(47, issued)
  await keeper.renewBefore(45 * DAY_MS)
  await pass(2 * DAY_MS - HOUR_MS)
  assert.deepEqual(said, [])
  await pass(2 * HOUR_MS)
  assert.deepEqual(said, ['renewed', 'shown'])
  const left = (await folder.read())!.certificate.validToDate.getTime() - Date.now()
  assert.ok(left > 364 * DAY_MS)
  await pass(2 * DAY_MS)
  assert.deepEqual(said, ['renewed', 'shown'])
  keeper.stop()
})

test('the server may order it earlier at any time', async () => {
  const { keeper, said } = await world(100, issued)
  await keeper.renewBefore(45 * DAY_MS)
  assert.deepEqual(said, [])
  await keeper.renewBefore(200 * DAY_MS)
  assert.deepEqual(said, ['renewed', 'shown'])
  keeper.stop()
})

test('a renewal that fails is tried again every hour until the end, at which it is over', async () => {
  const { keeper, said, pass } = await world(0.5, async () => {
    throw new Error('no answer')
  })
  await keeper.renewBefore(45 * DAY_MS)
  await pass(11 * HOUR_MS)
  assert.ok(said.length >= 12 && said.every((one) => one === 'renewal_failed'), said.join())
  await pass(HOUR_MS)
  assert.equal(said.at(-1), 'expired')
  keeper.stop()
})

test('before the server has said when, nothing is asked of it', async () => {
  const { keeper, said, pass } = await world(1, issued)
  await pass(2 * HOUR_MS)
  assert.deepEqual(said, [])
  keeper.stop()
})

test('the request of a renewal is for the key that the agent has', async () => {
  const requests: string[] = []
  const { keeper, folder } = await world(10, async (csr) => {
    requests.push(csr)
    return peer.issue(csr)
  })
  const { key } = (await folder.read())!
  await keeper.renewBefore(45 * DAY_MS)
  assert.equal(requests.length, 1)
  assert.equal(new X509Certificate(await peer.issue(requests[0]!)).checkPrivateKey(key), true)
  keeper.stop()
})
