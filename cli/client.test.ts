import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { connect } from './client.ts'
import type { Call } from './command.ts'

before(() => {
  process.env.LANDFALL_ADMIN_TOKEN = 'a token'
})

function named(server: string): Call {
  return { words: [], flags: { server }, json: false, terminal: { colours: false, out: () => {}, note: () => {} } }
}

for (const server of [
  ...['127.0.0.1:28080', 'localhost:8080', 'files.example.com', '//files.example.com', 'ftp://files.example.com', 'http://', ''],
  ...['https://me@files.example.com', 'https://files.example.com/?a=b', 'https://files.example.com/#a'],
]) {
  test(`--server '${server}' is refused`, async () => {
    const message = `--server begins with http:// or https:// and has no user, query or fragment, such as https://files.example.com; not "${server}"`
    await assert.rejects(connect(named(server)), { name: 'CommandError', message })
  })
}

test('--server is a url, with a path or without, and the slash at its end does not matter', async () => {
  for (const server of ['http://127.0.0.1:28080', 'https://files.example.com/landfall', 'http://[::1]:8080'])
    assert.deepEqual([(await connect(named(server))).url, (await connect(named(`${server}/`))).url], [server, server])
})
