import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLOUD_BODY, NOW, problemOf, standardSigned, verifies, WHSEC } from './testing.ts'
import { verify } from './verify.ts'

verifies('cloudevents', {}, [{ name: 'cloudevents', headers: standardSigned(CLOUD_BODY), body: CLOUD_BODY, secret: WHSEC }])

const DATA = '{"path":"/in/ü.csv","username":"pipeline","client_ip":"203.0.113.5"}'
const BINARY = {
  ...standardSigned(DATA),
  ...{ 'ce-specversion': '1.0', 'ce-id': 'whevt_1', 'ce-source': '/landfall', 'ce-type': 'dir.created' },
  ...{ 'ce-subject': '/in/%C3%BC.csv', 'ce-time': '2026-06-08T12:00:00.000Z', 'content-type': 'application/json' },
}

test('cloudevents in binary mode: attributes come from the headers', () => {
  const event = verify(BINARY, DATA, WHSEC, { dialect: 'cloudevents', now: NOW })
  assert.deepEqual(event, {
    specversion: '1.0',
    id: 'whevt_1',
    source: '/landfall',
    type: 'dir.created',
    subject: '/in/ü.csv',
    time: '2026-06-08T12:00:00.000Z',
    datacontenttype: 'application/json',
    data: JSON.parse(DATA),
  })
})

for (const [name, id] of Object.entries({ 'another id': 'whevt_2', 'a second id': 'whevt_1, whevt_2' })) {
  test(`cloudevents in binary mode: ${name} than the signed one is refused`, () => {
    for (const dialect of ['cloudevents', 'standard'] as const) {
      const problem = problemOf({ ...BINARY, 'ce-id': id }, DATA, WHSEC, { dialect, envelope: 'cloudevents' })
      assert.equal(problem.code, 'id_mismatch')
      assert.match(problem.message, /does not cover ce-id, which is another than webhook-id/)
    }
  })
}
