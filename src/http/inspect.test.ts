import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { createEgressGuard } from './guard.ts'
import { createTlsInspector } from './inspect.ts'
import { DIRECT, routeOf } from './route.ts'

const pem = (name: string) => readFileSync(new URL(`./testdata/${name}`, import.meta.url), 'utf8')
const key = pem('localhost.key.pem')
const inspect = createTlsInspector(createEgressGuard({ allow: [], loopback: true }), systemClock)

for (const [certificate, ca, problem] of [
  ['localhost.cert.pem', pem('localhost.cert.pem'), null],
  ['localhost.cert.pem', undefined, 'certificate is self-signed'],
  ['expired.cert.pem', pem('expired.cert.pem'), 'certificate has expired'],
] as const) {
  test(`${certificate} ${ca === undefined ? 'alone' : 'as its own authority'}: ${problem ?? 'trusted'}`, async (t) => {
    const port = await listening(t, createTlsServer({ key, cert: pem(certificate) }))
    const found = await inspect(`https://localhost:${port}/hook`, ca === undefined ? DIRECT : routeOf({ tls: { ca } }))
    assert.equal(found.problem, problem)
    assert.equal(found.protocol, 'TLSv1.3')
    assert.equal(found.chain.length, 1)
    assert.equal(found.chain[0]!.validTo > Date.UTC(2100, 0, 1), certificate === 'localhost.cert.pem')
  })
}

test('no TLS at all, nobody there, and an address that may not be dialled', async (t) => {
  const plain = createTcpServer((socket) => socket.resume().end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  const url = `https://localhost:${await listening(t, plain)}/hook`
  await assert.rejects(inspect(url, DIRECT), { code: 'conflict', message: /TLS handshake failed|connection/ })
  const shut = createTlsInspector(createEgressGuard({ allow: [], loopback: false }), systemClock)
  await assert.rejects(shut(url, DIRECT), { code: 'url_refused' })
  await assert.rejects(inspect('https://localhost:1/hook', DIRECT), { code: 'conflict', message: 'connection refused' })
})

async function listening(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}
