import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newId } from '../../base/id.ts'
import type { Job, Run } from '../../jobs/job.ts'
import { jobOf, runOf } from '../../jobs/testing.ts'
import { anAgent } from '../../transfers/testing.ts'
import { newTransfer, type Transfer } from '../../transfers/transfer.ts'
import type { World } from '../conformance.ts'
import { anAudit, anEvent, taker, tick } from '../testing.ts'

const PAGE = { limit: 100, offset: 0 }
const ALONE = { isAlone: true }

export function jobCases(world: World): void {
  async function aJob(more: Partial<Job> = {}): Promise<Job> {
    const at = tick()
    const agent = anAgent(at)
    await world.store.registerAgent(agent, null, null, anEvent(null, { type: 'agent.registered' }), anAudit('agent.register'))
    const job = jobOf({ id: newId('job', at), agentId: agent.id, createdAt: at, updatedAt: at, nextRunAt: at, ...more })
    await world.store.createJob(job, anAudit('job.create'))
    return job
  }

  function aRun(job: Job, more: Partial<Run> = {}): Run {
    const at = tick()
    return runOf({
      id: newId('run', at),
      jobId: job.id,
      agentId: job.agentId,
      scheduledFor: null,
      startedAt: at,
      dueAt: at,
      ...more,
    })
  }

  const event = (type: 'job.started' | 'job.completed' | 'job.skipped' = 'job.started') => anEvent(null, { type })
  const begin = (run: Run, nextRunAt: number | null = null) =>
    world.store.beginRun(run, { nextRunAt: run.scheduledFor, ...ALONE }, nextRunAt, event(), null)

  function aTransfer(run: Run, more: Partial<Transfer> = {}): Transfer {
    const policy: Transfer['policy'] = {
      ...{
        retryDelaysMs: [],
        bytesPerSecond: null,
        postAction: { kind: 'keep' },
        deadlineMs: null,
        onAgentLost: 'retry',
        parallelism: null,
      },
      expected: { size: 10, modifiedAt: 1_000 },
    }
    const made = newTransfer(
      {
        ...{ agentId: run.agentId, runId: run.id, sourceUrl: 'sftp://host/a.csv', destinationPath: '/a.csv', direction: 'pull' },
        ...{ protocol: 'sftp', isForeign: false, policy },
      },
      tick(),
    )
    return { ...made, ...more }
  }

  test('a job is stored as it was given, listed, changed and removed', async () => {
    const job = await aJob({ name: 'Häufig', remoteId: 'rmt_1', isEnabled: false })
    assert.deepEqual(await world.store.findJob(job.id), job)
    const listed = await world.store.listJobs({ agentId: job.agentId, isEnabled: false }, PAGE)
    assert.deepEqual([listed.rows, listed.total], [[job], 1])
    assert.equal((await world.store.listJobs({ agentId: job.agentId, isEnabled: true }, PAGE)).total, 0)

    const changed = { ...job, name: 'other', isEnabled: true, nextRunAt: tick(), updatedAt: tick() }
    await world.store.updateJob(changed, job, anAudit('job.update'))
    assert.deepEqual(await world.store.findJob(job.id), changed)
    await assert.rejects(world.store.updateJob(changed, job, anAudit('job.update')), { code: 'conflict' })

    await world.store.removeJob(job.id, tick(), anAudit('job.remove'))
    assert.equal(await world.store.findJob(job.id), undefined)
    assert.equal((await world.store.findAnyJob(job.id))?.name, 'other')
    await assert.rejects(world.store.removeJob(job.id, tick(), anAudit('job.remove')), { code: 'not_found' })
    await assert.rejects(world.store.updateJob(changed, changed, anAudit('job.update')), { code: 'not_found' })
  })

  test('no job waits for itself by way of others, however many change at once', async () => {
    const jobs: Job[] = []
    for (let n = 0; n < 4; n += 1) jobs.push(await aJob())
    const waitFor = (job: Job, dependsOn: string) =>
      world.store.updateJob({ ...job, options: { ...job.options, dependsOn }, updatedAt: tick() }, job, anAudit('job.update'))
    // Each of the four changes is fine as long as it does not see the other three.
    const changes = await Promise.allSettled(jobs.map((job, n) => waitFor(job, jobs[(n + 1) % jobs.length]!.id)))
    const refused = changes.filter((change) => change.status === 'rejected').map(({ reason }) => [reason.code, reason.field])
    assert.deepEqual(refused, [['invalid', 'dependsOn']])

    const open = jobs[changes.findIndex(({ status }) => status === 'rejected')]!
    assert.equal((await world.store.findJob(open.id))!.options.dependsOn, null)
    await assert.rejects(waitFor(open, open.id), { code: 'invalid' }, 'nor straight for itself')
  })

  test('due jobs come oldest first, and no removed or paused one', async () => {
    const [late, early, gone] = [await aJob({ nextRunAt: 2 }), await aJob({ nextRunAt: 1 }), await aJob({ nextRunAt: 1 })]
    const paused = await aJob({ nextRunAt: null, isEnabled: false })
    await world.store.removeJob(gone.id, tick(), anAudit('job.remove'))
    const ids = (await world.store.dueJobs(2, 1_000)).map(({ id }) => id)
    assert.deepEqual(
      ids.filter((id) => [late.id, early.id, gone.id, paused.id].includes(id)),
      [early.id, late.id],
    )
    await world.store.moveJob(late.id, 7, 0)
    assert.equal((await world.store.findJob(late.id))!.nextRunAt, late.nextRunAt, 'it was not due then')
    await world.store.moveJob(late.id, late.nextRunAt!, 0)
    assert.equal((await world.store.findJob(late.id))!.nextRunAt, 0)
    for (const job of [late, early]) await world.store.removeJob(job.id, tick(), anAudit('job.remove'))
  })

  test('a moment of the schedule has one run, however many begin it at once', async () => {
    const job = await aJob()
    const runs = Array.from({ length: 4 }, () => aRun(job, { scheduledFor: job.nextRunAt, status: 'skipped', phase: null }))
    const begun = await Promise.all(runs.map((run) => begin(run, job.nextRunAt! + 60_000)))
    assert.equal(begun.filter(Boolean).length, 1)
    assert.equal((await world.store.listRuns(job.id, PAGE)).total, 1)
    assert.equal((await world.store.findJob(job.id))?.nextRunAt, job.nextRunAt! + 60_000)
    // A late one of that moment finds the job due at another.
    assert.equal(await begin(aRun(job, { scheduledFor: job.nextRunAt }), null), false)
  })

  test('a job that waits for its run before has one run at a time, however many are asked for at once', async () => {
    const job = await aJob()
    const begun = await Promise.all(Array.from({ length: 4 }, () => begin(aRun(job, { cause: 'manual' }))))
    assert.equal(begun.filter(Boolean).length, 1)
    const free = await world.store.beginRun(aRun(job), { nextRunAt: null, isAlone: false }, null, event(), anAudit('job.run'))
    assert.equal(free, true, 'one that may overlap begins')
    assert.equal((await world.store.findJob(job.id))?.nextRunAt, job.nextRunAt, 'a run by hand leaves the schedule alone')
  })

  test('the latest run is the newest that began', async () => {
    const job = await aJob()
    assert.equal(await world.store.latestRun(job.id), undefined)
    const run = aRun(job, { status: 'failed', phase: null })
    await begin(run)
    await begin(aRun(job, { status: 'skipped', phase: null }))
    assert.deepEqual(await world.store.latestRun(job.id), run)
  })

  test('a listing is handed out once, put back and handed out again', async () => {
    const job = await aJob()
    const run = aRun(job)
    assert.equal(await world.store.nextListingDue(job.agentId), null)
    await begin(run)
    assert.equal(await world.store.nextListingDue(job.agentId), run.dueAt)
    const both = await Promise.all(
      ['one', 'two'].map((lease) => world.store.takeListings(taker(job.agentId, 'node_a'), [`${run.id}${lease}`], run.dueAt)),
    )
    const [taken] = both.flat()
    assert.equal(both.flat().length, 1)
    assert.deepEqual([taken!.listings, taken!.id], [1, run.id])
    assert.deepEqual(await world.store.findRunByLease(taken!.lease!), taken)
    assert.deepEqual(await world.store.heldListings(job.agentId, 10), [taken])
    assert.equal(await world.store.nextListingDue(job.agentId), null)
    assert.equal(await world.store.changeRun({ ...taken!, lease: null, dueAt: run.dueAt + 5 }, taken!, []), true)
    assert.deepEqual(await world.store.takeListings(taker(job.agentId, 'node_a'), ['x'], run.dueAt + 4), [])
    assert.equal(
      (await world.store.takeListings(taker(job.agentId, 'node_a'), [`${run.id}again`], run.dueAt + 5))[0]?.listings,
      2,
    )
  })

  test('a listing that is being cancelled is not handed out', async () => {
    const job = await aJob()
    const run = aRun(job)
    await begin(run)
    await world.store.changeRun({ ...run, cancelAskedAt: tick() }, run, [])
    assert.deepEqual(await world.store.takeListings(taker(job.agentId, 'node_a'), ['y'], Number.MAX_SAFE_INTEGER), [])
  })

  /** A run whose listing an agent holds. */
  async function aListing(job: Job): Promise<Run> {
    const run = aRun(job)
    await begin(run)
    return (await world.store.takeListings(taker(job.agentId, 'node_a'), [`lease of ${run.id}`], run.dueAt))[0]!
  }

  test('what a listing found becomes transfers step by step, each once, until the last one ends it', async () => {
    const run = await aListing(await aJob())
    const add = (listing: Run, transfers: Transfer[], isLast = false) =>
      world.store.addToRun(listing, transfers, [event()], isLast)
    assert.equal(await add({ ...run, lease: 'lost' }, [aTransfer(run)]), false)
    const steps = await Promise.all(Array.from({ length: 4 }, () => add(run, [aTransfer(run), aTransfer(run)])))
    assert.equal(steps.filter(Boolean).length, 1, 'of those that make the same step one does')
    const further = (await world.store.findRun(run.id))!
    assert.deepEqual(further, { ...run, transfersTotal: 2 })
    assert.deepEqual(await world.store.sourcesOfRun(run.id), ['sftp://host/a.csv', 'sftp://host/a.csv'])
    assert.equal(await add(run, [aTransfer(run)], true), false, 'this one counts from before')
    assert.equal(await add(further, [aTransfer(run)], true), true)
    assert.deepEqual(await world.store.findRun(run.id), { ...run, phase: 'moving', lease: null, transfersTotal: 3 })
    assert.deepEqual(await world.store.tallyOfRun(run.id), { total: 3, completed: 0, failed: 0, cancelled: 0, open: 3, bytes: 0 })
    assert.equal(await world.store.hasOpenTransfers(run.id), true)
    assert.equal(await world.store.hasOpenTransfers('run_without'), false)
    assert.equal(await add({ ...further, transfersTotal: 3 }, [aTransfer(run)]), false, 'its listing is over')
  })

  test('a listing that is to stop makes no transfer more, and stopping it forgets none', async () => {
    const run = await aListing(await aJob())
    await world.store.addToRun(run, [aTransfer(run)], [event()], false)
    // Read before that step: what it made is not undone.
    assert.equal(await world.store.changeRun({ ...run, cancelAskedAt: tick() }, run, []), true)
    assert.equal((await world.store.findRun(run.id))?.transfersTotal, 1)
    assert.equal(await world.store.addToRun({ ...run, transfersTotal: 1 }, [aTransfer(run)], [], true), false)
    assert.equal((await world.store.tallyOfRun(run.id)).total, 1)
  })

  test('a moment that has its run already is passed over, and one that must wait stays due', async () => {
    const job = await aJob()
    const moment = job.nextRunAt!
    await begin(aRun(job, { scheduledFor: moment, status: 'skipped', phase: null }), moment + 1)
    await world.store.updateJob({ ...job, updatedAt: tick() }, job, anAudit('job.update'))
    assert.equal(
      (await world.store.findJob(job.id))?.nextRunAt,
      moment,
      'due again, as after a change that was made at the same time',
    )
    assert.equal(await begin(aRun(job, { scheduledFor: moment }), moment + 1), false)
    const [after, due] = [(await world.store.findJob(job.id))!, moment + 1]
    assert.deepEqual([after.nextRunAt, after.lastRunAt], [due, null])
    assert.equal(await begin(aRun(job, { cause: 'manual' })), true)
    assert.equal(await begin(aRun(job, { scheduledFor: due }), due + 1), false, 'another run is under way')
    assert.equal((await world.store.findJob(job.id))?.nextRunAt, due, 'that it was not begun is still to be said')
  })

  test('a run ends once', async () => {
    const job = await aJob()
    const run = aRun(job)
    await begin(run)
    const end: Run = { ...run, status: 'completed', phase: null, completedAt: tick() }
    const ended = await Promise.all(Array.from({ length: 4 }, () => world.store.changeRun(end, run, [event('job.completed')])))
    assert.equal(ended.filter(Boolean).length, 1)
    assert.deepEqual(await world.store.findRun(run.id), end)
    assert(!(await world.store.openRuns('', 10_000)).some(({ id }) => id === run.id))
  })

  test('what has arrived for a job is known by its source and by its content', async () => {
    const job = await aJob()
    const run = aRun(job)
    await begin(run)
    const sha256 = 'a'.repeat(64)
    const transfer = aTransfer(run)
    await world.store.createTransfers([transfer], [], null)
    const after: Transfer = {
      ...transfer,
      status: 'completed',
      size: 10,
      bytesTransferred: 10,
      sha256,
      completedAt: tick(),
      arrivedAt: tick(),
      progress: 100,
    }
    const arrived: Transfer = { ...after, status: 'running', completedAt: null }
    assert.deepEqual(await world.store.changeTransfers([{ basis: transfer, after: arrived, events: [], entry: null }]), [true])
    const sought = [{ sourceUrl: 'sftp://host/a.csv' }]
    assert.deepEqual(await world.store.movedFiles(job.id, sought), [], 'its source is still to be seen to')
    assert.deepEqual(await world.store.changeTransfers([{ basis: arrived, after, events: [], entry: null }]), [true])
    const moved = { sourceUrl: 'sftp://host/a.csv', size: 10, modifiedAt: 1_000, sha256 }
    assert.deepEqual(await world.store.movedFiles(job.id, [{ sourceUrl: 'sftp://host/a.csv' }]), [moved])
    assert.deepEqual(await world.store.movedFiles(job.id, [{ sourceUrl: 'sftp://host/b.csv', sha256 }]), [
      { ...moved, sourceUrl: null },
    ])
    assert.deepEqual(await world.store.movedFiles(job.id, [{ sourceUrl: 'sftp://host/b.csv' }]), [])
    assert.deepEqual(await world.store.movedFiles((await aJob()).id, [{ sourceUrl: 'sftp://host/a.csv' }]), [])
    assert.deepEqual(await world.store.tallyOfRun(run.id), {
      total: 1,
      completed: 1,
      failed: 0,
      cancelled: 0,
      open: 0,
      bytes: 10,
    })
  })

  test('a run of files however large has a tally', async () => {
    const job = await aJob()
    const run = aRun(job)
    await begin(run)
    const transfers = [1, 2].map(() => aTransfer(run, { bytesTransferred: Number.MAX_SAFE_INTEGER }))
    await world.store.createTransfers(transfers, [], null)
    assert.equal((await world.store.tallyOfRun(run.id)).bytes, Number.MAX_SAFE_INTEGER)
  })

  test('an agent whose stream another node holds gets no listing of this one', async () => {
    const job = await aJob()
    const run = aRun(job)
    await begin(run)
    await world.store.openStream(job.agentId, 'node_b', tick())
    assert.deepEqual(await world.store.takeListings(taker(job.agentId, 'node_a'), ['z'], run.dueAt), [])
    assert.equal((await world.store.takeListings(taker(job.agentId, 'node_b'), [`${run.id}b`], run.dueAt)).length, 1)
  })

  test('what is old goes: ended runs but the last one, and removed jobs with all they moved', async () => {
    const [job, removed] = [await aJob(), await aJob()]
    const [old, last, skipped, gone] = [
      aRun(job, { status: 'completed', phase: null, completedAt: 1 }),
      aRun(job, { status: 'failed', phase: null, completedAt: 1 }),
      aRun(job, { status: 'skipped', phase: null, completedAt: 1 }),
      aRun(removed, { status: 'completed', phase: null, completedAt: 1 }),
    ]
    for (const run of [old, last, skipped, gone]) await begin(run)
    const open = aRun(job)
    await world.store.removeJob(removed.id, 1, anAudit('job.remove'))
    const before = tick()
    for (const kind of ['runs', 'jobs'] as const) {
      for (let after: string | null = ''; after !== null; )
        after = (await world.store.purge({ kind, before, after, limit: 100 })).next
    }
    const left = (await world.store.listRuns(job.id, PAGE)).rows.map(({ id }) => id)
    assert.deepEqual(left.sort(), [last.id, skipped.id].sort())
    assert.equal(await world.store.findAnyJob(removed.id), undefined)
    assert.equal(await world.store.findRun(gone.id), undefined)
    assert.equal((await world.store.findAnyJob(job.id))?.id, job.id)
    await begin(open)
    assert.equal((await world.store.latestRun(job.id))?.id, open.id)
  })

  test('old transfers go once they have ended', async () => {
    const job = await aJob()
    const run = aRun(job)
    await begin(run)
    const [ended, open] = [aTransfer(run, { status: 'failed', completedAt: 1 }), aTransfer(run)]
    await world.store.createTransfers([ended, open], [], null)
    const before = tick()
    for (let after: string | null = ''; after !== null; )
      after = (await world.store.purge({ kind: 'transfers', before, after, limit: 100 })).next
    assert.equal(await world.store.findTransfer(ended.id), undefined)
    assert.equal((await world.store.findTransfer(open.id))?.id, open.id)
  })
}
