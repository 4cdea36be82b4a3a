import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { FtpEndpoint } from '../../src/wire/agent/work.ts'
import { kinds } from '../../test/peers/ftp-vsftpd.ts'
import { testClient } from './client.conformance.ts'
import { openFtp } from './ftp.ts'
import { idleConnections } from './idle.ts'
import { contextFor, failsWith } from './testing.ts'

for (const kind of kinds) testClient(kind)

const [plain] = kinds
test('vsftpd: what is no file is not replaced by one, a link is', { skip: plain!.missing }, async () => {
  const peer = await plain!.start()
  try {
    const folder = join(peer.folder, 'special')
    await mkdir(join(folder, 'folder'), { recursive: true })
    execFileSync('mkfifo', [join(folder, 'pipe')])
    await symlink('pipe', join(folder, 'link'))
    const client = await openFtp(peer.endpoint as FtpEndpoint, contextFor({}))
    const options = { id: 'trf_1', resumes: false, size: 3, modifiedAt: null }
    for (const [name, kind] of [
      ['folder', 'a folder'],
      ['pipe', 'a named pipe'],
    ] as const) {
      const { message } = await failsWith('NOT_A_FILE', client.write(join(folder, name), options))
      assert.equal(message, `The destination “${join(folder, name)}” is ${kind}, which no file replaces.`)
    }
    for (const name of ['link', 'new']) {
      const part = await client.write(join(folder, name), options)
      await part.append(Buffer.from('new'))
      await part.commit(3, '')
      assert.equal(await readFile(join(folder, name), 'utf8'), 'new')
    }
    assert.deepEqual((await readdir(folder)).sort(), ['folder', 'link', 'new', 'pipe'])
    await client.close()
    idleConnections.closeAll()
  } finally {
    await peer.stop()
  }
})
