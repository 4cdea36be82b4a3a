import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { MIB } from '../../src/base/units.ts'
import type { SftpEndpoint } from '../../src/wire/agent/work.ts'
import type { Peer } from '../../test/peers/peer.ts'
import { kind as landfall } from '../../test/peers/sftp-landfall.ts'
import { kind as openssh } from '../../test/peers/sftp-openssh.ts'
import { testClient } from './client.conformance.ts'
import { idleConnections } from './idle.ts'
import { openSftp } from './sftp.ts'
import { contextFor, failsWith, readAll } from './testing.ts'

testClient(openssh)
testClient(landfall)

describe('over OpenSSH', { skip: openssh.missing ?? false }, () => {
  let peer: Peer
  before(async () => {
    peer = await openssh.start()
  })
  after(() => peer.stop())

  test('a connection serves the next client, and no other endpoint', async () => {
    const endpoint = peer.endpoint as SftpEndpoint
    const first = await openSftp(endpoint, contextFor({}))
    await first.close()
    // The line is counted from here on: dialling anew would take more than 2 KiB.
    peer.cutAfter!(2 * 1024)
    const second = await openSftp(endpoint, contextFor({}))
    assert.equal((await second.stat(peer.folder))?.kind, 'folder')
    await second.close()
    await failsWith(
      'CONNECTION_LOST',
      openSftp({ ...endpoint, hostKeys: [...endpoint.hostKeys, 'SHA256:other'] }, contextFor({})),
    )
    idleConnections.closeAll()
  })

  test('many clients that begin at the same time all get in: a server refuses many that have not logged in', async () => {
    const opened = await Promise.all(Array.from({ length: 32 }, () => openSftp(peer.endpoint as SftpEndpoint, contextFor({}))))
    const folders = await Promise.all(opened.map((client) => client.stat(peer.folder)))
    assert.ok(folders.every((facts) => facts?.kind === 'folder'))
    await Promise.all(opened.map((client) => client.close()))
    idleConnections.closeAll()
  })

  test('a first key is taken only where that was asked for', async () => {
    const pinned = (peer.endpoint as SftpEndpoint).hostKeys
    const unpinned = { ...(peer.endpoint as SftpEndpoint), hostKeys: [] }
    assert.match(
      (await failsWith('HOST_KEY_MISMATCH', openSftp(unpinned, contextFor({})))).message,
      /pin what `ssh-keygen -l` prints/,
    )
    const trusting = await openSftp({ ...unpinned, trustsFirstKey: true }, contextFor({}))
    assert.deepEqual([trusting.learnedHostKey], pinned)
    await trusting.close()
    idleConnections.closeAll()
  })

  test('clients share a connection; stopping one leaves the others theirs', async () => {
    const endpoint = peer.endpoint as SftpEndpoint
    const large = join(peer.folder, 'large')
    await writeFile(large, randomBytes(8 * MIB))
    const stopping = new AbortController()
    const [stopped, other] = [
      await openSftp(endpoint, contextFor({ signal: stopping.signal })),
      await openSftp(endpoint, contextFor({})),
    ]
    const failed = failsWith('CANCELLED', stopped.read(large, 0).then(readAll))
    const stat = other.stat(large)
    stopping.abort()
    await failed
    assert.equal((await stat)?.size, 8 * MIB)
    assert.equal((await readAll(await other.read(large, 0))).length, 8 * MIB)

    await Promise.all([stopped.close(), other.close()])
    idleConnections.closeAll()
  })

  test('a small file comes as a whole with what it is after that; one that grew is longer, a large one is not whole', async () => {
    const client = await openSftp(peer.endpoint as SftpEndpoint, contextFor({}))
    for (const size of [0, 1, 4096]) {
      const path = join(peer.folder, `whole-${size}`)
      const bytes = randomBytes(size)
      await writeFile(path, bytes)
      const whole = await client.readWhole!(path, size)
      assert.deepEqual(Buffer.from(whole!.bytes), bytes)
      assert.deepEqual(whole!.facts, await client.stat(path))
      if (size > 0) assert.equal((await client.readWhole!(path, size - 1))!.bytes.length, size)
      assert.equal((await client.readWhole!(path, size + 1))!.bytes.length, size)
    }
    assert.equal(await client.readWhole!(join(peer.folder, 'whole-1'), MIB), undefined)
    await failsWith('NOT_FOUND', client.readWhole!(join(peer.folder, 'no-such'), 1))
    await client.close()
    idleConnections.closeAll()
  })

  test('what is no file is not replaced by one, a link is', async () => {
    const folder = join(peer.folder, 'special')
    await mkdir(join(folder, 'folder'), { recursive: true })
    execFileSync('mkfifo', [join(folder, 'pipe')])
    await symlink('pipe', join(folder, 'link'))
    const client = await openSftp(peer.endpoint as SftpEndpoint, contextFor({}))
    const options = { id: 'trf_1', resumes: false, size: 3, modifiedAt: null }
    for (const [name, kind] of [
      ['folder', 'a folder'],
      ['pipe', 'a named pipe'],
    ] as const) {
      const { message } = await failsWith('NOT_A_FILE', client.write(join(folder, name), options))
      assert.equal(message, `The destination “${join(folder, name)}” is ${kind}, which no file replaces.`)
    }
    const part = await client.write(join(folder, 'link'), options)
    await part.append(Buffer.from('new'))
    await part.commit(3, '')
    assert.equal(await readFile(join(folder, 'link'), 'utf8'), 'new')
    assert.deepEqual((await readdir(folder)).sort(), ['folder', 'link', 'pipe'])
    await client.close()
    idleConnections.closeAll()
  })

  test('links: to a file they are files, to a folder neither', async () => {
    const folder = join(peer.folder, 'links')
    await mkdir(join(folder, 'real'), { recursive: true })
    await writeFile(join(folder, 'file'), 'four')
    await symlink('file', join(folder, 'to-file'))
    await symlink('real', join(folder, 'to-folder'))
    await symlink('nowhere', join(folder, 'to-nothing'))
    const client = await openSftp(peer.endpoint as SftpEndpoint, contextFor({}))
    const entries = await Array.fromAsync(client.list(folder))
    const kinds = Object.fromEntries(entries.map(({ name, kind, size }) => [name, `${kind} ${size}`]))
    assert.deepEqual(kinds, {
      real: 'folder 0',
      file: 'file 4',
      'to-file': 'file 4',
      'to-folder': 'other 0',
      'to-nothing': 'other 0',
    })
    await client.close()
    idleConnections.closeAll()
  })
})
