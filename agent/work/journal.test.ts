import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readdir, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { failsWith } from '../clients/testing.ts'
import {
  addCheckpoint,
  CHECKPOINTS_MAX,
  type Checkpoint,
  ENTRY_KEPT_MS,
  isSameSource,
  Journal,
  type JournalEntry,
} from './journal.ts'
import { sweepWork } from './sweep.ts'
import { freshGround } from './testing.ts'

const entry: JournalEntry = {
  transferId: 'trf_1',
  source: { path: '/a', size: 5, modifiedAt: null },
  destination: { protocol: 'local', path: '/b' },
  checkpoints: [{ bytes: 3, sha256: 'ab' }],
  arrival: null,
}

test('an entry comes back as it was saved, and is gone once removed', async (t) => {
  const journal = new Journal(await freshGround(t))
  assert.equal(await journal.read('trf_1'), undefined)
  await journal.save(entry)
  assert.deepEqual(await journal.read('trf_1'), entry)
  await journal.remove('trf_1')
  await journal.remove('trf_1')
  assert.equal(await journal.read('trf_1'), undefined)
})

const FULL = '/dev/full'
test('no room for it is that of the agent’s own folder', { skip: !existsSync(FULL) && `there is no ${FULL}` }, async (t) => {
  const folder = await freshGround(t)
  await mkdir(join(folder, 'work'))
  await symlink(FULL, join(folder, 'work/trf_1.json.new'))
  const { message } = await failsWith('DISK_FULL', new Journal(folder).save(entry))
  assert.equal(message, `Writing in the agent's own folder, “${folder}/work”, failed: ENOSPC.`)
})

test('what is no entry, or one of another transfer, is none', async (t) => {
  const folder = await freshGround(t)
  const journal = new Journal(folder)
  await journal.save(entry)
  const path = join(folder, 'work/trf_1.json')
  const spoilt = [
    ...['', '{', '[]', 'null', '{}'],
    JSON.stringify({ ...entry, transferId: 'trf_2' }),
    JSON.stringify({ ...entry, checkpoints: [{ bytes: -0.5, sha256: 'ab' }] }),
    JSON.stringify({ ...entry, checkpoints: 'all' }),
    JSON.stringify({ ...entry, source: { path: '/a' } }),
    JSON.stringify({ ...entry, arrival: {} }),
    `${JSON.stringify(entry)}${' '.repeat(100_000)}`,
  ]
  for (const text of spoilt) {
    await writeFile(path, text)
    assert.equal(await journal.read('trf_1'), undefined, text.slice(0, 100))
  }
})

test('an id from the server never names a file elsewhere', async (t) => {
  const journal = new Journal(await freshGround(t))
  for (const transferId of ['../x', 'a/b', '', 'A', 'x'.repeat(65)]) {
    await assert.rejects(journal.save({ ...entry, transferId }), /is no id/)
  }
})

test('the sweep forgets what is a week old, with its part on this machine, and leftovers of a crash', async (t) => {
  const folder = await freshGround(t)
  const files = join(folder, 'files')
  await mkdir(files)
  const journal = new Journal(folder)
  const parts = ['trf_old', 'trf_new'].map((id) => ({ id, part: join(files, `.x.csv.${id}.part`) }))
  for (const { id, part } of parts) {
    await journal.save({ ...entry, transferId: id, destination: { protocol: 'local', path: join(files, 'x.csv') } })
    await writeFile(part, 'half')
  }
  await writeFile(join(folder, 'work/trf_torn.json.new'), '{')
  const longAgo = (Date.now() - ENTRY_KEPT_MS - 60_000) / 1000
  for (const name of ['trf_old.json', 'trf_torn.json.new']) await utimes(join(folder, 'work', name), longAgo, longAgo)
  await sweepWork({ folder, roots: [files], clock: systemClock, log: silentLog })
  assert.deepEqual(await readdir(join(folder, 'work')), ['trf_new.json'])
  assert.deepEqual(await readdir(files), ['.x.csv.trf_new.part'])
})

test('the sweep removes nothing outside the folders that are opened', async (t) => {
  const folder = await freshGround(t)
  await mkdir(join(folder, 'files'))
  const outside = join(folder, '.x.csv.trf_old.part')
  await writeFile(outside, 'somebody else’s')
  const journal = new Journal(folder)
  await journal.save({ ...entry, transferId: 'trf_old', destination: { protocol: 'local', path: join(folder, 'x.csv') } })
  await utimes(join(folder, 'work/trf_old.json'), 1, 1)
  await sweepWork({ folder, roots: [join(folder, 'files')], clock: systemClock, log: silentLog })
  await stat(outside)
  assert.equal(await journal.read('trf_old'), undefined)
})

test('checkpoints are bounded, in order, end with the newest, and are dense where it matters', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 400 }), (steps) => {
      let checkpoints: Checkpoint[] = []
      let bytes = 0
      for (const step of steps) {
        bytes += step
        checkpoints = addCheckpoint(checkpoints, { bytes, sha256: String(bytes) })
      }
      assert.equal(checkpoints.at(-1)!.bytes, bytes)
      assert.ok(checkpoints.length === Math.min(steps.length, CHECKPOINTS_MAX))
      const ordered = checkpoints.map((one) => one.bytes)
      assert.deepEqual(
        ordered,
        ordered.toSorted((one, other) => one - other),
      )
    }),
  )
  let even: Checkpoint[] = []
  for (let bytes = 1; bytes <= 10_000; bytes++) even = addCheckpoint(even, { bytes, sha256: '' })
  // Losing the last step costs one step, losing half of the file costs at most half of what is left.
  assert.ok(even.at(-2)!.bytes >= 9_990, `${even.at(-2)!.bytes}`)
  assert.ok(even.some(({ bytes }) => bytes >= 1_000 && bytes <= 9_000))
})

test('a source is the same where everything that both looks tell is', () => {
  const cases = [
    { other: { size: 5, modifiedAt: 7, tag: 'x' }, same: true },
    { other: { size: 5, modifiedAt: null }, same: true },
    { other: { size: 6, modifiedAt: 7, tag: 'x' }, same: false },
    { other: { size: 5, modifiedAt: 8, tag: 'x' }, same: false },
    { other: { size: 5, modifiedAt: 7, tag: 'y' }, same: false },
  ]
  for (const { other, same } of cases) assert.equal(isSameSource({ size: 5, modifiedAt: 7, tag: 'x' }, other), same)
})
