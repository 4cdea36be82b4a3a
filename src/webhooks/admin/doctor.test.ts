import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { SERVER_CALLER } from '../../audit/caller.ts'
import { systemClock } from '../../base/clock.ts'
import { AppError } from '../../base/error.ts'
import { SLOW_ANSWER_MS } from '../../base/histogram.ts'
import { createSeal } from '../../base/seal.ts'
import { createEgressGuard } from '../../http/guard.ts'
import type { TlsInspection } from '../../http/inspect.ts'
import { createPoster } from '../../http/post.ts'
import { webhookOf } from '../testing.ts'
import { type Webhook, webhookSecretPurpose } from '../webhook.ts'
import { createDoctor } from './doctor.ts'

const SECRET = 'whsec_abcdefghijklmnopqrstuvwxyz012345'
const seal = createSeal(new Uint8Array(32))
const sealedSecret = seal.seal(SECRET, webhookSecretPurpose('wh_1'))

test('a receiver that does everything right', async (t) => {
  const url = await receiver(t, careful({ verifiesTime: true }))
  const outcomes = await examine(t, { url, dialect: 'trueftp', sealedSecret })
  assert.deepEqual(outcomes, {
    ...{ tls: 'warning', genuine: 'ok', bad_signature: 'ok', changed_body: 'ok', old_timestamp: 'ok' },
    ...{ duplicate: 'ok', latency: 'ok' },
  })
})

for (const [answerMs, outcome] of [
  [1_000, 'ok'],
  [1_001, 'warning'],
  [SLOW_ANSWER_MS, 'warning'],
  [SLOW_ANSWER_MS + 1, 'problem'],
] as const) {
  test(`a receiver that takes ${answerMs} ms for an answer: ${outcome}`, async (t) => {
    let now = 0
    const url = await receiver(t, (_request, response) => {
      now += answerMs
      response.end('OK')
    })
    const doctor = doctorFor(t, { url, dialect: 'mftplus', sealedSecret }, undefined, () => now)
    const { checks } = await doctor.examine('wh_1', SERVER_CALLER)
    assert.equal(checks.find(({ name }) => name === 'latency')?.outcome, outcome)
  })
}

test('a receiver that forgets the time and duplicates', async (t) => {
  const url = await receiver(t, careful({ verifiesTime: false, tellsDuplicates: false }))
  const outcomes = await examine(t, { url, dialect: 'trueftp', sealedSecret })
  assert.deepEqual([outcomes.bad_signature, outcomes.old_timestamp, outcomes.duplicate], ['ok', 'problem', 'warning'])
})

test('a receiver that takes everything', async (t) => {
  const url = await receiver(t, (_request, response) => response.end('OK'))
  const outcomes = await examine(t, { url, dialect: 'mftplus', sealedSecret })
  assert.deepEqual(
    [outcomes.genuine, outcomes.bad_signature, outcomes.changed_body, outcomes.old_timestamp],
    ['ok', 'problem', 'problem', 'skipped'],
  )
})

test('a receiver that refuses what is genuine is examined no further', async (t) => {
  const url = await receiver(t, (_request, response) => response.writeHead(401).end())
  const outcomes = await examine(t, { url, dialect: 'mftplus', sealedSecret })
  assert.deepEqual(outcomes, { tls: 'warning', genuine: 'problem' })
})

test('without a secret nothing is forged, and that is said', async (t) => {
  const url = await receiver(t, (_request, response) => response.end('OK'))
  const outcomes = await examine(t, { url, dialect: 'mftplus', sealedSecret: null })
  assert.deepEqual([outcomes.bad_signature, outcomes.changed_body], ['warning', undefined])
})

const year = 365 * 86_400_000
const CERTIFICATES: readonly [says: string, tls: () => Promise<TlsInspection>, outcome: string][] = [
  ['a trusted chain with a year left', async () => inspected(null, year), 'ok'],
  ['one that ends within days', async () => inspected(null, 86_400_000), 'warning'],
  ['one that is not trusted', async () => inspected('certificate is self-signed', year), 'problem'],
  ['no handshake at all', () => Promise.reject(new AppError('conflict', 'connection refused')), 'problem'],
]
for (const [says, tls, outcome] of CERTIFICATES) {
  test(`TLS: ${says}`, async (t) => {
    const outcomes = await examine(t, { url: 'https://127.0.0.1:9/hook', sealedSecret }, tls)
    assert.equal(outcomes.tls, outcome)
  })
}

test('one examination of a webhook at a time', async (t) => {
  const url = await receiver(t, (_request, response) => response.end('OK'))
  const doctor = doctorFor(t, { url, sealedSecret })
  const first = doctor.examine('wh_1', SERVER_CALLER)
  await assert.rejects(doctor.examine('wh_1', SERVER_CALLER), { code: 'limit_reached' })
  await first
  await doctor.examine('wh_1', SERVER_CALLER)
})

function inspected(problem: string | null, leftMs: number): TlsInspection {
  const validTo = systemClock.now() + leftMs
  return { protocol: 'TLSv1.3', cipher: 'x', problem, chain: [{ subject: 'a', issuer: 'b', validFrom: 0, validTo }] }
}

/** Verifies as the TrueFTP page says, and answers a known id in its own way. */
function careful({
  verifiesTime,
  tellsDuplicates = true,
}: {
  verifiesTime: boolean
  tellsDuplicates?: boolean
}): RequestListener {
  const seen = new Set<string>()
  return async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    const time = String(request.headers['x-trueftp-timestamp'])
    const expected = `sha256=${createHmac('sha256', SECRET).update(`${time}.`).update(body).digest('hex')}`
    const isFresh = Math.abs(systemClock.now() / 1000 - Number(time)) < 300
    if (request.headers['x-trueftp-signature'] !== expected || (verifiesTime && !isFresh)) {
      response.writeHead(401).end()
      return
    }
    const id = String(request.headers['x-trueftp-delivery'])
    response.end(tellsDuplicates && seen.has(id) ? 'Duplicate' : 'OK')
    seen.add(id)
  }
}

/** Answers take no time unless `monotonic` says so, however busy this machine is. */
function doctorFor(
  t: TestContext,
  changes: Partial<Webhook>,
  inspectTls?: () => Promise<TlsInspection>,
  monotonic: () => number = () => 0,
) {
  const clock = { ...systemClock, monotonic }
  const poster = createPoster({ guard: createEgressGuard({ allow: [], loopback: true }), clock })
  t.after(() => poster.close(0))
  return createDoctor({
    webhooks: { getIncluded: async () => webhookOf({ id: 'wh_1', ...changes }) },
    audit: { appendAudit: async () => {} },
    ...{ seal, post: poster.post, clock },
    inspectTls: inspectTls ?? (() => Promise.reject(new Error('not asked'))),
  })
}

async function examine(t: TestContext, changes: Partial<Webhook>, inspectTls?: () => Promise<TlsInspection>) {
  const { checks } = await doctorFor(t, changes, inspectTls).examine('wh_1', SERVER_CALLER)
  return Object.fromEntries(checks.map(({ name, outcome }) => [name, outcome]))
}

async function receiver(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
}
