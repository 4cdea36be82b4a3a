import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import SftpClient from 'ssh2-sftp-client'
import { startTestServer, type TestServer } from '../server.ts'
import { startSampleReceiver, whySkipped } from './harness.ts'
import { SAMPLE_KINDS } from './samples.ts'

// Files uploaded over real SFTP to a running server, whose webhooks point at the receivers that the pages themselves publish.

const SECRET = 'your-signing-secret'
let server: TestServer
before(async () => {
  server = await startTestServer()
})
after(() => server.stop())

for (const kind of SAMPLE_KINDS) {
  test(`${kind}: trusts what the running server sends for an upload`, { skip: whySkipped(kind) ?? false }, async (t) => {
    const receiver = await startSampleReceiver(kind, SECRET)
    t.after(() => receiver.stop())
    const dialect = kind === 'trueftp-node' ? 'trueftp' : 'mftplus'
    const { webhook } = await server.call<{ webhook: { id: string } }>('POST', '/api/webhooks', {
      url: receiver.url,
      events: ['file.uploaded'],
      secret: SECRET,
      dialect,
    })
    t.after(() => server.call('DELETE', `/api/webhooks/${webhook.id}`))

    const user = await server.makeUser(`partner-${kind}`)
    const client = new SftpClient()
    await client.connect({ host: server.sftpHost, port: server.sftpPort, username: user.name, password: user.password })
    t.after(() => client.end())
    await client.mkdir('/incoming')
    await client.put(Buffer.from('id;amount\n1;2\n'), '/incoming/order.csv')
    await client.put(Buffer.alloc(0), '/incoming/données.csv')

    const arrived = await receiver.arrived(2)
    assert.deepEqual(
      arrived
        .map(({ status, body }) => [status, JSON.parse(body).event, JSON.parse(body).data.path, JSON.parse(body).data.size])
        .sort(),
      [
        [200, 'file.uploaded', '/incoming/données.csv', 0],
        [200, 'file.uploaded', '/incoming/order.csv', 14],
      ],
    )
    const order = JSON.parse(arrived.find(({ body }) => body.includes('order.csv'))!.body)
    const members =
      dialect === 'trueftp' ? ['event', 'delivery_id', 'timestamp', 'account_id', 'data'] : ['id', 'event', 'timestamp', 'data']
    assert.deepEqual(Object.keys(order), members)
    assert.deepEqual(Object.keys(order.data).slice(0, 4), ['path', 'size', 'username', 'client_ip'])
    assert.equal(order.data.username, user.name)
    assert.equal(order.data.client_ip, '127.0.0.1')
  })
}
