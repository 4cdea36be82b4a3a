import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { anAudit } from '../store/testing.ts'
import { DRY_RUN_MAX_MS } from './dry-runs.ts'
import { TRANSFERS_STEP } from './listing.ts'
import { LISTING_WAIT_MAX_MS } from './runs.ts'
import { ADMIN, DUE, files, type JobWorld, openJobWorld } from './runs-testing.ts'

describe('the listings of runs, on a real store', () => {
  let world: JobWorld
  before(async () => {
    world = await openJobWorld()
  })
  after(() => world.close())
  beforeEach(() => world.begin())

  test('nothing to move completes at once; one file that is not there fails', async () => {
    const [glob, single] = [await world.aJob(), await world.aJob({}, { sourcePath: '/out/a.csv' })]
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    for (const job of [glob, single])
      await world.answers(job, await world.lists(job), { state: 'listed', files: [], isTruncated: false })
    assert.deepEqual(await world.said(glob), ['job.started', 'job.completed'])
    assert.deepEqual(await world.said(single), ['job.started', 'job.failed: NOT_FOUND: nothing is at /out/a.csv'])
  })

  test('one file that is still being written is left for the next run, and this one completes', async () => {
    const job = await world.aJob({ quietSeconds: 60 }, { sourcePath: '/out/a.csv' })
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    await world.answers(job, await world.lists(job), { state: 'listed', files: [], notQuiet: 1, isTruncated: false })
    assert.deepEqual(await world.said(job), ['job.started', 'job.completed'])
  })

  test('a host key that is shown to a listing is pinned, and the listing goes on', async () => {
    const asked: unknown[] = []
    world.build({
      async pinHostKey(...facts) {
        asked.push(facts)
        return facts[1] === 'SHA256:right'
      },
    })
    const [trusting, other] = [await world.aJob(), await world.aJob()]
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    const lease = await world.lists(trusting)
    assert.deepEqual(await world.listings.report(trusting.agentId, lease, { state: 'host_key', hostKey: 'SHA256:right' }), {
      go: true,
    })
    assert.deepEqual(asked, [['rmt_1', 'SHA256:right', DUE]])
    await world.answers(trusting, lease, { state: 'listed', files: [], isTruncated: false })
    assert.deepEqual(await world.said(trusting), ['job.started', 'job.completed'])

    const wrong = { state: 'host_key', hostKey: 'SHA256:wrong' } as const
    assert.deepEqual(await world.listings.report(other.agentId, await world.lists(other), wrong), { go: false })
    const [, failed] = await world.said(other)
    assert.match(failed!, /^job.failed: HOST_KEY_MISMATCH: .* SHA256:wrong/)
  })

  test('a listing that fails is tried again by the delays of the job, then the run fails', async () => {
    const job = await world.aJob({ retryDelaysSeconds: [30] })
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    const failure = { state: 'failed', errorCode: 'CONNECTION_REFUSED', error: 'no', bytesTransferred: 0 } as const
    await world.answers(job, await world.lists(job), failure)
    assert.deepEqual(await world.listings.take(job.agentId, 5), [], 'not before its delay')
    const reasonOf = async () => (await world.store.latestRun(job.id))!.errorMessage
    assert.equal(await reasonOf(), 'CONNECTION_REFUSED: no; its files are looked for again at 2026-11-20T02:00:30Z')
    await world.time.pass(30 * SECOND_MS)
    const lease = await world.lists(job)
    assert.equal(await reasonOf(), null, 'it is being looked for')
    await world.answers(job, lease, failure)
    assert.deepEqual(await world.said(job), ['job.started', 'job.failed: CONNECTION_REFUSED: no'])
  })

  test('a listing that fails and then works leaves no reason behind; a run that is stopped in between was cancelled', async () => {
    for (const isStopped of [false, true]) {
      const job = await world.aJob({ retryDelaysSeconds: [30] })
      const run = (await world.runs.begin(job, { cause: 'manual', caller: ADMIN }))!
      await world.answers(job, await world.lists(job), {
        state: 'failed',
        errorCode: 'TIMEOUT',
        error: 'no',
        bytesTransferred: 0,
      })
      if (isStopped) await world.runs.cancel((await world.store.findRun(run.id))!, ADMIN)
      else {
        await world.time.pass(30 * SECOND_MS)
        await world.answers(job, await world.lists(job), { state: 'listed', files: [], isTruncated: false })
      }
      const { status, errorMessage } = (await world.store.findRun(run.id))!
      assert.deepEqual([status, errorMessage], isStopped ? ['cancelled', 'the run was cancelled'] : ['completed', null])
    }
  })

  test('a listing that will never work is not tried again', async () => {
    const job = await world.aJob()
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    await world.answers(job, await world.lists(job), {
      state: 'failed',
      errorCode: 'AUTH_FAILED',
      error: 'no',
      bytesTransferred: 0,
    })
    assert.deepEqual(await world.said(job), ['job.started', 'job.failed: AUTH_FAILED: no'])
  })

  test('what was moved before is left alone the next night', async () => {
    const job = await world.aJob({ skipMoved: 'time' })
    for (const found of [files('a.csv'), files('a.csv', 'b.csv')]) {
      await world.time.moveTo((await world.store.findJob(job.id))!.nextRunAt!)
      await world.scheduler.look()
      await world.answers(job, await world.lists(job), { state: 'listed', files: found, isTruncated: false })
      await world.end(await world.transfersOf((await world.runsOf(job))[0]!), 'completed')
      await world.scheduler.look()
    }
    assert.deepEqual(
      (await world.runsOf(job)).map(({ transfersTotal }) => transfersTotal),
      [1, 1],
    )
  })

  const MANY = Array.from({ length: 2 * TRANSFERS_STEP + 100 }, (_, at) => `${String(at).padStart(4, '0')}.csv`)

  for (const comesAgain of ['the same listing', 'another listing'] as const) {
    test(`a listing of many files whose server dies after each step gets a transfer for each file once: ${comesAgain}`, async () => {
      const job = await world.aJob()
      await world.time.moveTo(DUE)
      await world.scheduler.look()
      for (let lease = await world.lists(job), deaths = 0; ; deaths++) {
        const run = (await world.runsOf(job))[0]!
        assert.equal(run.transfersTotal, Math.min(deaths * TRANSFERS_STEP, MANY.length))
        let steps = 0
        world.build({
          addToRun: async (...step) => {
            if (steps++ > 0) throw new Error('the server is dead')
            return world.store.addToRun(...step)
          },
        })
        const said = world.answers(job, lease, { state: 'listed', files: files(...MANY), isTruncated: false })
        if (run.transfersTotal + TRANSFERS_STEP >= MANY.length) {
          await said
          break
        }
        await assert.rejects(said, /the server is dead/)
        world.build()
        if (comesAgain === 'the same listing') continue
        await world.listings.putBack(job.agentId, [])
        lease = await world.lists(job)
      }
      const [run] = await world.runsOf(job)
      assert.deepEqual([run!.phase, run!.transfersTotal, await world.namesOf(run!)], ['moving', MANY.length, MANY])
    })
  }

  test('a listing that is said twice at the same time is recorded once', async () => {
    const job = await world.aJob()
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    const lease = await world.lists(job)
    const listed = { state: 'listed', files: files(...MANY), isTruncated: false } as const
    const said = [world.listings.report(job.agentId, lease, listed), world.listings.report(job.agentId, lease, listed)]
    assert.deepEqual(await Promise.all(said), [{ go: false }, undefined])
    assert.deepEqual(await world.namesOf((await world.runsOf(job))[0]!), MANY)
  })

  test('a run that is stopped while its listing is recorded ends, with what was made of it', async () => {
    const job = await world.aJob()
    const run = (await world.runs.begin(job, { cause: 'manual', caller: ADMIN }))!
    const lease = await world.lists(job)
    world.build({
      async addToRun(...step) {
        const isDone = await world.store.addToRun(...step)
        await world.runs.cancel(run, ADMIN)
        return isDone
      },
    })
    await world.answers(job, lease, { state: 'listed', files: files(...MANY), isTruncated: false })
    for (let open = await world.openOf(run); open.length > 0; open = await world.openOf(run)) await world.end(open, 'cancelled')
    await world.scheduler.look()
    const { status, transfersTotal, lease: held } = (await world.store.findRun(run.id))!
    assert.deepEqual([status, transfersTotal, held, (await world.said(job)).length], ['cancelled', TRANSFERS_STEP, null, 2])
  })

  test('names that cannot be names at the destination are left out, the run says so and has failed; the others arrive', async () => {
    const job = await world.aJob()
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    const found = files('a.csv', '..', 'b\\c.csv')
    await world.answers(job, await world.lists(job), { state: 'listed', files: found, isTruncated: false })
    const [run] = await world.runsOf(job)
    assert.deepEqual(await world.namesOf(run!), ['a.csv'])
    await world.end(await world.transfersOf(run!), 'completed')
    await world.scheduler.look()
    const why = 'files were left out whose names cannot be names below /in/: ".." (and 1 more)'
    assert.deepEqual(await world.said(job), ['job.started', `job.failed: ${why}`])
  })

  test('more files than one look finds, of which all were moved before: the run says that it reaches no further', async () => {
    const job = await world.aJob({ skipMoved: 'name' })
    const listed = { state: 'listed', files: files('a.csv'), isTruncated: true } as const
    for (let night = 0; night < 2; night++) {
      await world.time.moveTo((await world.store.findJob(job.id))!.nextRunAt!)
      await world.scheduler.look()
      await world.answers(job, await world.lists(job), listed)
      await world.end(await world.transfersOf((await world.runsOf(job))[0]!), 'completed')
      await world.scheduler.look()
    }
    const [, first, , second] = await world.said(job)
    assert.equal(first, 'job.completed')
    assert.match(second!, /^job.failed: there are more than 1 files, and those that were looked at were all moved before/)
  })

  test('a job that is removed while its files are looked for ends its run', async () => {
    for (const isTaken of [true, false]) {
      const job = await world.aJob()
      await world.runs.begin(job, { cause: 'manual', caller: ADMIN })
      const lease = isTaken ? await world.lists(job) : ''
      await world.time.pass(1)
      await world.store.removeJob(job.id, world.time.clock.now(), anAudit('job.remove'))
      if (isTaken) await world.answers(job, lease, { state: 'listed', files: files('a.csv'), isTruncated: false })
      else assert.deepEqual(await world.listings.take(job.agentId, 5), [])
      assert.deepEqual(await world.said(job), ['job.started', 'job.failed: its job was removed'])
    }
  })

  test('a listing that was taken while the database failed is handed out all the same', async () => {
    const job = await world.aJob()
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    let isDown = true
    world.build({
      async takeListings(...asked) {
        const taken = await world.store.takeListings(...asked)
        if (isDown) throw new Error('no answer came')
        return taken
      },
    })
    await assert.rejects(world.listings.take(job.agentId, 5), /no answer came/)
    isDown = false
    assert.deepEqual(await world.listings.held(job.agentId), [], 'no agent has it')
    const lease = await world.lists(job)
    assert.deepEqual(await world.listings.held(job.agentId), [{ lease, isCancelled: false }])
    assert.deepEqual(await world.listings.take(job.agentId, 5), [])
  })

  test('an agent that goes for good while it looks for the files: the run fails in the end', async () => {
    const job = await world.aJob()
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    await world.lists(job)
    await world.time.pass(10 * MINUTE_MS)
    await world.listings.putBack(job.agentId, [])
    await world.time.pass(LISTING_WAIT_MAX_MS - 1)
    await world.scheduler.look()
    assert.equal((await world.said(job)).length, 1)
    await world.time.pass(1)
    await world.scheduler.look()
    assert.match((await world.said(job))[1]!, /did not look for the files within 3600 seconds$/)
  })

  test('a listing that an agent still holds is left to it', async () => {
    const job = await world.aJob()
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    const lease = await world.lists(job)
    await world.listings.putBack(job.agentId, [lease])
    assert.deepEqual(await world.listings.take(job.agentId, 5), [])
    assert.deepEqual(await world.listings.held(job.agentId), [{ lease, isCancelled: false }])
  })

  test('a listing that ends its agent each time is given up', async () => {
    const job = await world.aJob()
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    for (let deaths = 0; (await world.listings.take(job.agentId, 5)).length > 0; deaths++) {
      assert.ok(deaths <= 30)
      await world.time.pass(1)
      await world.listings.putBack(job.agentId, [])
    }
    assert.match((await world.said(job))[1]!, /^job.failed: AGENT_LOST/)
  })

  test('where the policy says so, losing the agent ends the run', async () => {
    const job = await world.aJob({ onAgentLost: 'fail' })
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    await world.lists(job)
    await world.time.pass(1)
    await world.listings.putBack(job.agentId, [])
    assert.deepEqual(await world.said(job), [
      'job.started',
      'job.failed: AGENT_LOST: its agent was lost while it looked for the files',
    ])
  })

  test('a host key that is shown to a dry run is pinned, and it goes on', async () => {
    world.build({ pinHostKey: async (_remote, hostKey) => hostKey === 'SHA256:right' })
    const job = await world.aJob()
    const found = world.listings.dryRun(job)
    const lease = await world.lists(job)
    assert.deepEqual(await world.listings.report(job.agentId, lease, { state: 'host_key', hostKey: 'SHA256:right' }), {
      go: true,
    })
    await world.answers(job, lease, { state: 'listed', files: [], isTruncated: false })
    assert.deepEqual((await found).files, [])

    const refused = assert.rejects(world.listings.dryRun(job), { message: /HOST_KEY_MISMATCH/ })
    assert.deepEqual(
      await world.listings.report(job.agentId, await world.lists(job), { state: 'host_key', hostKey: 'SHA256:wrong' }),
      {
        go: false,
      },
    )
    await refused
  })

  test('a dry run lists what would move and stores nothing', async () => {
    const job = await world.aJob()
    const found = world.listings.dryRun(job)
    const lease = await world.lists(job)
    await world.answers(job, lease, { state: 'listed', files: files('a.csv'), isTruncated: false })
    assert.deepEqual(await found, {
      files: [{ source: 'sftp://host/out/a.csv', destination: '/in/a.csv', size: 5, modifiedAt: 1_000 }],
      ...{ skipped: 0, refused: [], isTruncated: false },
    })
    assert.deepEqual([await world.runsOf(job), await world.said(job)], [[], []])
  })

  test('a dry run tells names that cannot be names at the destination, and what would move besides', async () => {
    const job = await world.aJob()
    const found = world.listings.dryRun(job)
    const odd = files('new\nline', 'fine', 'back\\slash')
    await world.answers(job, await world.lists(job), { state: 'listed', files: odd, isTruncated: false })
    const plan = await found
    assert.deepEqual(
      plan.files.map(({ destination }) => destination),
      ['/in/fine'],
    )
    assert.deepEqual([plan.skipped, plan.refused], [0, ['new\nline', 'back\\slash']])
  })

  test('a dry run waits for no file to be quiet; one that nobody waits for any more is stopped at the agent', async () => {
    const job = await world.aJob({ quietSeconds: 3_600 })
    const found = assert.rejects(world.listings.dryRun(job), { code: 'conflict' })
    const [work] = await world.listings.take(job.agentId, 5)
    assert.ok(work?.kind === 'list')
    const { lease, quietMs } = work
    assert.equal(quietMs, 0)
    assert.deepEqual(await world.listings.held(job.agentId), [{ lease, isCancelled: false }])
    await world.time.pass(DRY_RUN_MAX_MS)
    await found
    assert.deepEqual(await world.listings.held(job.agentId), [{ lease, isCancelled: true }])
    await world.answers(job, lease, { state: 'cancelled', bytesTransferred: 0 })
    assert.deepEqual(await world.listings.held(job.agentId), [])
  })

  test('a dry run whose agent comes back without it is handed out again', async () => {
    const job = await world.aJob()
    const found = world.listings.dryRun(job)
    const lease = await world.lists(job)
    await world.listings.putBack(job.agentId, [lease])
    assert.deepEqual(await world.listings.take(job.agentId, 5), [], 'it has it')
    await world.listings.putBack(job.agentId, [])
    assert.equal(await world.lists(job), lease)
    await world.answers(job, lease, { state: 'listed', files: [], isTruncated: false })
    assert.deepEqual((await found).files, [])
  })

  test('a dry run nobody answers ends with what to look at', async () => {
    const found = assert.rejects(world.listings.dryRun(await world.aJob()), {
      code: 'conflict',
      message: /did not answer within 60 seconds/,
    })
    await world.time.pass(DRY_RUN_MAX_MS)
    await found
  })
})
