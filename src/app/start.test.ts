import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { silentLog } from '../base/log.ts'
import { loadSettings } from '../config/load.ts'
import type { App } from './app.ts'
import { startApp } from './start.ts'

const LISTENERS = ['http', 'sftp', 'agent'] as const

async function aFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-start-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

function start(folder: string, flags: Record<string, string> = {}): Promise<App> {
  const addresses = Object.fromEntries(LISTENERS.map((name) => [`--${name}-address`, '127.0.0.1:0']))
  const settings = loadSettings({ '--data': folder, ...addresses, '--builtin-agent': 'off', ...flags }, {})
  return startApp(settings, { log: silentLog })
}

test('an address where nobody can listen is told with its setting; the token of the administrator is made by a start that succeeds', async (t) => {
  const folder = await aFolder(t)
  const other = createServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await once(other, 'listening')
  const taken = `127.0.0.1:${(other.address() as AddressInfo).port}`
  for (const name of LISTENERS) {
    await assert.rejects(start(folder, { [`--${name}-address`]: taken }), {
      code: 'setting_invalid',
      message: `LANDFALL_${name.toUpperCase()}_ADDRESS is ${taken}: another process listens there already`,
    })
  }
  await assert.rejects(start(folder, { '--http-address': '203.0.113.1:0' }), {
    message: 'LANDFALL_HTTP_ADDRESS is 203.0.113.1:0: this machine has no such address',
  })
  const app = await start(folder)
  assert.match(app.adminToken ?? 'none', /^lfadm_/)
  await app.adminTokenShown()
  await app.stop()
  const again = await start(folder)
  assert.equal(again.adminToken, undefined, 'shown once')
  await again.stop()
})

test('a start that ends before it showed the token leaves it to the next, which removes it once it is shown', async (t) => {
  const folder = await aFolder(t)
  const file = join(folder, 'first-admin-token')
  const first = await start(folder)
  await first.stop()
  assert.equal((await stat(file)).mode & 0o777, 0o600)

  const second = await start(folder)
  assert.equal(second.adminToken, first.adminToken)
  const answer = await fetch(`${second.addresses.http}/api/accounts`, {
    headers: { authorization: `Bearer ${second.adminToken}` },
  })
  assert.equal(answer.status, 200)
  await second.adminTokenShown()
  await assert.rejects(stat(file), { code: 'ENOENT' })
  await second.stop()
})

test('a database that cannot be opened is told with its place, and without its password', async (t) => {
  const folder = await aFolder(t)
  await assert.rejects(start(folder, { '--database': 'postgres://u:s3cret@127.0.0.1:1/landfall' }), {
    code: 'store_failed',
    message: 'LANDFALL_DATABASE: the database at 127.0.0.1:1/landfall cannot be opened: connect ECONNREFUSED 127.0.0.1:1',
  })
  await assert.rejects(start(folder, { '--database': 'postgres://u:s3cret@127.0.0.1:port/landfall' }), {
    message: 'LANDFALL_DATABASE is no url such as postgres://user:password@host:5432/name',
  })
})
