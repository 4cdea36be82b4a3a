import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Value } from 'typebox/value'
import { CATALOGUE, EVENT_TYPES } from './catalogue.ts'
import { PAYLOADS } from './payloads.ts'
import { SAMPLES } from './samples.ts'

// The six payloads that the contracts' pages show, character by character but for white space.
const documented = {
  'transfer.completed':
    '{"transferId":"trf_1a2b3c4d5e6f","agentId":"agent_1a2b3c4d","agentName":"production-server-1","sourceUrl":"sftp://ftp.example.com/files/data.csv","destinationPath":"/local/data.csv","direction":"pull","protocol":"sftp","size":1048576,"bytesTransferred":1048576,"duration":45,"speed":23303,"status":"completed"}',
  'transfer.failed':
    '{"transferId":"trf_2b3c4d5e6f","agentId":"agent_1a2b3c4d","agentName":"production-server-1","sourceUrl":"sftp://ftp.example.com/files/data.csv","error":"Authentication failed: Invalid credentials","errorCode":"AUTH_FAILED","retryCount":3,"status":"failed"}',
  'agent.disconnected':
    '{"agentId":"agent_1a2b3c4d","agentName":"production-server-1","hostname":"server1.example.com","lastSeen":"2026-04-29T15:30:00Z","status":"offline"}',
  'agent.certificate.expiring':
    '{"agentId":"agent_1a2b3c4d","agentName":"production-server-1","certificateId":"cert_1a2b3c4d","expiresAt":"2026-05-29T00:00:00Z","daysRemaining":30}',
  'job.completed':
    '{"jobId":"job_1a2b3c4d","jobName":"Daily Backup","agentId":"agent_1a2b3c4d","schedule":"0 2 * * *","transfersTotal":5,"transfersCompleted":5,"transfersFailed":0,"duration":320,"status":"completed"}',
  'file.uploaded': '{"path":"/incoming/order.csv","size":20480,"username":"pipeline","client_ip":"203.0.113.5"}',
} as const

test('the documented payloads are those that the catalogue calls documented', () => {
  assert.deepEqual(Object.keys(documented).sort(), EVENT_TYPES.filter((type) => CATALOGUE[type].documented).sort())
})

for (const [type, page] of Object.entries(documented) as [keyof typeof documented, string][]) {
  test(`${type}: the sample is the page's own, in its order`, () => assert.equal(JSON.stringify(SAMPLES[type]), page))

  test(`${type}: the members of the page come first and are required; what we added is optional`, () => {
    const members = Object.keys(PAYLOADS[type].properties)
    const shown = Object.keys(JSON.parse(page))
    assert.deepEqual(members.slice(0, shown.length), shown)
    assert.deepEqual(PAYLOADS[type].required, shown)
  })
}

for (const type of EVENT_TYPES) {
  test(`${type}: the sample fits the schema, member by member in its order`, () => {
    assert.deepEqual([...Value.Errors(PAYLOADS[type], SAMPLES[type])], [])
    const sample = Object.keys(SAMPLES[type])
    const members = Object.keys(PAYLOADS[type].properties).filter((member) => sample.includes(member))
    assert.deepEqual(sample, members)
  })

  test(`${type}: every member says what it is and is named as its family is`, () => {
    const style = /^(file|dir|ftp_user)\./.test(type) ? /^[a-z0-9]+(_[a-z0-9]+)*$/ : /^[a-z]+([A-Z][a-z]+)*$/
    for (const [name, member] of Object.entries(PAYLOADS[type].properties)) {
      assert.match(name, style)
      assert.ok(member.description, name)
    }
  })

  test(`${type}: an unknown member is allowed, a missing one is not`, () => {
    assert.ok(Value.Check(PAYLOADS[type], { ...SAMPLES[type], addedLater: 1 }))
    assert.ok(!Value.Check(PAYLOADS[type], {}))
  })
}
