import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { enrolledFolder, removeTemporaryFolders, startPeer, temporaryFolder } from '../../agent/testing.ts'
import { CONCURRENCY_MAX } from '../../src/agents/agent.ts'
import { TOKEN_SECONDS_MAX, TOKEN_SECONDS_MIN, TOKEN_USES_MAX } from '../../src/agents/check.ts'
import { eventually } from '../eventually.ts'
import { startTestServer, type TestServer } from '../server.ts'
import { ENTRY, Growing, landfall } from './line.ts'

// `landfall agent` as people type it, in processes of its own.

let server: TestServer
before(async () => {
  server = await startTestServer()
})
after(async () => {
  await server.stop()
  await removeTemporaryFolders()
})

interface NewsLine {
  readonly type: string
  readonly kind?: string
  readonly report?: { readonly state: string; readonly errorCode?: string }
}

/** A running `landfall agent run --json`. */
function run(folder: string) {
  const lines = new Growing<NewsLine>()
  const child: ChildProcess = spawn(process.execPath, [ENTRY, 'agent', 'run', '--folder', folder, '--json'])
  createInterface({ input: child.stdout! }).on('line', (line) => lines.add(JSON.parse(line)))
  // Not `exit`, after which lines may still come.
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  return { child, lines, ended, connected: () => lines.first('connection', ({ type }) => type === 'connected') }
}

async function token(): Promise<string> {
  return (await server.call<{ token: string }>('POST', '/api/enrollment-tokens', { name: 'tests' })).token
}

test('enrolled and run: the two commands that a machine needs, and a clean end', async () => {
  const folder = join(await temporaryFolder(), 'agent')
  const where = ['--server', server.http, '--folder', folder]
  const enrolled = await landfall(['agent', 'enroll', ...where, '--name', 'north', '--token-stdin'], {}, `${await token()}\n`)
  assert.equal(enrolled.error, '')
  assert.equal(enrolled.status, 0)
  assert.match(enrolled.out, /^enrolled as north \(agent_\w+\) at http:\/\/127/)
  assert.match(enrolled.out, new RegExp(`\n {2}npx landfall agent run --folder ${folder}\n$`))

  const agent = run(folder)
  await agent.connected()
  const second = await landfall(['agent', 'run', '--folder', folder])
  assert.equal(second.status, 1)
  assert.match(second.error, /^landfall: another agent process uses [^\n]*\n$/)
  agent.child.kill('SIGTERM')
  assert.deepEqual(await agent.ended, [0, null])
  assert.deepEqual(agent.lines.all.at(-1)?.kind, 'stopped')
})

test('enrolling twice with one token says that it is done; machines read JSON', async () => {
  const folder = join(await temporaryFolder(), 'agent')
  const args = ['agent', 'enroll', '--server', server.http, '--folder', folder, '--token', await token(), '--json']
  const first = JSON.parse((await landfall(args)).out)
  assert.deepEqual(first.roots, [join(folder, 'files')])
  assert.equal(first.vouchedBy, 'token')
  assert.equal(first.wasEnrolled, false)
  assert.deepEqual(JSON.parse((await landfall(args)).out), { ...first, wasEnrolled: true })
})

test('enrolled before under another name: how to change it is said, and works', async () => {
  const where = ['--server', server.http, '--folder', join(await temporaryFolder(), 'agent'), '--token', await token()]
  const enrol = async (name: string) => (await landfall(['agent', 'enroll', ...where, '--name', name])).out
  const id = /^enrolled as wh1 \((agent_\w+)\)/.exec(await enrol('wh1'))![1]!
  assert.doesNotMatch(await enrol('wh1'), /rename/)
  assert.match(
    await enrol('wh3'),
    new RegExp(`^enrolled before as wh1 .*\n  name +as the server has it; .*: landfall agent rename ${id} "wh3"\n`),
  )
  assert.match((await landfall(['agent', 'rename', id, 'wh3', '--data', server.folder])).out, /is called wh3/)
})

for (const [flag, taken, refused, says] of [
  ['uses', ['1', `${TOKEN_USES_MAX}`], ['0', `${TOKEN_USES_MAX + 1}`, 'x'], 'is a whole number, 1 to 10000, not'],
  [
    'expires',
    [`${TOKEN_SECONDS_MIN}s`, `${TOKEN_SECONDS_MAX}s`],
    [`${TOKEN_SECONDS_MIN - 1}s`, `${TOKEN_SECONDS_MAX + 1}s`],
    'is 1m to 30d, not',
  ],
] as const) {
  test(`--${flag} of a token is taken as far as the server takes it, and refused by its own name`, async () => {
    const create = (value: string) => landfall(['agent', 'token', 'create', `--${flag}`, value, '--data', server.folder])
    for (const value of taken) assert.deepEqual([(await create(value)).status, value], [0, value])
    for (const value of refused) {
      const { status, error } = await create(value)
      assert.equal(status, 2)
      assert.ok(error.startsWith(`landfall: --${flag} ${says} `), error)
    }
  })
}

test('--concurrency of an agent, too', async () => {
  const where = ['--server', server.http, '--folder', join(await temporaryFolder(), 'agent')]
  await landfall(['agent', 'enroll', ...where, '--name', 'busy', '--token', await token()])
  const rename = (value: string) => landfall(['agent', 'rename', 'busy', '--concurrency', value, '--data', server.folder])
  for (const value of ['1', `${CONCURRENCY_MAX}`]) assert.equal((await rename(value)).status, 0)
  for (const value of ['0', `${CONCURRENCY_MAX + 1}`])
    assert.equal((await rename(value)).error, `landfall: --concurrency is a whole number, 1 to 64, not "${value}"\n`)
})

test('revoked: a message of one line and the status 3, now and at every later start', async () => {
  const folder = join(await temporaryFolder(), 'agent')
  const args = ['--server', server.http, '--folder', folder, '--token', await token(), '--json']
  const { id } = JSON.parse((await landfall(['agent', 'enroll', ...args])).out)
  const agent = run(folder)
  await agent.connected()
  await server.call('POST', `/api/agents/${id}/revoke`)
  assert.deepEqual(await agent.ended, [3, null])
  const later = await landfall(['agent', 'run', '--folder', folder])
  assert.equal(later.status, 3)
  assert.match(later.error, /^landfall: this agent (is|was) revoked[^\n]*agent enroll --force[^\n]*\n$/)
})

test('an agent is named as it is listed; one that was revoked leaves its name to its successor', async () => {
  const where = ['--server', server.http]
  const env = { LANDFALL_ADMIN_TOKEN: server.adminToken }
  const said = async (...words: string[]) => JSON.parse((await landfall(['agent', ...words, ...where, '--json'], env)).out)
  const register = async () => {
    const folder = join(await temporaryFolder(), 'agent')
    const args = [...where, '--folder', folder, '--name', 'shop', '--token', await token(), '--json']
    return JSON.parse((await landfall(['agent', 'enroll', ...args])).out).id as string
  }
  const first = await register()
  assert.equal((await said('show', 'shop')).id, first)
  assert.equal((await said('revoke', 'shop')).id, first)
  assert.equal((await said('show', 'shop')).id, first)
  const second = await register()
  assert.deepEqual(await said('disconnect', 'shop'), { id: second, disconnected: false })
  assert.equal((await said('rename', 'shop', 'shop 2')).id, second)
  assert.equal((await said('show', first)).name, 'shop')
  const { status, error } = await landfall(['agent', 'show', 'nobody', ...where], env)
  assert.equal(status, 2)
  assert.match(error, /there is no agent nobody; `landfall agent list` shows them/)
})

test('an expired certificate: the status 4', async () => {
  const peer = await startPeer()
  const { status, error } = await landfall(['agent', 'run', '--folder', await enrolledFolder(peer, { daysAgo: 366 })])
  assert.equal(status, 4)
  assert.match(
    error,
    /^landfall: the certificate of this agent ended at [^\n]*: enrol it again; [^\n]*agent enroll --force[^\n]*\n$/,
  )
  await peer.stop()
})

test('killed in the middle of a transfer and started again, it does it again, once', async () => {
  const folder = join(await temporaryFolder(), 'agent')
  const args = ['--server', server.http, '--folder', folder, '--token', await token(), '--json']
  const { id, roots } = JSON.parse((await landfall(['agent', 'enroll', ...args])).out)
  const agent = run(folder)
  await agent.connected()
  const [source, destination] = [join(roots[0], 'a'), join(roots[0], 'b')]
  await writeFile(source, Buffer.alloc(4_000_000))
  // Slow enough to be met in the middle; the retry comes at once.
  const pace = { bytesPerSecond: 1_000_000, retryDelaysSeconds: [0, 0, 0] }
  const order = { agentId: id, sourceUrl: source, destinationPath: destination, direction: 'push', ...pace }
  const { transfer } = await server.call<{ transfer: { id: string } }>('POST', '/api/transfers', order)
  await agent.lines.first('progress', ({ report }) => report?.state === 'running')
  agent.child.kill('SIGKILL')
  await agent.ended

  const next = run(folder)
  await next.lines.first('end', ({ report }) => report?.state === 'completed')
  const endedOnce = async () => {
    const { events } = await server.call<{ events: { event: string; data: { transferId?: string } }[] }>(
      'GET',
      '/api/events?limit=100',
    )
    const ends = events.filter(({ event, data }) => data.transferId === transfer.id && /completed|failed|cancelled/.test(event))
    assert.deepEqual(
      ends.map(({ event }) => event),
      ['transfer.completed'],
    )
  }
  // The agent tells what it is about to report.
  await eventually(endedOnce)
  next.child.kill('SIGTERM')
  await next.ended
  await endedOnce()
})

const refusals = [
  { name: 'without a server', args: ['agent', 'enroll', '--token', 'x'], status: 2, error: /--server is needed/ },
  { name: 'without a token', args: ['agent', 'enroll', '--server', 'http://localhost'], status: 2, error: /--token is needed/ },
  {
    name: 'two tokens',
    args: ['agent', 'enroll', '--server', 'http://a', '--token', 'x', '--token-stdin'],
    status: 2,
    error: /not both/,
  },
  {
    name: 'nobody listens',
    args: ['agent', 'enroll', '--server', 'http://127.0.0.1:1', '--token', 'x'],
    status: 1,
    error: /ECONNREFUSED/,
  },
  { name: 'in clear', args: ['agent', 'enroll', '--server', 'http://192.0.2.1', '--token', 'x'], status: 1, error: /in clear/ },
  { name: 'not enrolled', args: ['agent', 'run'], status: 1, error: /is not enrolled: run `landfall agent enroll/ },
] as const
for (const { name, args, status, error } of refusals)
  test(`refused in one line: ${name}`, async () => {
    const folder = join(await temporaryFolder(), 'agent')
    const said = await landfall([...args, '--folder', folder])
    assert.equal(said.status, status)
    assert.match(said.error, error)
    assert.match(said.error, /^landfall: [^\n]*\n$/)
    await rm(folder, { recursive: true, force: true })
  })
