import assert from 'node:assert/strict'
import { test } from 'node:test'
import { upload } from '../../cli/demo/upload.ts'
import { startTestServer } from '../server.ts'

test('an upload beyond the quota of the account is refused over SFTP, and what was there stays', async () => {
  const server = await startTestServer()
  try {
    const { name, password } = await server.makeUser('partner')
    const login = { username: name, password }
    const sftp = { sftp: `${server.sftpHost}:${server.sftpPort}` }
    await upload(sftp, login, '/small.bin', Buffer.alloc(600))
    await server.call('PATCH', '/api/accounts/default', { quotaBytes: 1_000 })
    await assert.rejects(upload(sftp, login, '/large.bin', Buffer.alloc(600)), /would take 1200 bytes; its quota is 1000/)
    // A file in the place of another counts by the difference.
    await upload(sftp, login, '/small.bin', Buffer.alloc(900))
    const { usage } = await server.call<{ usage: object }>('GET', '/api/accounts/default')
    assert.deepEqual(usage, { bytes: 900, files: 1 })
    const { events } = await server.call<{ events: { event: string; data: { path: string } }[] }>('GET', '/api/events')
    const uploaded = events.filter(({ event }) => event === 'file.uploaded').map(({ data }) => data.path)
    assert.deepEqual(uploaded, ['/small.bin', '/small.bin'])
  } finally {
    await server.stop()
  }
})
