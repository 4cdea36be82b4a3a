import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLOUD_BODY, NOW, standardSigned, verifies, WHSEC } from './testing.ts'
import { verify } from './verify.ts'

verifies('cloudevents', {}, [{ name: 'cloudevents', headers: standardSigned(CLOUD_BODY), body: CLOUD_BODY, secret: WHSEC }])

test('cloudevents in binary mode: attributes come from the headers', () => {
  const data = '{"path":"/in/ü.csv","username":"pipeline","client_ip":"203.0.113.5"}'
  const headers = {
    ...standardSigned(data),
    ...{ 'ce-specversion': '1.0', 'ce-id': 'whevt_1', 'ce-source': '/landfall', 'ce-type': 'dir.created' },
    ...{ 'ce-subject': '/in/%C3%BC.csv', 'ce-time': '2026-06-08T12:00:00.000Z', 'content-type': 'application/json' },
  }
  const event = verify(headers, data, WHSEC, { dialect: 'cloudevents', now: NOW })
  assert.deepEqual(event, {
    specversion: '1.0',
    id: 'whevt_1',
    source: '/landfall',
    type: 'dir.created',
    subject: '/in/ü.csv',
    time: '2026-06-08T12:00:00.000Z',
    datacontenttype: 'application/json',
    data: JSON.parse(data),
  })
})
