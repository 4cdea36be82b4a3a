import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createSeal } from '../../base/seal.ts'
import { MASKED } from '../redact.ts'
import { NOW, webhookOf } from '../testing.ts'
import { type SecretOptions, type Webhook, webhookOptionsPurpose } from '../webhook.ts'
import type { Allowance } from './allowance.ts'
import { applyInput, type InputTools } from './apply-input.ts'
import type { WebhookInput } from './input.ts'
import { shownOptions } from './options-input.ts'

const PLAN: Allowance = {
  ...{ plan: 'team', webhooks: true, webhooksMax: 10, filterConditionsMax: 2, concurrencyMax: 16, egressAllow: ['10.0.0.0/8'] },
}
const CERTIFICATE = readFileSync(new URL('../../http/testdata/localhost.cert.pem', import.meta.url), 'utf8')
const KEY = readFileSync(new URL('../../http/testdata/localhost.key.pem', import.meta.url), 'utf8')

function toolsOf() {
  const asked: string[] = []
  const guard = {
    checkUrl: (url: string) => {
      asked.push(url)
      return url.startsWith('https:')
        ? { allowed: true as const, url: new URL(url) }
        : { allowed: false as const, reason: 'plain http' }
    },
    checkProxy: (url: string) => {
      asked.push(`proxy ${url}`)
      return { allowed: true as const, url: new URL(url) }
    },
    checkHost: async ({ hostname }: URL) =>
      hostname.endsWith('.private')
        ? { allowed: false as const, reason: 'a private address' }
        : { allowed: true as const, ...(hostname.startsWith('new.') && { warning: `${hostname} does not resolve` }) },
    under(allow: readonly string[] | null) {
      asked.push(`under ${allow}`)
      return guard
    },
  }
  const tools: InputTools = { guard, seal: createSeal(new Uint8Array(32)), clock: { now: () => NOW + 1 } }
  const secretsOf = ({ id, sealedOptions }: Webhook): SecretOptions | null =>
    sealedOptions === null ? null : JSON.parse(tools.seal.open(sealedOptions, webhookOptionsPurpose(id)))
  const apply = (before: Webhook, input: Partial<WebhookInput>) => applyInput(before, input, PLAN, tools)
  return { apply, asked, secretsOf, tools }
}

const hook = webhookOf({ events: ['file.*'] })

test('options: what is left out stays, null is the default again', async () => {
  const { apply } = toolsOf()
  const all = {
    ...{
      order: 'key' as const,
      timeoutSeconds: 5,
      concurrency: 3,
      rate: { count: 10, perSeconds: 60 },
      expireAfterSeconds: 3_600,
    },
    ...{ filter: { 'data.path': { glob: '/in/**' } } },
  }
  const { webhook } = await apply(hook, all)
  const { filter, order, ...options } = all
  assert.deepEqual([webhook.filter, webhook.order, webhook.options], [filter, order, options])
  const { webhook: same } = await apply(webhook, { name: 'other' })
  assert.deepEqual(same, { ...webhook, name: 'other', updatedAt: webhook.updatedAt + 1 })
  const none = { filter: null, order: null, timeoutSeconds: null, concurrency: null, rate: null, expireAfterSeconds: null }
  const { webhook: back } = await apply(webhook, none)
  assert.deepEqual([back.filter, back.order, back.options, back.sealedOptions], [null, 'none', {}, null])
})

test('a filter without conditions is none', async () => {
  assert.equal((await toolsOf().apply(hook, { filter: {} })).webhook.filter, null)
})

test('other event types check the filter again', async () => {
  const { apply } = toolsOf()
  const { webhook } = await apply(hook, { filter: { 'data.path': '/a' } })
  await assert.rejects(apply(webhook, { events: ['transfer.*'] }), { field: 'filter', message: /"data.path" is no member/ })
  assert.equal((await apply(webhook, { events: ['transfer.*'], filter: null })).webhook.filter, null)
})

const secretOptions = {
  headers: { 'X-Team': 'a', 'X-Key': { secret: 'k-1' } },
  auth: { kind: 'basic', username: 'u', password: 'p-1' },
  proxy: { url: 'http://proxy.example:3128', username: 'v', password: 'p-2' },
} as const

test('secret options are sealed apart and never told', async () => {
  const { apply, secretsOf, asked } = toolsOf()
  const { webhook } = await apply(hook, secretOptions)
  assert.deepEqual(secretsOf(webhook), { headers: { 'X-Key': 'k-1' }, auth: 'p-1', proxyPassword: 'p-2' })
  for (const secret of ['k-1', 'p-1', 'p-2']) assert.ok(!JSON.stringify(webhook).includes(secret), secret)
  assert.deepEqual(shownOptions(webhook.options), {
    headers: { 'X-Team': 'a', 'X-Key': { secret: MASKED } },
    auth: { kind: 'basic', username: 'u', password: MASKED },
    proxy: { url: 'http://proxy.example:3128', username: 'v', password: MASKED },
  })
  assert.deepEqual(asked, ['under 10.0.0.0/8', 'proxy http://proxy.example:3128'])
})

test('what is shown may be sent back and changes nothing', async () => {
  const { apply, secretsOf } = toolsOf()
  const { webhook } = await apply(hook, secretOptions)
  const { webhook: same } = await apply(webhook, shownOptions(webhook.options))
  assert.deepEqual(same.options, webhook.options)
  assert.deepEqual(secretsOf(same), secretsOf(webhook))
})

test('a masked value keeps the stored one beside others that change', async () => {
  const { apply, secretsOf } = toolsOf()
  const { webhook } = await apply(hook, secretOptions)
  const { webhook: after } = await apply(webhook, {
    headers: { 'x-key': MASKED, 'X-More': { secret: 'k-2' } },
    auth: { kind: 'basic', username: 'other', password: MASKED },
  })
  assert.deepEqual(secretsOf(after), { headers: { 'x-key': 'k-1', 'X-More': 'k-2' }, auth: 'p-1', proxyPassword: 'p-2' })
  assert.deepEqual(after.options.headers, { 'x-key': null, 'X-More': null })
  const { webhook: none } = await apply(after, { headers: null, auth: null, proxy: null })
  assert.deepEqual([none.options, none.sealedOptions], [{}, null])
})

test('what one receiver gets to see is not sent to another: with a url elsewhere it is given again, or given up', async () => {
  const { apply, secretsOf } = toolsOf()
  const { webhook } = await apply(hook, secretOptions)
  const url = 'https://elsewhere.example/hook'
  const { headers } = secretOptions
  const auth = { kind: 'basic', username: 'u', password: 'p-3' } as const
  const refused = [
    [
      { url },
      'headers',
      /the header X-Key was given for https:\/\/receiver\.example; with a url elsewhere, give it again, or headers: null/,
    ],
    [{ url, headers }, 'auth', /auth \(basic\) was given for https:\/\/receiver\.example/],
    [{ url, auth }, 'headers', /X-Key/],
    [{ url, auth, headers: { 'X-Key': MASKED } }, 'headers', /X-Key is masked/],
    [{ url, headers, auth: { ...auth, password: MASKED } }, 'auth.password', /is masked/],
  ] as const
  for (const [input, field, message] of refused) await assert.rejects(apply(webhook, input), { code: 'invalid', field, message })
  const { webhook: moved } = await apply(webhook, { url, headers: null, auth })
  assert.deepEqual(secretsOf(moved), { auth: 'p-3', proxyPassword: 'p-2' })
  const { webhook: same } = await apply(webhook, { url: new URL('/other', webhook.url).href })
  assert.deepEqual(secretsOf(same), secretsOf(webhook), 'another path of the same receiver')
})

test('a client certificate with its key, and a CA', async () => {
  const { apply, secretsOf } = toolsOf()
  const { webhook } = await apply(hook, { tls: { certificate: CERTIFICATE, key: KEY, ca: CERTIFICATE } })
  assert.deepEqual(secretsOf(webhook), { tlsKey: KEY })
  assert.deepEqual(shownOptions(webhook.options).tls, { certificate: CERTIFICATE, key: MASKED, ca: CERTIFICATE })
  const { webhook: only } = await apply(webhook, { tls: { ca: CERTIFICATE } })
  assert.deepEqual([only.options.tls, only.sealedOptions], [{ ca: CERTIFICATE }, null])
})

test('a secret for one token endpoint is not sent to another', async () => {
  const { apply } = toolsOf()
  const auth = { kind: 'oauth2', tokenUrl: 'https://id.example/token', clientId: 'c', clientSecret: 's-1' } as const
  const { webhook } = await apply(hook, { auth })
  await apply(webhook, { auth: { ...auth, clientSecret: MASKED, scope: 'more' } })
  const elsewhere = { ...auth, clientSecret: MASKED, tokenUrl: 'https://evil.example/token' }
  await assert.rejects(apply(webhook, { auth: elsewhere }), {
    code: 'invalid',
    field: 'auth.clientSecret',
    message: /give it again/,
  })
})

test('addresses that are new are checked under the networks of the account, and warned about', async () => {
  const { apply, asked } = toolsOf()
  const auth = { kind: 'oauth2', tokenUrl: 'https://new.id.example/token', clientId: 'c', clientSecret: 's' } as const
  const { webhook, warnings } = await apply(hook, { auth, url: 'https://new.example/' })
  assert.deepEqual(warnings, ['new.example does not resolve', 'new.id.example does not resolve'])
  assert.deepEqual(asked, ['under 10.0.0.0/8', 'https://new.example/', 'https://new.id.example/token'])
  asked.length = 0
  await apply(webhook, { auth, url: 'https://new.example/' })
  assert.deepEqual(asked, ['under 10.0.0.0/8'])
})

test('changing the dialect drops the mode that only CloudEvents has, and looks at the deadline again', async () => {
  const { apply } = toolsOf()
  const { webhook } = await apply(hook, { dialect: 'cloudevents', cloudEventsMode: 'binary', timeoutSeconds: 12 })
  assert.equal(webhook.options.cloudEventsMode, 'binary')
  await assert.rejects(apply(webhook, { dialect: 'mftplus' }), {
    ...{
      field: 'timeoutSeconds',
      message: 'timeoutSeconds must be 0.1 to 10 seconds, the deadline of the dialect mftplus, not 12',
    },
  })
  const { webhook: after } = await apply(webhook, { dialect: 'mftplus', timeoutSeconds: null })
  assert.deepEqual(after.options, {})
})

test('signing for another dialect needs a secret, and one is made', async () => {
  const { webhook, madeSecret } = await toolsOf().apply(hook, { alsoSign: ['standard'] })
  assert.deepEqual(webhook.options, { alsoSign: ['standard'] })
  assert.match(madeSecret ?? '', /^whsec_/)
})

const long = (length: number) => 'x'.repeat(length)
const basic = (more: object) => ({ auth: { kind: 'basic' as const, username: 'u', password: 'p', ...more } })
const refusals: { name: string; input: Partial<WebhookInput>; field: string; says: RegExp; code?: string }[] = [
  { name: 'a timeout of nothing', input: { timeoutSeconds: 0 }, field: 'timeoutSeconds', says: /0.1 to 10 seconds.*not 0$/ },
  { name: 'a timeout above the deadline', input: { timeoutSeconds: 10.5 }, field: 'timeoutSeconds', says: /not 10.5/ },
  { name: 'no concurrency', input: { concurrency: 0 }, field: 'concurrency', says: /1 to 1000, not 0/ },
  { name: 'half a post', input: { concurrency: 1.5 }, field: 'concurrency', says: /whole number.*not 1.5/ },
  {
    ...{ name: 'more at once than the plan allows', input: { concurrency: 17 }, field: 'concurrency', code: 'plan_refused' },
    says: /concurrency is 17; the plan team of the account allows 16/,
  },
  {
    ...{
      name: 'more conditions than the plan allows',
      field: 'filter',
      code: 'plan_refused',
      says: /3 conditions; the plan team.*2/,
    },
    input: { filter: { type: 'file.uploaded', 'data.path': '/a', 'data.size': 1 } },
  },
  { name: 'a rate of nothing', input: { rate: { count: 0, perSeconds: 1 } }, field: 'rate.count', says: /1 to 10000, not 0/ },
  { name: 'a rate over years', input: { rate: { count: 1, perSeconds: 3_601 } }, field: 'rate.perSeconds', says: /1 to 3600/ },
  { name: 'an expiry of years', input: { expireAfterSeconds: 2_592_001 }, field: 'expireAfterSeconds', says: /1 to 2592000/ },
  { name: 'a mode of another dialect', input: { cloudEventsMode: 'binary' }, field: 'cloudEventsMode', says: /not mftplus/ },
  { name: 'signing for itself', input: { alsoSign: ['mftplus'] }, field: 'alsoSign', says: /beside the dialect mftplus/ },
  { name: 'a filter on nothing', input: { filter: { 'data.pth': 1 } }, field: 'filter', says: /did you mean "data.path"/ },
  {
    name: 'a header that is no name',
    input: { headers: { 'X Team': 'a' } },
    field: 'headers',
    says: /"X Team" is no header name/,
  },
  {
    name: 'a header with a line end',
    input: { headers: { 'X-A': 'a\r\nX-B: c' } },
    field: 'headers',
    says: /X-A must have visible/,
  },
  { name: 'an empty header', input: { headers: { 'X-A': '' } }, field: 'headers', says: /X-A must have visible/ },
  {
    name: 'a header of the signature',
    input: { headers: { 'x-webhook-Signature': 'a' } },
    field: 'headers',
    says: /set by the server/,
  },
  { name: 'the length', input: { headers: { 'Content-Length': '1' } }, field: 'headers', says: /set by the server/ },
  { name: 'a header twice', input: { headers: { 'X-A': 'a', 'x-a': 'b' } }, field: 'headers', says: /x-a is there twice/ },
  {
    name: 'a long header',
    input: { headers: { 'X-A': { secret: long(4_097) } } },
    field: 'headers',
    says: /4097 characters, at most 4096/,
  },
  {
    ...{ name: 'too many headers', field: 'headers', says: /21 entries, at most 20/ },
    input: { headers: Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`X-${index}`, 'a'])) },
  },
  {
    ...{ name: 'authorization twice', field: 'headers', says: /Authorization is set by auth/ },
    input: { headers: { Authorization: 'Bearer x' }, ...basic({}) },
  },
  { name: 'a masked header that is not stored', input: { headers: { 'X-A': MASKED } }, field: 'headers', says: /X-A is masked/ },
  { name: 'a masked password that is not stored', input: basic({ password: MASKED }), field: 'auth.password', says: /is masked/ },
  { name: 'a colon in a user name', input: basic({ username: 'a:b' }), field: 'auth.username', says: /has a colon/ },
  { name: 'an empty password', input: basic({ password: '' }), field: 'auth.password', says: /1 to 4096 characters, not 0/ },
  {
    name: 'a token with a line end',
    input: { auth: { kind: 'bearer', token: 'a\nb' } },
    field: 'auth.token',
    says: /control char/,
  },
  {
    ...{ name: 'a token endpoint in plain http', field: 'auth.tokenUrl', code: 'url_refused', says: /auth.tokenUrl: plain http/ },
    input: { auth: { kind: 'oauth2', tokenUrl: 'http://id.example/', clientId: 'c', clientSecret: 's' } },
  },
  {
    ...{ name: 'a proxy on a private address', field: 'proxy.url', code: 'url_refused', says: /proxy.url: a private address/ },
    input: { proxy: { url: 'http://proxy.private:3128' } },
  },
  {
    ...{ name: 'a proxy login without a password', field: 'proxy', says: /password is missing/ },
    input: { proxy: { url: 'http://p.example:3128', username: 'u' } },
  },
  { name: 'a certificate without its key', input: { tls: { certificate: CERTIFICATE } }, field: 'tls', says: /key is missing/ },
  { name: 'a key without its certificate', input: { tls: { key: KEY } }, field: 'tls', says: /certificate is missing/ },
  { name: 'a CA that is none', input: { tls: { ca: 'hello' } }, field: 'tls.ca', says: /no PEM certificate/ },
]
for (const { name, input, field, says, code = 'invalid' } of refusals) {
  test(`refused: ${name}`, async () => {
    await assert.rejects(toolsOf().apply(hook, input), (error: Error & { code: string; field: string }) => {
      assert.match(error.message, says)
      assert.deepEqual([error.code, error.field], [code, field])
      return true
    })
  })
}
