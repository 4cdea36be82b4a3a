import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { TransferFailure } from '../../src/wire/agent/failure.ts'
import type { DiscardWork, TransferWork } from '../../src/wire/agent/work.ts'
import { openClient } from '../clients/open.ts'
import { discardLeftover } from './discard.ts'
import { moveFile } from './move.ts'
import { endOf, failingAfter, filesBelow, ground, localWork, MIB, PART, withPart, workBench } from './testing.ts'

const discardOf = ({ lease, transferId, destination }: TransferWork): DiscardWork => {
  return { kind: 'discard', lease, transferId, destination }
}

test('the last attempt leaves nothing, the one before what the next goes on with', async (t) => {
  const { folder, source, destination } = await ground(t)
  for (const isLastAttempt of [false, true]) {
    const bench = workBench(folder, failingAfter(MIB / 2, 'CONNECTION_LOST'))
    await moveFile(localWork(source, destination, { isLastAttempt }), bench.context)
    assert.partialDeepStrictEqual(endOf(bench.reports), { errorCode: 'CONNECTION_LOST', leavesPart: !isLastAttempt })
    assert.deepEqual(Object.keys(await filesBelow(folder)).sort(), isLastAttempt ? ['in/a'] : ['in/a', PART])
  }
  assert.deepEqual(await readdir(join(folder, '.agent/work')), [])
})

test('a last attempt that cannot put away its part says so, and discarding takes it away', async (t) => {
  const { folder, source, destination } = await ground(t)
  const work = localWork(source, destination, { isLastAttempt: true })
  const broken = () => Promise.reject(new TransferFailure('CONNECTION_LOST', 'It broke.'))
  const bench = workBench(
    folder,
    withPart(() => ({ append: broken, discard: broken })),
  )
  await moveFile(work, bench.context)
  assert.equal((endOf(bench.reports) as { leavesPart?: boolean }).leavesPart, true)
  await stat(join(folder, PART))
  for (let time = 1; time <= 2; time++) {
    const discarding = workBench(folder)
    await discardLeftover(discardOf(work), discarding.context)
    assert.deepEqual(discarding.reports, [{ state: 'discarded' }], `time ${time}`)
    assert.deepEqual(Object.keys(await filesBelow(folder)), ['in/a'])
  }
})

test('what no journal knows of is found by its name, and nothing is made where nothing was', async (t) => {
  const { folder, source, destination } = await ground(t)
  await moveFile(localWork(source, destination), workBench(folder, failingAfter(2 * MIB, 'CONNECTION_LOST')).context)
  const another = workBench(folder)
  const elsewhere = { ...another.context, folder: join(folder, '.agent/other') }
  await discardLeftover(discardOf(localWork(source, destination)), elsewhere)
  assert.deepEqual(Object.keys(await filesBelow(folder)), ['in/a'])
  await discardLeftover(discardOf(localWork(source, join(folder, 'never/made/b'))), another.context)
  assert.deepEqual(another.reports, [{ state: 'discarded' }, { state: 'discarded' }])
  await assert.rejects(stat(join(folder, 'never')))
})

test('where a part cannot be found by its name, the one that the journal knows of is discarded', async (t) => {
  const { folder, source, destination } = await ground(t)
  await moveFile(localWork(source, destination), workBench(folder, failingAfter(2 * MIB, 'CONNECTION_LOST')).context)
  const bench = workBench(folder, {
    async open(endpoint, context) {
      const { removePart, ...client } = await openClient(endpoint, context)
      return client
    },
  })
  await discardLeftover(discardOf(localWork(source, destination)), bench.context)
  assert.deepEqual(bench.reports, [{ state: 'discarded' }])
  assert.deepEqual(Object.keys(await filesBelow(folder)), ['in/a'])
})

test('a side that does not answer is said, one that hangs is left alone when the work is stopped', async (t) => {
  const { folder, source, destination } = await ground(t)
  const work = discardOf(localWork(source, destination))
  const refusing = workBench(folder, {
    open: () => Promise.reject(new TransferFailure('CONNECTION_REFUSED', 'Nobody listens.')),
  })
  await discardLeftover(work, refusing.context)
  assert.partialDeepStrictEqual(endOf(refusing.reports), { state: 'failed', errorCode: 'CONNECTION_REFUSED' })
  const hanging = workBench(folder, {
    open: async (endpoint, context) => ({ ...(await openClient(endpoint, context)), removePart: () => new Promise(() => {}) }),
  })
  const discarding = discardLeftover(work, hanging.context)
  hanging.stop('stopping')
  await discarding
  assert.deepEqual(hanging.reports, [])
})
