import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { HttpEndpoint } from '../../src/wire/agent/work.ts'
import { eventually } from '../eventually.ts'
import { kinds } from '../peers/http.ts'
import type { Peer } from '../peers/peer.ts'
import { startTestServer, type TestServer } from '../server.ts'

// Names with what means something in a url, through the whole of it: API, server, agent, and a server of HTTP.

const NAMES = ['r?1.csv', 'r?2.csv', 's#1.csv', 's#2.csv', '%41.csv', '50%.csv', 'a b.csv', 'ü.csv']

let server: TestServer
let peer: Peer
let files: string
let agentId: string
let remoteId: string
before(async () => {
  server = await startTestServer({ '--builtin-agent': 'on' })
  files = join(server.folder, 'agent/files')
  peer = await kinds[0]!.start()
  const { protocol, host, port, username, password } = peer.endpoint as HttpEndpoint
  const remote = { name: 'web', protocol, host, port, username, password }
  remoteId = (await server.call<{ remote: { id: string } }>('POST', '/api/remotes', remote)).remote.id
  await server.makeUser('alice')
  agentId = await eventually(async () => {
    assert.equal(server.app.agentPort.stats().streams, 1)
    return (await server.call<{ agents: { id: string }[] }>('GET', '/api/agents')).agents[0]!.id
  })
})
after(async () => {
  await server.stop()
  await peer.stop()
})

/** A folder of the agent with a file of each name, whose content is its name. */
async function folderOf(name: string): Promise<string> {
  const folder = join(files, name)
  await mkdir(folder)
  for (const each of NAMES) await writeFile(join(folder, each), each)
  return folder
}

interface Row {
  readonly status: string
  readonly errorMessage: string | null
}

async function move(order: object): Promise<void> {
  const { transfer } = await server.call<{ transfer: { id: string } }>('POST', '/api/transfers', { agentId, ...order })
  const { status, errorMessage } = await eventually(async () => {
    const found = (await server.call<{ transfer: Row }>('GET', `/api/transfers/${transfer.id}`)).transfer
    assert.ok(!['queued', 'running'].includes(found.status))
    return found
  })
  assert.deepEqual([status, errorMessage], ['completed', null])
}

async function runJob(order: object): Promise<void> {
  const job = { agentId, name: 'names', schedule: '0 0 1 1 *', ...order }
  const { id } = (await server.call<{ job: { id: string } }>('POST', '/api/jobs', job)).job
  const { run } = await server.call<{ run: { id: string } }>('POST', `/api/jobs/${id}/runs`)
  await eventually(async () => {
    const { runs } = await server.call<{ runs: { id: string; status: string; errorMessage: string | null }[] }>(
      'GET',
      `/api/jobs/${id}/runs`,
    )
    const { status, errorMessage } = runs.find((each) => each.id === run.id)!
    assert.equal(status, 'completed', errorMessage ?? '')
  })
}

async function assertAllIn(folder: string): Promise<void> {
  assert.deepEqual((await readdir(folder)).sort(), [...NAMES].sort())
  for (const name of NAMES) assert.equal(await readFile(join(folder, name), 'utf8'), name)
}

test('on the machine of the agent, and into a space', async () => {
  const from = await folderOf('local')
  const onward = join(server.folder, 'files/default/alice/in')
  for (const name of NAMES) {
    const sourceUrl = join(from, name)
    await move({ direction: 'pull', sourceUrl, destinationPath: join(files, 'taken/'), postAction: { kind: 'delete' } })
    await move({ direction: 'push', sourceUrl: join(files, 'taken', name), destinationPath: 'space://default/alice/in/' })
  }
  assert.deepEqual(await readdir(from), [])
  await assertAllIn(join(files, 'taken'))
  await assertAllIn(onward)
})

test('sent to a server of HTTP one by one, and fetched again', async () => {
  const from = await folderOf('single')
  for (const name of NAMES) {
    const post = { postAction: { kind: 'delete' } }
    await move({ remoteId, direction: 'push', sourceUrl: join(from, name), destinationPath: '/files/single/', ...post })
  }
  assert.deepEqual(await readdir(from), [])
  assert.deepEqual((await peer.names('/files/single')).sort(), [...NAMES].sort())
  for (const name of NAMES) {
    const sourceUrl = `/files/single/${encodeURIComponent(name)}`
    await move({ remoteId, direction: 'pull', sourceUrl, destinationPath: join(files, 'back/') })
  }
  await assertAllIn(join(files, 'back'))
})

test('sent to a server of HTTP by a job, and one fetched by another', async () => {
  const from = await folderOf('job')
  const sent = { remoteId, direction: 'push', sourcePath: `${from}/*`, destinationPath: '/files/job/' }
  await runJob({ ...sent, postAction: { kind: 'delete' } })
  assert.deepEqual(await readdir(from), [])
  for (const name of NAMES) assert.equal(String(await peer.get(`/files/job/${name}`)), name)
  const fetched = { remoteId, direction: 'pull', sourcePath: '/files/job/s%231.csv', destinationPath: join(files, 'fetched/') }
  await runJob(fetched)
  assert.deepEqual(await readdir(join(files, 'fetched')), ['s#1.csv'])
})

test('a # in a path of HTTP is refused', async () => {
  const order = { agentId, remoteId, direction: 'pull', sourceUrl: '/files/s#1.csv', destinationPath: join(files, 'x') }
  await assert.rejects(server.call('POST', '/api/transfers', order), /400 sourceUrl has a #.*%23/)
})
