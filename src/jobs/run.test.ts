import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Value } from 'typebox/value'
import { PAYLOADS } from '../events/payloads.ts'
import type { Run } from './job.ts'
import { endData, ended, newRun, type RunTally, skippedData, startedData } from './run.ts'
import { jobOf, runOf } from './testing.ts'

const NONE: RunTally = { total: 0, completed: 0, failed: 0, cancelled: 0, open: 0, bytes: 0 }

const ends: {
  name: string
  run?: Partial<Run>
  tally: Partial<RunTally>
  failure?: string
  status: string
  says: RegExp | null
}[] = [
  { name: 'nothing to move', tally: {}, status: 'completed', says: null },
  { name: 'all completed', tally: { total: 5, completed: 5, bytes: 50 }, status: 'completed', says: null },
  {
    name: 'one failed',
    tally: { total: 5, completed: 4, failed: 1 },
    status: 'failed',
    says: /^1 of 5 transfers did not complete$/,
  },
  { name: 'one cancelled by hand', tally: { total: 5, completed: 4, cancelled: 1 }, status: 'failed', says: /1 of 5/ },
  { name: 'its listing failed', tally: {}, failure: 'AUTH_FAILED: no', status: 'failed', says: /^AUTH_FAILED: no$/ },
  {
    name: 'stopped by a person',
    run: { cancelAskedAt: 5 },
    tally: { total: 2, completed: 1, cancelled: 1 },
    status: 'cancelled',
    says: /^the run was cancelled; 1 of 2 transfers did not complete$/,
  },
  {
    name: 'stopped by a person before it had any transfers',
    run: { cancelAskedAt: 5 },
    tally: {},
    status: 'cancelled',
    says: /^the run was cancelled$/,
  },
]

for (const { name, run, tally, failure, status, says } of ends) {
  test(`a run ends: ${name}`, () => {
    const end = ended(runOf(run), { ...NONE, ...tally }, 320_000, { ...(failure !== undefined && { failure }) })
    assert.equal(end.status, status)
    assert.deepEqual([end.phase, end.lease, end.completedAt], [null, null, 320_000])
    if (says === null) assert.equal(end.errorMessage, null)
    else assert.match(end.errorMessage ?? '', says)
  })
}

test('payloads are those of the catalogue', () => {
  const job = jobOf()
  const completed = ended(runOf(), { ...NONE, total: 5, completed: 5, bytes: 1 }, 320_000)
  const failed = ended(runOf(), { ...NONE, total: 5, completed: 4, failed: 1 }, 320_000)
  assert.deepEqual(
    Object.fromEntries(Object.entries(endData(job, completed)).slice(0, 9)),
    // The page's own example but for its ids.
    {
      ...{ jobId: 'job_1', jobName: 'Daily Backup', agentId: 'agent_1', schedule: '0 2 * * *' },
      ...{ transfersTotal: 5, transfersCompleted: 5, transfersFailed: 0, duration: 320, status: 'completed' },
    },
  )
  assert(Value.Check(PAYLOADS['job.started'], startedData(job, runOf())))
  assert(Value.Check(PAYLOADS['job.completed'], endData(job, completed)))
  assert(Value.Check(PAYLOADS['job.failed'], endData(job, failed)))
  assert(Value.Check(PAYLOADS['job.failed'], endData(job, { ...completed, status: 'cancelled' })))
  assert(Value.Check(PAYLOADS['job.skipped'], skippedData(job, runOf({ errorMessage: 'closed' }))))
})

test('a run that is skipped has ended when it begins', () => {
  const run = newRun(jobOf(), 7, { cause: 'schedule', scheduledFor: 5, skippedFor: 'closed' })
  assert.deepEqual([run.status, run.phase, run.errorMessage, run.completedAt], ['skipped', null, 'closed', 7])
})
