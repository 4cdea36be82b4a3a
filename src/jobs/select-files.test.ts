import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ListedFile } from '../wire/agent/work.ts'
import type { JobOptions } from './job.ts'
import type { Source } from './moving.ts'
import type { MovedFile } from './port.ts'
import { destinationOf, isGlob, notMovedYet } from './select-files.ts'

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

test('a job that has moved nothing moves everything', () => {
  for (const rule of ['none', 'name', 'size', 'time', 'hash'] as const)
    assert.equal(notMovedYet(rule, [candidate()], []).length, 1)
})

const places = [
  { source: '/out/a.csv', destination: '/in/b.csv', relativePath: 'a.csv', goes: '/in/b.csv' },
  { source: '/out/a.csv', destination: '/in/', relativePath: 'a.csv', goes: '/in/a.csv' },
  { source: '/out/*.csv', destination: '/in', relativePath: 'a.csv', goes: '/in/a.csv' },
  {
    source: '/out/**',
    destination: 'space://default/anna/in/',
    relativePath: 'x/y/a.csv',
    goes: 'space://default/anna/in/x/y/a.csv',
  },
  { source: '/out/*', destination: '/', relativePath: 'a', goes: '/a' },
]
for (const { source, destination, relativePath, goes } of places) {
  test(`${source} to ${destination}: ${goes}`, () => {
    const file = { path: `/out/${relativePath}`, relativePath, size: 1, modifiedAt: null }
    assert.equal(destinationOf({ sourcePath: source, destinationPath: destination }, file), goes)
  })
}

test('no name leads out of the destination', () => {
  const job = { sourcePath: '/out/**', destinationPath: '/in' }
  const hostile = ['..', '../x', 'a/../../x', '', '/etc/passwd', 'a//b', './a', 'a\0b', 'a\\..\\b', 'a\nb']
  for (const relativePath of hostile)
    assert.throws(() => destinationOf(job, { path: '/out/x', relativePath, size: 1, modifiedAt: null }), { code: 'path_invalid' })
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
