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
