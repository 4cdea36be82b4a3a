import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startTestServer, type TestServer } from '../server.ts'

// Webhooks as people shape, change and try them on the command line, against a running server.

const ENTRY = fileURLToPath(new URL('../../cli/landfall.js', import.meta.url))
let server: TestServer
let folder: string
before(async () => {
  server = await startTestServer()
  folder = await mkdtemp(join(tmpdir(), 'landfall-cli-'))
})
after(async () => {
  await server.stop()
  await rm(folder, { recursive: true, force: true })
})

interface Ended {
  status: number
  out: string
  error: string
}

function landfall(args: readonly string[], input = '', env: Record<string, string> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env.PATH, ...env } }
    const child = execFile(process.execPath, [ENTRY, ...args, '--data', server.folder], options, (error, out, stderr) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, out, error: stderr })
    })
    child.stdin?.end(input)
  })
}

async function json<Answer>(args: readonly string[], input?: string, env?: Record<string, string>): Promise<Answer> {
  const { status, out, error } = await landfall([...args, '--json'], input, env)
  assert.equal(status, 0, error)
  return JSON.parse(out) as Answer
}

interface Made {
  id: string
  secret?: string
  state: string
  [member: string]: unknown
}
const target = ['--url', 'http://127.0.0.1:9/hook', '--events', 'file.*']

test('webhook create, show and update take every choice, and secrets come from elsewhere', async () => {
  await writeFile(join(folder, 'proxy-password'), 'p-789\n')
  const flags = [
    ...['--filter', 'data.path=/incoming/**/*.csv', '--filter', 'data.size:gt=0', '--order', 'key', '--timeout', '5s'],
    ...['--concurrency', '4', '--rate', '100/60s', '--expire', '1h', '--retry', '30s,5m', '--also-sign', 'standard'],
    ...['--header', 'X-Team: orders', '--secret-header', 'X-Api-Key: env:KEY', '--bearer', 'stdin'],
    ...['--proxy', 'http://127.0.0.1:3128', '--proxy-user', 'u', '--proxy-password', `file:${join(folder, 'proxy-password')}`],
  ]
  const made = await json<Made>(['webhook', 'add', ...target, ...flags], 't-456\n', { KEY: 'k-123' })
  assert.match(made.secret ?? '', /^whsec_/)
  const shown = await json<Made>(['webhook', 'show', made.id])
  const { filter, order, timeoutSeconds, concurrency, rate, expireAfterSeconds, retry, alsoSign, headers, auth, proxy } = shown
  assert.deepEqual(
    { filter, order, timeoutSeconds, concurrency, rate, expireAfterSeconds, retry, alsoSign, headers, auth, proxy },
    {
      ...{ filter: { 'data.path': { glob: '/incoming/**/*.csv' }, 'data.size': { gt: 0 } }, order: 'key', timeoutSeconds: 5 },
      ...{ concurrency: 4, rate: { count: 100, perSeconds: 60 }, expireAfterSeconds: 3_600, retry: { delaysSeconds: [30, 300] } },
      ...{ alsoSign: ['standard'], headers: { 'X-Team': 'orders', 'X-Api-Key': { secret: '********' } } },
      auth: { kind: 'bearer', token: '********' },
      proxy: { url: 'http://127.0.0.1:3128', username: 'u', password: '********' },
    },
  )
  const text = (await landfall(['webhook', 'show', made.id])).out
  assert.ok(text.includes('orders') && !/k-123|t-456|p-789/.test(text), text)

  const changed = await json<Made>([
    ...['webhook', 'update', made.id, '--header', 'x-team: sales', '--name', 'Sales', '--reset', 'rate,filter,proxy'],
  ])
  assert.deepEqual(
    [changed.name, changed.headers, changed.rate, changed.filter, changed.proxy, changed.order],
    ['Sales', { 'X-Api-Key': { secret: '********' }, 'x-team': 'sales' }, null, null, null, 'key'],
  )
})

test('webhook update changes a part of a login, and the rest stays', async () => {
  const proxy = ['--proxy', 'http://127.0.0.1:3128', '--proxy-user', 'u', '--proxy-password', 'env:OLD']
  const env = { OLD: 'o-123', NEW: 'n-456' }
  const basic = await json<Made>(
    ['webhook', 'create', ...target, '--basic', 'b', '--basic-password', 'env:OLD', ...proxy],
    '',
    env,
  )
  const rotated = await json<Made>(
    ['webhook', 'update', basic.id, '--basic-password', 'env:NEW', '--proxy-password', 'env:NEW'],
    '',
    env,
  )
  const masked = '********'
  assert.deepEqual(
    [rotated.auth, rotated.proxy],
    [
      { kind: 'basic', username: 'b', password: masked },
      { url: 'http://127.0.0.1:3128', username: 'u', password: masked },
    ],
  )
  assert.equal(
    (await json<{ proxy: { username: string } }>(['webhook', 'update', basic.id, '--proxy-user', 'v'])).proxy.username,
    'v',
  )

  const oauth2 = [
    '--oauth2-token-url',
    'http://127.0.0.1:9/token',
    '--oauth2-client-id',
    'c',
    '--oauth2-client-secret',
    'env:OLD',
  ]
  const { id } = await json<Made>(['webhook', 'create', ...target, ...oauth2], '', env)
  const scoped = await json<Made>(['webhook', 'update', id, '--oauth2-scope', 's', '--oauth2-client-secret', 'env:NEW'], '', env)
  assert.deepEqual(scoped.auth, {
    ...{ kind: 'oauth2', tokenUrl: 'http://127.0.0.1:9/token', clientId: 'c', clientSecret: masked, scope: 's' },
  })
  const stray = await landfall(['webhook', 'update', id, '--basic-password', 'env:NEW'], '', env)
  assert.deepEqual([stray.status, stray.error.trim()], [2, 'landfall: --basic-password goes with --basic'])
})

test('webhook list shows how each is, and says when there are more than it shows', async () => {
  const { id } = await json<Made>(['webhook', 'create', ...target, '--name', 'listed'])
  const few = await landfall(['webhook', 'list'])
  assert.match(few.out, /^ID +STATE +HEALTH +DIALECT/)
  assert.match(few.out, new RegExp(`${id} +active +healthy +mftplus`))
  assert.equal(few.error, '')
  const body = { url: target[1], events: ['file.*'], active: false }
  for (let made = 0; made < 100; made++) await server.call('POST', '/api/webhooks', body)
  assert.match((await landfall(['webhook', 'list'])).error, /^these are 100 of \d+; GET \/api\/webhooks has them all/)
})

test('webhook pause and resume', async () => {
  const { id, state } = await json<Made>(['webhook', 'create', ...target, '--inactive'])
  assert.equal(state, 'inactive')
  assert.equal((await json<Made>(['webhook', 'resume', id])).state, 'active')
  assert.equal((await json<Made>(['webhook', 'pause', id])).state, 'inactive')
})

test('webhook preview says what would be sent, and tries a filter without storing it', async () => {
  await json(['user', 'add', 'pipeline', '--password-stdin'], 'a long password\n')
  const { id } = await json<Made>(['webhook', 'create', '--url', 'http://127.0.0.1:9/hook', '--events', 'ftp_user.created'])
  const all = await json<{ considered: number; wouldSend: number }>(['webhook', 'preview', id])
  assert.deepEqual([all.considered, all.wouldSend], [1, 1])
  const { out } = await landfall(['webhook', 'preview', id, '--filter', 'data.username!=pipeline', '--limit', '5'])
  assert.match(out, /ftp_user\.created .* no +data\.username is "pipeline", which does not meet/)
  assert.match(out, /0 of 1 would be sent/)
  const { out: requests } = await landfall(['webhook', 'preview', id, '--requests', '--dialect', 'standard'])
  assert.match(requests, /POST http:\/\/127\.0\.0\.1:9\/hook\n.*webhook-signature: v1,\*{8}\n\n\{"type":"ftp_user\.created"/s)
  assert.equal((await json<Made>(['webhook', 'show', id])).filter, null)
})

const refusals: { args: string[]; says: RegExp; status: number }[] = [
  { args: ['--filter', 'data.pth=/a'], says: /"data.pth" is no member.*did you mean "data.path"/, status: 2 },
  { args: ['--filter-json', '{'], says: /--filter-json is no JSON/, status: 2 },
  { args: ['--rate', '100'], says: /--rate is posts in a time such as 100\/60s, not "100"/, status: 2 },
  { args: ['--timeout', '5'], says: /--timeout is a duration/, status: 2 },
  { args: ['--concurrency', 'many'], says: /--concurrency is a whole number, not "many"/, status: 2 },
  { args: ['--bearer', 't-456'], says: /--bearer names where its value is: stdin, env:NAME or file:PATH/, status: 2 },
  { args: ['--bearer', 'env:NOT_SET'], says: /the variable NOT_SET is not set/, status: 2 },
  { args: ['--basic', 'u'], says: /--basic-password is needed/, status: 2 },
  { args: ['--basic', 'u', '--bearer', 'stdin'], says: /give one of them/, status: 2 },
  { args: ['--basic-password', 'env:P'], says: /--basic-password goes with --basic$/m, status: 2 },
  { args: ['--basic', 'u', '--oauth2-scope', 's'], says: /--oauth2-scope goes with --oauth2-token-url/, status: 2 },
  { args: ['--oauth2-client-id', 'c'], says: /--oauth2-client-id goes with --oauth2-token-url/, status: 2 },
  { args: ['--oauth2-client-secret', 'env:S'], says: /--oauth2-client-secret goes with --oauth2-token-url/, status: 2 },
  { args: ['--proxy-user', 'u'], says: /--proxy-user goes with --proxy$/m, status: 2 },
  { args: ['--proxy-password', 'env:P'], says: /--proxy-password goes with --proxy$/m, status: 2 },
  {
    args: ['--proxy', 'http://127.0.0.1:1', '--proxy-password', 'env:P'],
    says: /--proxy-password goes with --proxy-user/,
    status: 2,
  },
  { args: ['--header', 'X-Team'], says: /--header is 'Name: value'/, status: 2 },
  { args: ['--ca', '/no/such/file'], says: /cannot read \/no\/such\/file: ENOENT/, status: 2 },
]
for (const { args, says, status } of refusals) {
  test(`webhook create is refused: ${args.join(' ')}`, async () => {
    const ended = await landfall(['webhook', 'create', ...target, ...args])
    assert.equal(ended.status, status)
    assert.match(ended.error, says)
    assert.ok(!ended.error.includes('t-456'))
  })
}
