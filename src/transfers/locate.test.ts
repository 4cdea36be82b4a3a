import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { withoutCredentials } from './credentials.ts'
import { checkLocation, checkPath, LOCATION_CHARACTERS_MAX, pathIn, spaceIn, urlOf } from './locate.ts'
import { aRemote } from './testing.ts'
import type { Remote } from './transfer.ts'

const remote = (more: Partial<Remote>) => aRemote(0, more)

const urls: [Partial<Remote>, string, string][] = [
  [{}, '/files/data.csv', 'sftp://ftp.example.com/files/data.csv'],
  [{ port: 2222 }, '/a b/ü#?.csv', 'sftp://ftp.example.com:2222/a%20b/%C3%BC%23%3F.csv'],
  [{ host: '2001:db8::1' }, '/a', 'sftp://[2001:db8::1]/a'],
  [{ protocol: 'ftps', port: 990 }, '/a', 'ftps://ftp.example.com:990/a'],
  [{ protocol: 'https', port: 443 }, '/a%20b?x=1&y=%2F', 'https://ftp.example.com/a%20b?x=1&y=%2F'],
  [{ protocol: 'http', port: 80 }, '/a b', 'http://ftp.example.com/a%20b'],
  [{ protocol: 's3', port: 443, options: { bucket: 'in' } }, '/2026/a+b.csv', 's3://in/2026/a%2Bb.csv'],
]
for (const [change, path, url] of urls) {
  test(`urlOf: ${url}`, () => assert.equal(urlOf(remote(change), path), url))
}

test('the path comes back out of the url, whatever became of the remote since', () => {
  const path = fc.array(
    fc.string({ unit: 'binary', minLength: 1 }).filter((name) => name.isWellFormed() && !name.includes('/')),
    { minLength: 1 },
  )
  fc.assert(
    fc.property(path, fc.constantFrom('sftp' as const, 'ftp' as const, 's3' as const), (names, protocol) => {
      const given = `/${names.join('/')}`
      const url = urlOf(remote({ protocol, options: { bucket: 'b' }, port: 4711 }), given)
      assert.equal(pathIn(remote({ protocol, host: 'moved.example' }), url), given)
      assert.match(url, /^[\x21-\x7e]+$/)
    }),
  )
})

test('no url of a remote has its user or any secret', () => {
  assert.ok(!urlOf(remote({ username: 'somebody' }), '/a').includes('somebody'))
})

const credentials = [
  ['sftp://user:pw@host/a@b', 'sftp://host/a@b'],
  ['sftp://user@host', 'sftp://host'],
  ['https://a:b@c@host/x?y=1@2', 'https://host/x?y=1@2'],
  ['https://host/x?mail=a@b', 'https://host/x?mail=a@b'],
  ['/local/a@b:c', '/local/a@b:c'],
] as const
for (const [given, left] of credentials) {
  test(`credentials: ${given}`, () => {
    assert.equal(withoutCredentials(given), left)
    if (given === left) assert.equal(checkLocation('sourceUrl', given), given)
    else
      assert.throws(() => checkLocation('sourceUrl', given), {
        code: 'invalid',
        field: 'sourceUrl',
        message: /carries credentials/,
      })
  })
}

test('a refused location says nothing of its credentials', () => {
  assert.throws(
    () => checkLocation('sourceUrl', 'sftp://me:hush@host/'),
    (error: Error) => !error.message.includes('hush'),
  )
})

test('a space is account, user and path', () => {
  assert.deepEqual(spaceIn('x', 'space://default/alice/in/a b%20c.csv'), {
    account: 'default',
    user: 'alice',
    path: '/in/a b%20c.csv',
  })
  assert.deepEqual(spaceIn('x', 'space://default/alice/in/'), { account: 'default', user: 'alice', path: '/in/' })
  assert.deepEqual(spaceIn('x', 'space://default/alice/'), { account: 'default', user: 'alice', path: '/' })
  for (const wrong of ['space://', 'space://default', 'space://default/', 'space:///alice/x', 'space://default//x'])
    assert.throws(() => spaceIn('x', wrong), { code: 'invalid', field: 'x', message: /is space:\/\/ACCOUNT/ }, wrong)
  const message = 'x has no path behind the user; the folder at the top is space://default/alice/'
  assert.throws(() => spaceIn('x', 'space://default/alice'), { code: 'invalid', field: 'x', message })
})

test('paths are absolute and bounded', () => {
  for (const good of ['/a', 'C:\\in\\a', 'd:/in/a']) assert.equal(checkPath('x', good), good)
  for (const wrong of ['', 'a', './a', '/a\0b', '/a\nb', `/${'x'.repeat(LOCATION_CHARACTERS_MAX)}`])
    assert.throws(() => checkPath('x', wrong), { code: 'invalid', field: 'x' })
})
