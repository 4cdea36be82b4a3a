import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ListedFile } from '../wire/agent/work.ts'
import type { JobOptions } from './job.ts'
import type { Source } from './moving.ts'
import type { MovedFile } from './port.ts'
import { destinationOf, isGlob, movedTo, notMovedYet } from './select-files.ts'

const A = 'a'.repeat(64)
const B = 'b'.repeat(64)

function candidate(more: Partial<ListedFile> = {}): Source {
  const file = { path: '/out/a.csv', relativePath: 'a.csv', size: 10, modifiedAt: 1_000, ...more }
  return { file, sourceUrl: `sftp://host${file.path}` }
}

const BEFORE: MovedFile = { sourceUrl: 'sftp://host/out/a.csv', size: 10, modifiedAt: 1_000, sha256: A }

const rules: { rule: JobOptions['skipMoved']; now: Partial<ListedFile>; isMoved: boolean }[] = [
  { rule: 'none', now: {}, isMoved: true },
  { rule: 'name', now: {}, isMoved: false },
  { rule: 'name', now: { size: 11, modifiedAt: 2_000 }, isMoved: false },
  { rule: 'name', now: { path: '/out/b.csv' }, isMoved: true },
  { rule: 'size', now: { modifiedAt: 2_000 }, isMoved: false },
  { rule: 'size', now: { size: 11 }, isMoved: true },
  { rule: 'time', now: {}, isMoved: false },
  { rule: 'time', now: { modifiedAt: 2_000 }, isMoved: true },
  { rule: 'time', now: { size: 11 }, isMoved: true },
  { rule: 'hash', now: { sha256: A, path: '/out/other.csv' }, isMoved: false },
  { rule: 'hash', now: { sha256: B }, isMoved: true },
  { rule: 'hash', now: {}, isMoved: true },
]

for (const { rule, now, isMoved } of rules) {
  test(`skip by ${rule}, ${JSON.stringify(now)}: ${isMoved ? 'moved' : 'left alone'}`, () => {
    const chosen = candidate(now)
    assert.deepEqual(notMovedYet(rule, [chosen], [BEFORE]), isMoved ? [chosen] : [])
  })
}

test('skip by hash: a file that goes back to what another one holds replaces what was moved of it since', () => {
  const moved = [
    { ...BEFORE, sha256: B },
    { ...BEFORE, sourceUrl: null, sha256: A },
  ]
  const [back, other] = [candidate({ sha256: A }), candidate({ sha256: A, path: '/out/other.csv' })]
  assert.deepEqual(notMovedYet('hash', [back, other], moved), [back])
})

test('a job that has moved nothing moves everything', () => {
  for (const rule of ['none', 'name', 'size', 'time', 'hash'] as const)
    assert.equal(notMovedYet(rule, [candidate()], []).length, 1)
})

const SFTP = { protocol: 'sftp', direction: 'pull' } as const
const GET = { protocol: 'https', direction: 'pull' } as const
const PUT = { protocol: 'http', direction: 'push' } as const

const places = [
  { route: SFTP, source: '/out/a.csv', destination: '/in/b.csv', relativePath: 'a.csv', goes: '/in/b.csv' },
  { route: SFTP, source: '/out/a.csv', destination: '/in/', relativePath: 'a.csv', goes: '/in/a.csv' },
  { route: SFTP, source: '/out/*.csv', destination: '/in', relativePath: 'a.csv', goes: '/in/a.csv' },
  {
    route: SFTP,
    source: '/out/**',
    destination: 'space://default/anna/in/',
    relativePath: 'x/y/a.csv',
    goes: 'space://default/anna/in/x/y/a.csv',
  },
  { route: SFTP, source: '/out/*', destination: '/', relativePath: 'a', goes: '/a' },
  { route: SFTP, source: '/out/*', destination: '/in/', relativePath: 's#1 50%25?x', goes: '/in/s#1 50%25?x' },
  { route: GET, source: '/a%20b%23.csv', destination: '/in/', relativePath: 'a%20b%23.csv', goes: '/in/a b#.csv' },
  { route: GET, source: '/a%20b.csv', destination: '/in/c%20', relativePath: 'a%20b.csv', goes: '/in/c%20' },
  { route: PUT, source: '/out/**', destination: '/up/', relativePath: 'x y/s#1 50%?x', goes: '/up/x%20y/s%231%2050%25%3Fx' },
  { route: PUT, source: '/out/a?.csv', destination: '/up%20', relativePath: 'a%.csv', goes: '/up%20/a%25.csv' },
]
for (const { route, source, destination, relativePath, goes } of places) {
  test(`${route.protocol}: ${source} to ${destination}: ${goes}`, () => {
    const file = { path: `/out/${relativePath}`, relativePath, size: 1, modifiedAt: null }
    assert.equal(destinationOf({ ...route, sourcePath: source, destinationPath: destination }, file), goes)
  })
}

test('a source that is moved stays at its side: nothing of its name is escaped', () => {
  const file = { path: '/out/x/s#1 50%', relativePath: 'x/s#1 50%', size: 1, modifiedAt: null }
  assert.equal(movedTo('/done/', { sourcePath: '/out/**' }, file), '/done/x/s#1 50%')
  assert.equal(movedTo('/done/b', { sourcePath: '/out/x/s#1 50%' }, file), '/done/b')
})

test('no name leads out of the destination', () => {
  const job = { ...SFTP, sourcePath: '/out/**', destinationPath: '/in' }
  const hostile = ['..', '../x', 'a/../../x', '', '/etc/passwd', 'a//b', './a', 'a\0b', 'a\\..\\b', 'a\nb']
  for (const relativePath of hostile)
    assert.throws(() => destinationOf(job, { path: '/out/x', relativePath, size: 1, modifiedAt: null }), { code: 'path_invalid' })
  for (const relativePath of ['%2e%2E', 'a%2Fb', 'a%5cb', 'a%00', '%0a', '50%'])
    assert.throws(
      () => destinationOf({ ...job, ...GET }, { path: '/out/x', relativePath, size: 1, modifiedAt: null }),
      { code: 'path_invalid' },
      relativePath,
    )
  fc.assert(
    fc.property(fc.string(), (relativePath) => {
      try {
        const goes = destinationOf(job, { path: '/out/x', relativePath, size: 1, modifiedAt: null })
        assert(new URL(`file://${goes.split('/').map(encodeURIComponent).join('/')}`).pathname.startsWith('/in/'))
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'path_invalid')
      }
    }),
  )
})

test('wildcards make a glob', () => {
  assert.deepEqual(['/a/b', '/a/*.csv', '/a/?', '/a/**', '/a[b]'].map(isGlob), [false, true, true, true, false])
})
