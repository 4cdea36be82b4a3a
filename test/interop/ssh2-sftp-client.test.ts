/** The most used client of npm: 64 requests in flight, out of order, and its own ideas of append and rename. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import SftpClient from 'ssh2-sftp-client'
import { MIB } from '../../src/base/units.ts'
import { startTestServer, type TestServer } from '../server.ts'

describe('ssh2-sftp-client', () => {
  let server: TestServer
  let client: SftpClient
  let folder: string
  let home: string

  before(async () => {
    server = await startTestServer()
    folder = await mkdtemp(join(tmpdir(), 'landfall-npm-client-'))
    const user = await server.makeUser('npm')
    home = user.home
    client = new SftpClient()
    await client.connect({ host: server.sftpHost, port: server.sftpPort, username: user.name, password: user.password })
  })
  after(async () => {
    await client.end()
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  })

  test('fastPut and fastGet with 64 requests in flight', async () => {
    const data = randomBytes(9 * MIB + 5)
    await writeFile(join(folder, 'x'), data)
    await client.fastPut(join(folder, 'x'), '/x')
    assert.ok((await readFile(join(home, 'x'))).equals(data))
    await client.fastGet('/x', join(folder, 'back'))
    assert.ok((await readFile(join(folder, 'back'))).equals(data))
  })

  test('put, append, get', async () => {
    await client.put(Buffer.from('first '), '/log')
    await client.append(Buffer.from('second'), '/log')
    assert.equal((await client.get('/log')).toString(), 'first second')
  })

  test('mkdir, rename, posixRename, list, stat, delete', async () => {
    await client.mkdir('/a/b/c', true)
    await client.put(Buffer.from('one'), '/a/one')
    await client.put(Buffer.from('two'), '/a/two')
    await assert.rejects(client.rename('/a/one', '/a/two'), /is there|exists/i)
    await client.posixRename('/a/one', '/a/two')
    const listed = await client.list('/a')
    assert.deepEqual(listed.map(({ name, type }) => `${type}${name}`).sort(), ['-two', 'db'])
    assert.equal((await client.get('/a/two')).toString(), 'one')
    assert.equal((await client.stat('/a/two')).size, 3)
    await client.chmod('/a/two', 0o600)
    await client.delete('/a/two')
    assert.equal(await client.exists('/a/two'), false)
    await client.rmdir('/a', true)
    assert.equal(await client.exists('/a'), false)
  })
})
