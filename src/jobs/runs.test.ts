import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { type Caller, SERVER_CALLER } from '../audit/caller.ts'
import { newId } from '../base/id.ts'
import { silentLog } from '../base/log.ts'
import { movingClock } from '../base/testing.ts'
import { MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { createRecorder } from '../events/record.ts'
import { openFresh } from '../store/sqlite/testing.ts'
import type { Store } from '../store/store.ts'
import { anAudit, anEvent } from '../store/testing.ts'
import { anAgent } from '../transfers/testing.ts'
import { newTransfer, type Transfer } from '../transfers/transfer.ts'
import type { ListedFile, WorkReport } from '../wire/agent/work.ts'
import { DRY_RUN_MAX_MS } from './dry-runs.ts'
import type { Job, JobOptions, Run } from './job.ts'
import { createListings, type Listings, TRANSFERS_STEP } from './listing.ts'
import type { Moving } from './moving.ts'
import { createRuns, LISTING_WAIT_MAX_MS, type Runs } from './runs.ts'
import { Scheduler } from './scheduler.ts'
import { jobOf, OPTIONS } from './testing.ts'

const ADMIN: Caller = { ...SERVER_CALLER, actor: 'admin' }
const PAGE = { limit: 100, offset: 0 }
/** 2026-11-20, a Friday, 01:59:30. */
const START = Date.UTC(2026, 10, 20, 1, 59, 30)
const DUE = Date.UTC(2026, 10, 20, 2, 0, 0)

/** Everything of jobs but the agent, which each test plays, on a real store. */
describe('runs of jobs, on a real store', () => {
  let store: Store
  let close: () => Promise<void>
  let time: ReturnType<typeof movingClock>
  let runs: Runs
  let listings: Listings
  let scheduler: Scheduler
  let isRevoked: boolean
  let offlineSince: number | null

  before(async () => {
    const opened = await openFresh()
    store = opened.store
    close = opened.close
  })
  after(() => close())

  beforeEach(() => {
    time = movingClock(START)
    isRevoked = false
    offlineSince = null
    build()
  })

  /** As after a new start: nothing is remembered but what is stored. */
  function build(faulty: Partial<Store> = {}): void {
    const clock = time.clock
    const moving: Moving = {
      sourceOf: async (job) => ({ endpoint: { protocol: 'local' }, path: job.sourcePath }),
      sourceUrlsOf: async () => (path) => `sftp://host${path}`,
      async transfersOf(job, run, files) {
        const transfers = files.map(({ file, sourceUrl }) => transferOf(job, run, file, sourceUrl))
        return { transfers, events: [] }
      },
      async cancelOpenOf(runId) {
        const { rows } = await store.listTransfers({ runId }, PAGE)
        await end(
          rows.filter(({ status }) => status === 'queued'),
          'cancelled',
        )
      },
      checkRoute: async (route) => ({ protocol: 'sftp', ...route }),
      nudge: () => {},
    }
    const agents = {
      async findAgent(id: string) {
        const status = offlineSince === null ? 'online' : 'offline'
        const agent = { id, name: 'one', status, lastSeenAt: offlineSince ?? clock.now(), revokedAt: isRevoked ? 1 : null }
        return agent as unknown as Awaited<ReturnType<Store['findAgent']>>
      },
    }
    const parts = { store: { ...store, ...agents, ...faulty }, moving, recorder: createRecorder(clock), clock, log: silentLog }
    runs = createRuns(parts)
    listings = createListings({ ...parts, runs, node: 'node_a' })
    scheduler = new Scheduler({ store, runs, clock, log: silentLog })
  }

  function transferOf(job: Job, run: Run, file: ListedFile, sourceUrl: string): Transfer {
    const policy: Transfer['policy'] = {
      ...{ retryDelaysMs: [], bytesPerSecond: null, postAction: { kind: 'keep' }, deadlineMs: null, onAgentLost: 'retry' },
      ...{ expected: { size: file.size, modifiedAt: file.modifiedAt }, parallelism: null },
    }
    const route = { sourceUrl, destinationPath: '/in/x', direction: job.direction, protocol: 'sftp' }
    return newTransfer({ agentId: job.agentId, runId: run.id, ...route, isForeign: false, policy }, time.clock.now())
  }

  async function aJob(options: Partial<JobOptions> = {}, more: Partial<Job> = {}): Promise<Job> {
    const now = time.clock.now()
    const agent = anAgent(now)
    await store.registerAgent(agent, null, null, anEvent(null, { type: 'agent.registered' }), anAudit('agent.register'))
    const ids = { id: newId('job', now), agentId: agent.id }
    const job = jobOf({ ...ids, createdAt: now, updatedAt: now, nextRunAt: DUE, ...more, options: { ...OPTIONS, ...options } })
    await store.createJob(job, anAudit('job.create'))
    return job
  }

  const runsOf = async ({ id }: Job) => (await store.listRuns(id, PAGE)).rows
  const files = (...names: string[]): ListedFile[] =>
    names.map((name) => ({ path: `/out/${name}`, relativePath: name, size: 5, modifiedAt: 1_000 }))

  /** What was said of a job, in order: the type and what its data says besides. */
  async function said({ id }: Job): Promise<string[]> {
    const types = ['job.started', 'job.completed', 'job.failed', 'job.skipped'] as const
    const { rows } = await store.listEvents({ types }, { limit: 1_000, offset: 0 })
    return rows
      .filter(({ data }) => data.jobId === id)
      .map(({ type, data }) => ((data.reason ?? data.error) === undefined ? type : `${type}: ${data.reason ?? data.error}`))
      .reverse()
  }

  /** The agent takes its listing. */
  async function lists(job: Job): Promise<string> {
    const [work] = await listings.take(job.agentId, 5)
    assert(work !== undefined, 'a listing is handed out')
    return work.lease
  }

  async function answers(job: Job, lease: string, report: WorkReport): Promise<void> {
    // Ids made later sort later, but not those of one ms.
    await time.pass(1)
    await listings.report(job.agentId, lease, report)
  }

  async function end(transfers: readonly Transfer[], status: 'completed' | 'failed' | 'cancelled'): Promise<void> {
    const at = time.clock.now()
    const changes = transfers.map((basis) => {
      const arrivedAt = status === 'completed' ? at : null
      return { basis, after: { ...basis, status, size: 5, completedAt: at, arrivedAt, lease: null }, events: [], entry: null }
    })
    await store.changeTransfers(changes)
  }

  const transfersOf = async (run: Run) => (await store.listTransfers({ runId: run.id }, PAGE)).rows

  test('a run from its moment to its end', async () => {
    const job = await aJob()
    await scheduler.look()
    assert.deepEqual(await runsOf(job), [], 'not before its moment')
    await time.moveTo(DUE)
    await scheduler.look()
    const lease = await lists(job)
    await answers(job, lease, { state: 'listed', files: files('a.csv', 'b.csv'), isTruncated: false })
    const [run] = await runsOf(job)
    const [first, second] = await transfersOf(run!)
    await end([first!], 'completed')
    await scheduler.look()
    assert.equal((await runsOf(job))[0]!.status, 'running', 'one is still open')
    await end([second!], 'completed')
    await time.pass(320 * SECOND_MS)
    await scheduler.look()
    await scheduler.look()
    const [ended] = await runsOf(job)
    assert.deepEqual(
      [ended!.status, ended!.transfersTotal, ended!.transfersCompleted, ended!.transfersFailed],
      ['completed', 2, 2, 0],
    )
    assert.deepEqual(await said(job), ['job.started', 'job.completed'])
    assert.equal((await store.findJob(job.id))?.nextRunAt, DUE + 24 * 60 * MINUTE_MS)
  })

  test('a failed transfer makes a failed run, once', async () => {
    const job = await aJob()
    await time.moveTo(DUE)
    await scheduler.look()
    await answers(job, await lists(job), { state: 'listed', files: files('a.csv', 'b.csv'), isTruncated: false })
    const [run] = await runsOf(job)
    const [first, second] = await transfersOf(run!)
    await end([first!], 'completed')
    await end([second!], 'failed')
    await Promise.all([runs.settle((await runsOf(job))[0]!), runs.settle((await runsOf(job))[0]!)])
    assert.deepEqual(await said(job), ['job.started', 'job.failed: 1 of 2 transfers did not complete'])
  })

  test('nothing to move completes at once; one file that is not there fails', async () => {
    const [glob, single] = [await aJob(), await aJob({}, { sourcePath: '/out/a.csv' })]
    await time.moveTo(DUE)
    await scheduler.look()
    for (const job of [glob, single]) await answers(job, await lists(job), { state: 'listed', files: [], isTruncated: false })
    assert.deepEqual(await said(glob), ['job.started', 'job.completed'])
    assert.deepEqual(await said(single), ['job.started', 'job.failed: NOT_FOUND: nothing is at /out/a.csv'])
  })

  test('a host key that is shown to a listing is pinned, and the listing goes on', async () => {
    const asked: unknown[] = []
    build({
      async pinHostKey(...facts) {
        asked.push(facts)
        return facts[1] === 'SHA256:right'
      },
    })
    const [trusting, other] = [await aJob(), await aJob()]
    await time.moveTo(DUE)
    await scheduler.look()
    const lease = await lists(trusting)
    assert.deepEqual(await listings.report(trusting.agentId, lease, { state: 'host_key', hostKey: 'SHA256:right' }), { go: true })
    assert.deepEqual(asked, [['rmt_1', 'SHA256:right', DUE]])
    await answers(trusting, lease, { state: 'listed', files: [], isTruncated: false })
    assert.deepEqual(await said(trusting), ['job.started', 'job.completed'])

    const wrong = { state: 'host_key', hostKey: 'SHA256:wrong' } as const
    assert.deepEqual(await listings.report(other.agentId, await lists(other), wrong), { go: false })
    const [, failed] = await said(other)
    assert.match(failed!, /^job.failed: HOST_KEY_MISMATCH: .* SHA256:wrong/)
  })

  test('a listing that fails is tried again by the delays of the job, then the run fails', async () => {
    const job = await aJob({ retryDelaysSeconds: [30] })
    await time.moveTo(DUE)
    await scheduler.look()
    const failure = { state: 'failed', errorCode: 'CONNECTION_REFUSED', error: 'no', bytesTransferred: 0 } as const
    await answers(job, await lists(job), failure)
    assert.deepEqual(await listings.take(job.agentId, 5), [], 'not before its delay')
    const reasonOf = async () => (await store.latestRun(job.id))!.errorMessage
    assert.equal(await reasonOf(), 'CONNECTION_REFUSED: no; its files are looked for again at 2026-11-20T02:00:30Z')
    await time.pass(30 * SECOND_MS)
    const lease = await lists(job)
    assert.equal(await reasonOf(), null, 'it is being looked for')
    await answers(job, lease, failure)
    assert.deepEqual(await said(job), ['job.started', 'job.failed: CONNECTION_REFUSED: no'])
  })

  test('a listing that fails and then works leaves no reason behind; a run that is stopped in between was cancelled', async () => {
    for (const isStopped of [false, true]) {
      const job = await aJob({ retryDelaysSeconds: [30] })
      const run = (await runs.begin(job, { cause: 'manual', caller: ADMIN }))!
      await answers(job, await lists(job), { state: 'failed', errorCode: 'TIMEOUT', error: 'no', bytesTransferred: 0 })
      if (isStopped) await runs.cancel((await store.findRun(run.id))!, ADMIN)
      else {
        await time.pass(30 * SECOND_MS)
        await answers(job, await lists(job), { state: 'listed', files: [], isTruncated: false })
      }
      const { status, errorMessage } = (await store.findRun(run.id))!
      assert.deepEqual([status, errorMessage], isStopped ? ['cancelled', 'the run was cancelled'] : ['completed', null])
    }
  })

  test('a listing that will never work is not tried again', async () => {
    const job = await aJob()
    await time.moveTo(DUE)
    await scheduler.look()
    await answers(job, await lists(job), { state: 'failed', errorCode: 'AUTH_FAILED', error: 'no', bytesTransferred: 0 })
    assert.deepEqual(await said(job), ['job.started', 'job.failed: AUTH_FAILED: no'])
  })

  test('what was moved before is left alone the next night', async () => {
    const job = await aJob({ skipMoved: 'time' })
    for (const found of [files('a.csv'), files('a.csv', 'b.csv')]) {
      await time.moveTo((await store.findJob(job.id))!.nextRunAt!)
      await scheduler.look()
      await answers(job, await lists(job), { state: 'listed', files: found, isTruncated: false })
      await end(await transfersOf((await runsOf(job))[0]!), 'completed')
      await scheduler.look()
    }
    assert.deepEqual(
      (await runsOf(job)).map(({ transfersTotal }) => transfersTotal),
      [1, 1],
    )
  })

  const missed = [
    { missedRuns: 'once', says: ['job.started'] },
    { missedRuns: 'skip', says: ['job.skipped: it was due while no server ran'] },
  ] as const
  for (const { missedRuns, says } of missed) {
    test(`after three nights without a server: ${missedRuns}`, async () => {
      const job = await aJob({ missedRuns })
      await time.moveTo(DUE + 3 * 24 * 60 * MINUTE_MS + 5 * MINUTE_MS)
      await scheduler.look()
      await scheduler.look()
      assert.deepEqual(await said(job), says)
      assert.deepEqual(
        (await runsOf(job)).map(({ cause }) => cause),
        ['missed'],
      )
      assert.equal((await store.findJob(job.id))?.nextRunAt, DUE + 4 * 24 * 60 * MINUTE_MS)
    })
  }

  test('a run is skipped while the one before is under way, and says so', async () => {
    const job = await aJob({}, { schedule: '* * * * *' })
    await time.moveTo(DUE)
    await scheduler.look()
    const [first] = await runsOf(job)
    await time.pass(MINUTE_MS)
    await scheduler.look()
    assert.deepEqual(await said(job), ['job.started', `job.skipped: the run before, ${first!.id}, is still under way`])
  })

  test('a run whose server died between any two steps goes on', async () => {
    const job = await aJob()
    await time.moveTo(DUE)
    await scheduler.look()
    const lost = await lists(job)
    // The server ends; the agent's next hello names nothing.
    build()
    await listings.putBack(job.agentId, [])
    assert.equal(await listings.report(job.agentId, lost, { state: 'listed', files: files('x'), isTruncated: false }), undefined)
    await answers(job, await lists(job), { state: 'listed', files: files('a.csv'), isTruncated: false })
    build()
    await end(await transfersOf((await runsOf(job))[0]!), 'completed')
    build()
    await scheduler.look()
    assert.deepEqual(await said(job), ['job.started', 'job.completed'])
  })

  const MANY = Array.from({ length: 2 * TRANSFERS_STEP + 100 }, (_, at) => `${String(at).padStart(4, '0')}.csv`)
  const namesOf = async (run: Run) => (await store.sourcesOfRun(run.id)).map((url) => url.replace('sftp://host/out/', '')).sort()

  for (const comesAgain of ['the same listing', 'another listing'] as const) {
    test(`a listing of many files whose server dies after each step gets a transfer for each file once: ${comesAgain}`, async () => {
      const job = await aJob()
      await time.moveTo(DUE)
      await scheduler.look()
      for (let lease = await lists(job), deaths = 0; ; deaths++) {
        const run = (await runsOf(job))[0]!
        assert.equal(run.transfersTotal, Math.min(deaths * TRANSFERS_STEP, MANY.length))
        let steps = 0
        build({
          addToRun: async (...step) => {
            if (steps++ > 0) throw new Error('the server is dead')
            return store.addToRun(...step)
          },
        })
        const said = answers(job, lease, { state: 'listed', files: files(...MANY), isTruncated: false })
        if (run.transfersTotal + TRANSFERS_STEP >= MANY.length) {
          await said
          break
        }
        await assert.rejects(said, /the server is dead/)
        build()
        if (comesAgain === 'the same listing') continue
        await listings.putBack(job.agentId, [])
        lease = await lists(job)
      }
      const [run] = await runsOf(job)
      assert.deepEqual([run!.phase, run!.transfersTotal, await namesOf(run!)], ['moving', MANY.length, MANY])
    })
  }

  test('a listing that is said twice at the same time is recorded once', async () => {
    const job = await aJob()
    await time.moveTo(DUE)
    await scheduler.look()
    const lease = await lists(job)
    const listed = { state: 'listed', files: files(...MANY), isTruncated: false } as const
    const said = [listings.report(job.agentId, lease, listed), listings.report(job.agentId, lease, listed)]
    assert.deepEqual(await Promise.all(said), [{ go: false }, undefined])
    assert.deepEqual(await namesOf((await runsOf(job))[0]!), MANY)
  })

  test('a run that is stopped while its listing is recorded ends, with what was made of it', async () => {
    const job = await aJob()
    const run = (await runs.begin(job, { cause: 'manual', caller: ADMIN }))!
    const lease = await lists(job)
    build({
      async addToRun(...step) {
        const isDone = await store.addToRun(...step)
        await runs.cancel(run, ADMIN)
        return isDone
      },
    })
    await answers(job, lease, { state: 'listed', files: files(...MANY), isTruncated: false })
    for (let open = await openOf(run); open.length > 0; open = await openOf(run)) await end(open, 'cancelled')
    await scheduler.look()
    const { status, transfersTotal, lease: held } = (await store.findRun(run.id))!
    assert.deepEqual([status, transfersTotal, held, (await said(job)).length], ['cancelled', TRANSFERS_STEP, null, 2])
  })
  const openOf = async (run: Run) => (await store.listTransfers({ runId: run.id, status: 'queued' }, PAGE)).rows

  test('names that cannot be names at the destination are left out, the run says so and has failed; the others arrive', async () => {
    const job = await aJob()
    await time.moveTo(DUE)
    await scheduler.look()
    const found = files('a.csv', '..', 'b\\c.csv')
    await answers(job, await lists(job), { state: 'listed', files: found, isTruncated: false })
    const [run] = await runsOf(job)
    assert.deepEqual(await namesOf(run!), ['a.csv'])
    await end(await transfersOf(run!), 'completed')
    await scheduler.look()
    const why = 'files were left out whose names cannot be names below /in/: ".." (and 1 more)'
    assert.deepEqual(await said(job), ['job.started', `job.failed: ${why}`])
  })

  test('more files than one look finds, of which all were moved before: the run says that it reaches no further', async () => {
    const job = await aJob({ skipMoved: 'name' })
    const listed = { state: 'listed', files: files('a.csv'), isTruncated: true } as const
    for (let night = 0; night < 2; night++) {
      await time.moveTo((await store.findJob(job.id))!.nextRunAt!)
      await scheduler.look()
      await answers(job, await lists(job), listed)
      await end(await transfersOf((await runsOf(job))[0]!), 'completed')
      await scheduler.look()
    }
    const [, first, , second] = await said(job)
    assert.equal(first, 'job.completed')
    assert.match(second!, /^job.failed: there are more than 1 files, and those that were looked at were all moved before/)
  })

  test('a job that is removed while its files are looked for ends its run', async () => {
    for (const isTaken of [true, false]) {
      const job = await aJob()
      await runs.begin(job, { cause: 'manual', caller: ADMIN })
      const lease = isTaken ? await lists(job) : ''
      await time.pass(1)
      await store.removeJob(job.id, time.clock.now(), anAudit('job.remove'))
      if (isTaken) await answers(job, lease, { state: 'listed', files: files('a.csv'), isTruncated: false })
      else assert.deepEqual(await listings.take(job.agentId, 5), [])
      assert.deepEqual(await said(job), ['job.started', 'job.failed: its job was removed'])
    }
  })

  test('a listing that was taken while the database failed is handed out all the same', async () => {
    const job = await aJob()
    await time.moveTo(DUE)
    await scheduler.look()
    let isDown = true
    build({
      async takeListings(...asked) {
        const taken = await store.takeListings(...asked)
        if (isDown) throw new Error('no answer came')
        return taken
      },
    })
    await assert.rejects(listings.take(job.agentId, 5), /no answer came/)
    isDown = false
    assert.deepEqual(await listings.held(job.agentId), [], 'no agent has it')
    const lease = await lists(job)
    assert.deepEqual(await listings.held(job.agentId), [{ lease, isCancelled: false }])
    assert.deepEqual(await listings.take(job.agentId, 5), [])
  })

  test('an agent that goes for good while it looks for the files: the run fails in the end', async () => {
    const job = await aJob()
    await time.moveTo(DUE)
    await scheduler.look()
    await lists(job)
    await time.pass(10 * MINUTE_MS)
    await listings.putBack(job.agentId, [])
    await time.pass(LISTING_WAIT_MAX_MS - 1)
    await scheduler.look()
    assert.equal((await said(job)).length, 1)
    await time.pass(1)
    await scheduler.look()
    assert.match((await said(job))[1]!, /did not look for the files within 3600 seconds$/)
  })

  test('a listing that an agent still holds is left to it', async () => {
    const job = await aJob()
    await time.moveTo(DUE)
    await scheduler.look()
    const lease = await lists(job)
    await listings.putBack(job.agentId, [lease])
    assert.deepEqual(await listings.take(job.agentId, 5), [])
    assert.deepEqual(await listings.held(job.agentId), [{ lease, isCancelled: false }])
  })

  test('a listing that ends its agent each time is given up', async () => {
    const job = await aJob()
    await time.moveTo(DUE)
    await scheduler.look()
    for (let deaths = 0; (await listings.take(job.agentId, 5)).length > 0; deaths++) {
      assert.ok(deaths <= 30)
      await time.pass(1)
      await listings.putBack(job.agentId, [])
    }
    assert.match((await said(job))[1]!, /^job.failed: AGENT_LOST/)
  })

  test('where the policy says so, losing the agent ends the run', async () => {
    const job = await aJob({ onAgentLost: 'fail' })
    await time.moveTo(DUE)
    await scheduler.look()
    await lists(job)
    await time.pass(1)
    await listings.putBack(job.agentId, [])
    assert.deepEqual(await said(job), ['job.started', 'job.failed: AGENT_LOST: its agent was lost while it looked for the files'])
  })

  test('an agent that never comes: the run fails in the end', async () => {
    const job = await aJob()
    await time.moveTo(DUE)
    await scheduler.look()
    await time.pass(LISTING_WAIT_MAX_MS - 1)
    await scheduler.look()
    assert.equal((await said(job)).length, 1)
    await time.pass(1)
    await scheduler.look()
    assert.match((await said(job))[1]!, /^job.failed: its agent did not look for the files within 3600 seconds$/)
  })

  test('a run that takes longer than its timeout is stopped and has failed', async () => {
    const job = await aJob({ timeoutSeconds: 60 })
    await time.moveTo(DUE)
    await scheduler.look()
    await answers(job, await lists(job), { state: 'listed', files: files('a.csv'), isTruncated: false })
    await time.pass(60 * SECOND_MS)
    await scheduler.look()
    assert.deepEqual(await said(job), ['job.started', 'job.failed: it took longer than its timeoutSeconds of 60'])
    assert.deepEqual(
      (await transfersOf((await runsOf(job))[0]!)).map(({ status }) => status),
      ['cancelled'],
    )
  })

  test('a person stops a run: in its listing, and among its transfers', async () => {
    for (const isListed of [false, true]) {
      const job = await aJob()
      const run = (await runs.begin(job, { cause: 'manual', caller: ADMIN }))!
      const lease = await lists(job)
      if (isListed) await answers(job, lease, { state: 'listed', files: files('a.csv'), isTruncated: false })
      assert.equal(await runs.cancel((await store.findRun(run.id))!, ADMIN), true)
      if (!isListed) {
        assert.deepEqual(await listings.held(job.agentId), [{ lease, isCancelled: true }])
        await answers(job, lease, { state: 'cancelled', bytesTransferred: 0 })
      }
      const ended = (await store.findRun(run.id))!
      assert.equal(ended.status, 'cancelled')
      assert.equal(await runs.cancel(ended, ADMIN), false, 'it has ended')
      assert.equal((await said(job)).length, 2, 'one begin, one end')
    }
  })

  test('a revoked agent: what is due is skipped, what runs ends', async () => {
    const [before, later] = [await aJob(), await aJob({}, { nextRunAt: DUE + MINUTE_MS })]
    await time.moveTo(DUE)
    await scheduler.look()
    isRevoked = true
    await time.pass(MINUTE_MS)
    await scheduler.look()
    assert.deepEqual(await said(before), ['job.started', 'job.failed: its agent is revoked'])
    assert.deepEqual(await said(later), ['job.skipped: its agent is revoked'])
  })

  test('a foreign agent begins and ends its run; with an open transfer it cannot', async () => {
    const job = await aJob()
    const run = (await runs.begin(job, { cause: 'agent', caller: ADMIN }))!
    await scheduler.look()
    assert.equal((await store.findRun(run.id))!.status, 'running', 'nobody ends it for the agent')
    const open = transferOf(job, run, files('a.csv')[0]!, 'sftp://host/a.csv')
    await store.createTransfers([open], [], null)
    assert.equal(await runs.endForeign(run, null), false)
    await end([open], 'failed')
    await time.pass(1)
    assert.equal(await runs.endForeign(run, null), true)
    assert.deepEqual(await said(job), ['job.started', 'job.failed: 1 of 1 transfers did not complete'])
  })

  test('a host key that is shown to a dry run is pinned, and it goes on', async () => {
    build({ pinHostKey: async (_remote, hostKey) => hostKey === 'SHA256:right' })
    const job = await aJob()
    const found = listings.dryRun(job)
    const lease = await lists(job)
    assert.deepEqual(await listings.report(job.agentId, lease, { state: 'host_key', hostKey: 'SHA256:right' }), { go: true })
    await answers(job, lease, { state: 'listed', files: [], isTruncated: false })
    assert.deepEqual((await found).files, [])

    const refused = assert.rejects(listings.dryRun(job), { message: /HOST_KEY_MISMATCH/ })
    assert.deepEqual(await listings.report(job.agentId, await lists(job), { state: 'host_key', hostKey: 'SHA256:wrong' }), {
      go: false,
    })
    await refused
  })

  test('a dry run lists what would move and stores nothing', async () => {
    const job = await aJob()
    const found = listings.dryRun(job)
    const lease = await lists(job)
    await answers(job, lease, { state: 'listed', files: files('a.csv'), isTruncated: false })
    assert.deepEqual(await found, {
      files: [{ source: 'sftp://host/out/a.csv', destination: '/in/a.csv', size: 5, modifiedAt: 1_000 }],
      ...{ skipped: 0, isTruncated: false },
    })
    assert.deepEqual([await runsOf(job), await said(job)], [[], []])
  })

  test('a dry run nobody answers ends with what to look at', async () => {
    const found = assert.rejects(listings.dryRun(await aJob()), { code: 'conflict', message: /did not answer within 60 seconds/ })
    await time.pass(DRY_RUN_MAX_MS)
    await found
  })
})
