import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../audit/caller.ts'
import type { AuditEntry } from '../../audit/entry.ts'
import { AppError } from '../../base/error.ts'
import { createSeal } from '../../base/seal.ts'
import type { EventDraft } from '../../events/event.ts'
import type { WebhookStore } from '../port.ts'
import { deliveryOf, eventOf, NOW } from '../testing.ts'
import { type Attempt, type DeliveryRecord, type PlannedDelivery, type Webhook, webhookSecretPurpose } from '../webhook.ts'
import { createWebhookAdmin, type Placement } from './administer.ts'
import type { Allowance } from './allowance.ts'
import type { WebhookInput } from './input.ts'

const seal = createSeal(new Uint8Array(32))
const admin: Caller = { accountId: null, actor: 'root', address: '127.0.0.1', door: 'api' }
const owner: Caller = { accountId: 'acc_1', actor: 'key', address: '127.0.0.1', door: 'api' }
const stranger: Caller = { ...owner, accountId: 'acc_2' }
const placement: Placement = { accountId: 'acc_1', dialect: 'mftplus' }
const PLAN: Allowance = {
  ...{ plan: 'business', webhooks: true, webhooksMax: 10, filterConditionsMax: 5, concurrencyMax: 10, egressAllow: null },
}
const input: WebhookInput = { url: 'https://receiver.example/hook', events: ['file.uploaded'] }

function worldOf(limits: Partial<Allowance> = {}) {
  const plan = { ...PLAN, ...limits }
  const webhooks = new Map<string, Webhook>()
  const audits: AuditEntry[] = []
  const added: PlannedDelivery[] = []
  const samples: EventDraft[] = []
  const nudged: string[] = []
  const steps: string[] = []
  const planned = deliveryOf(1)
  const row = { id: 'dlv_1', attempts: 1, state: 'failed' } as unknown as DeliveryRecord
  const attempts = [{ number: 1, startedAt: NOW - 5000 } as Attempt]
  const store: WebhookStore = {
    async createWebhook(webhook, { webhooksMax }, audit) {
      if (webhooks.size >= webhooksMax) throw new AppError('limit_reached', `${webhooksMax} webhooks`)
      webhooks.set(webhook.id, webhook)
      audits.push(audit)
    },
    async updateWebhook(webhook, before, audit) {
      const now = webhooks.get(webhook.id)!
      if (now.state !== before.state || now.updatedAt !== before.updatedAt) throw new AppError('conflict', 'changed')
      webhooks.set(webhook.id, webhook)
      audits.push(audit)
      steps.push(`${webhook.state}, ${webhook.order}`)
    },
    async makeDue(_webhookId, at, limit) {
      assert.equal(at, NOW)
      return step('makeDue', limit)
    },
    leaveOrder: async (_webhookId, kept, limit) => step(`leaveOrder but ${kept}`, limit),
    async removeWebhook(id, audit) {
      webhooks.delete(id)
      audits.push(audit)
    },
    findWebhook: async (id) => webhooks.get(id),
    listWebhooks: async ({ accountId }) => {
      const rows = [...webhooks.values()].filter((webhook) => accountId === undefined || webhook.accountId === accountId)
      return { rows, total: rows.length }
    },
    listDeliveries: async () => ({ rows: [row], total: 1 }),
    listAttempts: async () => ({ rows: [], total: 0 }),
    findDelivery: async (_webhookId, id) => (id === 'dlv_1' ? { delivery: row, planned, attempts } : undefined),
    async addDelivery(delivery, _createdAt, audit) {
      added.push(delivery)
      audits.push(audit)
    },
    async addTest(event, delivery, audit) {
      samples.push(event)
      added.push(delivery)
      audits.push(audit)
    },
  }
  /** One that takes all it can, one of which others have ended some meanwhile, and one that finds nothing. */
  function step(name: string, limit: number): number {
    const before = steps.length - steps.findLastIndex((one) => one !== name) - 1
    steps.push(name)
    return [limit, limit - 1][before] ?? 0
  }
  const service = createWebhookAdmin({
    ...{ store, seal, clock: { now: () => NOW }, nudge: (ids) => nudged.push(...ids) },
    events: {
      findEvent: async (id) => (id === 'whevt_1' ? eventOf({ id }) : undefined),
      listEvents: async () => ({ rows: [eventOf({ id: 'whevt_1' })], total: 1 }),
    },
    allowanceOf: async () => plan,
    guard: {
      under() {
        return this
      },
      checkProxy: (url) =>
        url.startsWith('http') ? { allowed: true, url: new URL(url) } : { allowed: false, reason: 'no proxy' },
      checkUrl: (url) =>
        url.startsWith('https:') ? { allowed: true, url: new URL(url) } : { allowed: false, reason: 'plain http' },
      checkHost: async ({ hostname }) =>
        hostname.endsWith('.private')
          ? { allowed: false, reason: 'a private address' }
          : { allowed: true, warning: 'does not resolve' },
    },
  })
  const secretOf = ({ id }: Webhook) => {
    const { sealedSecret } = webhooks.get(id)!
    return sealedSecret === null ? null : seal.open(sealedSecret, webhookSecretPurpose(id))
  }
  return { service, webhooks, audits, added, samples, nudged, steps, secretOf, store, plan }
}

test('create: what is left out gets its default', async () => {
  const { service, webhooks, audits, secretOf } = worldOf()
  const { webhook, madeSecret, warnings } = await service.create(input, placement, owner)
  assert.deepEqual(webhooks.get(webhook.id), webhook)
  const { name, state, dialect, accountId, retryDelaysSeconds, events } = webhook
  assert.deepEqual(
    { name, state, dialect, accountId, retryDelaysSeconds, events },
    {
      ...{ name: 'receiver.example', state: 'active', dialect: 'mftplus', accountId: 'acc_1', retryDelaysSeconds: null },
      events: ['file.uploaded'],
    },
  )
  assert.deepEqual([madeSecret, secretOf(webhook), warnings], [null, null, ['does not resolve']])
  const [entry] = audits
  assert.deepEqual([entry?.action, entry?.target, entry?.actor, entry?.accountId], ['webhook.create', webhook.id, 'key', 'acc_1'])
})

test('create: a given secret is sealed for this webhook and never shown', async () => {
  const { service, secretOf } = worldOf()
  const { webhook, madeSecret } = await service.create({ ...input, secret: 'your-signing-secret' }, placement, owner)
  assert.equal(secretOf(webhook), 'your-signing-secret')
  assert.equal(madeSecret, null)
  assert.ok(!JSON.stringify(webhook).includes('your-signing-secret'))
})

test('create: a dialect that signs always gets a secret made, told once', async () => {
  const { service, secretOf } = worldOf()
  const { webhook, madeSecret } = await service.create(input, { ...placement, dialect: 'trueftp' }, owner)
  assert.match(madeSecret ?? '', /^whsec_[0-9a-z]{32}$/)
  assert.equal(secretOf(webhook), madeSecret)
})

const refusals: { name: string; input: Partial<WebhookInput>; code: string; field: string; says: RegExp }[] = [
  { name: 'plain http', input: { url: 'http://a.example' }, code: 'url_refused', field: 'url', says: /plain http/ },
  { name: 'a private host', input: { url: 'https://a.private' }, code: 'url_refused', field: 'url', says: /private address/ },
  { name: 'no events', input: { events: [] }, code: 'invalid', field: 'events', says: /1 to 100 entries, not 0/ },
  { name: 'too many events', input: { events: Array(101).fill('*') }, code: 'invalid', field: 'events', says: /not 101/ },
  {
    name: 'an unknown event',
    input: { events: ['file.uploadd'] },
    code: 'invalid',
    field: 'events',
    says: /"file.uploadd".*"file.uploaded"/,
  },
  { name: 'an unknown group', input: { events: ['files.*'] }, code: 'invalid', field: 'events', says: /"file.\*"/ },
  { name: 'an empty name', input: { name: ' ' }, code: 'invalid', field: 'name', says: /1 to 100 characters, not 0/ },
  { name: 'a name with NUL', input: { name: 'a\0' }, code: 'invalid', field: 'name', says: /control character \(U\+0000\)/ },
  { name: 'a name that turns', input: { name: '\u202ea' }, code: 'invalid', field: 'name', says: /\(U\+202E\)/ },
  { name: 'a long name', input: { name: 'x'.repeat(101) }, code: 'invalid', field: 'name', says: /not 101/ },
  { name: 'a short secret', input: { secret: 'hunter2' }, code: 'invalid', field: 'secret', says: /8 to 256 characters, not 7/ },
  { name: 'a long secret', input: { secret: 'x'.repeat(257) }, code: 'invalid', field: 'secret', says: /not 257/ },
  {
    name: 'a dialect',
    input: { dialect: 'mftpluss' },
    code: 'invalid',
    field: 'dialect',
    says: /mftplus, trueftp.*did you mean "mftplus"/,
  },
  {
    name: 'too many delays',
    input: { retry: { delaysSeconds: Array(21).fill(1) } },
    code: 'invalid',
    field: 'retry.delaysSeconds',
    says: /0 to 20 entries, not 21/,
  },
  {
    name: 'a negative delay',
    input: { retry: { delaysSeconds: [1, -1] } },
    code: 'invalid',
    field: 'retry.delaysSeconds',
    says: /0 to 86400 seconds, not -1/,
  },
  {
    name: 'a long delay',
    input: { retry: { delaysSeconds: [86_401] } },
    code: 'invalid',
    field: 'retry.delaysSeconds',
    says: /not 86401/,
  },
  {
    name: 'no number',
    input: { retry: { delaysSeconds: [Number.NaN] } },
    code: 'invalid',
    field: 'retry.delaysSeconds',
    says: /not NaN/,
  },
]
for (const { name, input: wrong, code, field, says } of refusals) {
  test(`create and update refuse ${name}, and store nothing`, async () => {
    const { service, webhooks } = worldOf()
    const isRefusal = (error: unknown) => {
      assert.ok(error instanceof AppError)
      assert.deepEqual([error.code, error.field], [code, field])
      assert.match(error.message, says)
      assert.ok(!error.message.includes('hunter2'))
      return true
    }
    await assert.rejects(service.create({ ...input, ...wrong }, placement, owner), isRefusal)
    assert.equal(webhooks.size, 0)
    const { webhook } = await service.create(input, placement, owner)
    await assert.rejects(service.update(webhook.id, wrong, owner), isRefusal)
    assert.deepEqual(webhooks.get(webhook.id), webhook)
  })
}

test('create: a plan that is full', async () => {
  const { service } = worldOf({ webhooksMax: 0 })
  await assert.rejects(service.create(input, placement, owner), { code: 'limit_reached' })
})

test('a plan without webhooks: none is made, turned on, tested or sent to by hand; what it is may be changed', async () => {
  const { service, plan } = worldOf()
  const { webhook } = await service.create({ ...input, active: false }, placement, owner)
  Object.assign(plan, { webhooks: false, plan: 'starter' })
  const refused = { code: 'plan_refused', message: 'the plan of the account does not include webhooks; it is starter' }
  await assert.rejects(service.create(input, placement, owner), refused)
  await assert.rejects(service.update(webhook.id, { active: true }, owner), refused)
  await assert.rejects(service.test(webhook.id, 'file.uploaded', owner), refused)
  await assert.rejects(service.redeliver(webhook.id, 'dlv_1', owner), refused)
  await assert.rejects(service.getIncluded(webhook.id, owner), refused)
  assert.equal((await service.update(webhook.id, { name: 'renamed' }, owner)).webhook.name, 'renamed')
})

test('update: changes what is named and keeps the rest', async () => {
  const { service, secretOf } = worldOf()
  const { webhook } = await service.create(
    { ...input, secret: 'your-signing-secret', retry: { delaysSeconds: [1] } },
    placement,
    owner,
  )
  const { webhook: after } = await service.update(webhook.id, { events: ['*', '*', 'dir.*'] }, owner)
  // A change is told by its time, also within one ms.
  assert.deepEqual(after, { ...webhook, events: ['*', 'dir.*'], updatedAt: webhook.updatedAt + 1 })
  assert.equal(secretOf(after), 'your-signing-secret')
  const { webhook: later } = await service.update(webhook.id, { retry: null, secret: null, active: false }, owner)
  assert.deepEqual([later.retryDelaysSeconds, later.sealedSecret, later.state], [null, null, 'inactive'])
})

test('update: active brings a failed webhook back and wakes the engine', async () => {
  const { service, webhooks, nudged } = worldOf()
  const { webhook } = await service.create(input, placement, owner)
  webhooks.set(webhook.id, { ...webhook, state: 'failed', failedReason: 'status 500' })
  const { webhook: renamed } = await service.update(webhook.id, { name: 'orders' }, owner)
  assert.deepEqual([renamed.state, renamed.failedReason], ['failed', 'status 500'])
  assert.deepEqual(nudged, [])
  const { webhook: back } = await service.update(webhook.id, { active: true }, owner)
  assert.deepEqual([back.state, back.failedReason], ['active', null])
  assert.deepEqual(nudged, [webhook.id])
})

test('update: a failed webhook that is deactivated still knows which delivery turned it off, until it is active', async () => {
  const { service, webhooks } = worldOf()
  const { webhook } = await service.create(input, placement, owner)
  webhooks.set(webhook.id, { ...webhook, state: 'failed', failedReason: 'status 500', failedDeliveryId: 'dlv_1' })
  const { webhook: paused } = await service.update(webhook.id, { active: false }, owner)
  assert.deepEqual([paused.state, paused.failedReason, paused.failedDeliveryId], ['inactive', null, 'dlv_1'])
  const { webhook: back } = await service.update(webhook.id, { active: true }, owner)
  assert.equal(back.failedDeliveryId, null)
})

test('update: a dialect that signs always makes or keeps a secret and does not let go of it', async () => {
  const { service, secretOf } = worldOf()
  const { webhook } = await service.create(input, placement, owner)
  const { webhook: signed, madeSecret } = await service.update(webhook.id, { dialect: 'trueftp' }, owner)
  assert.equal(secretOf(signed), madeSecret)
  await assert.rejects(service.update(webhook.id, { secret: null }, owner), { code: 'invalid', field: 'secret' })
  assert.equal((await service.update(webhook.id, { secret: 'another secret' }, owner)).madeSecret, null)
})

test('scope: an account sees only its own webhooks, an administrator all', async () => {
  const { service } = worldOf()
  const { webhook } = await service.create(input, placement, owner)
  const global = await service.create(input, { ...placement, accountId: null }, admin)
  const page = { limit: 10, offset: 0 }
  assert.equal((await service.list({}, page, admin)).total, 2)
  assert.equal((await service.list({ accountId: 'acc_1' }, page, admin)).total, 1)
  assert.equal((await service.list({ accountId: 'acc_1' }, page, stranger)).total, 0)
  assert.equal((await service.get(webhook.id, admin)).id, webhook.id)
  const calls = [
    () => service.get(webhook.id, stranger),
    () => service.get(global.webhook.id, owner),
    () => service.update(webhook.id, { active: false }, stranger),
    () => service.remove(webhook.id, stranger),
    () => service.deliveries(webhook.id, {}, page, stranger),
    () => service.attempts(webhook.id, page, stranger),
    () => service.delivery(webhook.id, 'dlv_1', stranger),
    () => service.redeliver(webhook.id, 'dlv_1', stranger),
    () => service.test(webhook.id, 'file.uploaded', stranger),
    () => service.get('wh_none', admin),
  ]
  for (const call of calls) await assert.rejects(call(), { code: 'not_found' }, call.toString())
})

test('remove: it is gone, and the trail says who did it', async () => {
  const { service, webhooks, audits } = worldOf()
  const { webhook } = await service.create(input, placement, owner)
  await service.remove(webhook.id, admin)
  assert.equal(webhooks.size, 0)
  assert.deepEqual([audits.at(-1)?.action, audits.at(-1)?.actor], ['webhook.remove', 'root'])
})

test('delivery: shows the request of the last attempt with its signature masked', async () => {
  const { service } = worldOf()
  const { webhook } = await service.create({ ...input, secret: 'your-signing-secret' }, placement, owner)
  const { request, attemptLog } = await service.delivery(webhook.id, 'dlv_1', owner)
  assert.deepEqual(request, {
    url: input.url,
    headers: {
      'Content-Type': 'application/json',
      'User-Agent': 'MFTPlus-Webhook/1.0',
      'X-Webhook-ID': 'dlv_1',
      'X-Webhook-Timestamp': `${Math.floor((NOW - 5000) / 1000)}`,
      'X-Webhook-Signature': 'sha256=********',
    },
    body: deliveryOf(1).body,
  })
  assert.equal(attemptLog.length, 1)
  await assert.rejects(service.delivery(webhook.id, 'dlv_2', owner), { code: 'not_found' })
})

test('delivery: without a secret no signature is shown', async () => {
  const { service } = worldOf()
  const { webhook } = await service.create(input, placement, owner)
  assert.ok(!('X-Webhook-Signature' in (await service.delivery(webhook.id, 'dlv_1', owner)).request.headers))
})

test('redeliver: a new delivery of the same event, in the present dialect', async () => {
  const { service, added, nudged, audits } = worldOf()
  const { webhook } = await service.create({ ...input, dialect: 'trueftp' }, placement, owner)
  const record = await service.redeliver(webhook.id, 'dlv_1', owner)
  const [planned] = added
  assert.deepEqual(
    [planned?.eventId, planned?.cause, planned?.dialect, planned?.webhookId],
    ['whevt_1', 'resend', 'trueftp', webhook.id],
  )
  assert.deepEqual([record.id, record.state, record.nextAttemptAt], [planned?.id, 'waiting', NOW])
  assert.deepEqual(nudged, [webhook.id])
  assert.deepEqual([audits.at(-1)?.action, audits.at(-1)?.detail], ['webhook.redeliver', 'dlv_1'])
})

test('redeliver: while the webhook is off it waits without a time', async () => {
  const { service } = worldOf()
  const { webhook } = await service.create({ ...input, active: false }, placement, owner)
  assert.equal((await service.redeliver(webhook.id, 'dlv_1', owner)).nextAttemptAt, null)
})

test('test: a sample of the type through the real path', async () => {
  const { service, added, samples, nudged } = worldOf()
  const { webhook } = await service.create(input, placement, owner)
  const record = await service.test(webhook.id, 'transfer.completed', owner)
  assert.deepEqual([samples[0]?.type, samples[0]?.accountId], ['transfer.completed', 'acc_1'])
  assert.equal(JSON.parse(added[0]!.body).data.status, 'completed')
  assert.deepEqual([record.cause, record.eventId], ['test', samples[0]?.id])
  assert.deepEqual(nudged, [webhook.id])
})

test('test: an unknown type, and a webhook that is off', async () => {
  const { service } = worldOf()
  const { webhook } = await service.create(input, placement, owner)
  await assert.rejects(service.test(webhook.id, 'file.uploadet', owner), {
    code: 'invalid',
    field: 'event',
    message: /"file.uploaded"/,
  })
  await service.update(webhook.id, { active: false }, owner)
  await assert.rejects(service.test(webhook.id, 'file.uploaded', owner), { code: 'conflict' })
})

test('update: a webhook that the engine fails in between stays failed, and the change is made to it', async () => {
  const { service, webhooks, store } = worldOf()
  const { webhook } = await service.create(input, placement, owner)
  const { findWebhook } = store
  let reads = 0
  store.findWebhook = async (id) => {
    const found = await findWebhook(id)
    if (++reads === 1) webhooks.set(id, { ...webhook, state: 'failed', failedReason: 'attempts used up', updatedAt: NOW + 1 })
    return found
  }
  const { webhook: changed } = await service.update(webhook.id, { name: 'renamed' }, owner)
  assert.deepEqual([changed.name, changed.state, changed.failedReason], ['renamed', 'failed', 'attempts used up'])
})

test('update: many at the same time are all made, one after the other', async () => {
  const { service, webhooks } = worldOf()
  const { webhook } = await service.create(input, placement, owner)
  await Promise.all(Array.from({ length: 20 }, (_, index) => service.update(webhook.id, { name: `n${index}` }, owner)))
  assert.equal(webhooks.get(webhook.id)?.name, 'n19')
})

test('preview: a change is checked and tried as it would be made, and is not made', async () => {
  const { service, webhooks } = worldOf()
  const { webhook } = await service.create(input, placement, owner)
  const { wouldSend } = await service.preview(webhook.id, { filter: { 'data.path': '/else' }, dialect: 'standard' }, owner)
  assert.equal(wouldSend, 0)
  const { events } = await service.preview(webhook.id, { dialect: 'standard', limit: 1 }, owner)
  assert.deepEqual(Object.keys(events[0]!.request!.headers).slice(-1), ['webhook-signature'])
  assert.deepEqual(webhooks.get(webhook.id), webhook)
  await assert.rejects(service.preview(webhook.id, { filter: { 'data.pth': 1 } }, owner), { field: 'filter' })
  await assert.rejects(service.preview(webhook.id, {}, stranger), { code: 'not_found' })
})

test('update: what waits is made due before the webhook is turned on, so that one who dies in between has turned on nothing', async () => {
  const { service, steps } = worldOf()
  const { webhook } = await service.create(input, placement, owner)
  await service.update(webhook.id, { active: false }, owner)
  await service.update(webhook.id, { active: true }, owner)
  await service.update(webhook.id, { active: true }, owner)
  assert.deepEqual(steps, ['inactive, none', 'makeDue', 'makeDue', 'makeDue', 'active, none', 'active, none'])
})

test('update: what waits in an order leaves it once nothing new takes a place there, each time that none is said', async () => {
  const { service, steps } = worldOf()
  const { webhook } = await service.create({ ...input, order: 'webhook' }, placement, owner)
  await service.update(webhook.id, { name: 'x' }, owner)
  await service.update(webhook.id, { order: 'none' }, owner)
  await service.update(webhook.id, { order: 'none' }, owner)
  const left = Array.from({ length: 3 }, () => 'leaveOrder but progress:')
  assert.deepEqual(steps, ['active, webhook', 'active, none', ...left, 'active, none', ...left])
})
