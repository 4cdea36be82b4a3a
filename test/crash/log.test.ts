import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Deed, type Outcome, treeOf } from './log.ts'

const upload = (path: string, hash: string): Deed => ({ kind: 'upload', path, hash, bytes: 1 })
const folder = (path: string): Deed => ({ kind: 'make_folder', path })

const cases: { name: string; log: [Deed, Outcome][]; files: Record<string, string>; folders: string[] }[] = [
  {
    name: 'the last upload that took place stands',
    log: [
      [upload('/a', '1'), 'acknowledged'],
      [upload('/a', '2'), 'happened'],
      [upload('/a', '3'), 'lost'],
    ],
    files: { '/a': '2' },
    folders: [],
  },
  {
    name: 'what was asked or refused changes nothing',
    log: [
      [upload('/a', '1'), 'asked'],
      [folder('/b'), 'refused'],
    ],
    files: {},
    folders: [],
  },
  {
    name: 'a rename replaces',
    log: [
      [upload('/a', '1'), 'acknowledged'],
      [upload('/b', '2'), 'acknowledged'],
      [{ kind: 'rename', from: '/a', path: '/b' }, 'acknowledged'],
    ],
    files: { '/b': '1' },
    folders: [],
  },
  {
    name: 'a folder takes along what it holds, and nothing that only begins like it',
    log: [
      [folder('/d'), 'acknowledged'],
      [folder('/d/e'), 'acknowledged'],
      [upload('/d/e/a', '1'), 'acknowledged'],
      [upload('/dd', '2'), 'acknowledged'],
      [{ kind: 'rename', from: '/d', path: '/x' }, 'acknowledged'],
    ],
    files: { '/dd': '2', '/x/e/a': '1' },
    folders: ['/x', '/x/e'],
  },
  {
    name: 'removing',
    log: [
      [folder('/d'), 'acknowledged'],
      [upload('/a', '1'), 'acknowledged'],
      [{ kind: 'remove', path: '/a' }, 'happened'],
      [{ kind: 'remove_folder', path: '/d' }, 'acknowledged'],
    ],
    files: {},
    folders: [],
  },
]
for (const { name, log, files, folders } of cases) {
  test(`tree: ${name}`, () => {
    const tree = treeOf(log.map(([deed, outcome]) => ({ deed, outcome })))
    assert.deepEqual(Object.fromEntries([...tree.files].map(([path, { hash }]) => [path, hash])), files)
    assert.deepEqual([...tree.folders].sort(), folders)
  })
}

test('a folder is empty when nothing lies below it', () => {
  const tree = treeOf([folder('/d'), folder('/dd'), upload('/dd/a', '1')].map((deed) => ({ deed, outcome: 'acknowledged' })))
  assert.deepEqual([tree.isEmpty('/d'), tree.isEmpty('/dd')], [true, false])
})
