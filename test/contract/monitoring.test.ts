import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json, text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SMTPServer } from 'smtp-server'
import { silentLog } from '../../src/base/log.ts'
import { HOUR_MS, MINUTE_MS } from '../../src/base/units.ts'
import { AlertWatch } from '../../src/watch/alerts.ts'
import { eventually } from '../eventually.ts'
import { startTestServer, type TestServer } from '../server.ts'
import { openContractWorld, startReceiver } from './world.ts'

// The rows of the MFTPlus page about monitoring and alerts, and what its row about 401 implies: against the whole running server with
// a mail server beside it, and, where the page speaks of an hour, against the real engine and store under the test's clock.

/** What has not arrived by then does not come. */
const ARRIVAL_MS_MAX = 60_000

const pem = (name: string) => readFileSync(new URL(`../../src/http/testdata/${name}.pem`, import.meta.url))

interface Row {
  id: string
  kind: string
  status: string
  webhookId: string
  message: string
}
interface Told {
  event: string
  data: { kind?: string; subjectId?: string; webhookId?: string; [member: string]: unknown }
}

describe('on a running server', () => {
  let server: TestServer
  const arrivals = new EventEmitter()
  const told: Told[] = []
  const mails: string[] = []
  /** What the receiver of each path answers. */
  const answers = new Map<string, number>()
  const receiver = createServer(async (request, response) => {
    const path = request.url!
    const body = (await json(request)) as Told
    if (path === '/oncall') told.push(body)
    response.writeHead(answers.get(path) ?? 200).end()
    arrivals.emit('any')
  })
  const mailServer = new SMTPServer({
    ...{ key: pem('localhost.key'), cert: pem('localhost.cert') },
    onAuth: ({ username, password }, _session, answer) =>
      username === 'ops' && password === 'pw' ? answer(null, { user: username }) : answer(new Error('no')),
    async onData(stream, _session, answer) {
      // Without the line breaks of quoted-printable.
      mails.push((await text(stream)).replaceAll('=\r\n', ''))
      answer()
      arrivals.emit('any')
    },
  })
  let base: string

  before(async () => {
    receiver.listen(0, '127.0.0.1')
    mailServer.on('error', () => undefined)
    mailServer.listen(0, '127.0.0.1')
    await Promise.all([once(receiver, 'listening'), once(mailServer.server, 'listening')])
    base = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`
    server = await startTestServer({
      '--smtp-url': `smtp://ops:pw@127.0.0.1:${(mailServer.server.address() as AddressInfo).port}`,
      '--alert-email': 'ops@mft.example',
      '--public-url': 'https://mft.example',
    })
    await makeWebhook('/oncall', { events: ['alert.*', 'webhook.*'] })
  })
  after(async () => {
    await server.stop()
    receiver.closeAllConnections()
    receiver.close()
    await new Promise<void>((resolve) => mailServer.close(resolve))
  })

  async function makeWebhook(path: string, more: object = {}): Promise<string> {
    const input = { url: `${base}${path}`, events: ['file.uploaded'], name: path.slice(1), ...more }
    return (await server.call<{ webhook: { id: string } }>('POST', '/api/webhooks', input)).webhook.id
  }
  const send = (id: string) => server.call('POST', `/api/webhooks/${id}/test`, { event: 'file.uploaded' })
  const stateOf = async (id: string) =>
    (await server.call<{ webhook: { state: string; health: { state: string } } }>('GET', `/api/webhooks/${id}`)).webhook
  const alertsOf = async (id: string) =>
    (await server.call<{ alerts: Row[] }>('GET', `/api/alerts?webhook=${id}`)).alerts.filter(
      ({ kind }) => kind !== 'high_failure_rate',
    )

  /** Waits until it is there; looks whenever something arrived. */
  async function arrived<Value>(find: () => Value | undefined): Promise<Value> {
    const signal = AbortSignal.timeout(ARRIVAL_MS_MAX)
    for (let found = find(); ; found = find()) {
      if (found !== undefined) return found
      await once(arrivals, 'any', { signal })
    }
  }
  const event = (type: string, id: string, kind?: string) =>
    arrived(() =>
      told.find(
        ({ event, data }) =>
          event === type && (data.subjectId ?? data.webhookId) === id && (kind === undefined || data.kind === kind),
      ),
    )
  const mail = (id: string, subject: RegExp) =>
    arrived(() => mails.find((message) => message.includes(id) && subject.test(message.replaceAll('\r\n ', ' '))))

  test('"401 | Invalid signature | No retry (security issue)": that delivery fails, an alert is raised, the webhook stays active', async () => {
    answers.set('/unauthorized', 401)
    const id = await makeWebhook('/unauthorized')
    await send(id)
    const raised = await event('alert.raised', id, 'unauthorized')
    assert.match(String(raised.data.message), /^The receiver of webhook "unauthorized" answered 401/)
    await mail(id, /^Subject: \[Landfall\] The receiver of a webhook answers 401/m)
    assert.equal((await stateOf(id)).state, 'active')
    const { deliveries } = await server.call<{ deliveries: { status: string; attempts: number }[] }>(
      'GET',
      `/api/webhooks/${id}/deliveries`,
    )
    assert.deepEqual(
      deliveries.map(({ status, attempts }) => [status, attempts]),
      [['failed', 1]],
    )
    assert.deepEqual(
      (await alertsOf(id)).map(({ kind, status }) => [kind, status]),
      [['unauthorized', 'open']],
    )
  })

  test('"Failed webhooks (after all retries exhausted)": failed state, alert, event and mail; reactivated: cleared, recovered', async () => {
    answers.set('/orders', 503)
    const id = await makeWebhook('/orders', { retry: { delaysSeconds: [0, 0, 0, 0] } })
    await send(id)
    const failed = await event('webhook.failed', id)
    assert.deepEqual([failed.data.webhookName, failed.data.attempts, failed.data.status], ['orders', 5, 'failed'])
    const raised = await event('alert.raised', id, 'webhook_failed')
    assert.match(
      String(raised.data.message),
      /^Webhook "orders" was turned off: all 5 attempts failed, the last with: status 503\.$/,
    )
    const { state, health } = await stateOf(id)
    assert.deepEqual([state, health.state], ['failed', 'failed'])
    const message = await mail(id, /^Subject: \[Landfall\] A webhook was turned off/m)
    assert.match(message, /https:\/\/mft\.example\/api\/alerts\/alr_/)

    // "manual reactivation": by PATCH, and by nothing else.
    answers.set('/orders', 200)
    await server.call('PATCH', `/api/webhooks/${id}`, { active: true })
    await send(id)
    const recovered = await event('webhook.recovered', id)
    assert.equal(recovered.data.status, 'active')
    assert.ok(Date.parse(String(recovered.data.failedAt)) <= Date.now())
    await event('alert.cleared', id, 'webhook_failed')
    await mail(id, /^Subject: \[Landfall\] Over: A webhook was turned off/m)
    assert.deepEqual(
      (await alertsOf(id)).map(({ kind, status }) => [kind, status]),
      [['webhook_failed', 'cleared']],
    )
    const about = (type: string) => told.filter(({ event, data }) => event === type && data.webhookId === id).length
    assert.deepEqual([about('webhook.failed'), about('webhook.recovered')], [1, 1])
    assert.equal(mails.filter((each) => each.includes(id) && /turned off \(/.test(each)).length, 2)
  })

  test('"Delivery Status: Success/failure rates", "Response Times: Average endpoint response time", "Recent Failures: Last 10 failed deliveries with error details"', async () => {
    const id = await makeWebhook('/mixed', { dialect: 'trueftp', retry: { delaysSeconds: [] } })
    const ended = async (count: number) => {
      const stats = () =>
        server.call<{ figures: Record<string, number>; recentFailures: object[] }>('GET', `/api/webhooks/${id}/stats?window=5m`)
      return eventually(async () => {
        const answer = await stats()
        assert.equal(answer.figures.attempts, count)
        return answer
      })
    }
    for (let number = 0; number < 4; number++) await send(id)
    await ended(4)
    answers.set('/mixed', 500)
    for (let number = 0; number < 12; number++) await send(id)
    const { figures, recentFailures } = await ended(16)
    assert.deepEqual([figures.successRate, figures.failureRate, figures.delivered, figures.failed], [0.25, 0.75, 4, 12])
    assert.ok(figures.averageMs! >= 0 && figures.averageMs! < 10_000)
    assert.equal(recentFailures.length, 10)
    for (const failure of recentFailures as { lastStatusCode: number; lastError: string; attempts: number }[])
      assert.deepEqual([failure.lastStatusCode, failure.lastError, failure.attempts], [500, 'status 500', 1])
    // A dialect that leaves the webhook on: deliveries that are given up are an alert of their own.
    await event('alert.raised', id, 'deliveries_exhausted')
    assert.equal((await stateOf(id)).state, 'active')
  })

  test('`landfall alerts` lists them', async () => {
    const id = await makeWebhook('/listed')
    answers.set('/listed', 401)
    await send(id)
    await event('alert.raised', id, 'unauthorized')
    const entry = fileURLToPath(new URL('../../cli/landfall.js', import.meta.url))
    const run = (...more: string[]) =>
      new Promise<string>((resolve, reject) =>
        execFile(process.execPath, [entry, 'alerts', '--data', server.folder, ...more], (error, out) =>
          error === null ? resolve(out) : reject(error),
        ),
      )
    const rows = JSON.parse(await run('--open', '--json')) as Row[]
    assert.ok(rows.some((row) => row.webhookId === id && row.kind === 'unauthorized' && row.status === 'open'))
    assert.ok(rows.every(({ status }) => status === 'open'))
    assert.match(await run(), /BEGAN +OVER +KIND +WEBHOOK +MESSAGE\n[\s\S]*open +unauthorized +wh_/)
  })
})

describe('under a clock of its own', () => {
  let world: Awaited<ReturnType<typeof openContractWorld>>
  before(async () => {
    world = await openContractWorld()
  })
  after(() => world.close())

  const kindsOf = async (subjectId: string) => {
    await new AlertWatch({ store: world.store, clock: world.clock, log: silentLog, mails: false }).look()
    const { rows } = await world.store.listAlerts({ subjectId }, { limit: 100, offset: 0 })
    return rows.map(({ kind, clearedAt }) => `${kind} ${clearedAt === null ? 'open' : 'cleared'}`).toSorted()
  }

  /** Sends events one after the other, each until its first attempt has ended. */
  async function sendEach(webhookId: string, statuses: readonly number[], next: (status: number) => void) {
    for (const status of statuses) {
      next(status)
      await world.attempted(webhookId, await world.happen(), 1)
    }
  }

  test('"High failure rates (>5% in last hour)": not at 5 %, above it, and over when the rate is well below', async (t) => {
    let status = 200
    const receiver = await startReceiver(t, (_request, response) => response.writeHead(status).end())
    const { id } = await world.makeWebhook(receiver.url, 'mftplus', { retryDelaysSeconds: [86_400] })
    const next = (now: number) => {
      status = now
    }
    await sendEach(id, [...Array(38).fill(200), 503, 503], next)
    assert.deepEqual(await kindsOf(id), [])
    await sendEach(id, [503], next)
    assert.deepEqual(await kindsOf(id), ['high_failure_rate open'])
    await sendEach(id, [200, 200], next)
    assert.deepEqual(await kindsOf(id), ['high_failure_rate open'])
    world.clock.jumpTo(world.clock.now() + HOUR_MS + MINUTE_MS)
    assert.deepEqual(await kindsOf(id), ['high_failure_rate open'])
    await sendEach(id, [200], next)
    assert.deepEqual(await kindsOf(id), ['high_failure_rate cleared'])
  })

  test('"Slow endpoint responses (>5 seconds)": not after 5 s, after more, and over after a quarter of an hour', async (t) => {
    let tookMs = 0
    const receiver = await startReceiver(t, (_request, response) => {
      world.clock.jumpTo(world.clock.now() + tookMs)
      response.end()
    })
    const { id } = await world.makeWebhook(receiver.url, 'mftplus')
    const answerAfter = async (ms: number) => {
      tookMs = ms
      assert.equal((await world.attempted(id, await world.happen(), 1)).delivery.state, 'delivered')
    }
    await answerAfter(4_000)
    assert.deepEqual(await kindsOf(id), [])
    await answerAfter(6_000)
    assert.deepEqual(await kindsOf(id), ['slow_endpoint open'])
    world.clock.jumpTo(world.clock.now() + 5 * MINUTE_MS)
    await answerAfter(10)
    assert.deepEqual(await kindsOf(id), ['slow_endpoint open'])
    world.clock.jumpTo(world.clock.now() + 12 * MINUTE_MS)
    assert.deepEqual(await kindsOf(id), ['slow_endpoint cleared'])
  })
})
