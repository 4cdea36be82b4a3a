import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import ssh2, { type ServerHostKeyAlgorithm } from 'ssh2'
import { startTestServer, type TestServer } from '../server.ts'

let server: TestServer
let password: string
before(async () => {
  server = await startTestServer()
  password = (await server.makeUser('alice')).password
})
after(() => server.stop())

function login(algorithm: ServerHostKeyAlgorithm): Promise<void> {
  const client = new ssh2.Client()
  const ended = new Promise<void>((resolve, reject) => client.once('ready', resolve).once('error', reject))
  const algorithms = { serverHostKey: [algorithm] }
  client.connect({ host: server.sftpHost, port: server.sftpPort, username: 'alice', password, algorithms })
  return ended.finally(() => client.end())
}

for (const algorithm of ['ssh-ed25519', 'rsa-sha2-512', 'rsa-sha2-256'] as const) {
  test(`the server proves itself by ${algorithm}`, () => login(algorithm))
}

test('the server does not sign with SHA-1', () => assert.rejects(login('ssh-rsa'), /no matching host key format/i))
