import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { createReceiver as expressReceiver } from '../../sdk/examples/express.ts'
import { createReceiver as fastifyReceiver } from '../../sdk/examples/fastify.ts'
import { createReceiver as fetchReceiver } from '../../sdk/examples/fetch.ts'
import { type Dialect, VerifyError, verify } from '../../sdk/verify.ts'
import { publicKeyOf, publicKeyText } from '../../src/dialects/key.ts'
import { EVENT_TYPES, type EventType } from '../../src/events/catalogue.ts'
import { SAMPLES } from '../../src/events/samples.ts'
import { DELIVERY_ID, EVENT_ID, type Signing, signedDelivery } from './signed.ts'

// Does the sdk accept what the dialects say, and nothing else? Its own tests sign by hand; here the server's code does.

const WHSEC = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const WHSK = `whsk_${Buffer.alloc(32, 9).toString('base64')}`
const WHPK = publicKeyText(publicKeyOf(WHSK)!)

const ways: { name: string; dialect: Dialect; secret: string; verifiedWith?: string; signing?: Partial<Signing> }[] = [
  { name: 'mftplus', dialect: 'mftplus', secret: 'your-signing-secret' },
  { name: 'mftplus, a secret that looks like another', dialect: 'mftplus', secret: WHSEC },
  { name: 'trueftp', dialect: 'trueftp', secret: 'your-signing-secret' },
  { name: 'standard', dialect: 'standard', secret: WHSEC },
  { name: 'standard, text as secret', dialect: 'standard', secret: 'your-signing-secret' },
  { name: 'standard, no base64 behind whsec_', dialect: 'standard', secret: 'whsec_not base64' },
  { name: 'standard, v1a', dialect: 'standard', secret: WHSK, verifiedWith: WHPK },
  { name: 'cloudevents', dialect: 'cloudevents', secret: WHSEC },
  { name: 'cloudevents, binary', dialect: 'cloudevents', secret: WHSEC, signing: { options: { cloudEventsMode: 'binary' } } },
]

for (const { name, dialect, secret, verifiedWith = secret, signing } of ways) {
  test(`${name}: every event type verifies and comes back with its data`, () => {
    for (const type of EVENT_TYPES) {
      const { headers, body } = signedDelivery({ dialect, type, secret, startedAt: Date.now(), ...signing })
      const event = verify(headers, body, verifiedWith, { dialect })
      assert.deepEqual(event.data, SAMPLES[type])
      assert.equal('event' in event ? event.event : event.type, type)
      assert.equal('delivery_id' in event ? event.delivery_id : event.id, dialect === 'trueftp' ? DELIVERY_ID : EVENT_ID)
    }
  })

  test(`${name}: a changed byte, another secret and an old time do not verify`, () => {
    const { headers, body } = signedDelivery({ dialect, type: 'file.uploaded', secret, startedAt: Date.now(), ...signing })
    const changed = Buffer.from(body)
    changed[changed.length >> 1]! ^= 1
    assert.throws(() => verify(headers, changed, verifiedWith, { dialect }), VerifyError)
    assert.throws(() => verify(headers, body, 'another secret', { dialect }), VerifyError)
    const later = { dialect, now: Date.now() + 600_000 }
    if (dialect === 'mftplus') verify(headers, body, verifiedWith, later)
    else assert.throws(() => verify(headers, body, verifiedWith, later), { code: 'timestamp_too_old' })
  })

  test(`${name}: a body whose members were sorted is recognised`, {
    skip: signing !== undefined || verifiedWith === WHPK,
  }, () => {
    const recognised = EVENT_TYPES.filter((type: EventType) => {
      const { headers, body } = signedDelivery({ dialect, type, secret, startedAt: Date.now() })
      const code = problemOf(() => verify(headers, JSON.stringify(sorted(JSON.parse(body.toString()))), secret, { dialect }))
      return code === 'body_reserialised'
    })
    // The names of its checks are free, so nobody can know their order.
    assert.deepEqual(
      recognised,
      EVENT_TYPES.filter((type) => type !== 'system.health.degraded'),
    )
  })
}

test('both secrets of a rotation sign in standard: a receiver may know either', () => {
  const { headers, body } = signedDelivery({
    ...{ dialect: 'standard', type: 'file.uploaded', secret: 'the new one', secretBefore: 'the old one' },
    startedAt: Date.now(),
  })
  for (const secret of ['the new one', 'the old one']) verify(headers, body, secret, { dialect: 'standard' })
})

for (const dialect of ['mftplus', 'trueftp'] as const) {
  test(`${dialect} signs with the old secret until the cut-over`, () => {
    const { headers, body } = signedDelivery({
      ...{ dialect, type: 'file.uploaded', secret: 'the new one', secretBefore: 'the old one' },
      startedAt: Date.now(),
    })
    verify(headers, body, ['the new one', 'the old one'], { dialect })
    assert.throws(() => verify(headers, body, 'the new one', { dialect, oldSecrets: ['the old one'] }), { code: 'old_secret' })
  })
}

type Kept = Map<string, unknown>
const examples: { name: string; dialect: Dialect; start(t: TestContext, kept: Kept): Promise<string> }[] = [
  {
    name: 'express',
    dialect: 'trueftp',
    start: (t, kept) =>
      listening(
        t,
        expressReceiver(WHSEC, async (id, event) => void kept.set(id, event)),
      ),
  },
  {
    name: 'fastify',
    dialect: 'mftplus',
    async start(t, kept) {
      const app = fastifyReceiver(WHSEC, async (id, event) => void kept.set(id, event))
      t.after(() => app.close())
      return app.listen({ port: 0, host: '127.0.0.1' })
    },
  },
  {
    name: 'fetch',
    dialect: 'standard',
    start: (t, kept) => {
      const receive = fetchReceiver(WHSEC, async (id, event) => void kept.set(id, event))
      return listening(t, async (request, response) => {
        const headers = new Headers(request.headers as Record<string, string>)
        const answer = await receive(new Request('http://receiver/', { method: 'POST', headers, body: await buffer(request) }))
        response.writeHead(answer.status).end()
      })
    },
  },
]

for (const [name, createReceiver] of Object.entries({ expressReceiver, fastifyReceiver, fetchReceiver })) {
  test(`${name} is not made without a secret`, () => {
    for (const secret of ['', undefined as unknown as string])
      assert.throws(() => createReceiver(secret, async () => {}), /the secret of the webhook is missing/)
  })
}

for (const { name, dialect, start } of examples) {
  test(`the ${name} example takes what is genuine, once, and refuses the rest`, async (t) => {
    const kept: Kept = new Map()
    t.mock.method(console, 'warn', () => {})
    const url = `${await start(t, kept)}/webhooks`
    const { headers, body } = signedDelivery({ dialect, type: 'file.uploaded', secret: WHSEC, startedAt: Date.now() })
    const post = async (sent: Buffer, sentHeaders: Record<string, string> = headers) =>
      (await fetch(url, { method: 'POST', headers: sentHeaders, body: new Uint8Array(sent) })).status

    assert.equal(await post(Buffer.from(body.toString().replace('order', 'other'))), 401)
    assert.equal(await post(body, { 'content-type': 'application/json' }), 401)
    assert.equal(kept.size, 0)
    assert.deepEqual([await post(body), await post(body)], [204, 204])
    const [[id, event] = []] = kept
    assert.deepEqual([kept.size, id], [1, dialect === 'trueftp' ? DELIVERY_ID : EVENT_ID])
    assert.deepEqual((event as { data: unknown }).data, SAMPLES['file.uploaded'])
  })
}

async function listening(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function problemOf(verifying: () => unknown): string | undefined {
  try {
    verifying()
    return undefined
  } catch (error) {
    if (error instanceof VerifyError) return error.code
    throw error
  }
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((name) => [name, sorted((value as Record<string, unknown>)[name])]),
  )
}
