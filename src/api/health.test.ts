import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../base/clock.ts'
import { createHealth, type HealthProbes } from './health.ts'

const well: HealthProbes = {
  database: async () => {},
  disk: async () => ({ totalBytes: 1_000, freeBytes: 500 }),
  memory: () => ({ usedBytes: 100, totalBytes: 1_000 }),
  undecided: () => 0,
  figures: async () => ({ activeAgents: 1, activeTransfers: 2, pendingJobs: 3 }),
}
const still: Clock = { now: () => 0, monotonic: () => 0, after: () => () => {} }
const disk = (freeBytes: number) => ({ disk: async () => ({ totalBytes: 1_000, freeBytes }) })
const memory = (usedBytes: number) => ({ memory: () => ({ usedBytes, totalBytes: 1_000 }) })
const rejects = async () => Promise.reject(new Error('gone'))

const cases: { name: string; probes: Partial<HealthProbes>; status: string; check: [string, string] }[] = [
  { name: 'all is well', probes: {}, status: 'healthy', check: ['disk', 'pass'] },
  { name: 'a disk at 80 %', probes: disk(200), status: 'healthy', check: ['disk', 'pass'] },
  { name: 'a disk over 80 %', probes: disk(199), status: 'degraded', check: ['disk', 'warn'] },
  { name: 'a disk over 90 %', probes: disk(99), status: 'unhealthy', check: ['disk', 'fail'] },
  { name: 'a disk that does not answer', probes: { disk: rejects }, status: 'unhealthy', check: ['disk', 'fail'] },
  { name: 'memory over 75 %', probes: memory(751), status: 'degraded', check: ['memory', 'warn'] },
  { name: 'memory over 90 %', probes: memory(901), status: 'unhealthy', check: ['memory', 'fail'] },
  { name: 'a database that fails', probes: { database: rejects }, status: 'unhealthy', check: ['database', 'fail'] },
  { name: 'a change without outcome', probes: { undecided: () => 2 }, status: 'unhealthy', check: ['storage', 'fail'] },
]
for (const { name, probes, status, check } of cases) {
  test(`health: ${name}`, async () => {
    const report = await createHealth({ ...well, ...probes }, still)()
    assert.equal(report.status, status)
    assert.equal(report.checks[check[0] as 'disk'].status, check[1])
  })
}

test('health: parts that hang count as failed at their deadline', async () => {
  const now: Clock = {
    ...still,
    after(_ms, call) {
      queueMicrotask(call)
      return () => {}
    },
  }
  const hangs = () => new Promise<never>(() => {})
  const { database, disk } = (await createHealth({ ...well, database: hangs, disk: hangs }, now)()).checks
  assert.deepEqual([database.status, disk.status], ['fail', 'fail'])
})

test('health: the parts are asked at most once a second', async () => {
  let now = 0
  let asked = 0
  const database = async () => {
    asked += 1
  }
  const health = createHealth({ ...well, database }, { ...still, monotonic: () => now })
  await Promise.all([health(), health()])
  now = 999
  await health()
  assert.equal(asked, 1)
  now = 1_000
  await health()
  assert.equal(asked, 2)
})
