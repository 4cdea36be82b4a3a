import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { isReached, toTable } from './report.ts'
import { median, percentile } from './statistics.ts'
import { atRate } from './uploads.ts'

const run = promisify(execFile)

test('median: the middle, or the mean of the two in the middle', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 3, 2]), 2.5)
  assert.throws(() => median([]), RangeError)
})

test('percentile: the nearest rank', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index)
  for (const percent of [1, 50, 99, 100]) assert.equal(percentile(hundred, percent), percent)
  assert.equal(percentile([7], 99), 7)
  assert.throws(() => percentile([], 50), RangeError)
})

const bounds = [
  { name: 'at least, above', value: 0.6, atLeast: 0.5, reached: true },
  { name: 'at least, the bound itself', value: 0.5, atLeast: 0.5, reached: true },
  { name: 'at least, below', value: 0.49, atLeast: 0.5, reached: false },
  { name: 'at most, below', value: 2.9, atMost: 3, reached: true },
  { name: 'at most, above', value: 3.01, atMost: 3, reached: false },
  { name: 'not a number', value: Number.NaN, atMost: 3, reached: false },
]
for (const { name, reached, ...target } of bounds) {
  test(`target: ${name}`, () => {
    const whole = { name, unit: 'ratio', ...target } as const
    assert.equal(isReached(whole), reached)
    const verdict = /(NOT )?reached/.exec(toTable([{ row: 'a', title: '', figures: [], targets: [whole], notes: [] }]))?.[0]
    assert.equal(verdict, reached ? 'reached' : 'NOT reached')
  })
}

test('a fixed rate begins the next piece of work whether or not the one before has ended', async () => {
  const gate = Promise.withResolvers<void>()
  const begun: number[] = []
  const values = await atRate(1_000, 5, async (index) => {
    begun.push(index)
    if (index === 4) gate.resolve()
    await gate.promise
    return index
  })
  assert.deepEqual(begun, [0, 1, 2, 3, 4])
  assert.deepEqual(values, begun)
})

test('a quick run measures every row, and leaves nothing behind', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'landfall-bench-test-'))
  // As root, PostgreSQL runs as somebody else, who must get in.
  await chmod(folder, 0o755)
  try {
    const file = join(folder, 'report.json')
    const main = new URL('main.ts', import.meta.url).pathname
    const { stdout } = await run(process.execPath, [main, '--quick', '--json', file], { env: { ...process.env, TMPDIR: folder } })
    const report = JSON.parse(await readFile(file, 'utf8'))
    assert.deepEqual(
      report.rows.map(({ row }: { row: string }) => row),
      ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'i', 'j'],
    )
    for (const { row, targets, figures, skipped } of report.rows) {
      assert.match(stdout, new RegExp(`^\\(${row}\\) `, 'm'))
      assert.ok(('ej'.includes(row) && skipped !== undefined) || targets.length > 0, `row ${row} has targets: ${skipped}`)
      for (const { name, value } of [...figures, ...targets]) assert.ok(value > 0, `(${row}) ${name} is ${value}`)
      for (const { reached } of targets) assert.equal(typeof reached, 'boolean')
    }
    assert.deepEqual(await readdir(folder), ['report.json'])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
