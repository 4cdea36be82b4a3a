import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from './simulate.ts'

/** Enough worlds to meet every kind of fault many times; `npm run sim` lives through more. */
const SEEDS = 200

test(`sim: the invariants of deliveries hold in ${SEEDS} worlds`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { violations, posts } = await simulate(seed)
    assert.deepEqual(violations, [], `seed ${seed}; replay with: npm run sim -- --seed ${seed}`)
    assert.ok(posts > 0, `seed ${seed} posted nothing`)
  }
})

test('sim: a seed replays its world', async () => {
  assert.deepEqual(await simulate(17), await simulate(17))
})
