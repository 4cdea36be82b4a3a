import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { anAudit } from '../store/testing.ts'
import { AGENT_AWAY_MAX_MS, LISTING_WAIT_MAX_MS } from './runs.ts'
import { ADMIN, DUE, files, type JobWorld, openJobWorld, START } from './runs-testing.ts'

describe('runs of jobs, on a real store', () => {
  let world: JobWorld
  before(async () => {
    world = await openJobWorld()
  })
  after(() => world.close())
  beforeEach(() => world.begin())

  test('a run from its moment to its end', async () => {
    const job = await world.aJob()
    await world.scheduler.look()
    assert.deepEqual(await world.runsOf(job), [], 'not before its moment')
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    const lease = await world.lists(job)
    await world.answers(job, lease, { state: 'listed', files: files('a.csv', 'b.csv'), isTruncated: false })
    const [run] = await world.runsOf(job)
    const [first, second] = await world.transfersOf(run!)
    await world.end([first!], 'completed')
    await world.scheduler.look()
    assert.equal((await world.runsOf(job))[0]!.status, 'running', 'one is still open')
    await world.end([second!], 'completed')
    await world.time.pass(320 * SECOND_MS)
    await world.scheduler.look()
    await world.scheduler.look()
    const [ended] = await world.runsOf(job)
    assert.deepEqual(
      [ended!.status, ended!.transfersTotal, ended!.transfersCompleted, ended!.transfersFailed],
      ['completed', 2, 2, 0],
    )
    assert.deepEqual(await world.said(job), ['job.started', 'job.completed'])
    assert.equal((await world.store.findJob(job.id))?.nextRunAt, DUE + 24 * 60 * MINUTE_MS)
  })

  test('a failed transfer makes a failed run, once', async () => {
    const job = await world.aJob()
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    await world.answers(job, await world.lists(job), { state: 'listed', files: files('a.csv', 'b.csv'), isTruncated: false })
    const [run] = await world.runsOf(job)
    const [first, second] = await world.transfersOf(run!)
    await world.end([first!], 'completed')
    await world.end([second!], 'failed')
    await Promise.all([world.runs.settle((await world.runsOf(job))[0]!), world.runs.settle((await world.runsOf(job))[0]!)])
    assert.deepEqual(await world.said(job), ['job.started', 'job.failed: 1 of 2 transfers did not complete'])
  })

  const missed = [
    { missedRuns: 'once', says: ['job.started'] },
    { missedRuns: 'skip', says: ['job.skipped: it was due while no server ran'] },
  ] as const

  for (const { missedRuns, says } of missed) {
    test(`after three nights without a server: ${missedRuns}`, async () => {
      const job = await world.aJob({ missedRuns })
      await world.time.moveTo(DUE + 3 * 24 * 60 * MINUTE_MS + 5 * MINUTE_MS)
      await world.scheduler.look()
      await world.scheduler.look()
      assert.deepEqual(await world.said(job), says)
      assert.deepEqual(
        (await world.runsOf(job)).map(({ cause }) => cause),
        ['missed'],
      )
      assert.equal((await world.store.findJob(job.id))?.nextRunAt, DUE + 4 * 24 * 60 * MINUTE_MS)
    })
  }

  const closed = [
    {
      at: 155,
      from: '01:00',
      to: '02:30',
      says: 'job.skipped: 2026-11-20 02:00 is in the blackout fri 01:00 to 02:30',
      name: 'its blackout',
    },
    { at: 190, from: '01:00', to: '02:30', says: 'job.started', name: 'a blackout that lets the moment after it have its run' },
    {
      at: 130,
      from: '02:05',
      to: '04:00',
      says: 'job.skipped: 2026-11-20 02:10 is in the blackout fri 02:05 to 04:00',
      name: 'a blackout of now',
    },
    { at: 130, from: '03:00', to: '04:00', says: 'job.started', name: 'no blackout' },
  ] as const

  for (const { at, from, to, says, name } of closed) {
    test(`what was missed at 02:00, found at minute ${at} of the night: ${name}`, async () => {
      const job = await world.aJob({ blackouts: [{ days: ['fri'], from, to }] }, { schedule: '0 * * * *' })
      await world.time.moveTo(DUE + (at - 120) * MINUTE_MS)
      await world.scheduler.look()
      assert.deepEqual(await world.said(job), [says])
    })
  }

  test('a moment that a clock far ahead told is taken back when the clock is right again, at once and after a restart', async () => {
    for (const isRestarted of [false, true]) {
      const job = await world.aJob({ waitsForPrevious: false })
      const nextRunAt = async () => (await world.store.findJob(job.id))!.nextRunAt
      const yearsAhead = DUE + 5 * 365 * DAY_MS
      await world.time.moveTo(yearsAhead)
      await world.scheduler.look()
      assert.equal(await nextRunAt(), yearsAhead + DAY_MS)
      await world.time.moveTo(START)
      if (isRestarted) world.build()
      await world.scheduler.look()
      assert.equal(await nextRunAt(), DUE)
      await world.time.moveTo(DUE)
      await world.scheduler.look()
      assert.equal((await world.runsOf(job)).filter(({ scheduledFor }) => scheduledFor === DUE).length, 1)
      await world.time.moveTo(START)
    }
  })

  test('a job whose time zone is known no more holds up no other', async () => {
    const lost = await world.aJob({ timeZone: 'Mars/Olympus' })
    const job = await world.aJob()
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    assert.deepEqual(await world.said(job), ['job.started'])
    await world.store.removeJob(lost.id, world.time.clock.now(), anAudit('job.remove'))
  })

  test('a run is skipped while the one before is under way, and says so', async () => {
    const job = await world.aJob({}, { schedule: '* * * * *' })
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    const [first] = await world.runsOf(job)
    await world.time.pass(MINUTE_MS)
    await world.scheduler.look()
    assert.deepEqual(await world.said(job), ['job.started', `job.skipped: the run before, ${first!.id}, is still under way`])
  })

  test('of jobs that are due at once each begins after what it depends on, whichever is found first', async () => {
    const [last, between, first] = [await world.aJob(), await world.aJob(), await world.aJob()]
    const dependsOn = ({ options, ...job }: typeof last, other: typeof last) =>
      world.store.updateJob({ ...job, options: { ...options, dependsOn: other.id } }, job, anAudit('job.update'))
    await dependsOn(between, first)
    await dependsOn(last, between)
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    assert.deepEqual(await world.said(first), ['job.started'])
    const [why, whyLast] = [between, last].map(async (job) => (await world.runsOf(job)).map(({ errorMessage }) => errorMessage))
    assert.deepEqual(await why, [`the last run of the job that it depends on, 'Daily Backup', is running`])
    assert.deepEqual(await whyLast, [`the job that it depends on, 'Daily Backup', has not run yet`])
  })

  test('a run whose server died between any two steps goes on', async () => {
    const job = await world.aJob()
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    const lost = await world.lists(job)
    // The server ends; the agent's next hello names nothing.
    world.build()
    await world.listings.putBack(job.agentId, [])
    assert.equal(
      await world.listings.report(job.agentId, lost, { state: 'listed', files: files('x'), isTruncated: false }),
      undefined,
    )
    await world.answers(job, await world.lists(job), { state: 'listed', files: files('a.csv'), isTruncated: false })
    world.build()
    await world.end(await world.transfersOf((await world.runsOf(job))[0]!), 'completed')
    world.build()
    await world.scheduler.look()
    assert.deepEqual(await world.said(job), ['job.started', 'job.completed'])
  })

  test('an agent that never comes: the run fails in the end', async () => {
    const job = await world.aJob()
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    await world.time.pass(LISTING_WAIT_MAX_MS - 1)
    await world.scheduler.look()
    assert.equal((await world.said(job)).length, 1)
    await world.time.pass(1)
    await world.scheduler.look()
    assert.match((await world.said(job))[1]!, /^job.failed: its agent did not look for the files within 3600 seconds$/)
  })

  test('a run that takes longer than its timeout is stopped and has failed', async () => {
    const job = await world.aJob({ timeoutSeconds: 60 })
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    await world.answers(job, await world.lists(job), { state: 'listed', files: files('a.csv'), isTruncated: false })
    await world.time.pass(60 * SECOND_MS)
    await world.scheduler.look()
    assert.deepEqual(await world.said(job), ['job.started', 'job.failed: it took longer than its timeoutSeconds of 60'])
    assert.deepEqual(
      (await world.transfersOf((await world.runsOf(job))[0]!)).map(({ status }) => status),
      ['cancelled'],
    )
  })

  test('a person stops a run: in its listing, and among its transfers', async () => {
    for (const isListed of [false, true]) {
      const job = await world.aJob()
      const run = (await world.runs.begin(job, { cause: 'manual', caller: ADMIN }))!
      const lease = await world.lists(job)
      if (isListed) await world.answers(job, lease, { state: 'listed', files: files('a.csv'), isTruncated: false })
      assert.equal(await world.runs.cancel((await world.store.findRun(run.id))!, ADMIN), true)
      if (!isListed) {
        assert.deepEqual(await world.listings.held(job.agentId), [{ lease, isCancelled: true }])
        await world.answers(job, lease, { state: 'cancelled', bytesTransferred: 0 })
      }
      const ended = (await world.store.findRun(run.id))!
      assert.equal(ended.status, 'cancelled')
      assert.equal(await world.runs.cancel(ended, ADMIN), false, 'it has ended')
      assert.equal((await world.said(job)).length, 2, 'one begin, one end')
    }
  })

  test('a revoked agent: what is due is skipped, what runs ends', async () => {
    const [before, later] = [await world.aJob(), await world.aJob({}, { nextRunAt: DUE + MINUTE_MS })]
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    world.isRevoked = true
    await world.time.pass(MINUTE_MS)
    await world.scheduler.look()
    assert.deepEqual(await world.said(before), ['job.started', 'job.failed: its agent is revoked'])
    assert.deepEqual(await world.said(later), ['job.skipped: its agent is revoked'])
  })

  test('a foreign agent begins and ends its run; with an open transfer it cannot', async () => {
    const job = await world.aJob()
    const run = (await world.runs.begin(job, { cause: 'agent', caller: ADMIN }))!
    await world.scheduler.look()
    assert.equal((await world.store.findRun(run.id))!.status, 'running', 'nobody ends it for the agent')
    const open = world.transferOf(job, run, files('a.csv')[0]!, 'sftp://host/a.csv')
    await world.store.createTransfers([open], [], null)
    assert.equal(await world.runs.endForeign(run, { status: 'completed' }), false)
    await world.end([open], 'failed')
    await world.time.pass(1)
    assert.equal(await world.runs.endForeign(run, { status: 'completed' }), true)
    assert.deepEqual(await world.said(job), ['job.started', 'job.failed: 1 of 1 transfers did not complete'])
  })

  test('a run of a foreign agent that went away and never ends it fails in the end', async () => {
    const job = await world.aJob({}, { nextRunAt: null })
    await world.runs.begin(job, { cause: 'agent', caller: ADMIN })
    await world.time.pass(2 * AGENT_AWAY_MAX_MS)
    await world.scheduler.look()
    assert.deepEqual(await world.said(job), ['job.started'], 'its agent is there')
    world.offlineSince = world.time.clock.now()
    await world.time.pass(AGENT_AWAY_MAX_MS - 1)
    await world.scheduler.look()
    assert.deepEqual(await world.said(job), ['job.started'])
    await world.time.pass(1)
    await world.scheduler.look()
    assert.deepEqual(await world.said(job), ['job.started', 'job.failed: its agent was not heard of for 3600 seconds'])
  })

  test('an agent that goes for good while it moves the files: the run fails in the end, with what is open of it', async () => {
    const job = await world.aJob()
    await world.time.moveTo(DUE)
    await world.scheduler.look()
    await world.answers(job, await world.lists(job), { state: 'listed', files: files('a.csv', 'b.csv'), isTruncated: false })
    const [run] = await world.runsOf(job)
    const [first] = await world.transfersOf(run!)
    await world.end([first!], 'completed')
    world.offlineSince = world.time.clock.now()
    await world.time.pass(AGENT_AWAY_MAX_MS - 1)
    await world.scheduler.look()
    assert.deepEqual(await world.said(job), ['job.started'], 'it may come back')
    await world.time.pass(1)
    await world.scheduler.look()
    await world.scheduler.look()
    assert.deepEqual(await world.said(job), ['job.started', 'job.failed: its agent was not heard of for 3600 seconds'])
    const statuses = (await world.transfersOf(run!)).map(({ status }) => status)
    assert.deepEqual(statuses.toSorted(), ['cancelled', 'completed'])
  })
})
