import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { escapingOf, inFolder, namesAt, PLAIN } from './names.ts'

const PULL = escapingOf({ protocol: 'https', direction: 'pull' })
const PUSH = escapingOf({ protocol: 'http', direction: 'push' })

test('only paths of HTTP are escaped, and only at the side of the remote', () => {
  assert.deepEqual(PULL, { source: true, destination: false })
  assert.deepEqual(PUSH, { source: false, destination: true })
  for (const protocol of ['sftp', 'ftp', 'ftps', 's3', 'local', 'space'])
    for (const direction of ['pull', 'push'] as const) assert.deepEqual(escapingOf({ protocol, direction }), PLAIN)
})

const folders = [
  ['/in/', '/out/a.csv', PLAIN, '/in/a.csv'],
  ['/in/b.csv', '/out/a.csv', PLAIN, '/in/b.csv'],
  ['/in/', '/out/m#1', PLAIN, '/in/m#1'],
  ['/in/', '/out/x?y=1', PLAIN, '/in/x?y=1'],
  ['/in/', '/out/50%25.csv', PLAIN, '/in/50%25.csv'],
  ['space://a/u/in/', '/out/ä b', PLAIN, 'space://a/u/in/ä b'],
  ['space://a/u/', 'space://a/u/in/a', PLAIN, 'space://a/u/a'],
  ['/in/x', '/out/x?y=1/2', PULL, '/in/x'],
  ['/in/', '/with%20space%23.txt', PULL, '/in/with space#.txt'],
  ['/in/', '/%C3%BC+', PULL, '/in/ü+'],
  ['/up/', '/out/r?1 s#2 50%.csv', PUSH, '/up/r%3F1%20s%232%2050%25.csv'],
  ['/up/b%20c?x=1', '/out/a?1', PUSH, '/up/b%20c?x=1'],
] as const
for (const [destination, source, escaping, path] of folders) {
  test(`inFolder: ${source} to ${destination}: ${path}`, () =>
    assert.equal(inFolder('destinationPath', destination, source, escaping), path))
}

const nameless = [
  ['/out/..', PLAIN],
  ['/out/a\\b', PLAIN],
  ['/', PULL],
  ['/a%2Fb', PULL],
  ['/%2E%2e', PULL],
  ['/%2e', PULL],
  ['/a%5Cb', PULL],
  ['/a%00', PULL],
  ['/a%0d%0ab', PULL],
  ['/50%.csv', PULL],
  ['/%fc', PULL],
] as const
for (const [source, escaping] of nameless) {
  test(`inFolder: ${source} is no name in a folder`, () =>
    assert.throws(() => inFolder('destinationPath', '/in/', source, escaping), {
      code: 'invalid',
      field: 'destinationPath',
      message: /cannot be the name of a file in it; say the whole path/,
    }))
}

for (const source of ['/export?id=1', '/export?id=2', '/out/x?y=1/2', '/a.csv?', '/download/?id=5']) {
  test(`inFolder: ${source} has a query, so that its path alone is no name`, () =>
    assert.throws(() => inFolder('destinationPath', '/in/', source, PULL), {
      code: 'invalid',
      field: 'destinationPath',
      message: /^destinationPath is the folder \/in\/, and a source with a query has no name of its own, .*; say the whole path/,
    }))
}

test('names at HTTP are told apart, lead nowhere else, and come back as they were', () => {
  const name = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => namesAt(text, PLAIN) === text)
  fc.assert(
    fc.property(name, (given) => {
      const written = namesAt(given, PUSH)!
      const url = new URL(`http://host/up/${written}`)
      assert.deepEqual([url.pathname, url.search, url.hash], [`/up/${written}`, '', ''])
      assert.equal(namesAt(written, PULL), given)
    }),
  )
})
