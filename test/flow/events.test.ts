import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import SftpClient from 'ssh2-sftp-client'
import { verify } from '../../sdk/verify.ts'
import { eventually } from '../eventually.ts'
import { freshDatabase } from '../postgres.ts'
import { startTestServer, type TestServer } from '../server.ts'

// One user does everything that makes an event; the webhook, the list of events and the audit trail all tell of it.

interface Arrival {
  headers: IncomingHttpHeaders
  body: Buffer
}
const SECRET = 'a secret of this test'

const STORES = {
  sqlite: async () => ({ flags: {}, drop: async () => {} }),
  postgres: async () => {
    const { url, drop } = await freshDatabase()
    return { flags: { '--database': url }, drop }
  },
} as const

for (const [name, open] of Object.entries(STORES)) describe(`the flow on ${name}`, () => flow(open))

function flow(open: () => Promise<{ flags: Record<string, string>; drop: () => Promise<void> }>): void {
  let server: TestServer
  let webhookId: string
  let drop: () => Promise<void>
  const arrivals: Arrival[] = []
  let wake = () => {}
  const receiver = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    arrivals.push({ headers: request.headers, body: Buffer.concat(chunks) })
    response.writeHead(204).end()
    wake()
  })

  async function arrived(count: number): Promise<Arrival[]> {
    while (arrivals.length < count) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    return arrivals
  }

  before(async () => {
    await once(receiver.listen(0, '127.0.0.1'), 'listening')
    const store = await open()
    drop = store.drop
    server = await startTestServer(store.flags)
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`
    const input = { url, events: ['file.*', 'dir.*', 'ftp_user.*'], secret: SECRET, dialect: 'trueftp' }
    const { webhook } = await server.call<{ webhook: { id: string } }>('POST', '/api/webhooks', input)
    webhookId = webhook.id
  })
  after(async () => {
    await server.stop()
    await drop()
    receiver.closeAllConnections()
    await new Promise((resolve) => receiver.close(resolve))
  })

  test('every operation becomes its event, delivered once and signed, and a line of the audit trail', async () => {
    const user = await server.makeUser('alice')
    const client = new SftpClient()
    await client.connect({ host: server.sftpHost, port: server.sftpPort, username: user.name, password: user.password })
    const content = Buffer.from('id;amount\n')
    await client.mkdir('/in')
    await client.put(content, '/in/a.csv')
    assert.deepEqual(await client.get('/in/a.csv'), content)
    await client.rename('/in/a.csv', '/in/b.csv')
    await client.delete('/in/b.csv')
    await client.rmdir('/in')
    await client.end()

    const expected: [type: string, path: string | undefined][] = [
      ['ftp_user.created', undefined],
      ['dir.created', '/in'],
      ['file.uploaded', '/in/a.csv'],
      ['file.downloaded', '/in/a.csv'],
      ['file.renamed', '/in/b.csv'],
      ['file.deleted', '/in/b.csv'],
      ['dir.deleted', '/in'],
    ]
    const said = (await arrived(expected.length)).map(({ headers, body }) => {
      verify(headers, body, SECRET, { dialect: 'trueftp' })
      return JSON.parse(body.toString('utf8'))
    })
    const byType = (type: string) => said.find(({ event }) => event === type)
    for (const [type, path] of expected) assert.equal(byType(type)?.data.path, path, type)
    assert.equal(byType('file.uploaded').data.sha256, createHash('sha256').update(content).digest('hex'))
    assert.equal(byType('file.renamed').data.previous_path, '/in/a.csv')
    assert.equal(new Set(said.map(({ delivery_id }) => delivery_id)).size, expected.length)

    // Deliveries start as soon as a change is in its place; the event turns visible with the next commit behind them.
    await eventually(async () => {
      const { events } = await server.call<{ events: { event: string }[] }>('GET', '/api/events?limit=100')
      assert.deepEqual(events.map(({ event }) => event).sort(), expected.map(([type]) => type).sort())
    })
    for (const action of ['login', 'mkdir', 'upload', 'download', 'rename', 'delete', 'rmdir']) {
      await eventually(async () => assert.deepEqual(await audited('alice', action), ['alice', '127.0.0.1', 'ok'], action))
    }
  })

  async function audited(actor: string, action: string): Promise<string[] | undefined> {
    const query = `actor=${actor}&action=${action}&limit=100`
    const { entries } = await server.call<{ entries: { actor: string; address: string; result: string }[] }>(
      'GET',
      `/api/audit?${query}`,
    )
    const [entry] = entries
    return entry && [entry.actor, entry.address, entry.result]
  }

  test('a refused operation changes nothing, tells why and is in the audit trail', async () => {
    const user = await server.makeUser('reader', { permissions: ['list', 'read'] })
    const client = new SftpClient()
    await client.connect({ host: server.sftpHost, port: server.sftpPort, username: user.name, password: user.password })
    await assert.rejects(client.put(Buffer.from('x'), '/x.csv'), /write/)
    assert.deepEqual(await client.list('/'), [])
    await client.end()
    await eventually(async () =>
      assert.deepEqual(await audited('reader', 'upload'), ['reader', '127.0.0.1', 'permission_denied']),
    )
  })

  test('a user who is disabled is out at once, in a live session too', async () => {
    const user = await server.makeUser('leaver')
    const client = new SftpClient()
    await client.connect({ host: server.sftpHost, port: server.sftpPort, username: user.name, password: user.password })
    const ended = once(client.client, 'close')
    await server.call('PATCH', `/api/accounts/default/users/${user.id}`, { disabled: true })
    await ended
    const again = new SftpClient()
    await assert.rejects(
      again.connect({ host: server.sftpHost, port: server.sftpPort, username: user.name, password: user.password }),
      /authentication/i,
    )
  })

  test('a delivery is shown with its request and its attempts, and can be sent again', async () => {
    const { id } = await eventually(async () => {
      const { deliveries } = await server.call<{ deliveries: { id: string; status: string; event: string }[] }>(
        'GET',
        `/api/webhooks/${webhookId}/deliveries?event=file.uploaded`,
      )
      assert.deepEqual(
        deliveries.map(({ status }) => status),
        ['delivered'],
      )
      return deliveries[0]!
    })
    const { delivery } = await server.call<{
      delivery: { request: { body: string }; attemptLog: { number: number; statusCode: number }[] }
    }>('GET', `/api/webhooks/${webhookId}/deliveries/${id}`)
    assert.deepEqual(
      delivery.attemptLog.map(({ number, statusCode }) => [number, statusCode]),
      [[1, 204]],
    )
    const { delivery: again } = await server.call<{ delivery: { id: string } }>(
      'POST',
      `/api/webhooks/${webhookId}/deliveries/${id}/redeliver`,
    )
    // Told by its id: what other tests made may still arrive.
    const sent = await eventually(async () => {
      const bodies = arrivals.map(({ body }) => JSON.parse(body.toString()))
      const found = bodies.find(({ delivery_id }) => delivery_id === again.id)
      assert.ok(found !== undefined)
      return found
    })
    assert.deepEqual(sent.data, JSON.parse(delivery.request.body).data)
  })
}
