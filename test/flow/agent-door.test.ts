import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeRequest } from '../../src/api/agents/testing.ts'
import { SERVER_NAME } from '../../src/wire/agent/work.ts'
import { startTestServer, type TestServer } from '../server.ts'

// The agent port of the server as people run it: what a foreign agent does there, with its certificate in place of a key.

let server: TestServer
let tls: { host: string; port: number; ca: string; key: string; cert: string }
let agentId: string

interface Registered {
  readonly agent: { readonly id: string }
  readonly mtls: { readonly ca: string; readonly certificate: string; readonly agents: string }
}

before(async () => {
  server = await startTestServer()
  const { csr, key } = makeRequest()
  const { token } = await server.call<{ token: string }>('POST', '/api/enrollment-tokens', {})
  const answer = await fetch(`${server.http}/api/agents/register`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ hostname: 'foreign.example', os: 'linux', csr }),
  })
  const { agent, mtls } = ((await answer.json()) as { data: Registered }).data
  assert.equal(mtls.agents, server.agents)
  const [host, port] = mtls.agents.split(':') as [string, string]
  tls = { host, port: Number(port), ca: mtls.ca, key, cert: mtls.certificate }
  agentId = agent.id
})
after(() => server.stop())

async function call(method: string, path: string, body?: object) {
  const headers = body === undefined ? {} : { 'content-type': 'application/json' }
  const request = httpsRequest({ ...tls, method, path, headers, agent: false, servername: SERVER_NAME })
  request.end(body && JSON.stringify(body))
  const [answer] = (await once(request, 'response')) as [IncomingMessage]
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes.
  return { status: answer.statusCode!, json: JSON.parse((await answer.toArray()).join('')) as any }
}

test('the running server notes where agents reach it', async () => {
  const running = JSON.parse(await readFile(join(server.folder, 'running.json'), 'utf8'))
  assert.equal(running.agents, server.agents)
})

test('heartbeat, transfers and runs, as the contract has them, by certificate', async () => {
  const beat = await call('POST', '/api/agents/heartbeat', { status: 'busy', load: 0.5, memory: 100 })
  assert.deepEqual([beat.status, beat.json.data.agent.id, beat.json.data.agent.status], [200, agentId, 'busy'])

  const order = {
    agentId,
    sourceUrl: 'sftp://far.example/a',
    destinationPath: '/in/a',
    direction: 'pull',
    protocol: 'sftp',
    size: 10,
  }
  const made = await call('POST', '/api/transfers', order)
  assert.equal(made.status, 201)
  const { id } = made.json.data.transfer
  const done = await call('PATCH', `/api/transfers/${id}`, { status: 'completed', bytesTransferred: 10, speed: 5 })
  assert.deepEqual([done.status, done.json.data.transfer.status], [200, 'completed'])

  const { job } = await server.call<{ job: { id: string } }>('POST', '/api/jobs', {
    ...{ agentId, name: 'nightly', sourcePath: '/out/*', destinationPath: '/in/', schedule: '0 2 * * *' },
    ...{ protocol: 'local', direction: 'pull' },
  })
  const begun = await call('POST', `/api/jobs/${job.id}/runs`)
  assert.equal(begun.status, 201)
  const ended = await call('PATCH', `/api/jobs/${job.id}/runs/${begun.json.data.run.id}`, { status: 'completed' })
  assert.deepEqual([ended.status, ended.json.data.run.status], [200, 'completed'])
})

test('what is for administrators, or for whoever has no certificate yet, is not there', async () => {
  for (const [method, path] of [
    ['GET', '/api/agents'],
    ['GET', '/api/transfers'],
    ['POST', '/api/agents/register'],
    ['GET', '/api/webhooks'],
    ['GET', '/docs'],
    ['GET', '/metrics'],
  ] as const) {
    const { status, json } = await call(method, path)
    assert.deepEqual([path, status, json.details.code], [path, 404, 'not_found'])
  }
})

test('an agent speaks for itself only', async () => {
  const other = await call('POST', '/api/transfers', {
    ...{ agentId: 'agent_other', sourceUrl: '/a', destinationPath: '/b', direction: 'push', protocol: 'local' },
  })
  assert.equal(other.status, 403)
})
