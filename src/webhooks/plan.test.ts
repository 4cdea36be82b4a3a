import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPlan, plan, planDelivery } from './plan.ts'
import { eventOf, NOW, webhookOf } from './testing.ts'

const cases = [
  { name: 'a star covers all', webhook: {}, event: {}, asked: true },
  { name: 'the type itself', webhook: { events: ['file.uploaded'] }, event: {}, asked: true },
  { name: 'a group', webhook: { events: ['dir.*', 'file.*'] }, event: {}, asked: true },
  { name: 'another type', webhook: { events: ['file.deleted', 'transfer.*'] }, event: {}, asked: false },
  { name: 'its own account', webhook: { accountId: 'acc_1' }, event: {}, asked: true },
  { name: 'another account', webhook: { accountId: 'acc_2' }, event: {}, asked: false },
  { name: 'a server-wide event, webhook of all', webhook: {}, event: { accountId: null, type: 'system.error' }, asked: true },
  { name: 'a server-wide event, webhook of one', webhook: { accountId: 'acc_1' }, event: { accountId: null }, asked: false },
  { name: 'a filter that takes it', webhook: { filter: { 'data.path': { glob: '/*.csv' } } }, event: {}, asked: true },
  { name: 'a filter that does not', webhook: { filter: { 'data.path': { glob: '/*.txt' } } }, event: {}, asked: false },
  {
    name: 'an alert about another webhook',
    webhook: {},
    event: { type: 'alert.raised', data: { subjectId: 'wh_2' } },
    asked: true,
  },
  { name: 'an alert about itself', webhook: {}, event: { type: 'alert.cleared', data: { subjectId: 'wh_1' } }, asked: false },
  { name: 'switched off', webhook: { state: 'inactive' }, event: {}, asked: false },
  { name: 'failed', webhook: { state: 'failed' }, event: {}, asked: false },
] as const
for (const { name, webhook, event, asked } of cases) {
  test(`plan: ${name}`, () => assert.equal(plan(eventOf(event), [webhookOf(webhook)]).length, asked ? 1 : 0))
}

test('plan: subscriptions that overlap ask once', () => {
  assert.equal(plan(eventOf(), [webhookOf({ events: ['*', 'file.*', 'file.uploaded'] })]).length, 1)
})

test('plan: each webhook gets its own delivery, in its dialect, with the body fixed', () => {
  const [first, second] = plan(eventOf(), [webhookOf(), webhookOf({ id: 'wh_2', dialect: 'trueftp' })])
  assert.ok(first && second)
  assert.match(first.id, /^dlv_[0-9a-z]{16}$/)
  assert.notEqual(first.id, second.id)
  assert.equal(first.id.slice(4, 12), NOW.toString(36).padStart(8, '0'))
  assert.deepEqual([first.webhookId, first.dialect, first.cause, first.eventType], ['wh_1', 'mftplus', 'event', 'file.uploaded'])
  assert.equal(JSON.parse(first.body).id, 'whevt_1a2b3c4d5e6f7g8h')
  assert.equal(JSON.parse(second.body).delivery_id, second.id)
})

test('createPlan: the ids come from the bytes handed in', () => {
  const zeros = createPlan((into) => into.fill(0))
  assert.deepEqual(zeros(eventOf(), [webhookOf()]), zeros(eventOf(), [webhookOf()]))
})

test('planDelivery: says why and takes its time from the caller', () => {
  const resend = planDelivery(eventOf(), webhookOf(), 'resend', NOW + 1000)
  assert.equal(resend.cause, 'resend')
  assert.equal(resend.id.slice(4, 12), (NOW + 1000).toString(36).padStart(8, '0'))
})
