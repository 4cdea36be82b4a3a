import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Webhook as Receiver } from 'standardwebhooks'
import type { App } from '../../src/app/app.ts'
import { startApp } from '../../src/app/start.ts'
import { silentLog } from '../../src/base/log.ts'
import { loadSettings } from '../../src/config/load.ts'

// Servers one after the other on one data folder, with a receiver that verifies what they send.

const ADMIN_TOKEN = `lfadm_${randomBytes(18).toString('hex')}`
const key = () => randomBytes(32).toString('base64')

interface Arrival {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

async function stageOf(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-master-key-'))
  const arrivals: Arrival[] = []
  let arrived = () => {}
  const receiver = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    arrivals.push({ headers: request.headers, body: Buffer.concat(chunks).toString() })
    response.end()
    arrived()
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  let app: App | undefined
  t.after(async () => {
    await app?.stop()
    receiver.close()
    receiver.closeAllConnections()
    await rm(folder, { recursive: true, force: true })
  })

  async function call<Data>(method: string, path: string, body?: object): Promise<Data> {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, ...(body && { 'content-type': 'application/json' }) }
    const answer = await fetch(app!.addresses.http + path, { method, headers, ...(body && { body: JSON.stringify(body) }) })
    const { data, error } = (await answer.json()) as { data: Data; error?: string }
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${error}`)
    return data
  }

  return {
    folder,
    call,
    url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`,
    async start(flags: Record<string, string> = {}) {
      await app?.stop()
      app = undefined
      const defaults = {
        ...{
          '--data': folder,
          '--http-address': '127.0.0.1:0',
          '--sftp-address': '127.0.0.1:0',
          '--agent-address': '127.0.0.1:0',
          '--builtin-agent': 'off',
        },
        ...{ '--admin-token': ADMIN_TOKEN, '--stop-deadline-ms': '1000' },
      }
      app = await startApp(loadSettings({ ...defaults, ...flags }, {}), { log: silentLog })
    },
    /** A test event of the webhook, verified as its receiver would. */
    async deliver(id: string, secret: string) {
      arrivals.length = 0
      const arrival = new Promise<void>((resolve) => {
        arrived = resolve
      })
      await call('POST', `/api/webhooks/${id}/test`, { event: 'file.uploaded' })
      await arrival
      const { headers, body } = arrivals[0]!
      new Receiver(secret).verify(body, headers as Record<string, string>)
    },
    async makeWebhook(url: string) {
      const webhook = { url, events: ['file.uploaded'], dialect: 'standard' }
      const made = await call<{ webhook: { id: string }; secret: string }>('POST', '/api/webhooks', webhook)
      return { id: made.webhook.id, secret: made.secret }
    },
  }
}

test('master-key rotate: deliveries go on, the file has another key, and the next start opens everything', async (t) => {
  const stage = await stageOf(t)
  await stage.start()
  const { id, secret } = await stage.makeWebhook(stage.url)
  await stage.deliver(id, secret)
  const keyFile = () => readFile(join(stage.folder, 'master.key'), 'utf8')
  const before = await keyFile()

  assert.deepEqual(await stage.call('POST', '/api/master-key/rotate'), { made: true, resealed: 2, unreadable: [], next: null })
  assert.notEqual(await keyFile(), before)
  assert.equal((await keyFile()).trim().split('\n').length, 1)
  await stage.deliver(id, secret)
  await stage.start()
  await stage.deliver(id, secret)
})

test('a given master key: replaced by settings, refused when it is the wrong one, given up only by name', async (t) => {
  const stage = await stageOf(t)
  const [first, second, third] = [key(), key(), key()]
  await stage.start({ '--master-key': first })
  const { id, secret } = await stage.makeWebhook(stage.url)
  await assert.rejects(stage.call('POST', '/api/master-key/rotate'), /409 .*LANDFALL_MASTER_KEY_BEFORE/)

  await assert.rejects(stage.start({ '--master-key': second }), { code: 'setting_invalid', message: /none of 1 webhooks/ })
  await stage.start({ '--master-key': second, '--master-key-before': first })
  await stage.deliver(id, secret)
  const { made, resealed, next } = await stage.call<{ made: boolean; resealed: number; next: string }>(
    'POST',
    '/api/master-key/rotate',
  )
  assert.deepEqual([made, resealed], [false, 2])
  assert.match(next, /take LANDFALL_MASTER_KEY_BEFORE away/)
  await stage.start({ '--master-key': second })
  await stage.deliver(id, secret)

  await stage.start({ '--master-key': third, '--master-key-lost': 'accept' })
  const listed = await stage.call<{ webhooks: { id: string; publicKey: null }[] }>('GET', '/api/webhooks')
  assert.deepEqual(
    listed.webhooks.map((webhook) => webhook.id),
    [id],
  )
  const renewed = `whsec_${randomBytes(32).toString('base64')}`
  await stage.call('PATCH', `/api/webhooks/${id}`, { secret: renewed })
  await stage.deliver(id, renewed)
})
