// The fixed dose of the crash storm. What it proves, and what it cannot, is said in check.ts; `npm run crash` runs larger ones.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FAIL_POINTS } from '../../src/files/points.ts'
import { freshDatabase } from '../postgres.ts'
import { type StormOptions, storm } from './storm.ts'

/** With both stores 32 kills; one whole cycle of moments each. */
const ROUNDS = 16
const SEED = 2

test('sixteen kills on SQLite lose nothing', (t) => survives(t, {}))

test('sixteen kills on PostgreSQL lose nothing', async (t) => {
  const database = await freshDatabase()
  t.after(() => database.drop())
  await survives(t, { database: database.url })
})

async function survives(t: TestContext, where: Pick<StormOptions, 'database'>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-crash-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const report = await storm({ rounds: ROUNDS, seed: SEED, folder, ...where })
  assert.deepEqual(report.faults, [], `seed ${SEED}`)
  assert.equal(report.kills, ROUNDS)
  // All of them on a machine with nothing else to do; a busy one does not get everywhere in the seconds that a round has.
  assert.ok(report.pointsHit.length > FAIL_POINTS.length / 2, `points reached: ${report.pointsHit.join(', ')}`)
  assert.ok(report.acknowledged > ROUNDS, `${report.acknowledged} changes acknowledged`)
  assert.ok(report.resumed > 0, 'uploads were resumed')
}
