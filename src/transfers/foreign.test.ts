import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ForeignReport, judgeForeign } from './foreign.ts'
import { aTransfer } from './testing.ts'
import type { Transfer } from './transfer.ts'

const MADE = 1_800_000_000_000
const NOW = MADE + 10_000
const foreign = (more: Partial<Transfer> = {}) => aTransfer(MADE, { isForeign: true, size: 1_000, ...more })
const running: Partial<Transfer> = { status: 'running', startedAt: MADE }

const cases: { name: string; transfer?: Partial<Transfer>; report: ForeignReport; after: Partial<Transfer>; says: string[] }[] = [
  { name: 'it begins', report: { status: 'running' }, after: { status: 'running', startedAt: NOW, progress: 0 }, says: [] },
  {
    name: 'bytes alone make a percentage and a speed',
    transfer: running,
    report: { bytesTransferred: 250 },
    after: { progress: 25, saidTenth: 2, speed: 25, bytesTransferred: 250 },
    says: ['transfer.progress'],
  },
  {
    name: 'a percentage is taken as it is told',
    transfer: { ...running, size: null },
    report: { progress: 100 },
    after: { status: 'running', progress: 100, saidTenth: 10 },
    says: ['transfer.progress'],
  },
  {
    name: 'nothing goes back',
    transfer: { ...running, progress: 50, bytesTransferred: 500, saidTenth: 5 },
    report: { progress: 20, bytesTransferred: 200, speed: 5 },
    after: { progress: 50, bytesTransferred: 500, saidTenth: 5, speed: 5 },
    says: [],
  },
  {
    name: 'completed at once is one event, and all of it',
    report: { status: 'completed' },
    after: { status: 'completed', progress: 100, bytesTransferred: 1_000, startedAt: NOW, completedAt: NOW },
    says: ['transfer.completed'],
  },
  {
    name: 'completed without a size is as large as what was moved',
    transfer: { ...running, size: null },
    report: { status: 'completed', bytesTransferred: 77 },
    after: { size: 77, bytesTransferred: 77 },
    says: ['transfer.completed'],
  },
  {
    name: 'failed keeps its code',
    transfer: running,
    report: { status: 'failed', error: 'no', errorCode: 'DISK_FULL' },
    after: { status: 'failed', error: 'no', errorCode: 'DISK_FULL' },
    says: ['transfer.failed'],
  },
  {
    name: 'queued again is a retry',
    transfer: running,
    report: { status: 'queued', error: 'no answer', errorCode: 'TIMEOUT' },
    after: { status: 'queued', retryCount: 1, error: 'no answer', errorCode: 'TIMEOUT' },
    says: [],
  },
  { name: 'nothing new', transfer: running, report: {}, after: { status: 'running', retryCount: 0 }, says: [] },
]
for (const { name, transfer, report, after, says } of cases) {
  test(`judgeForeign: ${name}`, () => {
    const decision = judgeForeign(foreign(transfer), report, NOW)
    const told = Object.fromEntries(Object.keys(after).map((member) => [member, decision.after[member as keyof Transfer]]))
    assert.deepEqual([told, decision.says], [after, says])
  })
}

test('judgeForeign: a speed that is too great to be kept is kept as the greatest', () => {
  const moved = { bytesTransferred: Number.MAX_SAFE_INTEGER }
  assert.equal(judgeForeign(foreign({ status: 'running', startedAt: NOW - 1 }), moved, NOW).after.speed, Number.MAX_SAFE_INTEGER)
})

test('judgeForeign: a code that is none is refused, and what an error says of credentials is left out', () => {
  for (const errorCode of ['lower case', 'DISK_FULL\n', '1ST', ''])
    assert.throws(() => judgeForeign(foreign(running), { status: 'failed', errorCode }, NOW), {
      code: 'invalid',
      field: 'errorCode',
    })
  const error = 'Authentication failed: sftp://bob:hunter2@h/x'
  assert.equal(judgeForeign(foreign(running), { status: 'failed', error }, NOW).after.error, 'Authentication failed: sftp://h/x')
})

for (const status of ['completed', 'failed', 'cancelled'] as const) {
  test(`judgeForeign: ${status} is final`, () => {
    for (const report of [{ status: 'running' }, { progress: 5 }, { status }] as const)
      assert.throws(() => judgeForeign(foreign({ status }), report, NOW), { code: 'conflict', message: new RegExp(status) })
  })
}
