import assert from 'node:assert/strict'
import { mkdir, open, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { MIB } from '../../src/base/units.ts'
import { eventually } from '../eventually.ts'
import { startTestServer, type TestServer } from '../server.ts'

// Files from one place of a space to another, and into its topmost folder.

const SPACE = 'space://default/alice'

let server: TestServer
let home: string
let agentId: string
before(async () => {
  server = await startTestServer({ '--builtin-agent': 'on' })
  await server.makeUser('alice')
  home = join(server.folder, 'files/default/alice')
  await mkdir(home, { recursive: true })
  agentId = await eventually(async () => {
    assert.equal(server.app.agentPort.stats().streams, 1)
    return (await server.call<{ agents: { id: string }[] }>('GET', '/api/agents')).agents[0]!.id
  })
})
after(() => server.stop())

interface Row {
  readonly status: string
  readonly errorMessage: string | null
  readonly destination: string
}

async function moved(order: object): Promise<string> {
  const body = { agentId, direction: 'push', ...order }
  const { transfer } = await server.call<{ transfer: { id: string } }>('POST', '/api/transfers', body)
  const { status, errorMessage, destination } = await eventually(async () => {
    const found = (await server.call<{ transfer: Row }>('GET', `/api/transfers/${transfer.id}`)).transfer
    assert.ok(!['queued', 'running'].includes(found.status) || found.errorMessage !== null)
    return found
  })
  assert.deepEqual([status, errorMessage], ['completed', null])
  return destination
}

test('into the topmost folder of a space, but not out of it', async () => {
  const path = join(server.folder, 'agent/files/top.txt')
  await writeFile(path, 'top')
  assert.equal(await moved({ sourceUrl: path, destinationPath: `${SPACE}/` }), `${SPACE}/top.txt`)
  assert.equal(await readFile(join(home, 'top.txt'), 'utf8'), 'top')
  await assert.rejects(moved({ sourceUrl: `${SPACE}/`, destinationPath: path }), /sourceUrl is one file, not the folder/)
})

test('into the topmost folder of a space by a job', async () => {
  const from = join(server.folder, 'agent/files/by-job')
  await mkdir(join(from, 'x'), { recursive: true })
  await writeFile(join(from, 'x/a'), 'by job')
  const order = { agentId, name: 'up', schedule: '0 0 1 1 *', direction: 'push', sourcePath: `${from}/**` }
  const { job } = await server.call<{ job: { id: string } }>('POST', '/api/jobs', { ...order, destinationPath: `${SPACE}/` })
  await server.call('POST', `/api/jobs/${job.id}/runs`)
  await eventually(async () => assert.equal(await readFile(join(home, 'x/a'), 'utf8'), 'by job'))
})

test('a file is not moved onto itself, which would delete it', async () => {
  await writeFile(join(home, 'same'), 'same')
  const order = { sourceUrl: `${SPACE}/same`, destinationPath: `${SPACE}/x/../same`, postAction: { kind: 'delete' } }
  await assert.rejects(moved(order), /“\/same” is the source and the destination/)
  assert.equal(await readFile(join(home, 'same'), 'utf8'), 'same')
})

const posts = [
  [{ kind: 'keep' }, ['b', 'a']],
  [{ kind: 'delete' }, ['b']],
  [{ kind: 'move', to: '/done/c' }, ['b', 'done/c']],
  [{ kind: 'move', to: '/done/' }, ['b', 'done/a']],
] as const
for (const [postAction, left] of posts) {
  test(`within the space of one user: ${JSON.stringify(postAction)}`, async () => {
    await writeFile(join(home, 'a'), postAction.kind)
    await moved({ sourceUrl: `${SPACE}/a`, destinationPath: `${SPACE}/b`, postAction })
    for (const path of left) assert.equal(await readFile(join(home, path), 'utf8'), postAction.kind)
    assert.equal((await readdir(home)).includes('a'), (left as readonly string[]).includes('a'))
  })
}

test('within the space of one user: an archived file of the same name stays', async () => {
  const agentsFile = join(server.folder, 'agent/files/arrived')
  await mkdir(join(home, 'archive'))
  await writeFile(join(home, 'archive/a.csv'), 'of yesterday')
  await writeFile(join(home, 'a.csv'), 'of today')
  await moved({ sourceUrl: `${SPACE}/a.csv`, destinationPath: agentsFile, postAction: { kind: 'move', to: '/archive/' } })
  const archived = await readdir(join(home, 'archive'))
  const [beside] = archived.filter((name) => name !== 'a.csv')
  assert.match(beside!, /^a\.trf_[0-9a-z]+\.csv$/)
  assert.equal(await readFile(join(home, 'archive', beside!), 'utf8'), 'of today')
  assert.equal(await readFile(join(home, 'archive/a.csv'), 'utf8'), 'of yesterday')
})

test('a user who is disabled while a file comes: it has failed, and nothing of it is left', async () => {
  const bob = await server.makeUser('bob')
  const path = join(server.folder, 'agent/files/slow')
  const file = await open(path, 'w')
  await file.truncate(600 * MIB)
  await file.close()
  const order = { sourceUrl: path, destinationPath: 'space://default/bob/slow', bytesPerSecond: 8 * MIB }
  const body = { agentId, direction: 'push', ...order }
  const { transfer } = await server.call<{ transfer: { id: string } }>('POST', '/api/transfers', body)
  const folder = join(server.folder, 'files/.landfall/uploads')
  const uploads = () => readdir(folder)
  await eventually(async () => assert.ok((await stat(join(folder, (await uploads())[0]!))).size > 0))
  await server.call('PATCH', `/api/accounts/default/users/${bob.id}`, { disabled: true })
  await eventually(async () => {
    const found = (await server.call<{ transfer: Row & { errorCode: string } }>('GET', `/api/transfers/${transfer.id}`)).transfer
    assert.deepEqual([found.status, found.errorCode], ['failed', 'PERMISSION_DENIED'])
  })
  await eventually(async () => assert.deepEqual(await uploads(), []))
})
