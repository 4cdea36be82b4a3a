import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { upload } from '../../cli/demo/upload.ts'
import { eventually } from '../eventually.ts'
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
    // Said a moment after the client has heard.
    await eventually(async () => {
      const { events } = await server.call<{ events: { event: string; data: { path: string } }[] }>('GET', '/api/events')
      const uploaded = events.filter(({ event }) => event === 'file.uploaded').map(({ data }) => data.path)
      assert.deepEqual(uploaded, ['/small.bin', '/small.bin'])
    })
  } finally {
    await server.stop()
  }
})

test('a push into a space that has no room for it fails before a byte is sent, and one that replaces a file counts by the difference', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-quota-'))
  const server = await startTestServer({ '--data': folder, '--builtin-agent': 'on' })
  try {
    const { name } = await server.makeUser('partner')
    await server.call('PATCH', '/api/accounts/default', { quotaBytes: 1_000 })
    const [agent] = await eventually(async () => {
      const { agents } = await server.call<{ agents: { id: string; status: string }[] }>('GET', '/api/agents')
      assert.equal(agents[0]?.status, 'online')
      return agents
    })
    const source = join(folder, 'agent/files/a')
    async function push(bytes: number) {
      await writeFile(source, Buffer.alloc(bytes))
      const order = { agentId: agent!.id, sourceUrl: source, destinationPath: `space://default/${name}/a`, direction: 'push' }
      const { transfer } = await server.call<{ transfer: { id: string } }>('POST', '/api/transfers', {
        ...order,
        retryDelaysSeconds: [],
      })
      return eventually(async () => {
        const found = await server.call<{ transfer: Record<string, unknown> }>('GET', `/api/transfers/${transfer.id}`)
        assert.ok(!['queued', 'running'].includes(String(found.transfer.status)))
        return found.transfer
      })
    }

    const { status, errorCode, errorMessage, bytesTransferred } = await push(1_200)
    assert.deepEqual([status, errorCode, bytesTransferred], ['failed', 'QUOTA_EXCEEDED', 0])
    assert.match(String(errorMessage), /would take 1200 bytes; its quota is 1000/)
    assert.equal((await push(900)).status, 'completed')
    assert.equal((await push(1_000)).status, 'completed')
  } finally {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
})
