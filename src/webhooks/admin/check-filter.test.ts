import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AppError } from '../../base/error.ts'
import { EVENT_TYPES } from '../../events/catalogue.ts'
import { SAMPLES } from '../../events/samples.ts'
import type { Filter } from '../filter.ts'
import { checkFilter } from './check-filter.ts'
import { memberNames } from './members.ts'

const accepted: { name: string; events: string[]; filter: Filter }[] = [
  { name: 'no condition', events: ['*'], filter: {} },
  { name: 'a glob on a path', events: ['file.*'], filter: { 'data.path': { glob: '/incoming/**/*.csv' } } },
  { name: 'a range on a number', events: ['file.uploaded'], filter: { 'data.size': { gte: 1, lt: 1e9 } } },
  { name: 'a member that is optional', events: ['file.uploaded'], filter: { 'data.sha256': { exists: true } } },
  { name: 'a member of only some of the types', events: ['file.*', 'transfer.*'], filter: { 'data.transferId': 'trf_1' } },
  { name: 'members of the event itself', events: ['file.*'], filter: { type: { in: ['file.uploaded'] }, account_id: 'acc_1' } },
  { name: 'one of the words it can be', events: ['transfer.created'], filter: { 'data.direction': 'pull' } },
  { name: 'a word of another type', events: ['transfer.*'], filter: { 'data.status': { in: ['queued', 'failed'] } } },
  { name: 'a value of a list', events: ['ftp_user.created'], filter: { 'data.permissions': { not: 'write' } } },
  { name: 'a member below any name', events: ['system.*'], filter: { 'data.checks.disk.status': 'fail' } },
  { name: 'an object that exists', events: ['system.*'], filter: { 'data.checks.tapes': { exists: true } } },
  { name: 'a range of one number', events: ['file.uploaded'], filter: { 'data.size': { gte: 5, lte: 5 } } },
  { name: 'a range with an end twice', events: ['file.uploaded'], filter: { 'data.size': { gt: 1, gte: 5, lte: 5, lt: 6 } } },
  { name: 'types that begin so', events: ['*'], filter: { type: { prefix: 'file.', glob: '*ed' } } },
  { name: 'a value that meets the other test', events: ['file.*'], filter: { 'data.path': { in: ['/a', '/b'], prefix: '/b' } } },
  {
    name: 'no member, or not this value',
    events: ['file.*'],
    filter: { 'data.sha256': { exists: false, not: { prefix: 'a' } } },
  },
  {
    name: 'one value of a list but no other',
    events: ['ftp_user.*'],
    filter: { 'data.permissions': { in: ['read'], not: 'write' } },
  },
  { name: 'any account', events: ['*'], filter: { accountId: { prefix: 'zzz' } } },
  { name: 'three times not', events: ['*'], filter: { 'data.path': { not: { not: { not: '/a' } } } } },
]
for (const { name, events, filter } of accepted) {
  test(`checkFilter takes ${name}`, () => assert.equal(checkFilter(filter, events), filter))
}

const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`data.m${index}`, 1]))
const refused: { name: string; events?: string[]; filter: unknown; says: RegExp }[] = [
  { name: 'a text', filter: 'data.path', says: /must be an object of conditions/ },
  { name: 'a list', filter: [], says: /must be an object of conditions/ },
  { name: 'too many conditions', filter: many(21), says: /21 conditions, at most 20/ },
  {
    name: 'a misspelt member',
    filter: { 'data.pth': 1 },
    says: /"data.pth" is no member of file.uploaded; did you mean "data.path"\?/,
  },
  { name: 'a member without its root', filter: { path: '/a' }, says: /"path" is no member/ },
  { name: 'the member of a type that is not subscribed', filter: { 'data.transferId': 'x' }, says: /no member of file.uploaded/ },
  {
    name: 'a misspelt nested member',
    events: ['system.*'],
    filter: { 'data.checks.disk.state': 'x' },
    says: /no member of the subs/,
  },
  {
    name: 'what objects inherit',
    filter: { 'data.constructor': 1, 'data.__proto__': 1 },
    says: /"data.constructor" is no member/,
  },
  { name: 'all of data', filter: { data: 1 }, says: /data is an object, so it never equals 1/ },
  { name: 'a number for a text', filter: { 'data.path': 7 }, says: /data.path is a text, so it never equals 7/ },
  {
    name: 'a text for a number',
    filter: { 'data.size': { in: [1, '2'] } },
    says: /data.size is a number, so it never equals "2"/,
  },
  {
    name: 'a range on a text',
    filter: { 'data.path': { gt: 1 } },
    says: /data.path is a text; gt is for members that are a number/,
  },
  {
    name: 'a glob on a number',
    filter: { 'data.size': { glob: '*' } },
    says: /data.size is a number; glob is for members that are a text/,
  },
  { name: 'a range that is a text', filter: { 'data.size': { gt: '1' } }, says: /gt must be a number, not "1"/ },
  { name: 'a glob that is a number', filter: { 'data.path': { glob: 1 } }, says: /glob must be a text, not 1/ },
  { name: 'an empty prefix', filter: { 'data.path': { prefix: '' } }, says: /prefix must be a text, not ""/ },
  { name: 'exists with a text', filter: { 'data.path': { exists: 'yes' } }, says: /exists must be true or false, not "yes"/ },
  { name: 'null', filter: { 'data.sha256': null }, says: /never null; write \{"exists": false\}/ },
  { name: 'a list for a value', filter: { 'data.path': ['/a'] }, says: /is a list; write \{"in": \[…\]\}/ },
  { name: 'an unknown test', filter: { 'data.path': { globb: '*' } }, says: /unknown test "globb"; did you mean "glob"\?/ },
  {
    name: 'a test that is like none',
    filter: { 'data.path': { matches: '*' } },
    says: /unknown test "matches"; tests are in, glob/,
  },
  { name: 'no test', filter: { 'data.path': {} }, says: /data.path has no test/ },
  { name: 'an empty list', filter: { 'data.path': { in: [] } }, says: /1 to 100 values, not 0/ },
  { name: 'a long list', filter: { 'data.size': { in: Array(101).fill(1) } }, says: /1 to 100 values, not 101/ },
  { name: 'a list that is none', filter: { 'data.size': { in: 1 } }, says: /in must be a list, not 1/ },
  { name: 'a list in a list', filter: { 'data.size': { in: [[1]] } }, says: /a list is no value to compare with/ },
  { name: 'a long text', filter: { 'data.path': 'x'.repeat(1_025) }, says: /1025 characters, at most 1024/ },
  { name: 'a long text', filter: { 'data.path': { prefix: '/'.repeat(1_025) } }, says: /1025 characters, at most 1024/ },
  {
    name: 'a long glob',
    filter: { 'data.path': { glob: '*'.repeat(257) } },
    says: /data.path: the glob has 257 characters, at most 256/,
  },
  {
    name: 'a deep glob',
    filter: { 'data.path': { glob: '/a'.repeat(32) } },
    says: /data.path: the glob has 33 segments, at most 32/,
  },
  { name: 'not four deep', filter: { 'data.path': { not: { not: { not: { not: 'x' } } } } }, says: /at most 3 times "not"/ },
  { name: 'what is wrong inside not', filter: { 'data.path': { not: { lt: 1 } } }, says: /lt is for members that are a number/ },
  {
    name: 'an empty range',
    filter: { 'data.size': { gte: 10, lt: 5 } },
    says: /data.size: no number is at least 10 and less than 5/,
  },
  { name: 'a range without its only number', filter: { 'data.size': { gte: 5, lt: 5 } }, says: /at least 5 and less than 5/ },
  { name: 'the same at the other end', filter: { 'data.size': { gt: 5, lte: 5 } }, says: /greater than 5 and at most 5/ },
  {
    name: 'an end twice, once without it',
    filter: { 'data.size': { gt: 5, gte: 5, lte: 5 } },
    says: /greater than 5 and at most 5/,
  },
  {
    name: 'an empty range inside not',
    filter: { 'data.size': { not: { gt: 9, lt: 1 } } },
    says: /greater than 9 and less than 1/,
  },
  {
    ...{ name: 'a prefix that no type has', events: ['file.uploaded', 'file.deleted'], filter: { type: { prefix: 'zzz' } } },
    says: /type: none of file.uploaded, file.deleted meets {"prefix":"zzz"}/,
  },
  {
    name: 'a prefix of a type that is not subscribed',
    filter: { event: { prefix: 'dir.' } },
    says: /none of file.uploaded meets/,
  },
  {
    ...{ name: 'a glob that no word meets', events: ['transfer.created'], filter: { 'data.direction': { glob: 'x*' } } },
    says: /data.direction: none of pull, push meets {"glob":"x\*"}/,
  },
  {
    name: 'values that the other test excludes',
    filter: { 'data.path': { in: ['/a', '/b'], prefix: '/c' } },
    says: /data.path: none of \/a, \/b meets {"prefix":"\/c"}/,
  },
  {
    name: 'a test of what is not there',
    filter: { 'data.sha256': { exists: false, prefix: 'a' } },
    says: /beside "exists": false/,
  },
  {
    name: 'a type that is not subscribed',
    filter: { type: 'file.deleted' },
    says: /type never equals "file.deleted"; it is one of file.uploaded/,
  },
  {
    ...{ name: 'a word that it never is', events: ['transfer.created'], filter: { 'data.direction': { in: ['pul'] } } },
    says: /data.direction never equals "pul"; it is one of pull, push/,
  },
]
for (const { name, events = ['file.uploaded'], filter, says } of refused) {
  test(`checkFilter refuses ${name}`, () => {
    assert.throws(() => checkFilter(filter, events), { code: 'invalid', field: 'filter', message: says })
  })
}

test('every member that is offered for a type can be asked for', () => {
  for (const type of EVENT_TYPES) {
    const names = memberNames([type])
    assert.ok(names.size > 4, type)
    for (const name of names) checkFilter({ [name]: { exists: true } }, [type])
  }
})

test('every member of every sample is offered', () => {
  for (const type of EVENT_TYPES)
    for (const name of Object.keys(SAMPLES[type])) assert.ok(memberNames([type]).has(`data.${name}`))
})

test('property: whatever is given is taken or refused as invalid', () => {
  const member = fc.constantFrom('data.path', 'data.size', 'type', 'accountId', 'data.checks.a.status', 'x')
  fc.assert(
    fc.property(fc.oneof(fc.anything(), fc.dictionary(member, fc.jsonValue())), (given) => {
      try {
        checkFilter(given, ['*'])
      } catch (error) {
        assert.ok(error instanceof AppError && error.code === 'invalid', String(error))
      }
    }),
  )
})
