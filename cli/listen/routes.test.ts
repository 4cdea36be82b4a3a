import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRoutes, ROUTES_MAX, routeOf } from './routes.ts'

const TYPES = ['transfer.created', 'transfer.failed', 'file.uploaded', 'agent.certificate.expired']
const HOOK = 'http://localhost:3000/hook'

test('routes: the first that matches wins, and the rest goes to --forward', () => {
  const asked = [
    'transfer.failed=http://localhost:3000/failed',
    'transfer.*=https://localhost:3001/t?a=b',
    'agent.certificate.* = http://[::1]:1/',
  ]
  const routes = parseRoutes(asked, HOOK, TYPES)
  const pathOf = (type: string) => routeOf(routes, type)?.url.href
  assert.deepEqual(TYPES.map(pathOf), ['https://localhost:3001/t?a=b', 'http://localhost:3000/failed', HOOK, 'http://[::1]:1/'])
  assert.equal(routeOf(parseRoutes(asked, undefined, TYPES), 'file.uploaded'), undefined)
  assert.equal(routeOf(parseRoutes(['*=http://localhost/a'], HOOK, TYPES), 'file.uploaded')?.url.href, 'http://localhost/a')
})

const refused = [
  {
    routes: ['transfer.fail=http://localhost'],
    says: /--route: transfer\.fail is no event type or group; did you mean transfer\.failed\?/,
  },
  { routes: ['transfers.*=http://localhost'], says: /did you mean transfer\.\*\?/ },
  { routes: ['Transfer.Failed=http://localhost'], says: /did you mean transfer\.failed\?/ },
  { routes: ['=http://localhost'], says: /nothing is no event type/ },
  { routes: ['quite something else=http://localhost'], says: /docs\/events\.md lists them/ },
  { routes: ['http://localhost:3000'], says: /TYPES=URL/ },
  { routes: ['file.uploaded='], says: /takes an http or https url.*not nothing/ },
  { forward: 'localhost:3000/hook', says: /did you mean http:\/\/localhost:3000\/hook\?/ },
  { forward: '3000/hook', says: /did you mean http:\/\/localhost:3000\/hook\?/ },
  { forward: '127.0.0.1:3000', says: /did you mean http:\/\/127\.0\.0\.1:3000\/\?/ },
  { forward: 'ftp://localhost/hook', says: /takes an http or https url.*not ftp/ },
  { forward: 'http://', says: /takes an http or https url/ },
  { forward: 'http://local host/', says: /takes an http or https url/ },
  { forward: 'http://me:secret@localhost/', says: /^--forward: a url with a password/ },
  { routes: Array.from({ length: ROUTES_MAX + 1 }, () => `*=${HOOK}`), says: /32 times, not 33/ },
]
for (const { routes = [], forward, says } of refused)
  test(`routes refuses ${forward ?? routes[0]}`, () => {
    assert.throws(
      () => parseRoutes(routes, forward, TYPES),
      (error: Error) => {
        assert.match(error.message, says)
        assert(!error.message.includes('secret'))
        return true
      },
    )
  })
