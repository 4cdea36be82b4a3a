import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  CATALOGUE,
  EVENT_GROUPS,
  EVENT_TYPES,
  isEventType,
  isSubscription,
  matches,
  nearestEventType,
  nearestSubscription,
} from './catalogue.ts'

test('the catalogue holds 17 MFTPlus, 6 TrueFTP and 10 types of ours', () => {
  const count = (source: string) => EVENT_TYPES.filter((type) => CATALOGUE[type].source === source).length
  assert.deepEqual([count('mftplus'), count('trueftp'), count('landfall')], [17, 6, 10])
})

test('the documented payloads are the five of MFTPlus and the one of TrueFTP', () => {
  assert.deepEqual(
    EVENT_TYPES.filter((type) => CATALOGUE[type].documented),
    [
      'transfer.completed',
      'transfer.failed',
      'agent.disconnected',
      'agent.certificate.expiring',
      'job.completed',
      'file.uploaded',
    ],
  )
})

test('groups are the dotted beginnings of the types', () => {
  assert.deepEqual(EVENT_GROUPS, [
    'transfer.*',
    'agent.*',
    'agent.certificate.*',
    'job.*',
    'system.*',
    'system.health.*',
    'system.storage.*',
    'file.*',
    'dir.*',
    'ftp_user.*',
    'webhook.*',
    'alert.*',
  ])
})

const matching = [
  { subscription: '*', type: 'system.error', covered: true },
  { subscription: 'transfer.completed', type: 'transfer.completed', covered: true },
  { subscription: 'transfer.completed', type: 'transfer.created', covered: false },
  { subscription: 'transfer.*', type: 'transfer.progress', covered: true },
  { subscription: 'agent.*', type: 'agent.certificate.expired', covered: true },
  { subscription: 'agent.certificate.*', type: 'agent.certificate.expired', covered: true },
  { subscription: 'agent.certificate.*', type: 'agent.connected', covered: false },
  { subscription: 'file.*', type: 'dir.created', covered: false },
  { subscription: 'fil.*', type: 'file.uploaded', covered: false },
  { subscription: 'file*', type: 'file.uploaded', covered: false },
  { subscription: '.*', type: 'file.uploaded', covered: false },
  { subscription: '', type: 'file.uploaded', covered: false },
] as const
for (const { subscription, type, covered } of matching) {
  test(`'${subscription}' ${covered ? 'covers' : 'does not cover'} ${type}`, () =>
    assert.equal(matches(subscription, type), covered))
}

test('whatever covers a type is a subscription', () => {
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom(...EVENT_GROUPS, ...EVENT_TYPES, '*'),
    fc.constantFrom(...EVENT_TYPES).chain((type) => fc.nat(type.length).map((cut) => `${type.slice(0, cut)}*`)),
  )
  fc.assert(
    fc.property(text, fc.constantFrom(...EVENT_TYPES), (subscription, type) => {
      if (matches(subscription, type)) assert.ok(isSubscription(subscription))
    }),
  )
})

test('members of Object.prototype are not event types', () => {
  for (const text of ['constructor', 'toString', '__proto__', '']) assert.equal(isEventType(text), false)
})

const misspelt = [
  { text: 'file.upload', type: 'file.uploaded' },
  { text: 'File.Uploaded', type: 'file.uploaded' },
  { text: 'transfer.complete', type: 'transfer.completed' },
  { text: 'transfers.*', type: 'transfer.created', subscription: 'transfer.*' },
  { text: 'ftp-user.created', type: 'ftp_user.created' },
  { text: 'everything', type: 'file.uploaded' },
  { text: 'x'.repeat(1_000_000), type: 'file.uploaded' },
]
for (const { text, type, subscription = type } of misspelt) {
  test(`the names nearest to '${text.slice(0, 20)}' are ${type} and ${subscription}`, () => {
    assert.deepEqual([nearestEventType(text), nearestSubscription(text)], [type, subscription])
  })
}

test('where only a type is taken, a type is offered: of a group one of its own', () => {
  for (const group of EVENT_GROUPS)
    assert.ok(isEventType(nearestEventType(group)) && matches(group, nearestEventType(group)), group)
  assert.equal(nearestEventType('*'), 'file.uploaded')
})
