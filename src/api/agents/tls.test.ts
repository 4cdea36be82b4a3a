import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { eventually } from '../../../test/eventually.ts'
import { createAuthority, SERVER_CERTIFICATE_DAYS } from '../../agents/authority.ts'
import { systemClock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { createSeal } from '../../base/seal.ts'
import { movingClock } from '../../base/testing.ts'
import { DAY_MS } from '../../base/units.ts'
import { makeRequest } from './testing.ts'
import { createTlsServer, keepCertificate } from './tls.ts'

test('the certificate of the server is renewed while it runs; what was open stays open', async (t) => {
  const time = movingClock(systemClock.now())
  const { clock } = time
  const store = {
    findAuthority: async () => undefined,
    ensureAuthority: async <One>(one: One) => one,
    replaceAuthority: async () => assert.fail(),
  }
  const authority = await createAuthority({ store, seal: createSeal(new Uint8Array(32)), clock })
  let fails = false
  const issuing = {
    ...authority,
    issueToServer: async () => (fails ? Promise.reject(new Error('no entropy')) : authority.issueToServer()),
  }
  const errors: string[] = []
  const log: Log = { debug() {}, info() {}, warn() {}, error: (_fields, message) => void errors.push(message), child: () => log }
  const server = createTlsServer((_request, response) => response.end('here'), assert.fail)
  const keeper = await keepCertificate(server, issuing, { clock, log })
  t.after(() => Promise.all([keeper.stop(), server.close(), server.closeAllConnections()]))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const { csr, key } = makeRequest()
  const { certificate: cert } = await authority.issueToAgent(csr, 'agent_1')
  const dial = async () => {
    // What is renewed in times to come is not valid yet by the clock of the system.
    const { port } = server.address() as AddressInfo
    const socket = connect({ host: '127.0.0.1', port, key, cert, rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    t.after(() => socket.destroy())
    return { socket, serial: socket.getPeerX509Certificate()!.serialNumber }
  }

  const first = await dial()
  await time.pass((SERVER_CERTIFICATE_DAYS - 31) * DAY_MS)
  assert.equal((await dial()).serial, first.serial)
  fails = true
  await time.pass(2 * DAY_MS)
  await eventually(async () => assert.ok(errors.length > 0))
  assert.equal((await dial()).serial, first.serial)
  fails = false
  await time.pass(DAY_MS)
  const renewed = await eventually(async () => {
    const { serial } = await dial()
    assert.notEqual(serial, first.serial)
    return serial
  })
  await time.pass(30 * DAY_MS)
  assert.equal((await dial()).serial, renewed)
  first.socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  assert.match(String(await once(first.socket, 'data')), /^HTTP\/1\.1 200 OK.*here/s)
  assert.ok(errors.every((message) => message.startsWith('cannot renew the certificate')))
})
