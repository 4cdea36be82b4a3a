import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, beforeEach, test } from 'node:test'
import { enrol } from '../../agent/enroll.ts'
import { runAgent } from '../../agent/main.ts'
import type { AgentNews } from '../../agent/news.ts'
import { systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { MIB } from '../../src/base/units.ts'
import { RETRY_DELAYS_MS } from '../../src/transfers/transfer.ts'
import type { WorkReport } from '../../src/wire/agent/work.ts'
import { eventually } from '../eventually.ts'
import { startTestServer, type TestServer } from '../server.ts'

// The agent as people run it, against the server as people run it.

let server: TestServer
const folders: string[] = []
const running: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  server = await startTestServer()
})
afterEach(async () => {
  for (const stop of running.splice(0)) await stop()
  await server.stop()
})
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
})

interface AgentAnswer {
  readonly agent: { readonly id: string; readonly name: string; readonly status: string; readonly revokedAt: string | null }
}

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-flow-agent-'))
  folders.push(folder)
  return folder
}

async function token(uses = 1): Promise<string> {
  const made = await server.call<{ token: string }>('POST', '/api/enrollment-tokens', { name: 'tests', usesMax: uses })
  return made.token
}

async function enrolled(more: { folder?: string; token?: string; name?: string } = {}) {
  const folder = more.folder ?? join(await temporary(), 'agent')
  const given = {
    server: server.http,
    token: more.token ?? (await token()),
    name: more.name,
    folder,
    roots: [],
    version: '1.2.3',
  }
  return { ...(await enrol(given)), folder, given }
}

/** An agent that runs until it is stopped; `until` resolves at the first news of which that is true. */
function run(folder: string) {
  const stop = new AbortController()
  const news: AgentNews[] = []
  const waiting = new Set<() => void>()
  const tell = (one: AgentNews) => {
    news.push(one)
    for (const look of waiting) look()
  }
  const ended = runAgent({ folder, version: '1.2.3', clock: systemClock, log: silentLog, tell, signal: stop.signal })
  const halt = () => {
    stop.abort()
    return ended
  }
  running.push(halt)
  const until = (holds: (news: AgentNews) => boolean) =>
    new Promise<AgentNews>((resolve) => {
      const look = () => {
        const found = news.find(holds)
        if (found === undefined) return
        waiting.delete(look)
        resolve(found)
      }
      waiting.add(look)
      look()
    })
  return { news, until, ended, stop: halt }
}

const typeIs = (type: AgentNews['type']) => (news: AgentNews) => news.type === type
const FINAL = ['completed', 'failed', 'cancelled']
/** The nth report of an end, from 1. */
async function end(agent: ReturnType<typeof run>, nth = 1): Promise<WorkReport> {
  const isEnd = (news: AgentNews) => news.type === 'report' && FINAL.includes(news.report.state)
  await agent.until(() => agent.news.filter(isEnd).length >= nth)
  return (agent.news.filter(isEnd)[nth - 1] as Extract<AgentNews, { type: 'report' }>).report
}
const one = async (id: string) => (await server.call<AgentAnswer>('GET', `/api/agents/${id}`)).agent
const eventsOf = async (group: string) => {
  const { events } = await server.call<{ events: { event: string; data: Record<string, unknown> }[] }>(
    'GET',
    '/api/events?limit=100',
  )
  return events
    .map(({ event, data }) => ({ event, data }))
    .filter(({ event }) => event.startsWith(group))
    .reverse()
}

test('enrolled with a token, it dials, is online, and is known by its name', async () => {
  const { facts, folder, vouchedBy } = await enrolled({ name: 'north' })
  assert.equal(vouchedBy, 'token')
  const agent = run(folder)
  await agent.until(typeIs('connected'))
  const { name, status } = await one(facts.id)
  assert.deepEqual({ name, status }, { name: 'north', status: 'online' })
  assert.deepEqual(
    (await eventsOf('agent.')).map(({ event }) => event),
    ['agent.registered'],
  )
  assert.deepEqual(await agent.stop(), { kind: 'stopped' })
})

test('a token of one use lets one agent in, and the same one again', async () => {
  const { given, facts } = await enrolled()
  await rm(join(given.folder, 'agent.json'))
  assert.equal((await enrol(given)).facts.id, facts.id)
  const another = { ...given, folder: join(await temporary(), 'agent') }
  await assert.rejects(enrol(another), { code: 'forbidden' })
})

test('an administrator may enrol without a token', async () => {
  const { facts, vouchedBy } = await enrolled({ token: server.adminToken })
  assert.equal(vouchedBy, 'loopback')
  await run((await enrolled({ token: server.adminToken })).folder).until(typeIs('connected'))
  assert.equal((await one(facts.id)).revokedAt, null)
})

test('revoked while it runs, it ends and does not come back', async () => {
  const { facts, folder } = await enrolled()
  const agent = run(folder)
  await agent.until(typeIs('connected'))
  await server.call('POST', `/api/agents/${facts.id}/revoke`)
  assert.equal((await agent.ended).kind, 'revoked')
  assert.equal((await run(folder).ended).kind, 'revoked')
})

test('disconnected by an administrator, it is back at once', async () => {
  const { facts, folder } = await enrolled()
  const agent = run(folder)
  await agent.until(typeIs('connected'))
  await server.call('POST', `/api/agents/${facts.id}/disconnect`)
  await agent.until(typeIs('disconnected'))
  await agent.until(
    (news) => news.type === 'connected' && agent.news.indexOf(news) > agent.news.findIndex(typeIs('disconnected')),
  )
})

test('moves a file, and says so as it happens', async () => {
  const { facts, folder } = await enrolled()
  const content = 'from far away\n'.repeat(10_000)
  const [root] = facts.roots
  await writeFile(join(root!, 'report.csv'), content)
  const agent = run(folder)
  await agent.until(typeIs('connected'))
  const places = { sourceUrl: join(root!, 'report.csv'), destinationPath: join(root!, 'in/report.csv') }
  const order = { agentId: facts.id, ...places, direction: 'push' }
  const { transfer } = await server.call<{ transfer: { id: string } }>('POST', '/api/transfers', order)
  assert.partialDeepStrictEqual(await end(agent), { state: 'completed', size: content.length })
  assert.equal(await readFile(places.destinationPath, 'utf8'), content)
  await eventually(async () => {
    const found = await server.call<{ transfer: { status: string } }>('GET', `/api/transfers/${transfer.id}`)
    assert.equal(found.transfer.status, 'completed')
  })
  const events = await eventsOf('transfer.')
  // Not by their order, which those of one ms do not have.
  const said = (type: string) => events.filter(({ event }) => event === type)
  assert.equal(said('transfer.created').length, 1)
  assert.equal(said('transfer.completed').length, 1)
  assert.partialDeepStrictEqual(said('transfer.completed')[0]!.data, {
    transferId: transfer.id,
    agentId: facts.id,
    bytesTransferred: content.length,
  })
})

test('a file outside its folders is refused, and the next one moved', async () => {
  const { facts, folder } = await enrolled()
  const [root] = facts.roots
  await mkdir(join(root!, 'out'))
  await writeFile(join(root!, 'a.txt'), 'a')
  const agent = run(folder)
  await agent.until(typeIs('connected'))
  const order = (sourceUrl: string) =>
    server.call('POST', '/api/transfers', {
      agentId: facts.id,
      sourceUrl,
      destinationPath: join(root!, 'out/'),
      direction: 'push',
    })
  await order('/etc/hostname')
  assert.partialDeepStrictEqual(await end(agent), { state: 'failed', errorCode: 'PERMISSION_DENIED' })
  await order(join(root!, 'a.txt'))
  assert.partialDeepStrictEqual(await end(agent, 2), { state: 'completed', size: 1 })
  assert.equal(await readFile(join(root!, 'out/a.txt'), 'utf8'), 'a')
})

/** A server of files that breaks off in the middle of each. */
async function breakingServer() {
  const bytes = Buffer.alloc(4 * MIB, 'x')
  const http = createServer((request, response) => {
    response.writeHead(200, { 'content-length': bytes.length })
    if (request.method === 'HEAD') response.end()
    else response.write(bytes.subarray(0, bytes.length / 2), () => setTimeout(() => response.destroy(), 100))
  })
  await once(http.listen(0, '127.0.0.1'), 'listening')
  running.push(async () => {
    http.closeAllConnections()
    http.close()
  })
  const { port } = http.address() as AddressInfo
  const remote = { name: `breaks ${port}`, protocol: 'http', host: '127.0.0.1', port }
  return server.call<{ remote: { id: string } }>('POST', '/api/remotes', remote)
}

const statusOf = async (id: string) =>
  (await server.call<{ transfer: { status: string } }>('GET', `/api/transfers/${id}`)).transfer.status

test('cancelled between two attempts, and failed at the last one: nothing half-named is left, long before the next attempt', async () => {
  const { facts, folder } = await enrolled()
  const [root] = facts.roots
  const agent = run(folder)
  await agent.until(typeIs('connected'))
  const { remote } = await breakingServer()
  const order = { agentId: facts.id, remoteId: remote.id, sourceUrl: '/big', direction: 'pull' }
  const pull = async (name: string, more: object) => {
    const asked = { ...order, destinationPath: join(root!, name), ...more }
    return (await server.call<{ transfer: { id: string } }>('POST', '/api/transfers', asked)).transfer.id
  }
  const waits = await pull('waits', {})
  assert.partialDeepStrictEqual(await end(agent), { state: 'failed', errorCode: 'CONNECTION_LOST', leavesPart: true })
  assert.deepEqual(await readdir(root!), [`.waits.${waits}.part`])
  await eventually(async () => assert.equal(await statusOf(waits), 'queued'))

  await server.call('POST', `/api/transfers/${waits}/cancel`)
  const cancelledAt = performance.now()
  assert.equal(await statusOf(waits), 'cancelled', 'at once, for everybody')
  await agent.until((news) => news.type === 'report' && news.report.state === 'discarded')
  assert.ok(performance.now() - cancelledAt < RETRY_DELAYS_MS[0]! / 2)
  assert.deepEqual(await readdir(root!), [])

  const fails = await pull('fails', { retryDelaysSeconds: [] })
  assert.partialDeepStrictEqual(await end(agent, 2), { state: 'failed', errorCode: 'CONNECTION_LOST', leavesPart: false })
  assert.deepEqual(await readdir(root!), [])
  await eventually(async () => assert.equal(await statusOf(fails), 'failed'))
})

test('cancelled while its agent was away: what that left goes when it is back', async () => {
  const { facts, folder } = await enrolled()
  const [root] = facts.roots
  const { remote } = await breakingServer()
  const first = run(folder)
  await first.until(typeIs('connected'))
  const asked = {
    agentId: facts.id,
    remoteId: remote.id,
    sourceUrl: '/big',
    direction: 'pull',
    destinationPath: join(root!, 'a'),
  }
  const { transfer } = await server.call<{ transfer: { id: string } }>('POST', '/api/transfers', asked)
  await end(first)
  await eventually(async () => assert.equal(await statusOf(transfer.id), 'queued'))
  await first.stop()
  await server.call('POST', `/api/transfers/${transfer.id}/cancel`)
  assert.deepEqual(await readdir(root!), [`.a.${transfer.id}.part`])
  const second = run(folder)
  await second.until((news) => news.type === 'report' && news.report.state === 'discarded')
  assert.deepEqual(await readdir(root!), [])
})
