import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startTestServer, type TestServer } from '../server.ts'

// The command line as people type it, against a running server.

const ENTRY = fileURLToPath(new URL('../../cli/landfall.js', import.meta.url))
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
    const child = execFile(process.execPath, [ENTRY, ...args], { env: { PATH: process.env.PATH } }, (error, out, stderr) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, out, error: stderr })
    })
    child.stdin?.end(input)
  })
}

/** A command on the test server's data folder that must succeed; its JSON. */
async function json<Answer>(args: readonly string[], input?: string): Promise<Answer> {
  const { status, out, error } = await landfall([...args, '--data', server.folder, '--json'], input)
  assert.equal(status, 0, error)
  return JSON.parse(out) as Answer
}

test('user add, list, disable, enable, remove', async () => {
  const permissions = ['list', 'read']
  const added = await json<{ id: string; login: string; permissions: string[]; disabled: boolean }>(
    ['user', 'add', 'pipeline', '--account', 'default', '--permissions', permissions.join(','), '--password-stdin'],
    'a long password\n',
  )
  assert.deepEqual([added.login, added.permissions, added.disabled], ['pipeline', permissions, false])
  assert.equal((await json<{ disabled: boolean }>(['user', 'disable', 'pipeline'])).disabled, true)
  assert.equal((await json<{ disabled: boolean }>(['user', 'enable', 'pipeline'])).disabled, false)
  assert.deepEqual(
    (await json<{ id: string }[]>(['user', 'list'])).map(({ id }) => id),
    [added.id],
  )
  await json(['user', 'remove', 'pipeline'])
  assert.deepEqual(await json(['user', 'list']), [])
})

test('key create shows the token once, and the TrueFTP face takes it until it is revoked', async () => {
  const made = await json<{ id: string; token: string; scopes: string[] }>([
    'key',
    'create',
    '--account',
    'default',
    '--scopes',
    'read,write',
  ])
  assert.match(made.token, /^tftp_.{32}$/)
  const ask = () => fetch(`${server.http}/api/ext/v1/account`, { headers: { authorization: `Bearer ${made.token}` } })
  assert.equal((await ask()).status, 200)
  const listed = await landfall(['key', 'list', '--data', server.folder])
  assert(listed.out.includes(made.id) && !listed.out.includes(made.token))
  await json(['key', 'revoke', made.id])
  assert.equal((await ask()).status, 401)
})

test('account create, update, list', async () => {
  type Account = { id: string; plan: string; egressAllow: string[] | null }
  const { id } = await json<Account>(['account', 'create', 'tenant', '--plan', 'team'])
  const update = (...flags: string[]) => json<Account>(['account', 'update', 'tenant', ...flags])
  assert.deepEqual((await update('--egress-allow', '10.0.0.0/8, fd00::/8')).egressAllow, ['10.0.0.0/8', 'fd00::/8'])
  assert.equal((await update('--plan', 'business', '--name', 'Tenant Ltd')).plan, 'business')
  assert.deepEqual((await update('--egress-allow', 'none')).egressAllow, [])
  assert.equal((await update('--egress-allow', 'server')).egressAllow, null)
  const refused = await landfall(['account', 'update', 'tenant', '--egress-allow', '10.0.0.1/8', '--data', server.folder])
  assert.match(refused.error, /--egress-allow: "10\.0\.0\.1\/8" is not a network/)
  assert((await json<Account[]>(['account', 'list'])).some((row) => row.id === id))
})

test('webhook create, deactivate, activate, test, deliveries, remove', async () => {
  const url = 'http://127.0.0.1:9/hook'
  const made = await json<{ id: string; secret?: string; dialect: string }>([
    'webhook',
    'create',
    '--url',
    url,
    '--events',
    'file.*,dir.created',
    '--dialect',
    'trueftp',
    '--account',
    'default',
  ])
  assert.equal(made.dialect, 'trueftp')
  assert.equal(typeof made.secret, 'string')
  assert.equal((await json<{ state: string }>(['webhook', 'deactivate', made.id])).state, 'inactive')
  assert.equal((await json<{ state: string }>(['webhook', 'activate', made.id])).state, 'active')
  const delivery = await json<{ id: string }>(['webhook', 'test', made.id, '--event', 'file.uploaded'])
  const deliveries = await json<{ id: string }[]>(['webhook', 'deliveries', made.id])
  assert.deepEqual(
    deliveries.map(({ id }) => id),
    [delivery.id],
  )
  await json(['webhook', 'remove', made.id])
  assert.deepEqual(await json(['webhook', 'list']), [])
})

test('webhook rotate-secret: a made secret is shown once, a given one never', async () => {
  const { id } = await json<{ id: string }>([
    ...['webhook', 'create', '--url', 'http://127.0.0.1:9/hook', '--events', '*', '--dialect', 'standard'],
  ])
  const rotated = await json<{ secret: string; cutOverAt: string; note: string }>([
    'webhook',
    'rotate-secret',
    id,
    '--overlap',
    '2h',
  ])
  assert.match(rotated.secret, /^whsec_/)
  assert.match(rotated.note, new RegExp(`^Until ${rotated.cutOverAt} deliveries carry the signatures of both secrets`))
  const again = await landfall(['webhook', 'rotate-secret', id, '--data', server.folder])
  assert.equal(again.status, 2)
  assert.match(again.error, /a rotation runs until/)
  const given = `whsec_${'A'.repeat(32)}`
  const args = ['webhook', 'rotate-secret', id, '--overlap', '0', '--secret-stdin', '--data', server.folder]
  const ended = await landfall(args, `${given}\n`)
  assert.deepEqual([ended.status, ended.out.trim()], [0, 'The new secret counts at once.'])
  assert.equal((await landfall(['webhook', 'rotate-secret', id, '--overlap', 'soon', '--data', server.folder])).status, 2)
  await json(['webhook', 'remove', id])
})

test('master-key rotate', async () => {
  const { made, unreadable, next } = await json<{ made: boolean; unreadable: string[]; next: null }>(['master-key', 'rotate'])
  assert.deepEqual([made, unreadable, next], [true, [], null])
  const { out } = await landfall(['master-key', 'rotate', '--data', server.folder])
  assert.match(out, /^a new master key was made; secrets of \d+ webhooks, remotes and authorities are sealed anew/)
})

test('account and token commands', async () => {
  await json(['account', 'create', 'acme', '--name', 'Acme Ltd'])
  const slugs = (await json<{ slug: string }[]>(['account', 'list'])).map(({ slug }) => slug)
  assert.ok(slugs.includes('acme') && slugs.includes('default'))
  const { id, token } = await json<{ id: string; token: string }>(['token', 'create', '--name', 'ci'])
  const ask = () => fetch(`${server.http}/api/webhooks`, { headers: { authorization: `Bearer ${token}` } })
  assert.equal((await ask()).status, 200)
  await json(['token', 'revoke', id])
  assert.equal((await ask()).status, 401)
})

const refusals = [
  { name: 'an unknown command', args: ['webhok'], status: 2, says: /no command webhok: did you mean webhook\?/ },
  { name: 'a command like no other', args: ['something'], status: 2, says: /no command something: .landfall --help. lists them/ },
  { name: 'a group without its second word', args: ['user'], status: 2, says: /takes one of: add, list/ },
  {
    name: 'an unknown option',
    args: ['user', 'list', '--acount', 'x'],
    status: 2,
    says: /Unknown option '--acount'.*landfall user list --help/,
  },
  { name: 'a missing word', args: ['user', 'add'], status: 2, says: /usage: landfall user add NAME/ },
  {
    name: 'no server on the folder',
    args: ['user', 'list', '--data', '/nonexistent'],
    status: 2,
    says: /no server runs on \/nonexistent/,
  },
  {
    name: 'an unknown setting',
    args: ['serve', '--htp-address', '127.0.0.1:0'],
    status: 2,
    says: /Unknown option '--htp-address'/,
  },
  {
    name: 'a setting out of its bounds',
    args: ['serve', '--http-address', 'localhost'],
    status: 1,
    says: /--http-address is host:port/,
  },
] as const
for (const { name, args, status, says } of refusals) {
  test(`refuses ${name} in one line`, async () => {
    const ended = await landfall(args)
    assert.equal(ended.status, status)
    assert.match(ended.error, says)
    assert.equal(ended.error.trim().split('\n').length, 1)
  })
}

test('a second server on the same data folder is refused in one line', async () => {
  const ended = await landfall([
    'serve',
    '--data',
    server.folder,
    '--http-address',
    '127.0.0.1:0',
    '--sftp-address',
    '127.0.0.1:0',
    '--agent-address',
    '127.0.0.1:0',
    '--builtin-agent',
    'off',
  ])
  assert.deepEqual([ended.status, ended.error.trim().split('\n').length], [1, 1])
  assert.match(ended.error, /Another Landfall process uses this data folder/)
})

test('every command has a help page that names its options', async () => {
  const { out } = await landfall(['--help'])
  for (const name of ['serve', 'demo', 'user add', 'key create', 'webhook create']) {
    assert(out.includes(name), name)
    const page = await landfall([...name.split(' '), '--help'])
    assert.match(page.out, /Usage: landfall .*\n[\s\S]*--json/)
  }
  assert.match(out, /^For those who develop receivers\n {2}listen .*\n {2}trigger /m)
  const family = await landfall(['user', '--help'])
  assert.match(family.out, /^ {2}user add .*\n {2}user list /)
  assert(!family.out.includes('webhook'))
})

const OLDER = ['/usr/bin/node', '/usr/local/bin/node'].find(
  (path) => existsSync(path) && Number(spawnSync(path, ['-p', 'process.versions.node']).stdout.toString().split('.')[0]) < 26,
)
test('an older Node is refused in one line', {
  skip: OLDER === undefined ? 'There is no Node older than 26 on this machine.' : false,
}, () => {
  const ended = spawnSync(OLDER!, [ENTRY, 'serve'])
  assert.equal(ended.status, 1)
  assert.match(ended.stderr.toString(), /^landfall needs Node 26 or newer and this is v\d+.*\n$/)
})

test('the note for the local command line is readable by the owner only, and gone after a stop', async () => {
  const own = await startTestServer()
  const note = `${own.folder}/running.json`
  assert.equal(JSON.parse(readFileSync(note, 'utf8')).http, own.http)
  const { stdout } = spawnSync('stat', ['-c', '%a', note])
  assert.equal(stdout.toString().trim(), '600')
  await own.app.stop()
  assert.equal(existsSync(note), false)
  // A second stop is harmless.
  await own.stop()
})

test('a reader that has seen enough ends a command without a word', async () => {
  const child = spawn(process.execPath, [ENTRY, 'webhook', 'create', '--help'], { stdio: ['ignore', 'pipe', 'pipe'] })
  // Closed before the process has had the time to write anything.
  child.stdout.destroy()
  const error: Buffer[] = []
  child.stderr.on('data', (chunk: Buffer) => error.push(chunk))
  const status = await new Promise((resolve) => child.on('close', resolve))
  assert.deepEqual([Buffer.concat(error).toString(), status], ['', 0])
})
