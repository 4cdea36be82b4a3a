import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, type TestContext, test } from 'node:test'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../src/base/units.ts'
import type { DialectName } from '../../src/dialects/dialect.ts'
import { openContractWorld, startReceiver } from './world.ts'

// Every row of the contracts' pages about answers and retries, held against the real engine, store and sender. The clock is the
// test's, so that two hours pass in a moment.

/** One world for all rows; each has a webhook of its own, which goes with it. */
let shared: Awaited<ReturnType<typeof openContractWorld>>
before(async () => {
  shared = await openContractWorld()
})
after(() => shared.close())

interface Row {
  /** What the page says, word for word; for a row of ours, why. */
  readonly quote: string
  readonly answer: string
  readonly respond: RequestListener
  readonly dialects: readonly DialectName[]
  /** After the first attempt: ended, or tried again after so long. */
  readonly becomes: 'delivered' | 'failed' | 'retried' | 'failed, and its webhook with it'
  readonly error: RegExp | null
  readonly hangs?: true
}

const BOTH: readonly DialectName[] = ['mftplus', 'trueftp']
const STANDARD: readonly DialectName[] = ['standard', 'cloudevents']
const ALL = [...BOTH, ...STANDARD]
/** Least and most. */
const FIRST_RETRY_MS: Readonly<Record<DialectName, readonly [number, number]>> = {
  mftplus: [MINUTE_MS, MINUTE_MS],
  trueftp: [30 * SECOND_MS, 30 * SECOND_MS],
  standard: [5 * SECOND_MS, 6 * SECOND_MS],
  cloudevents: [5 * SECOND_MS, 6 * SECOND_MS],
}

const ROWS: readonly Row[] = [
  ...[200, 201, 202, 204, 299].map((status) => ({
    quote: 'Status Code: Return 2xx for successful processing',
    ...{ answer: `${status}`, respond: saying(status), dialects: ALL, becomes: 'delivered' as const, error: null },
  })),
  {
    quote: 'Body: Optional (ignored by MFTPlus)',
    ...{ answer: '200 with a body that says error', respond: saying(200, '{"error":"no"}'), dialects: BOTH },
    ...{ becomes: 'delivered', error: null },
  },
  row('401 | Invalid signature | No retry (security issue)', 401, ['mftplus'], 'failed'),
  row('retried on a non-2xx (TrueFTP: no exception for 401)', 401, ['trueftp'], 'retried'),
  row('410 Gone: the sender should disable the endpoint (Standard Webhooks)', 410, STANDARD, 'failed, and its webhook with it'),
  ...[429, 502, 504].map((status) => row('the sender should throttle (Standard Webhooks), and try again', status, STANDARD)),
  ...[300, 400, 401, 404, 500].map((status) => row('any other than 2xx is a failure (Standard Webhooks)', status, STANDARD)),
  row('404 | Endpoint not found | Retry (may be temporary)', 404),
  row('408 | Request timeout | Retry', 408),
  row('429 | Rate limited | Retry with exponential backoff', 429),
  ...[500, 501, 502, 503, 504, 599].map((status) => row('500+ | Server error | Retry', status)),
  ...[400, 403, 410, 418, 422].map((status) => row('returns a non-2xx status code or times out: retries delivery', status)),
  ...[301, 302, 303, 307, 308].map((status) => ({
    ...row('non-2xx: a redirect is not followed', status),
    respond: ((_request, response) => response.writeHead(status, { location: 'http://127.0.0.1:9/' }).end()) as RequestListener,
  })),
  {
    quote: 'Requests timing out are retried',
    ...{ answer: 'no answer at all', respond: () => {}, dialects: BOTH, becomes: 'retried' as const, hangs: true as const },
    error: /^timed out after 1\d(\.\d)? s waiting for the answer$/,
  },
  {
    quote: 'Webhook endpoints must respond within 10 seconds',
    answer: 'headers at once, the body byte by byte past the deadline',
    respond: (_request, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('.')
    },
    ...{ dialects: BOTH, becomes: 'retried' as const, hangs: true as const },
    error: /^timed out after 1\d(\.\d)? s while the answer was dripping in$/,
  },
  {
    quote: '2xx whose first 16 KiB were read within the deadline: a body without end does not hold the delivery up (ours)',
    answer: 'an endless body',
    respond: (_request, response) => {
      response.writeHead(200)
      const flood = () => {
        while (response.write(Buffer.alloc(16_384, 0x61)));
      }
      response.on('drain', flood)
      flood()
    },
    ...{ dialects: BOTH, becomes: 'delivered', error: null },
  },
  {
    quote: 'non-2xx: the connection is cut before an answer (ours)',
    answer: 'a cut connection',
    respond: (request) => request.socket.destroy(),
    ...{ dialects: BOTH, becomes: 'retried', error: /connection (reset|closed)/ },
  },
]

function saying(status: number, body = ''): RequestListener {
  return (_request, response) => response.writeHead(status).end(body)
}

function row(quote: string, status: number, dialects = BOTH, becomes: Row['becomes'] = 'retried'): Row {
  return { quote, answer: `${status}`, respond: saying(status), dialects, becomes, error: new RegExp(`^status ${status}$`) }
}

for (const { quote, answer, respond, dialects, becomes, error, hangs } of ROWS) {
  for (const dialect of dialects) {
    test(`${dialect}: ${answer}: "${quote}"`, async (t) => {
      const receiver = await startReceiver(t, respond)
      const first = await firstAttempt(t, receiver.url, dialect, () => hangs === true && receiver.requests > 0)
      assertBecame(first, dialect, becomes, error)
      assert.equal(receiver.requests, 1)
    })
  }
}

test('connection refused is a failed attempt like any other that is not 2xx', async (t) => {
  const first = await firstAttempt(t, 'http://127.0.0.1:1/hook', 'mftplus')
  assertBecame(first, 'mftplus', 'retried', /^connection refused$/)
})

test('a host name that is not found is a failed attempt like any other that is not 2xx', async (t) => {
  const first = await firstAttempt(t, 'https://receiver.landfall-contract.invalid/hook', 'mftplus')
  assertBecame(first, 'mftplus', 'retried', /^host name/)
})

for (const [certificate, error] of [
  ['expired.cert.pem', /^certificate (has expired|is self-signed)$/],
  ['localhost.cert.pem', /^certificate is self-signed$/],
] as const) {
  test(`"Ensure your SSL certificate is valid and not expired": ${certificate} is refused, and tried again`, async (t) => {
    const pem = (name: string) => readFileSync(new URL(`../../src/http/testdata/${name}`, import.meta.url))
    const server = createTlsServer({ key: pem('localhost.key.pem'), cert: pem(certificate) }, saying(200))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const first = await firstAttempt(t, `https://localhost:${port}/hook`, 'mftplus')
    assertBecame(first, 'mftplus', 'retried', error)
  })
}

for (const dialect of ALL) {
  for (const [status, header, waitsMs] of [
    [429, '1800', 30 * MINUTE_MS],
    [503, '1800', 30 * MINUTE_MS],
    [503, '864000', 2 * HOUR_MS],
    [500, '1800', FIRST_RETRY_MS[dialect][0]],
    [503, 'soon', FIRST_RETRY_MS[dialect][0]],
    [429, '0', FIRST_RETRY_MS[dialect][0]],
  ] as const) {
    test(`${dialect}: "Retry-After honoured on 429 and 503, at most 2 h" (ours): ${header} with ${status}`, async (t) => {
      const receiver = await startReceiver(t, (_request, response) => response.writeHead(status, { 'retry-after': header }).end())
      const { delivery, attempts } = await firstAttempt(t, receiver.url, dialect)
      const { startedAt, durationMs } = attempts[0]!
      assertBetween(delivery.nextAttemptAt! - startedAt - durationMs, [waitsMs, Math.max(waitsMs, FIRST_RETRY_MS[dialect][1])])
    })
  }
}

interface Schedule {
  readonly dialect: DialectName
  readonly quote: string
  readonly delaysMs: readonly number[]
  /** Part of a delay by which it may be longer. */
  readonly jitter: number
  readonly endsAs: 'active' | 'failed'
}

const SCHEDULES: readonly Schedule[] = [
  {
    dialect: 'mftplus',
    quote:
      '1st retry 1 minute after failure, 2nd 5 minutes after 1st, 3rd 30 minutes after 2nd, 4th 2 hours after 3rd; ' +
      'then the webhook is marked as failed; manual reactivation is required',
    delaysMs: [MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS],
    jitter: 0,
    endsAs: 'failed',
  },
  {
    dialect: 'trueftp',
    quote: 'retried with exponential backoff (default 3 attempts)',
    delaysMs: [30 * SECOND_MS, 60 * SECOND_MS],
    jitter: 0,
    endsAs: 'active',
  },
  ...STANDARD.map((dialect) => ({
    dialect,
    quote: 'exponential backoff over several days, with some random jitter (Standard Webhooks)',
    delaysMs: [
      ...[5 * SECOND_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS],
      ...[10 * HOUR_MS, 14 * HOUR_MS, 20 * HOUR_MS, 24 * HOUR_MS],
    ],
    jitter: 0.2,
    endsAs: 'failed' as const,
  })),
]

for (const { dialect, quote, delaysMs, jitter, endsAs } of SCHEDULES) {
  test(`${dialect}: "${quote}"`, async (t) => {
    const receiver = await startReceiver(t, saying(503))
    const world = await openContractWorld()
    t.after(world.close)
    const webhook = await world.makeWebhook(receiver.url, dialect)
    const eventId = await world.happen()
    for (const [index, delayMs] of delaysMs.entries()) {
      const { delivery, attempts } = await world.attempted(webhook.id, eventId, index + 1)
      const { startedAt, durationMs } = attempts.at(-1)!
      assert.equal(delivery.state, 'waiting')
      assertBetween(delivery.nextAttemptAt! - startedAt - durationMs, [delayMs, delayMs * (1 + jitter)])
      assert.equal(receiver.requests, index + 1, 'nothing is sent before its time')
      world.clock.jumpTo(delivery.nextAttemptAt! - 1)
    }
    const { delivery, attempts } = await world.attempted(webhook.id, eventId, delaysMs.length + 1)
    assert.deepEqual([delivery.state, delivery.nextAttemptAt], ['failed', null])
    assert.deepEqual(
      attempts.map(({ number }) => number),
      Array.from({ length: delaysMs.length + 1 }, (_, index) => index + 1),
    )
    assert.equal((await world.store.findWebhook(webhook.id))!.state, endsAs)
    assert.equal(receiver.requests, delaysMs.length + 1)

    if (endsAs === 'active') return
    // Off: what happens now is not planned for it, and nothing is sent by itself.
    await world.happen()
    world.clock.jumpTo(world.clock.now() + 24 * HOUR_MS)
    assert.equal((await world.store.listDeliveries({ webhookId: webhook.id }, { limit: 10, offset: 0 })).rows.length, 1)
    assert.equal(receiver.requests, delaysMs.length + 1)
  })
}

async function firstAttempt(t: TestContext, url: string, dialect: DialectName, hangs?: () => boolean) {
  const { id } = await shared.makeWebhook(url, dialect)
  t.after(() => shared.removeWebhook(id))
  const found = await shared.attempted(id, await shared.happen(), 1, hangs)
  return { ...found, webhook: (await shared.store.findWebhook(id))! }
}

function assertBecame(
  { delivery, attempts, webhook }: Awaited<ReturnType<typeof firstAttempt>>,
  dialect: DialectName,
  becomes: Row['becomes'],
  error: RegExp | null,
): void {
  const [attempt] = attempts
  assert.equal(attempts.length, 1)
  assert.equal(delivery.state, becomes === 'retried' ? 'waiting' : becomes.replace(/,.*/, ''))
  assert.equal(webhook.state, becomes.includes('webhook') ? 'failed' : 'active')
  if (error === null) assert.equal(attempt!.error, null)
  else assert.match(attempt!.error ?? 'no error', error)
  if (becomes !== 'retried') assert.equal(delivery.nextAttemptAt, null)
  else assertBetween(delivery.nextAttemptAt! - attempt!.startedAt - attempt!.durationMs, FIRST_RETRY_MS[dialect])
}

function assertBetween(waitMs: number, [least, most]: readonly [number, number]): void {
  assert.ok(waitMs >= least && waitMs <= most, `it waits ${waitMs} ms, not ${least} to ${most}`)
}
