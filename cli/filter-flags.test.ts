import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandError } from './command.ts'
import { filterOf } from './filter-flags.ts'

const cases: { flags: string[]; filter: object }[] = [
  { flags: ['data.path=/incoming/**/*.csv'], filter: { 'data.path': { glob: '/incoming/**/*.csv' } } },
  { flags: ['data.username=pipeline'], filter: { 'data.username': { in: ['pipeline'] } } },
  { flags: ['data.path!=/tmp/*'], filter: { 'data.path': { not: { glob: '/tmp/*' } } } },
  { flags: ['data.size=5', 'data.resumable=true'], filter: { 'data.size': { in: [5] }, 'data.resumable': { in: [true] } } },
  { flags: ['data.username="5"'], filter: { 'data.username': { in: ['5'] } } },
  { flags: ['data.size:gte=1', 'data.size:lt=1000'], filter: { 'data.size': { gte: 1, lt: 1000 } } },
  { flags: ['data.direction:in=pull,push'], filter: { 'data.direction': { in: ['pull', 'push'] } } },
  { flags: ['data.sha256:exists=false'], filter: { 'data.sha256': { exists: false } } },
  { flags: ['data.path:prefix=/a=b'], filter: { 'data.path': { prefix: '/a=b' } } },
  { flags: ['data.path:glob=/a:b'], filter: { 'data.path': { glob: '/a:b' } } },
  { flags: ['data.path:prefix!=/a'], filter: { 'data.path': { not: { prefix: '/a' } } } },
  { flags: ['data.path:not=/a/**'], filter: { 'data.path': { not: { glob: '/a/**' } } } },
  { flags: ['data.username!=a', 'data.username!=b'], filter: { 'data.username': { not: { in: ['a', 'b'] } } } },
  { flags: ['data.size:in!=1,2', 'data.size!=2', 'data.size:not=3'], filter: { 'data.size': { not: { in: [1, 2, 3] } } } },
  {
    flags: ['data.path=/a/*', 'data.path!=/a/b', 'data.path!=/a/c'],
    filter: { 'data.path': { glob: '/a/*', not: { in: ['/a/b', '/a/c'] } } },
  },
  { flags: ['data.path!=/a/*', 'data.path!=/a/*'], filter: { 'data.path': { not: { glob: '/a/*' } } } },
]
for (const { flags, filter } of cases) {
  test(`--filter ${flags.join(' --filter ')}`, () => assert.deepEqual(filterOf(flags), filter))
}

for (const [flag, says] of [
  ['data.path', /member=value/],
  ['=x', /member=value/],
  ['data.path:globb=/a', /knows the tests in, glob.*not "globb"/],
] as const) {
  test(`--filter ${flag} is refused`, () => {
    assert.throws(
      () => filterOf([flag]),
      (error) => error instanceof CommandError && says.test(error.message),
    )
  })
}

// One condition has each test once: the later must not take the place of the earlier unseen.
for (const [first, second, says] of [
  [
    'data.path!=/in/f*',
    'data.path!=/in/p*',
    /not of data\.path once, not {"glob":"\/in\/f\*"} and .*only plain values.*one glob/,
  ],
  ['data.path!=/in/f*', 'data.path!=/in/p', /one glob that covers both/],
  ['data.path:prefix!=/a', 'data.path!=/b', /one glob that covers both/],
  ['data.path=/in/*', 'data.path=/out/*', /takes glob of data\.path once, not "\/in\/\*" and "\/out\/\*": .*one that says both/],
  ['data.username=a', 'data.username=b', /for one of several values write data\.username:in=A,B/],
  ['data.size:gt=5', 'data.size:gt=10', /takes gt of data\.size once, not 5 and 10/],
  ['data.sha256:exists=true', 'data.sha256:exists=false', /exists of data\.sha256 once, not true and false/],
] as const) {
  test(`--filter ${first} --filter ${second} is refused`, () => {
    assert.throws(
      () => filterOf([first, second]),
      (error) => error instanceof CommandError && says.test(error.message),
    )
  })
}

test('a member named as one of Object.prototype gets to the server, which refuses it', () => {
  assert.equal(JSON.stringify(filterOf(['__proto__=a'])), '{"__proto__":{"in":["a"]}}')
})
