import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type EnrolOptions, enrol } from './enroll.ts'
import { lockAgentFolder, openAgentFolder } from './folder.ts'
import { type Answer, type Answering, type Peer, removeTemporaryFolders, startPeer, temporaryFolder } from './testing.ts'

let peer: Peer
before(async () => {
  peer = await startPeer()
})
after(async () => {
  await peer.stop()
  await removeTemporaryFolders()
})

const tokenOf = (fingerprint: string) => `mft_enr_${randomBytes(16).toString('hex')}.${fingerprint.slice(0, 32)}`

async function options(more: Partial<EnrolOptions> = {}): Promise<EnrolOptions> {
  const folder = join(await temporaryFolder(), 'agent')
  return { server: peer.url, token: tokenOf(peer.fingerprint), folder, roots: [], version: '1.0.0', ...more }
}

/** The peer answers so while `act` runs. */
async function answering(answer: Answering, act: () => Promise<void>): Promise<void> {
  peer.answer = answer
  await act().finally(() => {
    peer.answer = undefined
  })
}

test('a folder becomes an agent: its key stays in it, the authority is pinned, all of it is for its owner only', async () => {
  const given = await options({ name: 'north' })
  const enrolled = await enrol(given)
  assert.equal(enrolled.vouchedBy, 'token')
  assert.equal(enrolled.wasEnrolled, false)
  assert.deepEqual((await readdir(given.folder)).sort(), [
    'agent.json',
    'api-key',
    'certificate.pem',
    'files',
    'key.pem',
    'lock.sqlite',
  ])
  assert.equal((await stat(given.folder)).mode & 0o777, 0o700)
  for (const name of ['agent.json', 'api-key', 'certificate.pem', 'key.pem'])
    assert.equal((await stat(join(given.folder, name))).mode & 0o777, 0o600, name)

  const { key, certificate, ...facts } = (await openAgentFolder(given.folder).read())!
  assert.equal(certificate.checkPrivateKey(key), true)
  assert.equal(facts.ca, peer.ca)
  assert.deepEqual(facts.roots, [join(given.folder, 'files')])
  assert.equal(facts.agents, peer.address)
  assert.equal(await readFile(join(given.folder, 'api-key'), 'utf8'), 'mft_ak_test\n')
  const sent = peer.registrations.at(-1)!
  assert.equal(sent.token, given.token)
  assert.doesNotMatch(JSON.stringify(sent), /PRIVATE KEY/)
  assert.doesNotMatch(await readFile(join(given.folder, 'agent.json'), 'utf8'), new RegExp(given.token))
})

test('the same command again has nothing to do; another one is refused, unless it is forced', async () => {
  const given = await options()
  const first = await enrol(given)
  const asked = peer.registrations.length
  assert.deepEqual(await enrol(given), { ...first, wasEnrolled: true })
  assert.equal(peer.registrations.length, asked)

  const other = { ...given, token: tokenOf(peer.fingerprint) }
  await assert.rejects(enrol(other), { code: 'already_exists', message: /is enrolled as tester at http:.*--force/ })
  const key = await readFile(join(given.folder, 'key.pem'), 'utf8')
  await enrol({ ...other, isForced: true })
  assert.notEqual(await readFile(join(given.folder, 'key.pem'), 'utf8'), key)
  const { key: now, certificate } = (await openAgentFolder(given.folder).read())!
  assert.equal(certificate.checkPrivateKey(now), true)
})

test('an answer that got lost costs nothing: the next try shows the same key', async () => {
  const given = await options()
  let isFirst = true
  const lost = (): Answer | 'as usual' => {
    if (!isFirst) return 'as usual'
    isFirst = false
    return { status: 502, body: {} }
  }
  await answering(lost, () => assert.rejects(enrol(given), { message: /refused the enrolment \(502\)/ }))
  const key = await readFile(join(given.folder, 'key.next.pem'), 'utf8')
  await enrol(given)
  assert.equal(await readFile(join(given.folder, 'key.pem'), 'utf8'), key)
})

test('a forced enrolment that fails leaves the one before as it was', async () => {
  const given = await options()
  await enrol(given)
  const before = await openAgentFolder(given.folder).read()
  const other = { ...given, token: tokenOf(peer.fingerprint), isForced: true }
  const refusal = { status: 403, body: { success: false, error: 'this token is used up', details: null } }
  await answering(
    () => refusal,
    () => assert.rejects(enrol(other), { code: 'forbidden', message: /\(403\): this token is used up$/ }),
  )
  const now = await openAgentFolder(given.folder).read()
  assert.deepEqual(now!.certificate.raw, before!.certificate.raw)
  // The key that was not let in is not tried again.
  assert.equal((await readdir(given.folder)).includes('key.next.pem'), false)
})

async function ofAnother(csr: string): Promise<Answer> {
  const other = await startPeer()
  const certificate = await other.issue(csr)
  await other.stop()
  return registered({ certificate })
}
const registered = (mtls: object): Answer => ({
  status: 201,
  body: {
    success: true,
    data: { agent: { id: 'agent_1', name: 'x' }, apiKey: 'k', mtls: { ca: peer.ca, agents: peer.address, ...mtls } },
  },
})
const refusals: readonly {
  name: string
  more?: () => Partial<EnrolOptions>
  answer?: (csr: string) => Promise<Answer> | Answer
  message: RegExp
}[] = [
  {
    name: 'the authority is not the one of the token',
    more: () => ({ token: tokenOf('0'.repeat(64)) }),
    message: /authority that the server shows is not the one of the token/,
  },
  { name: 'the certificate is of another authority', answer: ofAnother, message: /not one of the pinned authority/ },
  {
    name: 'the certificate is for another key',
    answer: async () => registered({ certificate: await peer.issue(peer.registrations[0]!.csr) }),
    message: /not one for the key of this agent/,
  },
  { name: 'the server has no agent port', answer: () => registered({}), message: /is this a Landfall server with an agent port/ },
  {
    name: 'the token is expired',
    answer: () => ({ status: 401, body: { success: false, error: 'this enrolment token has expired' } }),
    message: /refused the enrolment \(401\): this enrolment token has expired/,
  },
  {
    name: 'nobody listens',
    more: () => ({ server: 'http://127.0.0.1:1' }),
    message: /127\.0\.0\.1:1 does not answer \(ECONNREFUSED\)/,
  },
  { name: 'the url is none', more: () => ({ server: 'files.example.com' }), message: /--server is a url such as/ },
  { name: 'the url has a password', more: () => ({ server: 'https://a:b@example.com' }), message: /--server is a url such as/ },
  {
    name: 'http to elsewhere',
    more: () => ({ server: 'http://files.example.com' }),
    message: /in clear, where whoever sees it can use it: use https, or accept that with --insecure/,
  },
  {
    name: 'http to elsewhere with a token that pins nothing, whatever is accepted',
    more: () => ({ server: 'http://files.example.com', token: 'lfadm_x', isInsecure: true }),
    message: /use https, or an enrolment token with --insecure/,
  },
  {
    name: 'a root that is not there',
    more: () => ({ roots: ['/does/not/exist'] }),
    message: /--root \/does\/not\/exist is not a folder/,
  },
]
for (const { name, more, answer, message } of refusals)
  test(`refused: ${name}`, async () => {
    const given = await options(more?.())
    await answering(
      (_path, { csr }) => answer?.(csr!) ?? 'as usual',
      () => assert.rejects(enrol(given), (error: Error) => message.test(error.message) && !error.message.includes('\n')),
    )
    assert.equal(await openAgentFolder(given.folder).read(), undefined)
  })

test('an administrator vouches by the way the server was reached', async () => {
  assert.equal((await enrol(await options({ token: 'lfadm_secret' }))).vouchedBy, 'loopback')
})

test('a folder that another process runs is left alone', async () => {
  const given = await options()
  await mkdir(given.folder)
  const lock = lockAgentFolder(given.folder)
  await assert.rejects(enrol(given), { code: 'data_folder_locked', message: /^another agent process uses/ })
  await lock.stop()
  await enrol(given)
})

test('a folder that is somebody else’s, or open to others, is refused and left as it was', async () => {
  const given = await options()
  await mkdir(given.folder, { mode: 0o755 })
  await assert.rejects(enrol(given), { code: 'invalid', message: /^others may look into the folder .*: run `chmod 700` on it/ })
  await writeFile(join(given.folder, 'report.csv'), 'x')
  await assert.rejects(enrol(given), { code: 'invalid', message: /is not an agent's: it holds report\.csv; name another one$/ })
  assert.deepEqual([await readdir(given.folder), (await stat(given.folder)).mode & 0o777], [['report.csv'], 0o755])
})

test('roots are absolute, and as they were given', async () => {
  const root = await temporaryFolder()
  assert.deepEqual((await enrol(await options({ roots: [root] }))).facts.roots, [root])
})

for (const name of ['key.pem', 'certificate.pem'])
  test(`a folder without its ${name} says what to do`, async () => {
    const given = await options()
    await enrol(given)
    await rm(join(given.folder, name))
    await assert.rejects(openAgentFolder(given.folder).read(), { code: 'conflict', message: /is damaged .*--force$/s })
    await enrol({ ...given, isForced: true })
  })

test('a certificate of another key is damage, too', async () => {
  const [one, other] = [await options(), await options()]
  await enrol(one)
  await enrol(other)
  await writeFile(join(one.folder, 'key.pem'), await readFile(join(other.folder, 'key.pem')))
  await assert.rejects(openAgentFolder(one.folder).read(), { code: 'conflict' })
})
