import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Condition, type Filter, matchesFilter, unmetMember } from './filter.ts'
import { eventOf } from './testing.ts'

const upload = eventOf({
  type: 'file.uploaded',
  accountId: 'acc_1',
  data: { path: '/incoming/2026/order.csv', size: 20_480, username: 'pipeline', client_ip: '203.0.113.5' },
})
const health = eventOf({
  type: 'system.health.degraded',
  accountId: null,
  data: { status: 'degraded', checks: { disk: { status: 'fail' } } },
})
const made = eventOf({ type: 'ftp_user.created', data: { username: 'a', permissions: ['list', 'read'] } })
const set = eventOf({ type: 'file.set_complete', data: { paths: ['/a.csv', '/b.txt'], size: 10 } })

const cases: { name: string; filter: Filter; event?: typeof upload; holds: boolean }[] = [
  { name: 'no condition at all', filter: {}, holds: true },
  { name: 'an equal text', filter: { 'data.username': 'pipeline' }, holds: true },
  { name: 'another text', filter: { 'data.username': 'pipelin' }, holds: false },
  { name: 'an equal number', filter: { 'data.size': 20_480 }, holds: true },
  { name: 'a number is not its text', filter: { 'data.size': '20480' }, holds: false },
  { name: 'the type', filter: { type: 'file.uploaded' }, holds: true },
  { name: 'the type by its other name', filter: { event: { in: ['file.deleted'] } }, holds: false },
  { name: 'the account', filter: { accountId: 'acc_1' }, holds: true },
  { name: 'a server-wide event has no account', filter: { accountId: { exists: false } }, event: health, holds: true },
  { name: 'one of a list', filter: { 'data.username': { in: ['a', 'pipeline'] } }, holds: true },
  { name: 'none of a list', filter: { 'data.username': { in: ['a', 'b'] } }, holds: false },
  { name: 'a glob', filter: { 'data.path': { glob: '/incoming/**/*.csv' } }, holds: true },
  { name: 'a glob on a number', filter: { 'data.size': { glob: '*' } }, holds: false },
  { name: 'a prefix', filter: { 'data.path': { prefix: '/incoming/2026/' } }, holds: true },
  { name: 'another prefix', filter: { 'data.path': { prefix: '/outgoing' } }, holds: false },
  { name: 'within a range', filter: { 'data.size': { gt: 20_479, lte: 20_480 } }, holds: true },
  { name: 'the bound of gt is out', filter: { 'data.size': { gt: 20_480 } }, holds: false },
  { name: 'the bound of gte is in', filter: { 'data.size': { gte: 20_480 } }, holds: true },
  { name: 'the bound of lt is out', filter: { 'data.size': { lt: 20_480 } }, holds: false },
  { name: 'both ends must hold', filter: { 'data.size': { gte: 1, lt: 20_000 } }, holds: false },
  { name: 'exists', filter: { 'data.path': { exists: true } }, holds: true },
  { name: 'does not exist', filter: { 'data.sha256': { exists: false } }, holds: true },
  { name: 'a missing member meets no test', filter: { 'data.sha256': { prefix: '' } }, holds: false },
  { name: 'a missing member is not null', filter: { 'data.sha256': null }, holds: false },
  { name: 'a missing member is not what it is asked not to be', filter: { 'data.sha256': { not: 'x' } }, holds: true },
  { name: 'not', filter: { 'data.path': { not: { glob: '/**/*.tmp' } } }, holds: true },
  { name: 'not not', filter: { 'data.path': { not: { not: { prefix: '/' } } } }, holds: true },
  { name: 'all conditions must hold', filter: { 'data.size': { gt: 1 }, 'data.username': 'x' }, holds: false },
  { name: 'a nested member', filter: { 'data.checks.disk.status': 'fail' }, event: health, holds: true },
  { name: 'a nested member below a text', filter: { 'data.status.length': { exists: true } }, event: health, holds: false },
  { name: 'one value of a list', filter: { 'data.permissions': 'read' }, event: made, holds: true },
  { name: 'no value of a list', filter: { 'data.permissions': { not: 'write' } }, event: made, holds: true },
  { name: 'not is of the list, not of a value', filter: { 'data.permissions': { not: 'read' } }, event: made, holds: false },
  { name: 'one value meets all tests', filter: { 'data.paths': { prefix: '/a', glob: '/*.txt' } }, event: set, holds: false },
  { name: 'what objects inherit is no member', filter: { 'data.toString': { exists: true } }, holds: false },
  { name: 'the prototype is no member', filter: { 'data.__proto__': { exists: true } }, holds: false },
]
for (const { name, filter, event = upload, holds } of cases) {
  test(`matchesFilter: ${name}`, () => assert.equal(matchesFilter(filter, event), holds))
}

test('no filter matches everything', () => assert.equal(matchesFilter(null, upload), true))

test('unmetMember: the first condition that does not hold', () => {
  assert.equal(unmetMember({ type: 'file.uploaded', 'data.size': { gt: 1e9 }, 'data.username': 'x' }, upload), 'data.size')
  assert.equal(unmetMember({ type: 'file.uploaded' }, upload), null)
})

const scalar = fc.oneof(
  fc.constantFrom('', '/a', '/a/b.csv', 'ab'),
  fc.integer({ min: -3, max: 3 }),
  fc.boolean(),
  fc.constant(null),
)
const conditions = fc.letrec<{ condition: Condition }>((tie) => ({
  condition: fc.oneof(
    { depthSize: 'small' },
    scalar,
    fc.record(
      {
        in: fc.array(scalar, { maxLength: 3 }),
        glob: fc.constantFrom('/a', '/*', '/**', '**/*.csv', '?'),
        prefix: fc.constantFrom('', '/', '/a/'),
        gt: fc.integer({ min: -3, max: 3 }),
        gte: fc.integer({ min: -3, max: 3 }),
        lt: fc.integer({ min: -3, max: 3 }),
        lte: fc.integer({ min: -3, max: 3 }),
        exists: fc.boolean(),
        not: tie('condition'),
      },
      { requiredKeys: [] },
    ),
  ),
})).condition
const members = fc.constantFrom('type', 'event', 'accountId', 'data.a', 'data.a.b', 'data', 'other', 'data.')
const datas = fc.oneof(
  fc.record({ a: fc.oneof(scalar, fc.array(scalar), fc.record({ b: scalar }), fc.anything()) }, { requiredKeys: [] }),
  fc.object(),
)

test('property: not is the complement, whatever the member holds', () => {
  fc.assert(
    fc.property(members, conditions, datas, (member, condition, data) => {
      const event = eventOf({ data: data as Record<string, unknown> })
      assert.notEqual(matchesFilter({ [member]: condition }, event), matchesFilter({ [member]: { not: condition } }, event))
    }),
  )
})

test('property: a filter holds when each of its conditions does', () => {
  fc.assert(
    fc.property(fc.dictionary(members, conditions), datas, (filter, data) => {
      const event = eventOf({ data: data as Record<string, unknown> })
      const each = Object.entries(filter).every(([member, condition]) => matchesFilter({ [member]: condition }, event))
      assert.equal(matchesFilter(filter, event), each)
    }),
  )
})
