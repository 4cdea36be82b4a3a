import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Endpoint, Work } from '../src/wire/agent/work.ts'
import { describeWork } from './news.ts'

const places: [Endpoint, string, string][] = [
  [{ protocol: 'http', host: '::1', port: 12222, bearer: 'do-not-tell' }, '/a?signature=hush', 'http://[::1]:12222/a'],
  [{ protocol: 'https', host: '127.0.0.1', port: 443, username: 'me', password: 'hush' }, '/a', 'https://127.0.0.1:443/a'],
  [
    { protocol: 'ftp', host: 'ftp.example.com', port: 21, username: 'me', password: 'hush', tls: 'none' },
    '/a',
    'ftp://ftp.example.com:21/a',
  ],
  [{ protocol: 'space', account: 'acme', user: 'anna' }, '/a', 'space://acme/anna/a'],
  [{ protocol: 'local' }, '/a', '/a'],
]
for (const [endpoint, path, told] of places) {
  test(`a listing of ${told}`, () => {
    const source = { endpoint, path }
    const work: Work = { kind: 'list', lease: 'lease', runId: 'run_1', source, wantsHash: false, quietMs: 0, filesMax: 1 }
    assert.equal(describeWork(work), `list ${told}`)
  })
}
