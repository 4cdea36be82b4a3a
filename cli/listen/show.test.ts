import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import type { Forwarded } from './forward.ts'
import { showFor, timeOfDay } from './show.ts'

// Local times, so that the test says the same in every time zone.
const NOW = new Date(2026, 5, 8, 14, 2, 31).getTime()
const ROUTES = [
  { pattern: 'transfer.*', url: new URL('http://localhost:3000/transfers') },
  { pattern: '*', url: new URL('http://localhost:3000/hook?a=b') },
]
const ITEM = { deliveryId: 'dlv_1', eventId: 'whevt_1', event: 'file.uploaded', headers: {}, body: '{}', cursor: '1' }
const RESULTS: readonly Forwarded[] = [
  { status: 204, answer: 'not shown', ms: 12 },
  { status: 302, answer: '', ms: 3 },
  { status: 401, answer: 'no\u001b[2Jsuch key', ms: 4_000 },
  { status: null, reason: 'nothing listens there', ms: 1 },
]

function shown({ colours = false, json = false, routes = ROUTES, hasOwnSecret = false } = {}): string[] {
  const lines: string[] = []
  const show = showFor({ colours, out: (text) => lines.push(...text.split('\n')), note: () => assert.fail() }, json, () => NOW)
  show.hello({
    server: 'http://127.0.0.1:8080',
    events: 'file.*',
    dialect: 'mftplus',
    routes,
    secret: hasOwnSecret ? undefined : 'whsec_x',
    sample: 'landfall trigger x',
  })
  for (const result of RESULTS) show.item(ITEM, routes[1], routes.length === 0 ? undefined : result)
  show.item({ ...ITEM, event: 'agent.certificate.expiring' }, undefined, undefined)
  show.totals()
  return lines
}

test('show: a table for people', () => {
  assert.deepEqual(shown(), [
    'Listening to file.* on http://127.0.0.1:8080, dialect mftplus',
    '  transfer.*  → http://localhost:3000/transfers',
    '  *           → http://localhost:3000/hook?a=b',
    'Signing secret, for your receiver: whsec_x',
    'Send a sample: landfall trigger x. Ctrl-C ends.',
    '',
    '14:02:31  file.uploaded       whevt_1  → /hook?a=b   204    12 ms',
    '14:02:31  file.uploaded       whevt_1  → /hook?a=b   302     3 ms  deliveries do not follow redirects',
    '14:02:31  file.uploaded       whevt_1  → /hook?a=b   401  4000 ms  no\\x1b[2Jsuch key',
    '14:02:31  file.uploaded       whevt_1  → /hook?a=b   nothing listens there',
    '14:02:31  agent.certificate.expiring  whevt_1  no route',
    '',
    '5 events: 1 taken, 2 refused, 1 not reached',
  ])
})

test('show: colours change nothing but the colour', () => {
  const colourful = shown({ colours: true })
  assert.deepEqual(colourful.map(stripVTControlCharacters), shown())
  const codes = colourful.slice(6, 10).map((line) => /\[(3\d)m/.exec(line)?.[1])
  assert.deepEqual(codes, ['32', '33', '31', '31'])
})

test('show: without routes, and with a secret of the caller', () => {
  const lines = shown({ routes: [], hasOwnSecret: true })
  assert.equal(lines[1], '  nothing is forwarded: --forward http://localhost:3000/hook would')
  assert.equal(lines[4], '14:02:31  file.uploaded       whevt_1')
  assert.equal(lines.at(-1), '5 events')
  assert(!lines.some((line) => line.includes('secret')))
})

test('show: hosts are told where they differ', () => {
  const routes = [ROUTES[0]!, { pattern: '*', url: new URL('http://localhost:3001/hook') }]
  assert.match(shown({ routes })[6]!, /→ localhost:3001\/hook +204/)
})

test('show: one object a line for machines', () => {
  const [hello, taken, , refused, unreached, unrouted, totals] = shown({ json: true }).map((line) => JSON.parse(line))
  assert.deepEqual([hello.kind, hello.secret, hello.routes.length], ['hello', 'whsec_x', 2])
  const at = new Date(NOW).toISOString()
  const common = { kind: 'event', at, event: 'file.uploaded', eventId: 'whevt_1', deliveryId: 'dlv_1', url: ROUTES[1]!.url.href }
  assert.deepEqual(taken, { ...common, status: 204, error: null, ms: 12 })
  assert.deepEqual([refused.status, unreached.status, unreached.error], [401, null, 'nothing listens there'])
  assert.deepEqual([unrouted.url, unrouted.status], [null, null])
  assert.deepEqual(totals, { kind: 'totals', at, events: 5, taken: 1, refused: 2, unreached: 1 })
})

test('show: the time of today, else with the day', () => {
  assert.equal(timeOfDay(new Date(2026, 5, 8, 9, 5).getTime(), NOW), '09:05')
  assert.equal(timeOfDay(new Date(2026, 4, 31, 23, 59).getTime(), NOW), '2026-05-31 23:59')
})
