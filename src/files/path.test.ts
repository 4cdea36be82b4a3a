import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AppError } from '../base/error.ts'
import { folderOf, fromStoredPath, joinNames, nameOf, pathBelow, showPath, splitPath, toStoredPath } from './path.ts'

const b = (text: string) => Buffer.from(text)
const anyBytes = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))
const anyName = fc
  .uint8Array({ minLength: 1, maxLength: 8 })
  .map((bytes) => Buffer.from(bytes))
  .filter((name) => !name.includes(0) && !name.includes(0x2f) && !['.', '..'].includes(name.toString('latin1')))

test('stored paths: every path comes back as it was', () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const path = Buffer.concat([b('/'), bytes])
      assert.deepEqual(fromStoredPath(toStoredPath(path)), path)
    }),
  )
})

test('splitPath undoes joinNames', () => {
  fc.assert(fc.property(fc.array(anyName, { maxLength: 6 }), (names) => assert.deepEqual(splitPath(joinNames(names)), names)))
})

const splits = [
  { path: '', names: [] },
  { path: '/', names: [] },
  { path: '//a/./b//', names: ['a', 'b'] },
  { path: 'a', names: ['a'] },
  { path: '/..', names: ['..'] },
  { path: '/...', names: ['...'] },
  { path: '/-a/"x"/a\r\nb/ lead/trail ', names: ['-a', '"x"', 'a\r\nb', ' lead', 'trail '] },
]
for (const { path, names } of splits) {
  test(`splitPath ${JSON.stringify(path)}`, () => assert.deepEqual(splitPath(b(path)), names.map(b)))
}

const refused = [
  { what: 'a NUL byte', path: '/a\0b' },
  { what: 'a name of 256 bytes', path: `/${'n'.repeat(256)}` },
  { what: 'a path of 4,097 bytes', path: `${'/a'.repeat(2048)}/` },
]
for (const { what, path } of refused) {
  test(`splitPath refuses ${what}`, () => {
    assert.throws(
      () => splitPath(b(path)),
      (error) => error instanceof AppError && error.code === 'path_invalid',
    )
  })
}

test('splitPath takes names of 255 bytes and paths of 4,096', () => {
  assert.equal(splitPath(b(`/${'n'.repeat(255)}`)).length, 1)
  assert.equal(splitPath(b('/a'.repeat(2048))).length, 2048)
})

const below = [
  { folder: '/a', path: '/a/b', seen: '/b' },
  { folder: '/a', path: '/a', seen: '/' },
  { folder: '/a', path: '/ab', seen: undefined },
  { folder: '/', path: '/ab', seen: '/ab' },
  { folder: '/a/b', path: '/a', seen: undefined },
]
for (const { folder, path, seen } of below) {
  test(`pathBelow ${folder} ${path}`, () => assert.equal(pathBelow(b(folder), b(path))?.toString(), seen))
}

test('folderOf and nameOf take a path apart', () => {
  for (const [path, folder, name] of [
    ['/', '/', ''],
    ['/a', '/', 'a'],
    ['/a/b', '/a', 'b'],
  ] as const) {
    assert.deepEqual([folderOf(b(path)).toString(), nameOf(b(path)).toString()], [folder, name])
  }
})

test('showPath escapes what could forge lines', () => {
  assert.equal(showPath(b('/a\r\nb\u001b[1m/ü')), '/a\\r\\nb\\u001b[1m/ü')
})
