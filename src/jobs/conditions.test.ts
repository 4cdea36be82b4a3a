import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Circumstances, unmetCondition } from './conditions.ts'
import type { JobOptions } from './job.ts'
import { jobOf, runOf } from './testing.ts'

const FREE: Circumstances = { latestRun: undefined, dependency: null, isAgentRevoked: false }
const weekend: JobOptions['blackouts'] = [{ days: ['sat', 'sun'], from: '22:00', to: '06:00' }]
const office: JobOptions['blackouts'] = [{ days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '09:00', to: '17:00' }]

const cases: {
  name: string
  options?: Partial<JobOptions>
  at?: string
  circumstances?: Partial<Circumstances>
  why: RegExp | null
}[] = [
  { name: 'no condition', why: null },
  // 2026-11-21 is a Saturday.
  {
    name: 'at the begin of a blackout',
    options: { blackouts: weekend },
    at: '2026-11-21T22:00:00Z',
    why: /blackout sat, sun 22:00 to 06:00/,
  },
  { name: 'a minute before', options: { blackouts: weekend }, at: '2026-11-21T21:59:59Z', why: null },
  { name: 'its end is free', options: { blackouts: weekend }, at: '2026-11-22T06:00:00Z', why: null },
  {
    name: 'in its night of Monday, which Sunday began',
    options: { blackouts: weekend },
    at: '2026-11-23T05:59:00Z',
    why: /2026-11-23 05:59/,
  },
  { name: 'Friday night is not of it', options: { blackouts: weekend }, at: '2026-11-20T23:00:00Z', why: null },
  { name: 'the early Saturday is not of it', options: { blackouts: weekend }, at: '2026-11-21T03:00:00Z', why: null },
  { name: 'inside one day', options: { blackouts: office }, at: '2026-11-20T16:59:00Z', why: /blackout/ },
  {
    name: 'another zone, another hour',
    options: { blackouts: office, timeZone: 'America/New_York' },
    at: '2026-11-20T13:00:00Z',
    why: null,
  },
  {
    name: 'a whole day',
    options: { blackouts: [{ days: ['fri'], from: '00:00', to: '00:00' }] },
    at: '2026-11-20T12:00:00Z',
    why: /fri 00:00/,
  },
  {
    name: 'a closed date',
    options: { closedDates: ['2026-12-25'] },
    at: '2026-12-25T10:00:00Z',
    why: /2026-12-25 is a closed date/,
  },
  {
    name: 'closed in its own zone',
    options: { closedDates: ['2026-12-25'], timeZone: 'Asia/Tokyo' },
    at: '2026-12-24T16:00:00Z',
    why: /closed/,
  },
  {
    name: 'not an open date',
    options: { openDates: ['2026-12-31'] },
    at: '2026-12-30T10:00:00Z',
    why: /2026-12-30 is not among the open dates/,
  },
  { name: 'an open date', options: { openDates: ['2026-12-31'] }, at: '2026-12-31T10:00:00Z', why: null },
  { name: 'the run before is under way', circumstances: { latestRun: runOf() }, why: /run_1, is still under way/ },
  { name: 'unless they may overlap', options: { waitsForPrevious: false }, circumstances: { latestRun: runOf() }, why: null },
  { name: 'the run before has failed', circumstances: { latestRun: runOf({ status: 'failed' }) }, why: null },
  { name: 'a revoked agent', circumstances: { isAgentRevoked: true }, why: /agent is revoked/ },
  { name: 'its dependency is gone', circumstances: { dependency: undefined }, why: /gone/ },
  {
    name: 'its dependency never ran',
    circumstances: { dependency: { name: 'first', latestRun: undefined } },
    why: /'first', has not run yet/,
  },
  {
    name: 'its dependency failed',
    circumstances: { dependency: { name: 'first', latestRun: runOf({ status: 'failed', completedAt: 5 }) } },
    why: /'first', is failed/,
  },
  {
    name: 'its dependency completed before the last run',
    circumstances: {
      latestRun: runOf({ status: 'completed', startedAt: 10, completedAt: 12 }),
      dependency: { name: 'first', latestRun: runOf({ status: 'completed', completedAt: 9 }) },
    },
    why: /has not completed since/,
  },
  {
    name: 'its dependency completed since',
    circumstances: {
      latestRun: runOf({ status: 'completed', startedAt: 10, completedAt: 12 }),
      dependency: { name: 'first', latestRun: runOf({ status: 'completed', completedAt: 11 }) },
    },
    why: null,
  },
]

for (const { name, options = {}, at = '2026-11-20T12:00:00Z', circumstances = {}, why } of cases) {
  test(name, () => {
    const found = unmetCondition(jobOf({ options }), Date.parse(at), { ...FREE, ...circumstances })
    if (why === null) assert.equal(found, null)
    else assert.match(found ?? 'none', why)
  })
}
