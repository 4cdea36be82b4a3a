import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { Agent } from 'undici'
import { openSpace } from './space.ts'
import { failsWith } from './testing.ts'

// The server itself takes part in test/flow; here it refuses.

const refusals = [
  [403, 'forbidden', 'PERMISSION_DENIED'],
  [403, 'permission_denied', 'PERMISSION_DENIED'],
  [409, 'conflict', 'CONNECTION_LOST'],
  [404, 'file_not_found', 'NOT_FOUND'],
  [409, 'something new', 'PROTOCOL_ERROR'],
  [500, 'something new', 'CONNECTION_LOST'],
] as const
for (const [status, code, meaning] of refusals) {
  test(`${status} ${code}: ${meaning}`, async (t) => {
    const server = createServer((_request, response) => {
      response.writeHead(status).end(JSON.stringify({ error: 'because.', details: { code } }))
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const dispatcher = new Agent()
    t.after(async () => {
      await dispatcher.destroy()
      server.close()
    })
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { signal } = new AbortController()
    const endpoint = { protocol: 'space', account: 'default', user: 'alice' } as const
    const space = await openSpace(endpoint, { server: { origin, dispatcher }, lease: 'lease', signal })
    const { message } = await failsWith(meaning, space.stat('/a'))
    assert.equal(message, 'Asking the server for the space of default/alice failed: because.')
  })
}
