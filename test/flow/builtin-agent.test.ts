import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually } from '../eventually.ts'
import { startTestServer, type TestServer } from '../server.ts'

// The agent inside the server, over the lives of one data folder: each test goes on from the one before.

let folder: string
let server: TestServer | undefined
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'landfall-builtin-'))
})
after(async () => {
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

interface Shown {
  readonly id: string
  readonly name: string
  readonly status: string
}

async function live(builtin: 'on' | 'off'): Promise<TestServer> {
  await server?.stop()
  server = await startTestServer({ '--data': folder, '--builtin-agent': builtin })
  return server
}

const agentsOf = async ({ call }: TestServer) => (await call<{ agents: Shown[] }>('GET', '/api/agents')).agents

async function eventsOf({ call }: TestServer): Promise<string[]> {
  const { events } = await call<{ events: { event: string }[] }>('GET', '/api/events?limit=100')
  return events
    .map(({ event }) => event)
    .filter((event) => event.startsWith('agent.'))
    .reverse()
}

/** A transfer that the built-in agent makes, once it is over. */
async function moved({ call }: TestServer, sourceUrl: string, destinationPath: string) {
  const [agent] = (await agentsOf(server!)) as [Shown]
  const order = { agentId: agent.id, sourceUrl, destinationPath, direction: 'push' }
  const { transfer } = await call<{ transfer: { id: string } }>('POST', '/api/transfers', order)
  return eventually(async () => {
    const found = await call<{ transfer: { status: string; errorCode?: string } }>('GET', `/api/transfers/${transfer.id}`)
    assert.ok(!['queued', 'running'].includes(found.transfer.status))
    return found.transfer
  })
}

let id: string

test('a fresh server has an agent that moves files, and nobody had to make a token', async () => {
  const first = await live('on')
  await eventually(async () => assert.equal(first.app.agentPort.stats().streams, 1))
  const [made, ...others] = await agentsOf(first)
  assert.ok(made !== undefined && others.length === 0)
  id = made.id
  assert.deepEqual([made.name, made.status], ['builtin', 'online'])
  assert.deepEqual((await first.call<{ enrollmentTokens: object[] }>('GET', '/api/enrollment-tokens')).enrollmentTokens, [])
  assert.equal((await stat(join(folder, 'agent'))).mode & 0o777, 0o700)
  assert.equal((await stat(join(folder, 'agent/key.pem'))).mode & 0o777, 0o600)

  const files = join(folder, 'agent/files')
  await first.makeUser('alice')
  await writeFile(join(files, 'a.txt'), 'from here')
  const { status } = await moved(first, join(files, 'a.txt'), 'space://default/alice/in/a.txt')
  assert.equal(status, 'completed')
  assert.equal(await readFile(join(folder, 'files/default/alice/in/a.txt'), 'utf8'), 'from here')
  // Nothing of this machine beside the folders that were opened.
  const refused = await moved(first, join(folder, 'landfall.sqlite'), 'space://default/alice/in/b')
  assert.deepEqual([refused.status, refused.errorCode], ['failed', 'PERMISSION_DENIED'])
})

test('after a restart it is the same agent, on whatever port, and nothing is said of it', async () => {
  const second = await live('on')
  await eventually(async () => assert.equal(second.app.agentPort.stats().streams, 1))
  assert.deepEqual(
    (await agentsOf(second)).map((agent) => [agent.id, agent.status]),
    [[id, 'online']],
  )
  assert.deepEqual(await eventsOf(second), ['agent.registered'])
})

test('switched off, it is offline at once; switched on again, it is back', async () => {
  const third = await live('off')
  assert.deepEqual(
    (await agentsOf(third)).map(({ status }) => status),
    ['offline'],
  )
  const fourth = await live('on')
  await eventually(async () =>
    assert.deepEqual(
      (await agentsOf(fourth)).map((agent) => [agent.id, agent.status]),
      [[id, 'online']],
    ),
  )
  assert.deepEqual(await eventsOf(fourth), ['agent.registered', 'agent.disconnected', 'agent.connected'])
})

test('revoked, it ends, and is not let in again by a restart', async () => {
  await server!.call('POST', `/api/agents/${id}/revoke`)
  await eventually(async () => assert.equal(server!.app.agentPort.stats().streams, 0))
  const last = await live('on')
  // It dials once, and takes the refusal.
  await eventually(async () => assert.equal(last.app.agentPort.stats().refusedRequests, 1))
  assert.deepEqual(
    (await agentsOf(last)).map((agent) => [agent.id, agent.status]),
    [[id, 'offline']],
  )
})
