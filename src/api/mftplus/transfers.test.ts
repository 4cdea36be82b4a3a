import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { newKeyPair } from '../../../test/ssh-key.ts'
import { aRequest } from '../../agents/testing.ts'
import { MINUTE_MS } from '../../base/units.ts'
import { FOREIGN_LOST_AFTER_MS } from '../../transfers/strays.ts'
import { HOST_KEY } from '../../transfers/testing.ts'
import { openWorld } from '../testing.ts'

let world: Awaited<ReturnType<typeof openWorld>>
before(async () => {
  world = await openWorld()
})
after(() => world.close())

interface Registered {
  readonly id: string
  readonly as: (method: string, path: string, body?: unknown) => ReturnType<typeof world.call>
}

async function anAgent(hostname = 'branch.example'): Promise<Registered> {
  const { json } = await world.call('POST', '/api/agents/register', { hostname, os: 'linux', csr: aRequest() })
  const key = { 'x-api-key': json.data.apiKey }
  return { id: json.data.agent.id, as: (method, path, body) => world.call(method, path, body, null, key) }
}

let remotes = 0
async function aRemote(more: object = {}) {
  remotes += 1
  const sftp = { name: `partner ${remotes}`, protocol: 'sftp', host: 'ftp.example.com', username: 'me', password: 'hush-hush' }
  const { status, json } = await world.call('POST', '/api/remotes', { ...sftp, hostKeys: [HOST_KEY], ...more })
  assert.equal(status, 201, JSON.stringify(json))
  return json.data.remote
}

const DOCUMENTED = { sourceUrl: 'sftp://ftp.example.com/files/data.csv', destinationPath: '/local/data.csv', direction: 'pull' }
const foreign = (agent: Registered, more: object = {}) =>
  agent.as('POST', '/api/transfers', { agentId: agent.id, ...DOCUMENTED, protocol: 'sftp', ...more })

/** What was said of a transfer, in order. */
async function saidOf(id: string) {
  const { rows } = await world.store.listEvents({}, { limit: 1_000, offset: 0 })
  const own = rows.filter(({ data, type }) => data.transferId === id && type.startsWith('transfer.'))
  return own.map(({ type, data }) => [type, data.progress ?? null] as const).reverse()
}

test('a foreign agent reports a transfer from its begin to its end, as documented', async () => {
  const agent = await anAgent()
  const made = await foreign(agent, { size: 1_048_576 })
  assert.equal(made.status, 201)
  const { transfer } = made.json.data
  const { id, status, source, destination, bytesTotal, bytesTransferred, progress } = transfer
  assert.match(id, /^trf_[0-9a-z]{12}$/)
  assert.deepEqual(
    { status, source, destination, bytesTotal, bytesTransferred, progress, agent: transfer.agent },
    {
      ...{ status: 'queued', source: DOCUMENTED.sourceUrl, destination: DOCUMENTED.destinationPath, bytesTotal: 1_048_576 },
      ...{ bytesTransferred: 0, progress: 0, agent: { id: agent.id, name: 'branch.example', hostname: 'branch.example' } },
    },
  )
  const report = async (body: object) => {
    const { status, json } = await agent.as('PATCH', `/api/transfers/${id}`, body)
    assert.equal(status, 200, JSON.stringify(json))
    return json.data.transfer
  }
  assert.equal((await report({ status: 'running' })).status, 'running')
  assert.equal((await report({ bytesTransferred: 400_000, speed: 23303.4, throughputMbps: 1.2, latencyMs: 3 })).progress, 38)
  // Overtaken on the way: nothing goes back, nothing is said twice.
  assert.deepEqual((await report({ progress: 12, bytesTransferred: 5 })).bytesTransferred, 400_000)
  await report({ progress: 39.9 })
  await report({ progress: 95 })
  const done = await report({ status: 'completed', packetLossPercent: 0 })
  assert.deepEqual([done.status, done.progress, done.bytesTransferred, done.errorMessage], ['completed', 100, 1_048_576, null])
  assert.deepEqual(await saidOf(id), [
    ['transfer.created', null],
    ['transfer.progress', 38],
    ['transfer.progress', 95],
    ['transfer.completed', null],
  ])
  const late = await agent.as('PATCH', `/api/transfers/${id}`, { status: 'failed', error: 'too late' })
  assert.deepEqual([late.status, late.json.error], [409, 'the transfer is completed already, and stays so'])
  assert.equal((await saidOf(id)).length, 4)
})

test('a foreign agent fails a transfer with its own code, or cancels it', async () => {
  const agent = await anAgent()
  for (const [report, expected] of [
    [
      { status: 'failed', error: 'Authentication failed', errorCode: 'AUTH_FAILED' },
      ['failed', 'Authentication failed', 'AUTH_FAILED'],
    ],
    [{ status: 'failed' }, ['failed', 'The agent said no reason.', 'INTERNAL']],
    [{ status: 'cancelled' }, ['cancelled', 'The transfer was stopped.', 'CANCELLED']],
  ] as const) {
    const { json } = await foreign(agent)
    const { id } = json.data.transfer
    const { transfer } = (await agent.as('PATCH', `/api/transfers/${id}`, report)).json.data
    assert.deepEqual([transfer.status, transfer.errorMessage, transfer.errorCode], expected)
    assert.deepEqual((await saidOf(id)).at(-1), [`transfer.${expected[0]}`, null])
  }
})

test('an agent reaches its own transfers only, and says only what is its to say', async () => {
  const [agent, other] = [await anAgent(), await anAgent()]
  const { id } = (await foreign(agent)).json.data.transfer
  const refused: [() => ReturnType<typeof world.call>, number, RegExp][] = [
    [() => other.as('PATCH', `/api/transfers/${id}`, { progress: 5 }), 404, /no such transfer/],
    [() => agent.as('PATCH', '/api/transfers/trf_none', { progress: 5 }), 404, /no such transfer/],
    [() => world.call('PATCH', `/api/transfers/${id}`, { progress: 5 }), 403, /only the agent/],
    [() => foreign(other, { agentId: agent.id }), 403, /credentials are of the agent/],
    [() => foreign(agent, { protocol: undefined }), 400, /protocol is missing/],
    [() => foreign(agent, { remoteId: 'rmt_x' }), 400, /remoteId: only an administrator/],
    [() => foreign(agent, { runId: 'run_none' }), 400, /runId: this agent has no run run_none/],
    [() => foreign(agent, { sourceUrl: 'x'.repeat(5_000) }), 400, /sourceUrl/],
    [() => foreign(agent, { direction: 'sideways' }), 400, /direction/],
    [() => foreign(agent, { size: 2 ** 53 }), 400, /size is 9007199254740992, not 0 to 9007199254740991/],
    [() => foreign(agent, { protocol: 'sf\ntp' }), 400, /protocol is "sf\\ntp", not a word such as sftp/],
    [() => foreign(agent, { sourceUrl: 'sftp://h/\ud800' }), 400, /sourceUrl has half of a surrogate pair/],
    [() => agent.as('PATCH', `/api/transfers/${id}`, { bytesTransferred: 1e300 }), 400, /bytesTransferred is 1e\+300, not 0 to/],
    [() => agent.as('PATCH', `/api/transfers/${id}`, { errorCode: 'lower case' }), 400, /errorCode is "lower case"/],
    [() => agent.as('PATCH', `/api/transfers/${id}`, { progress: 101 }), 400, /progress/],
    [() => agent.as('PATCH', `/api/transfers/${id}`, { packetLossPercent: -1 }), 400, /packetLossPercent/],
    [() => agent.as('PATCH', `/api/transfers/${id}`, { state: 'running' }), 400, /state/],
    [() => agent.as('GET', '/api/transfers'), 401, /administrator token/],
    [() => world.call('POST', '/api/transfers', {}, null), 401, /missing/],
  ]
  for (const [ask, status, error] of refused) {
    const answer = await ask()
    assert.equal(answer.status, status, answer.text)
    assert.match(answer.json.error, error)
  }
  assert.equal((await world.call('POST', `/api/transfers/${id}/cancel`)).status, 409)
})

test('credentials in a url of a foreign agent are left out', async () => {
  const agent = await anAgent()
  const { json } = await foreign(agent, { sourceUrl: 'sftp://me:s3cret@ftp.example.com/a@b.csv', destinationPath: '/x@y' })
  assert.deepEqual([json.data.transfer.source, json.data.transfer.destination], ['sftp://ftp.example.com/a@b.csv', '/x@y'])
  const { rows } = await world.store.listEvents({}, { limit: 1_000, offset: 0 })
  assert.ok(!JSON.stringify(rows).includes('s3cret'))
})

test('a foreign transfer whose agent is gone for an hour has failed', async () => {
  const [gone, back] = [await anAgent('gone.example'), await anAgent('back.example')]
  const { id } = (await foreign(gone)).json.data.transfer
  const other = (await foreign(back)).json.data.transfer.id
  world.clock.ahead(FOREIGN_LOST_AFTER_MS - MINUTE_MS)
  await back.as('POST', '/api/agents/heartbeat', {})
  await world.work.endOfRevoked()
  assert.equal((await world.call('GET', `/api/transfers/${id}`)).json.data.transfer.status, 'queued')
  world.clock.ahead(2 * MINUTE_MS)
  await world.work.endOfRevoked()
  const { transfer } = (await world.call('GET', `/api/transfers/${id}`)).json.data
  assert.deepEqual([transfer.status, transfer.errorCode], ['failed', 'AGENT_LOST'])
  assert.deepEqual((await saidOf(id)).at(-1), ['transfer.failed', null])
  assert.equal((await world.call('GET', `/api/transfers/${other}`)).json.data.transfer.status, 'queued')
})

test('what an agent had ends when it is revoked', async () => {
  const agent = await anAgent()
  const { id } = (await foreign(agent)).json.data.transfer
  const remote = await aRemote()
  const asked = { agentId: agent.id, remoteId: remote.id, sourceUrl: '/a.csv', destinationPath: '/b.csv', direction: 'pull' }
  const queued = (await world.call('POST', '/api/transfers', asked)).json.data.transfer.id
  assert.equal((await world.call('POST', `/api/agents/${agent.id}/revoke`)).status, 200)
  for (const each of [id, queued]) {
    const { transfer } = (await world.call('GET', `/api/transfers/${each}`)).json.data
    assert.deepEqual([transfer.status, transfer.errorCode], ['failed', 'AGENT_REVOKED'])
    assert.deepEqual((await saidOf(each)).at(-1), ['transfer.failed', null])
  }
  const refused = await world.call('POST', '/api/transfers', asked)
  assert.deepEqual([refused.status, refused.json.error], [400, `agentId: the agent ${agent.id} is revoked`])
})

test('an administrator has an agent move a file, looks for it and stops it', async () => {
  const agent = await anAgent()
  const remote = await aRemote({ host: 'ftp.partner.example', port: 2222 })
  const { status, json } = await world.call('POST', '/api/transfers', {
    ...{
      agentId: agent.id,
      remoteId: remote.id,
      sourceUrl: '/out/a b.csv',
      destinationPath: '/in/',
      direction: 'pull',
      size: 10,
    },
    ...{
      retryDelaysSeconds: [1, 2],
      bytesPerSecond: 100_000,
      postAction: { kind: 'move', to: '/done/' },
      onAgentLost: 'fail',
    },
  })
  assert.equal(status, 201, JSON.stringify(json))
  const { transfer } = json.data
  assert.deepEqual(
    [transfer.source, transfer.destination, transfer.protocol, transfer.status, transfer.remoteId],
    ['sftp://ftp.partner.example:2222/out/a%20b.csv', '/in/a b.csv', 'sftp', 'queued', remote.id],
  )
  const { policy } = (await world.store.findTransfer(transfer.id))!
  assert.deepEqual(policy, {
    ...{ retryDelaysMs: [1_000, 2_000], bytesPerSecond: 100_000, postAction: { kind: 'move', to: '/done/a b.csv' } },
    ...{ expected: null, deadlineMs: null, onAgentLost: 'fail', parallelism: null },
  })
  const listed = async (path: string) => (await world.call('GET', path)).json.data.transfers.map(({ id }: { id: string }) => id)
  assert.deepEqual(await listed(`/api/transfers?agentId=${agent.id}&status=queued`), [transfer.id])
  assert.deepEqual(await listed(`/api/transfers?agentId=${agent.id}&status=failed`), [])
  assert.deepEqual(await listed(`/api/agents/${agent.id}/transfers?limit=5`), [transfer.id])
  assert.equal((await world.call('GET', '/api/agents/agent_none/transfers')).status, 404)
  assert.equal((await world.call('DELETE', `/api/remotes/${remote.id}`)).status, 409)

  const cancelled = await world.call('POST', `/api/transfers/${transfer.id}/cancel`)
  assert.deepEqual([cancelled.status, cancelled.json.data.transfer.status], [200, 'cancelled'])
  assert.deepEqual(await saidOf(transfer.id), [
    ['transfer.created', null],
    ['transfer.cancelled', null],
  ])
  assert.equal((await world.call('POST', `/api/transfers/${transfer.id}/cancel`)).status, 409)
  assert.equal((await world.call('POST', '/api/transfers/trf_none/cancel')).status, 404)
  assert.equal((await world.call('DELETE', `/api/remotes/${remote.id}`)).status, 200)
})

test('a transfer that cannot be made is refused with field and bound', async () => {
  const agent = await anAgent()
  const remote = await aRemote()
  const web = await aRemote({ protocol: 'https', username: undefined, password: undefined, hostKeys: undefined })
  const good = { agentId: agent.id, remoteId: remote.id, sourceUrl: '/a.csv', destinationPath: '/b.csv', direction: 'pull' }
  const cases: [object, RegExp][] = [
    [{ agentId: 'agent_none' }, /agentId: there is no agent agent_none/],
    [{ remoteId: 'rmt_none' }, /remoteId: there is no remote rmt_none/],
    [{ runId: 'run_x' }, /runId: the transfers of a run are made by its job/],
    [{ sourceUrl: 'sftp://me:pw@ftp.example.com/a' }, /sourceUrl carries credentials/],
    [{ sourceUrl: 'sftp://elsewhere.example/a' }, /sourceUrl is a path .* or a url at the remote, sftp:\/\/ftp\.example\.com\//],
    [{ sourceUrl: 'sftp://ftp.example.com/a%0Ab' }, /sourceUrl has a control character/],
    [{ sourceUrl: '/folder/..', destinationPath: '/in/' }, /destinationPath is the folder \/in\/, and '\.\.' cannot be/],
    [{ sourceUrl: '/folder/' }, /sourceUrl is one file/],
    [{ destinationPath: 'relative' }, /destinationPath begins with \//],
    [{ destinationPath: 'space://default/nobody/x' }, /destinationPath: there is no user nobody in an account default/],
    [{ destinationPath: 'space://default' }, /destinationPath is space:\/\/ACCOUNT\/USER\/PATH/],
    [{ protocol: 'ftp' }, /protocol follows from the rest and is sftp, not ftp; leave it out/],
    [{ bytesPerSecond: 1 }, /bytesPerSecond/],
    [{ retryDelaysSeconds: [-1] }, /retryDelaysSeconds/],
    [{ postAction: { kind: 'move' } }, /postAction\.to is missing/],
    [{ postAction: { kind: 'move', to: 'done/' } }, /postAction\.to is a path that begins with \/, or a url at the remote/],
    [
      { direction: 'push', postAction: { kind: 'move', to: 'space://default/x/' } },
      /postAction\.to is a path where the source is/,
    ],
    [
      { remoteId: web.id, postAction: { kind: 'move', to: '/done/' } },
      /postAction is keep or delete: over HTTP no file can be moved/,
    ],
    [{ remoteId: undefined, protocol: 'sftp' }, /is local, not sftp; give the id of a remote as remoteId, or leave it out/],
    [{ postAction: { kind: 'delete', to: '/x' } }, /postAction\.to goes with the kind move/],
    [{ remoteId: undefined, sourceUrl: 'sftp://ftp.example.com/a' }, /make a remote of its server/],
  ]
  for (const [change, error] of cases) {
    const answer = await world.call('POST', '/api/transfers', { ...good, ...change })
    assert.equal(answer.status, 400, answer.text)
    assert.match(answer.json.error, error)
  }
  const url = await world.call('POST', '/api/transfers', { ...good, sourceUrl: 'sftp://ftp.example.com/a%20b' })
  assert.equal(url.json.data.transfer.source, 'sftp://ftp.example.com/a%20b')
})

test('a transfer within reach of the server needs a user whose space it is', async () => {
  const agent = await anAgent()
  const user = { name: 'alice', password: 'correct horse battery' }
  assert.equal((await world.call('POST', '/api/accounts/default/users', user)).status, 201)
  const { status, json } = await world.call('POST', '/api/transfers', {
    ...{ agentId: agent.id, sourceUrl: '/var/out/a.csv', destinationPath: 'space://default/alice/in/', direction: 'push' },
  })
  assert.equal(status, 201, JSON.stringify(json))
  assert.deepEqual([json.data.transfer.protocol, json.data.transfer.destination], ['space', 'space://default/alice/in/a.csv'])
})

test('remotes: a private key that no agent could log in with is refused, new or changed', async () => {
  const locked = newKeyPair('so-secret').private
  const sftp = { name: 'locked', protocol: 'sftp', host: 'h.example', username: 'me', hostKeys: [HOST_KEY] }
  const garbage = '-----BEGIN OPENSSH PRIVATE KEY-----\nxx\n-----END OPENSSH PRIVATE KEY-----'
  const remote = await aRemote({ privateKey: locked, passphrase: 'so-secret' })
  const refusals: [change: object, field: string, error: RegExp][] = [
    [{ privateKey: locked, passphrase: null }, 'passphrase', /^passphrase is missing: privateKey is encrypted/],
    [{ privateKey: locked, passphrase: 'so-wrong' }, 'passphrase', /^passphrase is not that of privateKey/],
    [{ privateKey: garbage }, 'privateKey', /^privateKey cannot be read/],
  ]
  for (const [change, field, error] of refusals) {
    const made = await world.call('POST', '/api/remotes', { ...sftp, ...change })
    const changed = await world.call('PATCH', `/api/remotes/${remote.id}`, change)
    for (const { status, json, text } of [made, changed]) {
      assert.deepEqual([status, json.details.field], [400, field], text)
      assert.match(json.error, error)
      assert.doesNotMatch(text, /so-wrong|so-secret/)
    }
  }
  assert.equal((await world.call('PATCH', `/api/remotes/${remote.id}`, { passphrase: null })).status, 400)
  assert.equal((await world.call('PATCH', `/api/remotes/${remote.id}`, { passphrase: 'so-wrong' })).status, 400)
  const plain = await world.call('PATCH', `/api/remotes/${remote.id}`, { privateKey: newKeyPair().private, passphrase: null })
  assert.deepEqual([plain.status, plain.json.data.remote.hasPassphrase], [200, false])
})

test('remotes: secrets go in and never come out', async () => {
  const remote = await aRemote({ passphrase: 'so-secret', privateKey: newKeyPair('so-secret').private })
  assert.deepEqual(
    [remote.hasPassword, remote.hasPrivateKey, remote.hasPassphrase, remote.hasBearer, remote.port, remote.hostKeys],
    [true, true, true, false, 22, [HOST_KEY]],
  )
  const changed = await world.call('PATCH', `/api/remotes/${remote.id}`, {
    host: 'other.example',
    passphrase: null,
    privateKey: null,
  })
  assert.deepEqual(
    [changed.status, changed.json.data.remote.host, changed.json.data.remote.hasPassword, changed.json.data.remote.hasPrivateKey],
    [200, 'other.example', true, false],
  )
  const answers = [await world.call('GET', '/api/remotes'), await world.call('GET', `/api/remotes/${remote.id}`), changed]
  for (const { text } of answers) assert.doesNotMatch(text, /hush-hush|so-secret|OPENSSH/)
  assert.ok(!(await world.store.findRemote(remote.id))!.sealedSecrets!.includes('hush-hush'))
  assert.ok(!world.logged.join('\n').includes('hush-hush'))
  const bare = await world.call('PATCH', `/api/remotes/${remote.id}`, { password: null })
  assert.deepEqual([bare.status, bare.json.error], [400, 'password or privateKey is missing; a remote of sftp needs one of them'])
  assert.equal((await world.call('PATCH', `/api/remotes/${remote.id}`, { protocol: 'ftp' })).status, 400)
  const taken = await world.call('POST', '/api/remotes', { ...{ name: remote.name, protocol: 'http', host: 'h.example' } })
  assert.deepEqual([taken.status, taken.json.details.field], [409, 'name'])
  assert.equal((await world.call('DELETE', `/api/remotes/${remote.id}`)).json.data.deleted, true)
  assert.equal((await world.call('GET', `/api/remotes/${remote.id}`)).status, 404)
  const { rows } = await world.store.listAudit({}, { limit: 1_000, offset: 0 })
  const own = rows.filter(({ target }) => target === remote.id).map(({ action }) => action)
  assert.deepEqual(own, ['remote.remove', 'remote.update', 'remote.create'])
})
