import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { aRequest } from '../../src/agents/testing.ts'
import { startTestServer, type TestServer } from '../server.ts'

// Remotes and transfers from the command line; the agent is a foreign one that never comes, so that what is asked for waits.

const ENTRY = fileURLToPath(new URL('../../cli/landfall.js', import.meta.url))
const HOST_KEY = `SHA256:${'a'.repeat(43)}`
let server: TestServer
before(async () => {
  server = await startTestServer()
})
after(() => server.stop())

interface Ended {
  status: number
  out: string
  error: string
}

function landfall(args: readonly string[], input = ''): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env.PATH } }
    const child = execFile(process.execPath, [ENTRY, ...args, '--data', server.folder], options, (error, out, stderr) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, out, error: stderr })
    })
    child.stdin?.end(input)
  })
}

async function json<Answer>(args: readonly string[], input?: string): Promise<Answer> {
  const { status, out, error } = await landfall([...args, '--json'], input)
  assert.equal(status, 0, error)
  return JSON.parse(out) as Answer
}

async function refusedWith(args: readonly string[]): Promise<string> {
  const { status, error } = await landfall(args)
  assert.equal(status, 2, error)
  return error
}

test('remotes are made, shown without their secrets, changed and removed; a transfer is started, listed, watched and stopped', async () => {
  const sftp = ['--protocol', 'sftp', '--host', 'ftp.example.com', '--user', 'me', '--password-stdin']
  assert.match(
    await refusedWith(['remote', 'add', 'partner', ...sftp.slice(0, -1)]),
    /--password-stdin or --private-key-file is missing/,
  )
  const made = await json<{ id: string; hasPassword: boolean }>(
    ['remote', 'add', 'partner', ...sftp, '--host-key', HOST_KEY],
    'hush-hush\n',
  )
  assert.equal(made.hasPassword, true)
  const shown = await landfall(['remote', 'show', 'partner'])
  assert.ok(shown.out.includes(HOST_KEY) && !shown.out.includes('hush-hush'))
  assert.deepEqual(await json<{ port: number }>(['remote', 'update', made.id, '--port', '2222']).then(({ port }) => port), 2222)
  assert.match((await landfall(['remote', 'list'])).out, /partner +sftp:\/\/ftp\.example\.com:2222 +me +pinned/)

  const registered = await fetch(`${server.http}/api/agents/register`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ hostname: 'branch.example', os: 'linux', csr: aRequest() }),
  })
  assert.equal(registered.status, 201)
  const route = ['--remote', 'partner', '--from', '/out/a.csv', '--to', '/in/']
  const startArgs = ['transfer', 'start', '--agent', 'branch.example', ...route]
  assert.match(await refusedWith(startArgs), /one of --pull and --push is needed/)
  assert.match(await refusedWith([...startArgs, '--pull', '--push']), /--pull and --push: give one of them/)
  assert.match(await refusedWith(['transfer', 'start', '--agent', 'nobody', ...route, '--pull']), /there is no agent nobody/)
  const { id, source, destination } = await json<{ id: string; source: string; destination: string }>([
    ...[...startArgs, '--pull', '--post-action', 'move:/done/a.csv', '--retry', '1s,2s'],
  ])
  assert.deepEqual([source, destination], ['sftp://ftp.example.com:2222/out/a.csv', '/in/a.csv'])
  const many = ['transfer', 'start', '--agent', 'branch.example', '--push', '--from', '/out/*.csv', '--to', '/in/']
  const starred = await landfall(many)
  assert.match(starred.error, /for many files make a job/)
  const listed = await landfall(['transfer', 'list', '--status', 'queued', '--agent', 'branch.example'])
  assert.match(
    listed.out,
    new RegExp(`queued +0 %.*branch\\.example +sftp://ftp\\.example\\.com:2222/out/a\\.csv +/in/a\\.csv.*${id}`),
  )
  assert.match((await landfall(['transfer', 'show', id])).out, /status +queued/)
  assert.match(await refusedWith(['remote', 'remove', 'partner']), /used by the transfer/)

  const watching = landfall(['transfer', 'show', id, '--watch'])
  assert.equal((await json<{ status: string }>(['transfer', 'cancel', id])).status, 'cancelled')
  const { status, out } = await watching
  assert.equal(status, 1)
  assert.match(out, /is cancelled: CANCELLED: The transfer was stopped/)
  assert.match(await refusedWith(['transfer', 'cancel', id]), /cancelled already/)
  assert.deepEqual(await json(['remote', 'remove', 'partner']), { id: made.id, removed: true })
})
