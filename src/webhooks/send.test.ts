import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { systemClock } from '../base/clock.ts'
import type { PostResult } from '../http/exchange.ts'
import type { PostRequest } from '../http/post.ts'
import { DIRECT } from '../http/route.ts'
import { cert, pem, posterOf, receiver, tlsReceiver } from '../http/testing.ts'
import { AccessTokens } from './access-token.ts'
import { send, shownHeaders } from './send.ts'
import { webhookOf } from './testing.ts'
import type { SecretOptions, Webhook, WebhookOptions } from './webhook.ts'

const TOKEN_URL = 'https://login.example/token'
const OAUTH = { kind: 'oauth2', tokenUrl: TOKEN_URL, clientId: 'land fall', scope: 'hooks write' } as const
const message = { headers: { 'X-Webhook-ID': 'dlv_1' }, body: Buffer.from('{}'), deadlineMs: 10_000 }

function answered(status: number, body: unknown = ''): PostResult {
  const bodyExcerpt = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  return { kind: 'answered', status, headers: {}, bodyExcerpt, durationMs: 5 }
}

const granted = (token: string, more: object = { expires_in: 3600 }) =>
  answered(200, { access_token: token, token_type: 'Bearer', ...more })

/** Answers the requests to each url in turn; the last answer stays. `at` is the clock. */
function worldOf(script: { receiver?: PostResult[]; endpoint?: (PostResult | Promise<PostResult>)[] } = {}) {
  const { receiver = [answered(200)], endpoint = [granted('one')] } = script
  const world = { at: 0, hooks: [] as PostRequest[], asked: [] as PostRequest[] }
  const post = async (request: PostRequest) => {
    const isEndpoint = request.url === TOKEN_URL
    const seen = isEndpoint ? world.asked : world.hooks
    seen.push(request)
    const answers = isEndpoint ? endpoint : receiver
    return answers[Math.min(seen.length, answers.length) - 1]!
  }
  const clock = { monotonic: () => world.at }
  const tools = { post, clock, tokens: new AccessTokens(post, clock) }
  const sendWith = (webhook: Webhook, secrets: SecretOptions | null = { auth: 'top:secret/1' }) =>
    send(message, webhook, secrets, tools)
  return { ...world, world, send: sendWith }
}

const withOptions = (options: WebhookOptions, more: Partial<Webhook> = {}) => webhookOf({ options, ...more })

test('send: custom headers, with the secret values in their places', async () => {
  const { world, send } = worldOf()
  await send(withOptions({ headers: { 'X-Plain': 'a', 'X-Key': null } }), { headers: { 'X-Key': 'k-1' } })
  assert.deepEqual(world.hooks[0]!.headers, { 'X-Plain': 'a', 'X-Key': 'k-1', 'X-Webhook-ID': 'dlv_1' })
})

test('send: what speaks of the delivery cannot be overridden', async () => {
  const { world, send } = worldOf()
  await send(withOptions({ headers: { 'X-Webhook-ID': 'another' } }), null)
  assert.equal(world.hooks[0]!.headers['X-Webhook-ID'], 'dlv_1')
})

const authorizations = [
  {
    name: 'basic, in UTF-8',
    auth: { kind: 'basic', username: 'jürgen' },
    value: `Basic ${Buffer.from('jürgen:top:secret/1').toString('base64')}`,
  },
  { name: 'bearer', auth: { kind: 'bearer' }, value: 'Bearer top:secret/1' },
  { name: 'oauth2', auth: OAUTH, value: 'Bearer one' },
] as const
for (const { name, auth, value } of authorizations) {
  test(`send: authentication by ${name}, shown without its secret`, async () => {
    const { world, send } = worldOf()
    await send(withOptions({ auth }))
    assert.equal(world.hooks[0]!.headers.Authorization, value)
    assert.equal(shownHeaders({ auth }).Authorization, `${value.split(' ')[0]} ********`)
  })
}

test('send: shown headers have the values that are no secret', () => {
  assert.deepEqual(shownHeaders({ headers: { 'X-Plain': 'a', 'X-Key': null } }), { 'X-Plain': 'a', 'X-Key': '********' })
})

test('send: the timeout of the webhook is below that of the dialect, and only below', async () => {
  const { world, send } = worldOf()
  await send(withOptions({ timeoutSeconds: 2.5 }))
  await send(withOptions({ timeoutSeconds: 60 }))
  await send(withOptions({}))
  assert.deepEqual(
    world.hooks.map(({ deadlineMs }) => deadlineMs),
    [2500, 10_000, 10_000],
  )
})

test('send: the route is of the webhook alone', async () => {
  const { world, send } = worldOf()
  const tls = { certificate: 'cert', ca: 'ca' }
  const proxy = { url: 'http://proxy.example:3128', username: 'me' }
  await send(withOptions({}), null)
  await send(withOptions({ tls, proxy }, { egressAllow: ['10.0.0.0/8'] }), { tlsKey: 'key', proxyPassword: 'pw' })
  await send(withOptions({ tls, proxy }, { egressAllow: ['10.0.0.0/8'] }), { tlsKey: 'other', proxyPassword: 'pw' })
  await send(withOptions({ tls, proxy }, { egressAllow: [] }), { tlsKey: 'key', proxyPassword: 'pw' })
  const routes = world.hooks.map(({ route }) => route!)
  assert.equal(routes[0], DIRECT)
  const { key, ...parts } = routes[1]!
  assert.deepEqual(parts, { egressAllow: ['10.0.0.0/8'], tls: { ...tls, key: 'key' }, proxy: { ...proxy, password: 'pw' } })
  assert.equal(new Set(routes.map((route) => route.key)).size, 4)
  assert.doesNotMatch(key, /pw|cert/)
})

test('oauth2: the token is asked for as RFC 6749 section 4.4 says', async () => {
  const { world, send } = worldOf()
  await send(withOptions({ auth: OAUTH }))
  const [request] = world.asked
  assert.equal(request!.body.toString(), 'grant_type=client_credentials&scope=hooks+write')
  const [id, secret] = Buffer.from(request!.headers.authorization!.slice('Basic '.length), 'base64').toString().split(':')
  assert.deepEqual([id, secret], ['land+fall', 'top%3Asecret%2F1'])
})

test('oauth2: a token is kept until a minute before its end', async () => {
  const { world, send } = worldOf({ endpoint: [granted('one'), granted('two')] })
  const webhook = withOptions({ auth: OAUTH })
  await send(webhook)
  world.at = 3_539_999
  await send(webhook)
  assert.equal(world.asked.length, 1)
  world.at = 3_540_000
  await send(webhook)
  assert.deepEqual(
    world.hooks.map(({ headers }) => headers.Authorization),
    ['Bearer one', 'Bearer one', 'Bearer two'],
  )
})

test('oauth2: one that ends within a minute is used once, one that does not say so for five', async () => {
  const short = worldOf({ endpoint: [granted('one', { expires_in: 30 })] })
  await short.send(withOptions({ auth: OAUTH }))
  await short.send(withOptions({ auth: OAUTH }))
  assert.equal(short.world.asked.length, 2)
  const silent = worldOf({ endpoint: [granted('one', {})] })
  await silent.send(withOptions({ auth: OAUTH }))
  silent.world.at = 299_999
  await silent.send(withOptions({ auth: OAUTH }))
  assert.equal(silent.world.asked.length, 1)
  silent.world.at = 300_000
  await silent.send(withOptions({ auth: OAUTH }))
  assert.equal(silent.world.asked.length, 2)
})

test('oauth2: one request at a time for a webhook; others and other credentials have their own', async () => {
  const gate = Promise.withResolvers<PostResult>()
  const { world, send } = worldOf({ endpoint: [gate.promise] })
  const webhook = withOptions({ auth: OAUTH })
  const all = [
    send(webhook),
    send(webhook),
    send(webhookOf({ id: 'wh_2', options: { auth: OAUTH } })),
    send(webhook, { auth: 'new' }),
  ]
  gate.resolve(granted('one'))
  await Promise.all(all)
  assert.equal(world.asked.length, 3)
  assert.equal(world.hooks.length, 4)
})

test('oauth2: a kept token that is refused is replaced, and the delivery sent once more', async () => {
  const { world, send } = worldOf({
    endpoint: [granted('one'), granted('two')],
    receiver: [answered(200), answered(401), answered(200)],
  })
  await send(withOptions({ auth: OAUTH }))
  const result = await send(withOptions({ auth: OAUTH }))
  assert.equal(result.kind === 'answered' && result.status, 200)
  assert.deepEqual(
    world.hooks.map(({ headers }) => headers.Authorization),
    ['Bearer one', 'Bearer one', 'Bearer two'],
  )
})

test('oauth2: a new token that is refused is the answer, and is not used again', async () => {
  const { world, send } = worldOf({ receiver: [answered(401)] })
  const result = await send(withOptions({ auth: OAUTH }))
  assert.equal(result.kind === 'answered' && result.status, 401)
  assert.equal(world.hooks.length, 1)
  await send(withOptions({ auth: OAUTH }))
  assert.equal(world.asked.length, 2)
})

const unreachable: PostResult = { kind: 'unreachable', code: 'ECONNREFUSED', message: 'connection refused', durationMs: 1 }
const failures: { name: string; answer: PostResult; says: RegExp }[] = [
  {
    name: 'an error of the endpoint',
    answer: answered(401, { error: 'invalid_client', error_description: 'bad top:secret/1' }),
    says: /^no access token: its endpoint answered with status 401 \(invalid_client\)$/,
  },
  { name: 'an error with more than a code', answer: answered(400, { error: 'top:secret/1' }), says: /status 400$/ },
  { name: 'a page', answer: answered(200, '<html>'), says: /holds no access_token/ },
  { name: 'another type', answer: granted('x', { token_type: 'mac' }), says: /token_type is not bearer/ },
  { name: 'a token with a line end', answer: granted('x\r\nX-Evil: 1'), says: /holds no access_token/ },
  { name: 'a token that is too long', answer: granted('x'.repeat(8193)), says: /holds no access_token/ },
  { name: 'null', answer: answered(200, 'null'), says: /holds no access_token/ },
  { name: 'nobody there', answer: unreachable, says: /^no access token: connection refused$/ },
  { name: 'silence', answer: { kind: 'timed_out', afterMs: 10_000, phase: 'headers' }, says: /did not answer in time/ },
  { name: 'a refused address', answer: { kind: 'refused', reason: '10.0.0.1 is private' }, says: /^auth\.tokenUrl: 10\.0\.0\.1/ },
]
for (const { name, answer, says } of failures) {
  test(`oauth2: without a token nothing is sent: ${name}`, async () => {
    const { world, send } = worldOf({ endpoint: [answer] })
    const result = await send(withOptions({ auth: OAUTH }))
    assert.ok(result.kind === 'unreachable' || result.kind === 'refused')
    const text = result.kind === 'refused' ? result.reason : result.message
    assert.match(text, says)
    assert.doesNotMatch(JSON.stringify(result), /top:secret/)
    assert.equal(world.hooks.length, 0)
  })
}

test('send: an answer that repeats the request is kept without its secrets', async () => {
  const { world, send } = worldOf({
    receiver: [answered(200, 'got Authorization: Bearer top:secret/1 and X-Key: key-5678, top:secret/1, ok')],
  })
  const result = await send(withOptions({ auth: { kind: 'bearer' }, headers: { 'X-Key': null, 'X-Short': null } }), {
    auth: 'top:secret/1',
    headers: { 'X-Key': 'key-5678', 'X-Short': 'ok' },
  })
  assert.ok(result.kind === 'answered')
  assert.equal(result.bodyExcerpt.toString(), 'got Authorization: Bearer ******** and X-Key: ********, ********, ********')
  assert.equal(world.hooks[0]!.headers['X-Key'], 'key-5678')
  const token = worldOf({ endpoint: [granted('token-12345')], receiver: [answered(500, '{"bearer":"token-12345"}')] })
  const echoed = await token.send(withOptions({ auth: OAUTH }))
  assert.ok(echoed.kind === 'answered')
  assert.equal(echoed.bodyExcerpt.toString(), '{"bearer":"********"}')
})

test('send: an answer in bytes is kept as it is', async () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index))
  const { send } = worldOf({
    receiver: [{ kind: 'answered', status: 200, headers: { 'x-a': 'b' }, bodyExcerpt: bytes, durationMs: 1 }],
  })
  const result = await send(withOptions({ auth: { kind: 'bearer' } }))
  assert.ok(result.kind === 'answered')
  assert.deepEqual([result.bodyExcerpt, result.headers], [bytes, { 'x-a': 'b' }])
})

test('with real sockets: a token, compressed, then a receiver that wants it and the client certificate', async (t) => {
  const ca = pem('client-ca.cert.pem')
  const endpoint = await receiver(t, (_request, response) =>
    response
      .writeHead(200, { 'content-encoding': 'gzip' })
      .end(gzipSync(JSON.stringify({ access_token: 'token-1', expires_in: 60 }))),
  )
  const hook = await tlsReceiver(t, cert, { ca, requestCert: true, rejectUnauthorized: true })
  const tls = { certificate: pem('client.cert.pem'), ca: cert }
  const auth = { ...OAUTH, tokenUrl: endpoint.url }
  const poster = posterOf(t)
  const tools = { post: poster.post, clock: systemClock, tokens: new AccessTokens(poster.post, systemClock) }
  const webhook = webhookOf({ url: hook.url, options: { tls, auth } })
  const result = await send(message, webhook, { auth: 'client secret', tlsKey: pem('client.key.pem') }, tools)
  assert.ok(result.kind === 'answered', JSON.stringify(result))
  assert.equal(hook.requests[0]!.headers.authorization, 'Bearer token-1')
  assert.equal(endpoint.requests[0]!.body.toString(), 'grant_type=client_credentials&scope=hooks+write')
})

test('oauth2: the time of the token counts', async () => {
  const { world, send } = worldOf({ endpoint: [granted('one')] })
  const slow = withOptions({ auth: OAUTH })
  const result = send(slow)
  world.at = 4_000
  await result
  assert.equal(world.hooks[0]!.deadlineMs, 6_000)
})
