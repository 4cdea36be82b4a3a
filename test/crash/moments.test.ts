import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAIL_POINTS } from '../../src/files/points.ts'
import { seeded } from '../random.ts'
import { momentsOf } from './moments.ts'

const CYCLE = FAIL_POINTS.length + 7

test('one cycle has every point once, and all other kinds', () => {
  const moments = momentsOf(CYCLE, 10, seeded(1))
  assert.deepEqual(moments.flatMap((moment) => (moment.kind === 'point' ? [moment.point] : [])).sort(), FAIL_POINTS.toSorted())
  assert.deepEqual(
    new Set(moments.map(({ kind }) => kind)),
    new Set(['point', 'posted', 'answered', 'acknowledged', 'random', 'starting']),
  )
})

test('the seed decides the order; the next cycle repeats it with other numbers', () => {
  const kinds = (seed: number) =>
    momentsOf(2 * CYCLE, 10, seeded(seed)).map((moment) => (moment.kind === 'point' ? moment.point : moment.kind))
  assert.deepEqual(kinds(1), kinds(1))
  assert.notDeepEqual(kinds(1), kinds(2))
  assert.deepEqual(kinds(1).slice(0, CYCLE), kinds(1).slice(CYCLE))
  const moments = momentsOf(2 * CYCLE, 10, seeded(1))
  assert.notDeepEqual(moments.slice(0, CYCLE), moments.slice(CYCLE))
})
