import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { enrol } from '../../agent/enroll.ts'
import { MIB } from '../../src/base/units.ts'
import { ENTRY } from '../cli/line.ts'
import { eventually } from '../eventually.ts'
import { startTestServer } from '../server.ts'

/** Slow enough that it is under way whenever it is looked at. */
const FILE_BYTES = 2_000 * MIB
const BYTES_PER_SECOND = 16 * MIB

test('an agent that is killed goes on in the space where it was, and what is cancelled meanwhile leaves nothing', async (t) => {
  const server = await startTestServer()
  const folder = await mkdtemp(join(tmpdir(), 'landfall-killed-'))
  let agent: ChildProcess | undefined
  async function kill(): Promise<void> {
    const killed = agent
    if (killed === undefined || killed.exitCode !== null) return
    agent = undefined
    const exited = once(killed, 'exit')
    killed.kill('SIGKILL')
    await exited
  }
  t.after(async () => {
    await kill()
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  })
  const run = () => {
    agent = spawn(process.execPath, [ENTRY, 'agent', 'run', '--folder', join(folder, 'agent')], { stdio: 'ignore' })
  }
  await server.makeUser('alice')
  const { token } = await server.call<{ token: string }>('POST', '/api/enrollment-tokens', { name: 'tests', usesMax: 1 })
  const { facts } = await enrol({
    server: server.http,
    token,
    name: 'killed',
    folder: join(folder, 'agent'),
    roots: [],
    version: '1',
  })
  const path = join(folder, 'agent/files/large')
  const file = await open(path, 'w')
  await file.truncate(FILE_BYTES)
  await file.close()
  run()
  const order = { sourceUrl: path, destinationPath: 'space://default/alice/large', bytesPerSecond: BYTES_PER_SECOND }
  const body = { agentId: facts.id, direction: 'push', ...order }
  const { transfer } = await server.call<{ transfer: { id: string } }>('POST', '/api/transfers', body)
  const uploads = join(server.folder, 'files/.landfall/uploads')

  // The journal knows of the part from its first checkpoint on.
  await eventually(async () =>
    assert.equal((await readdir(join(folder, 'agent/work'))).filter((name) => name.endsWith('.json')).length, 1),
  )
  await kill()
  const before = (await stat(join(uploads, (await readdir(uploads))[0]!))).size
  run()
  await eventually(async () => {
    const [name, ...others] = await readdir(uploads)
    assert.deepEqual(others, [])
    assert.ok((await stat(join(uploads, name!))).size > before + 12 * MIB)
  })

  await kill()
  await server.call('POST', `/api/transfers/${transfer.id}/cancel`)
  run()
  await eventually(async () => {
    const found = await server.call<{ transfer: { status: string } }>('GET', `/api/transfers/${transfer.id}`)
    assert.equal(found.transfer.status, 'cancelled')
    assert.deepEqual(await readdir(uploads), [])
  })
})
