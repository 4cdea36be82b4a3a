// The fixed dose of the storm over agents. What it proves is said in check.ts; `npm run crash -- --what agents` runs larger ones.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { freshDatabase } from '../../postgres.ts'
import type { StormOptions } from '../storm.ts'
import { agentsStorm } from './storm.ts'

/** Beside the kills of the enrolments. */
const ROUNDS = 3
/** Between them the two cover different moments. */
const SEEDS = { sqlite: 1, postgres: 2 } as const

test('kills of server and agents on SQLite leave nothing undecided', (t) => survives(t, { seed: SEEDS.sqlite }))

test('kills of server and agents on PostgreSQL leave nothing undecided', async (t) => {
  const database = await freshDatabase()
  t.after(() => database.drop())
  await survives(t, { seed: SEEDS.postgres, database: database.url })
})

async function survives(t: TestContext, where: Pick<StormOptions, 'database' | 'seed'>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-crash-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const report = await agentsStorm({ rounds: ROUNDS, folder, ...where })
  assert.deepEqual(report.faults, [], `seed ${where.seed}`)
  assert.ok(report.kills >= ROUNDS, `${report.kills} kills`)
  // Those of the enrolments are reached whatever else the machine does.
  const sure = ['key.saved', 'enrolment.recorded', 'certificate.saved', 'enrolment.saved', 'renewal.recorded']
  assert.deepEqual(
    sure.filter((point) => !report.pointsHit.includes(point)),
    [],
  )
  assert.ok(report.completed > ROUNDS, `${report.completed} transfers completed`)
}
