import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '../base/log.ts'
import type { AuditEntry } from './entry.ts'
import { AuditTrail } from './trail.ts'

const entry = (id: number): AuditEntry => ({
  ...{ id: `aud_${id}`, at: id, accountId: null, actor: null, address: null, door: 'server' },
  ...{ action: 'list', target: null, result: 'ok', detail: null },
})

test('entries of one burst are written together, in order, and stop waits for them', async () => {
  const written: string[][] = []
  const trail = new AuditTrail({ appendAudit: async (entries) => void written.push(entries.map(({ id }) => id)) }, silentLog)
  trail.append([entry(1)])
  trail.append([entry(2), entry(3)])
  await trail.stop()
  assert.deepEqual(written, [['aud_1', 'aud_2', 'aud_3']])
  trail.append([entry(4)])
  await trail.stop()
  assert.deepEqual(written[1], ['aud_4'])
})

test('a batch that cannot be written is said in the log, and the next one is tried', async () => {
  const errors: string[] = []
  let calls = 0
  const store = {
    appendAudit: async () => {
      if (++calls === 1) throw new Error('the disk is full')
    },
  }
  const trail = new AuditTrail(store, { ...silentLog, error: (_fields, message) => void errors.push(message) })
  trail.append(Array.from({ length: 501 }, (_, index) => entry(index)))
  await trail.stop()
  assert.equal(calls, 2)
  assert.deepEqual(errors, ['cannot write audit entries'])
})

test('what waits for the store is bounded: the oldest go, and the log says how many', async () => {
  const dropped: unknown[] = []
  const kept: string[] = []
  const store = { appendAudit: async (entries: readonly AuditEntry[]) => void kept.push(...entries.map(({ id }) => id)) }
  const trail = new AuditTrail(store, { ...silentLog, error: (fields) => void dropped.push(fields) })
  trail.append(Array.from({ length: 10_007 }, (_, index) => entry(index)))
  await trail.stop()
  assert.deepEqual(dropped, [{ dropped: 7 }])
  assert.deepEqual([kept.length, kept[0]], [10_000, 'aud_7'])
})
